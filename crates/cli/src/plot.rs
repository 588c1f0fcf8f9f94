//! A comparison as a figure: an SVG file with the bytes of each suite, by kind of operation.

use crate::command::calibrate::Tried;
use crate::compare::{Comparison, KindCost, SuiteCost};
use crate::error::Error;
use crate::format;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::{Path, PathBuf};

const WIDTH: u32 = 960;
/// Of the title and the legend.
const HEAD: u32 = 104;
const PANEL: u32 = 228;
/// Of the names of the suites, left of the bars.
const NAMES: u32 = 104;
/// Space for the values, right of the longest bar.
const SPARE: f64 = 1.14;
/// Of a bar, where bars are 1 apart.
const THICK: f64 = 0.62;
/// The longest model name that fits.
const TITLE: usize = 60;

/// One for each kind of operation: told apart with every kind of colour vision (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(0, 158, 115),
    RGBColor(240, 228, 66),
    RGBColor(110, 110, 110),
];
const INK: RGBColor = RGBColor(20, 20, 20);
const FAINT: RGBColor = RGBColor(215, 215, 215);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Failure = DrawingAreaErrorKind<std::io::Error>;

/// The file that a figure goes to.
pub fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("svg") => Ok(path),
        _ => Err(format!("{text:?} does not end in .svg: figures are SVG, and nothing else")),
    }
}

/// Writes the figure of `comparison` to `path`, over what is there.
pub fn write(comparison: &Comparison, path: &Path) -> Result<(), Error> {
    save(draw(comparison), path)
}

/// Writes agreement and error against bytes to `path`, over what is there.
pub fn write_tried(model: &str, tried: &[Tried], path: &Path) -> Result<(), Error> {
    save(draw_tried(model, tried), path)
}

fn save(figure: Result<String, Failure>, path: &Path) -> Result<(), Error> {
    let figure = figure.map_err(|e| Error::other(format!("the figure cannot be drawn: {e}")))?;
    std::fs::write(path, figure).map_err(|e| Error::other(format!("{}: {e}", path.display())))
}

type Measure = fn(&Tried) -> f64;

/// Two panels over the same bytes: labels that are the float network's, and the typical error of a logit.
fn draw_tried(model: &str, tried: &[Tried]) -> Result<String, Failure> {
    const TALL: u32 = 300;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, 70 + 2 * TALL)).into_drawing_area();
        root.fill(&WHITE)?;
        title(&root, "Accuracy against bytes", model)?;
        let legend =
            "labels: bits of weights / bits of values / ring; filled: chosen; square: without calibration";
        text(&root, legend, (20, 48), 15, HPos::Left)?;
        let most = tried.iter().map(Tried::bytes).max().unwrap_or(1).max(1) as f64 / 1e6;
        let error = tried.iter().map(|one| one.typical_error).fold(0.0, f64::max).max(1e-9);
        let least = tried.iter().map(|one| one.agreement).fold(1.0, f64::min);
        let floor = ((least * 10.0).floor() / 10.0 - 0.05).max(0.0);
        let panels: [(&str, std::ops::Range<f64>, Measure); 2] = [
            ("part of the pictures with the float network's label", floor..1.05, |one| one.agreement),
            ("typical error of a logit", -0.05 * error..1.15 * error, |one| one.typical_error),
        ];
        let (_, below) = root.split_vertically(70);
        for (area, (title, range, shown)) in below.split_evenly((2, 1)).iter().zip(panels) {
            text(area, title, (20, 12), 17, HPos::Left)?;
            let (_, plot) = area.split_vertically(26);
            let mut chart = ChartBuilder::on(&plot)
                .margin_right(40)
                .margin_bottom(8)
                .x_label_area_size(48)
                .y_label_area_size(70)
                .build_cartesian_2d(0.0..most * SPARE, range)?;
            chart
                .configure_mesh()
                .x_labels(8)
                .y_labels(6)
                .x_label_formatter(&|value| tick(*value))
                .y_label_formatter(&|value| format!("{value:.3}"))
                .x_desc("MB of one inference, both phases")
                .label_style(("sans-serif", 15).into_font().color(&INK))
                .axis_style(INK)
                .bold_line_style(FAINT)
                .light_line_style(TRANSPARENT)
                .draw()?;
            let (left, top) = plot.get_base_pixel();
            for one in tried {
                let at = (one.bytes() as f64 / 1e6, shown(one));
                let (x, y) = chart.backend_coord(&at);
                let (x, y) = (x - left, y - top);
                let (colour, name) = match (one.weight_bits, one.value_bits) {
                    (Some(w), Some(v)) => (COLOURS[0], format!("{w}/{v}/{}", one.ring_bits)),
                    _ => (COLOURS[2], one.ring_bits.to_string()),
                };
                if one.weight_bits.is_none() {
                    plot.draw(&Rectangle::new([(x - 5, y - 5), (x + 5, y + 5)], colour.filled()))?;
                } else if one.chosen {
                    plot.draw(&Circle::new((x, y), 6, colour.filled()))?;
                } else {
                    plot.draw(&Circle::new((x, y), 5, colour.stroke_width(2)))?;
                }
                text(&plot, &name, (x + 9, y - 9), 13, HPos::Left)?;
            }
        }
        root.present()?;
    }
    Ok(svg)
}

