//! Fronts, groups, results in files, and the figures drawn of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use copriv_train::curves::{self, Part, Record};
use copriv_train::pareto::{
    FORMAT, Group, Phase, Point, RunResult, Size, Spread, accuracy_at, bytes_at, bytes_ratio, compare, draw,
    front, groups, load, report, table,
};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn run(method: &str, budget: &str, seed: u64, accuracy: f64, bytes: u64) -> RunResult {
    RunResult {
        format: FORMAT,
        method: method.into(),
        network: "net".into(),
        data: "digits".into(),
        seed,
        accuracy_validation: accuracy,
        accuracy_test: accuracy,
        loss: Some(0.5),
        bytes_total: bytes,
        bytes_online: bytes / 4,
        relus: 1000,
        parameters: 500,
        budget: budget.into(),
        notes: "a note".into(),
    }
}

/// The original and two methods with three budgets each, of which `blocks` has five seeds each.
fn runs() -> Vec<RunResult> {
    let mut runs = vec![run("original", "", 1, 0.95, 100_000_000), run("original", "", 2, 0.96, 100_000_000)];
    for (i, budget) in ["0.75", "0.5", "0.25"].into_iter().enumerate() {
        let bytes = [75_000_000, 50_000_000, 25_000_000][i];
        for seed in 0..5 {
            let accuracy = (950 - 20 * i + 2 * seed as usize) as f64 / 1000.0;
            runs.push(run("blocks", budget, seed, accuracy, bytes + 500_000 * seed));
        }
        runs.push(run("snl-pixel", budget, 1, (93 - 3 * i) as f64 / 100.0, bytes + 2_000_000));
    }
    runs
}

fn point((bytes, accuracy): (u32, u32)) -> Point {
    Point { bytes: f64::from(bytes), accuracy: f64::from(accuracy) / 20.0 }
}

fn beats(a: &Point, b: &Point) -> bool {
    a.bytes <= b.bytes && a.accuracy >= b.accuracy
}

proptest! {
    #[test]
    fn a_front_is_its_definition(points in prop::collection::vec((1u32..20, 0u32..=20).prop_map(point), 0..30)) {
        let front = front(&points);
        prop_assert!(front.windows(2).all(|w| w[0].bytes < w[1].bytes && w[0].accuracy < w[1].accuracy));
        for p in &points {
            let unbeaten = points.iter().all(|q| q == p || !beats(q, p));
            prop_assert_eq!(front.contains(p), unbeaten);
            prop_assert!(front.iter().any(|q| beats(q, p)));
        }
        prop_assert!(front.iter().all(|p| points.contains(p)));
        prop_assert_eq!(copriv_train::pareto::front(&front), front);
    }

    #[test]
    fn between_points_both_ways_agree(
        points in prop::collection::vec((1u32..1000, 0u32..=20).prop_map(point), 1..20), part in 0.0f64..=1.0,
    ) {
        let front = front(&points);
        let (first, last) = (front[0], front[front.len() - 1]);
        let accuracy = first.accuracy + part * (last.accuracy - first.accuracy);
        let bytes = bytes_at(&front, accuracy.clamp(first.accuracy, last.accuracy)).unwrap();
        prop_assert!(first.bytes * 0.999_999 <= bytes && bytes <= last.bytes * 1.000_001);
        if let Some(back) = accuracy_at(&front, bytes) {
            prop_assert!((back - accuracy).abs() < 1e-9);
        }
        prop_assert_eq!(bytes_at(&front, last.accuracy + 0.01), None);
        prop_assert_eq!(accuracy_at(&front, first.bytes * 0.99), None);
    }

    #[test]
    fn a_spread_is_ordered(values in prop::collection::vec(-1e6f64..1e6, 1..20)) {
        let spread = Spread::of(values.iter().copied()).unwrap();
        prop_assert!(values.iter().all(|v| (spread.min..=spread.max).contains(v)));
        prop_assert!(values.contains(&spread.min) && values.contains(&spread.max));
        prop_assert!(2 * values.iter().filter(|&&v| v <= spread.median).count() >= values.len());
        prop_assert!(2 * values.iter().filter(|&&v| v >= spread.median).count() >= values.len());
        prop_assert_eq!(spread.quartiles.is_some(), values.len() >= 4);
        if let Some((low, high)) = spread.quartiles {
            prop_assert!(spread.min <= low && low <= spread.median && spread.median <= high && high <= spread.max);
        }
    }
}

