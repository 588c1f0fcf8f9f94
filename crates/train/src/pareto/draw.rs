//! Accuracy against bytes, as a figure.

use super::{Error, Group, METHODS, Phase, Size, rank};
use crate::figure::{Axis, Frame, GREY, INK, Kind, Look, Sample, Scene, Style, UNITS, legend, write};
use std::path::{Path, PathBuf};

/// Draws `groups`, which are of one network and data, and says which files it wrote: an SVG, and a PNG too if `path`
/// ends so. The panels are both phases and the online phase; the original is two dashed lines that cross.
pub fn draw(groups: &[Group], path: &Path, size: Size) -> Result<Vec<PathBuf>, Error> {
    let first = groups
        .first()
        .ok_or_else(|| Error::Content("there is no run to draw: name folders with runs".into()))?;
    if let Some(g) = groups.iter().find(|g| (&g.network, &g.data) != (&first.network, &first.data)) {
        return Err(Error::Content(format!(
            "runs of {} on {} and of {} on {} do not belong in one figure: draw one for each",
            first.network, first.data, g.network, g.data
        )));
    }
    let mut scene = Scene::new(size)?;
    scene.title(&format!("{} on {}: accuracy and communication", first.network, first.data));
    let methods: Vec<_> = groups.chunk_by(|a, b| a.method == b.method).collect();
    let mut others = METHODS.len() - 1;
    let looks: Vec<_> = methods
        .iter()
        .map(|of| match rank(&of[0].method) {
            known if known < METHODS.len() => Look::new(known.saturating_sub(1)),
            _ => {
                others += 1;
                Look::new(others - 1)
            }
        })
        .collect();
    let entries: Vec<(String, Sample<'_>)> = methods.iter().zip(&looks).map(entry).collect();
    let mut top = legend(&mut scene, 72.0, &entries);
    if groups.iter().any(|g| g.seeds.len() > 1) {
        let words = "Medians over seeds. Thin bars: from least to greatest; thick bars: the middle half, from 4 seeds on.";
        scene.words(words, (24.0, top + 10.0), Style { colour: GREY, ..Style::new(15.0) });
        top += 22.0;
    }
    let (left, gap, right) = (98.0, 44.0, UNITS - 24.0);
    let width = (right - left - gap) / 2.0;
    let panels = [(Phase::Total, "Both phases"), (Phase::Online, "Online phase")];
    for ((phase, title), left) in panels.into_iter().zip([left, left + width + gap]) {
        let (top, bottom) = (top + 40.0, scene.height - 72.0);
        let bytes = groups.iter().flat_map(|g| [g.bytes(phase).min, g.bytes(phase).max]);
        let accuracies = groups.iter().flat_map(|g| [g.accuracy.min, g.accuracy.max]);
        let x = Axis::new(Kind::Bytes, bytes, width, true);
        let y = Axis::new(Kind::Percent, accuracies, bottom - top, false);
        let frame = Frame { left, top, right: left + width, bottom, x, y };
        let y_title = (phase == Phase::Total).then_some("test accuracy (%)");
        frame.draw(&mut scene, title, "bytes of one inference (logarithmic)", y_title);
        panel(&mut scene, &frame, phase, &methods, &looks);
    }
    write(&scene, path)
}

fn entry<'a>((of, look): (&&'a [Group], &'a Look)) -> (String, Sample<'a>) {
    let sample: Sample<'_> = match of[0].is_original() {
        true => Box::new(|scene, from, to| scene.dashes(from, to, 1.8, INK)),
        false => Box::new(|scene, from, to| {
            scene.line([from, to], 2.2, look.colour);
            look.mark(scene, ((from.0 + to.0) / 2.0, from.1));
        }),
    };
    (of[0].method.clone(), sample)
}

fn panel(scene: &mut Scene, frame: &Frame, phase: Phase, methods: &[&[Group]], looks: &[Look]) {
    let place = |g: &Group| frame.at(g.bytes(phase).median, g.accuracy.median);
    for (of, look) in methods.iter().zip(looks) {
        if of[0].is_original() {
            for (x, y) in of.iter().map(place) {
                scene.dashes((frame.left, y), (frame.right, y), 1.8, INK);
                scene.dashes((x, frame.bottom), (x, frame.top), 1.8, INK);
            }
            continue;
        }
        let mut way: Vec<_> = of.iter().map(place).collect();
        way.sort_by(|a, b| a.0.total_cmp(&b.0));
        scene.line(way, 2.2, look.colour);
    }
    for (g, look) in methods.iter().zip(looks).flat_map(|(of, look)| of.iter().map(move |g| (g, look))) {
        let colour = if g.is_original() { INK } else { look.colour };
        let (bytes, accuracy) = (g.bytes(phase), &g.accuracy);
        let across = |value: f64| frame.at(value, accuracy.median);
        let up = |value: f64| frame.at(bytes.median, value);
        for (from, to, (x, y)) in [
            (across(bytes.min), across(bytes.max), (0.0, 4.0)),
            (up(accuracy.min), up(accuracy.max), (4.0, 0.0)),
        ] {
            // No longer than what is drawn over it: nothing to see.
            if (to.0 - from.0).hypot(to.1 - from.1) > 2.0 {
                scene.line([from, to], 1.5, colour);
                for end in [from, to] {
                    scene.line([(end.0 - x, end.1 - y), (end.0 + x, end.1 + y)], 1.5, colour);
                }
            }
        }
        for (from, to) in [
            bytes.quartiles.map(|(a, b)| (across(a), across(b))),
            accuracy.quartiles.map(|(a, b)| (up(a), up(b))),
        ]
        .into_iter()
        .flatten()
        {
            scene.line([from, to], 4.5, colour);
        }
    }
    for (of, look) in methods.iter().zip(looks).filter(|(of, _)| !of[0].is_original()) {
        of.iter().map(place).for_each(|at| look.mark(scene, at));
    }
}