/// What is shown of a kind in a panel.
type Shown = fn(&KindCost) -> u64;

fn draw(comparison: &Comparison) -> Result<String, Failure> {
    let panels: [(&str, Shown); 2] = [
        ("both phases: before the input is there, and with it", |kind| {
            kind.preprocessing.bytes() + kind.online.bytes()
        }),
        ("the online phase alone: with the input", |kind| kind.online.bytes()),
    ];
    let mut svg = String::new();
    {
        let size = (WIDTH, HEAD + PANEL * panels.len() as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        // A ground of its own, for viewers with a dark one.
        root.fill(&WHITE)?;
        head(&root, comparison)?;
        let (_, below) = root.split_vertically(HEAD);
        for (area, (title, shown)) in below.split_evenly((panels.len(), 1)).iter().zip(panels) {
            panel(area, title, &comparison.suites, shown)?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// What is shown, and the end of the model's name.
fn title(root: &Area<'_>, words: &str, model: &str) -> Result<(), Failure> {
    let skipped = model.chars().count().saturating_sub(TITLE);
    let name: String = model.chars().skip(skipped).collect();
    let cut = if skipped > 0 { "…" } else { "" };
    text(root, &format!("{words}: {cut}{name}"), (20, 24), 22, HPos::Left)
}

/// The title and the legend.
fn head(root: &Area<'_>, comparison: &Comparison) -> Result<(), Failure> {
    let Comparison { model, bits, frac, reveal, suites, .. } = comparison;
    title(root, "Bytes of one private inference", model)?;
    let fixed = format!("{bits} bits, {frac} of them fraction; the client learns the {reveal}");
    text(root, &fixed, (20, 48), 15, HPos::Left)?;
    let mut left = 20;
    for (kind, colour) in COLOURS.iter().enumerate() {
        let bytes =
            |suite: &SuiteCost| suite.kinds[kind].preprocessing.bytes() + suite.kinds[kind].online.bytes();
        if suites.iter().all(|suite| bytes(suite) == 0) {
            continue;
        }
        let words = suites[0].kinds[kind].words;
        root.draw(&Rectangle::new([(left, 71), (left + 14, 85)], colour.filled()))?;
        text(root, words, (left + 20, 78), 15, HPos::Left)?;
        // Wide enough for the usual fonts.
        left += 44 + 7 * words.chars().count() as i32;
    }
    Ok(())
}

/// A bar for each suite, the first at the top.
fn panel(area: &Area<'_>, title: &str, suites: &[SuiteCost], shown: Shown) -> Result<(), Failure> {
    let sum = |suite: &SuiteCost| suite.kinds.iter().map(shown).sum::<u64>();
    let longest = suites.iter().map(sum).max().unwrap_or(0).max(1);
    let (unit, parts) = match longest {
        0..1_000_000 => ("kB = 10³ bytes", 1e3),
        1_000_000..1_000_000_000 => ("MB = 10⁶ bytes", 1e6),
        _ => ("GB = 10⁹ bytes", 1e9),
    };
    text(area, title, (20, 12), 17, HPos::Left)?;
    let (_, plot) = area.split_vertically(26);
    let rows = suites.len() as f64;
    let mut chart = ChartBuilder::on(&plot)
        .margin_right(20)
        .margin_bottom(10)
        .x_label_area_size(50)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(0.0..longest as f64 / parts * SPARE, 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_labels(8)
        .x_label_formatter(&|value| tick(*value))
        .x_desc(unit)
        .label_style(("sans-serif", 15).into_font().color(&INK))
        .axis_style(INK)
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .draw()?;
    let (left, top) = plot.get_base_pixel();
    for (row, suite) in suites.iter().enumerate() {
        let middle = rows - row as f64 - 0.5;
        let mut end = 0.0;
        for (kind, colour) in suite.kinds.iter().zip(&COLOURS) {
            let from = end;
            end += shown(kind) as f64 / parts;
            if end > from {
                let corners = [(from, middle - THICK / 2.0), (end, middle + THICK / 2.0)];
                chart.draw_series([Rectangle::new(corners, colour.filled())])?;
            }
        }
        let place = |value: f64, shift: i32| {
            let (x, y) = chart.backend_coord(&(value, middle));
            (x - left + shift, y - top)
        };
        text(&plot, suite.suite.name(), place(0.0, -10), 15, HPos::Right)?;
        text(&plot, &format::bytes(sum(suite)), place(end, 8), 15, HPos::Left)?;
    }
    Ok(())
}

/// A number at the axis: as many digits as it needs.
fn tick(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes `words` with the middle of their height at `place`.
fn text(area: &Area<'_>, words: &str, place: (i32, i32), size: u32, side: HPos) -> Result<(), Failure> {
    let style = ("sans-serif", size).into_font().color(&INK).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(words.to_owned(), place, style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Link;
    use copriv_runner::{Delays, LayerCost, Ot, PhaseCost, Plan, Reveal, Suite, Total, Truncation};

    /// A plan of one convolution and one ReLU.
    fn plan(suite: Suite, conv: u64, relu: u64) -> Plan {
        let cost = |bytes| PhaseCost { bytes_p0_to_p1: bytes, bytes_p1_to_p0: 0, rounds: 1 };
        let layer = |op: &str, bytes| LayerCost {
            name: op.into(),
            op: op.into(),
            protocol: String::new(),
            preprocessing: PhaseCost::default(),
            online: cost(bytes),
            delays: Delays::default(),
        };
        let layers = vec![layer("conv", conv), layer("relu", relu)];
        let total = Total { online: cost(conv + relu), ..Total::default() };
        Plan {
            model: "a<b>&\"c\".onnx".into(),
            suite,
            ot: Ot::default(),
            truncation: Truncation::default(),
            relu_drop_bits: 0,
            bits: 41,
            frac: 12,
            layers,
            total,
        }
    }

    fn figure(plans: &[Plan]) -> String {
        draw(&Comparison::new(plans, Reveal::Label, Link::usual())).unwrap()
    }

    #[test]
    fn a_figure_shows_every_suite() {
        let svg = figure(&[plan(Suite::Cryptflow2, 3_000_000, 500_000), plan(Suite::Best, 400_000, 0)]);
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        // In both panels.
        for words in ["cryptflow2", "best", "3.5 MB", "400.0 kB", "MB = 10⁶ bytes"] {
            assert_eq!(svg.matches(&format!("\n{words}\n")).count(), 2, "{words}");
        }
        for (words, times) in [("products", 1), ("activation", 1), ("pooling", 0), ("truncation", 0)] {
            assert_eq!(svg.matches(&format!("\n{words}\n")).count(), times, "{words}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let svg = figure(&[plan(Suite::Best, 1, 1)]);
        assert!(svg.contains("a&lt;b&gt;&amp;") && !svg.contains("a<b>"));
    }

    #[test]
    fn a_network_that_costs_nothing_has_a_figure() {
        assert!(figure(&[plan(Suite::Best, 0, 0)]).contains("\n0 B\n"));
    }

    #[test]
    fn only_svg() {
        assert_eq!(file("a.svg"), Ok("a.svg".into()));
        assert_eq!(file("b/A.SVG"), Ok("b/A.SVG".into()));
        for wrong in ["a.png", "svg", ".svg", "a.svg.gz", ""] {
            assert!(file(wrong).unwrap_err().contains(".svg"), "{wrong}");
        }
    }

    #[test]
    fn ticks() {
        assert_eq!([0.0, 2.5, 100.0, 0.125].map(tick), ["0", "2.5", "100", "0.125"]);
    }
}