#[test]
fn spreads_of_known_numbers() {
    assert_eq!(Spread::of([]), None);
    let three = Spread::of([3.0, 1.0, 2.0]).unwrap();
    assert_eq!((three.median, three.min, three.max, three.quartiles), (2.0, 1.0, 3.0, None));
    // As numpy.quantile.
    let four = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
    assert_eq!((four.median, four.quartiles), (2.5, Some((1.75, 3.25))));
}

#[test]
fn runs_that_differ_in_seeds_alone_are_a_group() {
    let mut runs = runs();
    runs.reverse();
    let groups = groups(&runs);
    let names: Vec<_> = groups.iter().map(|g| (g.method.as_str(), g.budget.as_str())).collect();
    let budgets = ["0.75", "0.5", "0.25"];
    let of = |method| budgets.map(|budget| (method, budget));
    assert_eq!(names, [&[("original", "")][..], &of("blocks"), &of("snl-pixel")].concat());
    assert_eq!((&groups[0].seeds[..], &groups[1].seeds[..]), (&[1, 2][..], &[0, 1, 2, 3, 4][..]));
    assert_eq!(groups[1].bytes(Phase::Total).median, 76_000_000.0);
    assert_eq!(groups[1].bytes(Phase::Online).median, 19_000_000.0);
    assert!((groups[1].accuracy.median - 0.954).abs() < 1e-12);
}

#[test]
fn methods_are_compared_where_both_have_a_value() {
    let all: Vec<RunResult> = [("blocks", 1_000), ("channels", 4_000)]
        .into_iter()
        .flat_map(|(method, bytes)| {
            [run(method, "small", 1, 0.8, bytes), run(method, "large", 1, 0.9, 100 * bytes)]
        })
        .chain([run("original", "", 1, 0.9, 500_000), run("count", "", 1, 0.5, 90)])
        .collect();
    let found = compare(&groups(&all), Phase::Total);
    let names: Vec<_> = found.iter().map(|c| (c.method.as_str(), c.other.as_str())).collect();
    // `count` has no accuracy and no bytes in common with any other.
    assert_eq!(names, [("blocks", "original"), ("channels", "original"), ("blocks", "channels")]);
    let [original, _, methods] = &found[..] else { panic!("{found:?}") };
    for (accuracy, ratio) in &methods.bytes_ratio {
        assert!((0.8..=0.9).contains(accuracy) && (ratio - 0.25).abs() < 1e-12, "{ratio}");
    }
    // Both rise by 0.1 over a factor of 100, so a factor of 4 is 0.1·log_100(4).
    for (bytes, difference) in &methods.accuracy_difference {
        assert!((4e3..=1e5).contains(bytes) && (difference - 0.1 * 4f64.log(100.0)).abs() < 1e-12);
    }
    assert_eq!((methods.bytes_ratio.len(), methods.accuracy_difference.len()), (2, 2));
    assert_eq!(original.bytes_ratio.len(), 1);
    assert!((original.bytes_ratio[0].1 - 0.2).abs() < 1e-12);
    let fronts = [[(10, 4), (1000, 8)].map(point), [(20, 4), (2000, 8)].map(point)];
    assert!((bytes_ratio(&fronts[0], &fronts[1], 0.3).unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(bytes_ratio(&fronts[0], &fronts[1], 0.5), None);
}

#[test]
fn the_table_says_what_the_original_is_to_each() {
    let groups = groups(&runs());
    let text = table(&groups);
    let row = text.lines().find(|line| line.contains("| 0.5 ")).unwrap();
    for cell in ["blocks", " 5 ", "93.40 [93.00, 93.80]", "51 MB", "12.8 MB", "51.0 %"] {
        assert!(row.contains(cell), "{cell}: {row}");
    }
    assert!(text.lines().all(|line| line.is_empty() || (line.starts_with('|') && line.ends_with('|'))));
    let json = serde_json::to_value(report(&groups)).unwrap();
    assert_eq!(json["rows"][2]["total_over_original"], 0.51);
    assert_eq!(
        (&json["rows"][2]["budget"], &json["comparisons"][0]["phase"]),
        (&"0.5".into(), &"total".into())
    );
}

#[test]
fn results_round_trip_and_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    assert!(load(&[path]).unwrap_err().to_string().contains("has no result.json"));
    for (i, result) in runs().iter().enumerate() {
        let folder = path.join(format!("runs/{i}"));
        fs::create_dir_all(&folder).unwrap();
        result.write(&folder).unwrap();
        // Over what is there.
        result.write(&folder).unwrap();
        assert_eq!(&RunResult::read(&folder.join("result.json")).unwrap(), result);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
    // Named twice, it counts once.
    let loaded = load(&[path, &path.join("runs/3")]).unwrap();
    assert_eq!((loaded.len(), groups(&loaded)), (runs().len(), groups(&runs())));
    fs::create_dir(path.join("copy")).unwrap();
    fs::copy(path.join("runs/3/result.json"), path.join("copy/result.json")).unwrap();
    let error = load(&[path]).unwrap_err().to_string();
    assert!(error.contains("copy/result.json") && error.contains("are one run"), "{error}");
    assert!(load(&["/nowhere"]).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn results_that_cannot_be_used_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("result.json");
    let good = run("blocks", "0.5", 1, 0.9, 1000);
    let with = |key: &str, value: serde_json::Value| {
        let mut json = serde_json::to_value(&good).unwrap();
        json[key] = value;
        json.to_string()
    };
    let whole = with("later", "ignored".into());
    for (text, says) in [
        (whole[..whole.len() / 2].to_owned(), "repair the file"),
        ("[]".to_owned(), "repair the file"),
        (with("format", 2.into()), "format 2, and this program reads format 1"),
        (with("method", " ".into()), "method is empty"),
        (with("budget", "a\nb".into()), "is no name"),
        (with("network", "n".repeat(101).into()), "is no name"),
        (with("accuracy_test", 1.5.into()), "an accuracy is 1.5"),
        (with("accuracy_test", serde_json::Value::Null), "repair the file"),
        (with("bytes_online", 0.into()), "bytes_online is 0"),
        (with("bytes_online", 1001.into()), "above bytes_total 1000"),
        (with("seed", (-1).into()), "repair the file"),
        (with("notes", "x".repeat(1 << 20).into()), "larger than"),
    ] {
        fs::write(&file, text).unwrap();
        let error = RunResult::read(&file).unwrap_err().to_string();
        assert!(error.contains("result.json") && error.contains(says), "{error}");
    }
    fs::write(&file, whole).unwrap();
    assert_eq!(RunResult::read(&file).unwrap(), good);
    let bad = RunResult { accuracy_test: f64::NAN, ..good.clone() };
    assert!(bad.write(dir.path()).unwrap_err().to_string().contains("an accuracy is NaN"));
    // What was there is whole still.
    assert_eq!(RunResult::read(&file).unwrap(), good);
}

/// Asserts that every element of an SVG is closed, its attributes are quoted and its texts escaped.
#[track_caller]
fn check_svg(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    for (i, piece) in text.split('<').enumerate().skip(1) {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("element {i} has no end: {piece}"));
        for entity in piece.split('&').skip(1) {
            let name = entity.split_once(';').map(|(name, _)| name);
            assert!(
                name.is_some_and(|name| ["lt", "gt", "amp", "quot", "apos", "#39"].contains(&name)),
                "{piece}"
            );
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if !tag.ends_with('/') && !tag.starts_with(['?', '!']) {
            open.push(tag.split_whitespace().next().unwrap());
        }
    }
    assert!(open.is_empty() && text.starts_with("<svg "), "{open:?}");
    assert!(!text.contains("NaN") && !text.contains("inf\""));
}

/// Markers, without the white edge of each.
fn marks(svg: &str) -> usize {
    svg.lines().filter(|line| line.contains("<polygon") && !line.contains("fill=\"#FFFFFF\"")).count()
}

fn drawn(groups: &[Group], path: &Path) -> String {
    let files = draw(groups, path, Size::default()).unwrap();
    fs::read_to_string(files.last().unwrap()).unwrap()
}

#[test]
fn an_svg_has_a_mark_for_each_group() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("front.svg");
    let svg = drawn(&groups(&runs()), &path);
    check_svg(&svg);
    // Six groups in both panels, and two methods in the legend.
    assert_eq!(marks(&svg), 6 * 2 + 2);
    for word in
        ["net on digits", "original", "blocks", "snl-pixel", "Online phase", "width=\"1280\" height=\"640\""]
    {
        assert!(svg.contains(word), "{word}");
    }
    // One point, names that are no XML, and methods that are not known.
    let odd = RunResult { network: "a<b & \"c\"".into(), ..run("<&>", "", 1, 0.5, 1000) };
    let svg = drawn(&groups(&[odd]), &path);
    check_svg(&svg);
    assert_eq!(marks(&svg), 3);
}

#[test]
fn a_png_has_the_size_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("front.PNG");
    let groups = groups(&runs());
    for (width, height) in [(1280, 640), (301, 150)] {
        let files = draw(&groups, &path, Size { width, height }).unwrap();
        assert_eq!(files, [path.clone(), dir.path().join("front.svg")]);
        let picture = image::load_from_memory(&fs::read(&path).unwrap()).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), (width, height));
        let inked = picture.pixels().filter(|p| p.0 != [255; 3]).count();
        assert!(inked > (width * height / 40) as usize, "{inked}");
        check_svg(&fs::read_to_string(&files[1]).unwrap());
    }
}

#[test]
fn figures_that_cannot_be_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("front.svg");
    let other = RunResult { network: "other".into(), ..run("blocks", "", 1, 0.5, 1000) };
    let two = groups(&[run("blocks", "", 1, 0.5, 1000), other]);
    let (size, tiny) = (Size::default(), Size { width: 20, height: 20 });
    for (result, says) in [
        (draw(&[], &path, size), "no run to draw"),
        (draw(&two, &path, size), "do not belong in one figure"),
        (draw(&two[..1], &path, tiny), "20 by 20 pixels"),
        (draw(&two[..1], &dir.path().join("front.pdf"), size), ".svg or .png"),
        (draw(&two[..1], Path::new("/nowhere/front.svg"), size), "cannot be written"),
        (curves::draw(&[], "t", &path, size), "metrics are empty"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(!path.exists());
}

fn record(step: u64, part: Part, loss: f64) -> Record {
    let accuracy = Some(step as f64 / 1000.0);
    Record { step, epoch: step as f64 / 10.0, part, loss: Some(loss), accuracy, rate: Some(0.1) }
}

#[test]
fn metrics_cut_in_the_last_line_lose_that_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    let records: Vec<_> = (1..4).map(|step| record(step, Part::Train, 0.5)).collect();
    let lines: Vec<String> = records.iter().map(|r| serde_json::to_string(r).unwrap()).collect();
    let text = lines.join("\n") + "\n";
    let start = lines[0].len() + lines[1].len() + 2;
    for end in start..=text.len() {
        fs::write(&path, &text[..end]).unwrap();
        let whole = if end + 1 >= text.len() { 3 } else { 2 };
        assert_eq!(curves::read(&path).unwrap(), records[..whole], "{end}");
    }
    // Not so in the middle, nor in a line that has an end.
    fs::write(&path, text.replacen(&lines[1], &lines[1][..9], 1)).unwrap();
    let error = curves::read(&path).unwrap_err().to_string();
    assert!(error.contains("metrics.jsonl") && error.contains("line 2"), "{error}");
    fs::write(&path, format!("{}\n{{\n", lines[0])).unwrap();
    assert!(curves::read(&path).unwrap_err().to_string().contains("line 2"));
    // Keys and parts of later versions.
    fs::write(&path, r#"{"step":1,"epoch":0.5,"part":"average","loss":null,"new":[1]}"#).unwrap();
    assert_eq!(curves::read(&path).unwrap()[0].part, Part::Other);
}

#[test]
fn curves_of_any_length_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("curves.svg");
    let draw = |records: &[Record]| {
        curves::draw(records, "digits <1>", &path, Size::default()).unwrap();
        let svg = fs::read_to_string(&path).unwrap();
        check_svg(&svg);
        svg
    };
    // A mark in each panel and one in the legend.
    assert_eq!(marks(&draw(&[record(1, Part::Train, 0.5)])), 2 + 1);
    assert_eq!(marks(&draw(&[record(1, Part::Validation, 0.5)])), 2 + 1);
    let many: Vec<_> = (0..3000)
        .map(|i| {
            record(i, if i % 300 == 299 { Part::Validation } else { Part::Train }, 100.0 / (1.0 + i as f64))
        })
        .collect();
    let svg = draw(&many);
    assert_eq!(marks(&svg), 2 * 10 + 1);
    assert!(svg.len() < 100_000, "{}", svg.len());
    // Of numbers that no axis can hold, and of none at all.
    for loss in [0.0, -1.0, 1e-300, 1e308, -1e308, f64::NAN] {
        let mut some = many.clone();
        (some[7].loss, some[9].epoch) = (Some(loss), loss.max(0.0));
        draw(&some);
    }
    draw(&[Record { loss: None, accuracy: None, rate: None, ..record(1, Part::Other, 0.0) }]);
}
