//! How a training went: loss, accuracy and learning rate over the epochs, from the metrics that a run writes.

use crate::figure::{
    self, Axis, Error, Frame, GREY, Kind, Look, Sample, Scene, Size, UNITS, is_shown, legend,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Larger files are none of ours.
const LIMIT: u64 = 1 << 28;
/// A curve has at most so many corners: of more values, neighbours are drawn as their mean.
const CORNERS: usize = 500;
/// The most marks on a curve.
const MARKS: usize = 15;

/// Which data was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// That the network learns from.
    Train,
    /// That it does not.
    Validation,
    /// Another, which is not drawn.
    #[serde(other)]
    Other,
}

/// A line of the metrics: a JSON object, whose other keys are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Steps of the optimiser so far.
    pub step: u64,
    /// Passes over the training data so far, with a fraction.
    pub epoch: f64,
    /// Which data.
    pub part: Part,
    /// The mean loss, if it is a number.
    pub loss: Option<f64>,
    /// From 0 to 1.
    pub accuracy: Option<f64>,
    /// The learning rate.
    pub rate: Option<f64>,
}

/// Reads metrics, a record a line. A last line without an end is left out if it is not whole: the run was killed.
pub fn read(path: &Path) -> Result<Vec<Record>, Error> {
    let bytes = figure::read(path, LIMIT)?;
    let mut records = Vec::new();
    let mut lines = bytes.split(|&byte| byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(record) => records.push(record),
            Err(_) if lines.peek().is_none() => {}
            Err(why) => return Err(Error::Damaged(path.to_owned(), format!("line {}: {why}", index + 1))),
        }
    }
    Ok(records)
}

/// Draws `records` under `title`, and says which files it wrote: an SVG, and a PNG too if `path` ends so.
pub fn draw(records: &[Record], title: &str, path: &Path, size: Size) -> Result<Vec<PathBuf>, Error> {
    if records.is_empty() {
        return Err(Error::Content(
            "the metrics are empty: there is nothing to draw before the first record".into(),
        ));
    }
    let mut scene = Scene::new(size)?;
    scene.title(title);
    let (train, validation) = (Look::new(0), Look::new(1));
    let entries: [(String, Sample<'_>); 3] = [
        ("train".into(), Box::new(|scene, from, to| scene.line([from, to], 2.2, train.colour))),
        (
            "validation".into(),
            Box::new(|scene, from, to| {
                scene.line([from, to], 2.2, validation.colour);
                validation.mark(scene, ((from.0 + to.0) / 2.0, from.1));
            }),
        ),
        ("learning rate".into(), Box::new(|scene, from, to| scene.line([from, to], 1.0, GREY))),
    ];
    let top = legend(&mut scene, 72.0, &entries) + 40.0;
    let bottom = scene.height - 72.0;
    let (left, gap, right) = (98.0, 106.0, UNITS - 106.0);
    let width = (right - left - gap) / 2.0;
    let losses = [Part::Train, Part::Validation].map(|part| curve(records, Some(part), |r| r.loss));
    let accuracies = [Part::Train, Part::Validation].map(|part| curve(records, Some(part), |r| r.accuracy));
    // A start far above the rest would press the rest flat.
    let least = losses.iter().flatten().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let most = losses.iter().flatten().map(|p| p.1).fold(0.0, f64::max);
    let kind = if least > 0.0 && most > 50.0 * least { Kind::Log } else { Kind::Number };
    let panels = [("loss", kind, losses), ("accuracy (%)", Kind::Percent, accuracies)];
    for ((title, kind, all), left) in panels.into_iter().zip([left, left + width + gap]) {
        let x = Axis::new(Kind::Number, records.iter().map(|r| r.epoch), width, true);
        let y = Axis::new(kind, all.iter().flatten().map(|p| p.1), bottom - top, false);
        let mut frame = Frame { left, top, right: left + width, bottom, x, y };
        frame.draw(&mut scene, "", "epoch", Some(title));
        let rates = curve(records, None, |r| r.rate);
        if kind == Kind::Percent && !rates.is_empty() {
            let axis = Axis::new(Kind::Number, rates.iter().map(|p| p.1).chain([0.0]), bottom - top, false);
            frame.right_axis(&mut scene, &axis, "learning rate", GREY);
            let y = std::mem::replace(&mut frame.y, axis);
            scene.line(rates.iter().map(|p| frame.at(p.0, p.1)).collect::<Vec<_>>(), 1.0, GREY);
            frame.y = y;
        }
        for (points, look) in all.iter().zip([train, validation]) {
            let way: Vec<_> = points.iter().map(|p| frame.at(p.0, p.1)).collect();
            scene.line(way.clone(), 2.2, look.colour);
            // A curve of one point is to be seen too.
            let is_validation = look.colour == validation.colour;
            if way.len() == 1 || is_validation {
                let apart = way.len().div_ceil(MARKS).max(1);
                way.into_iter().step_by(apart).for_each(|at| look.mark(&mut scene, at));
            }
        }
    }
    figure::write(&scene, path)
}

/// A value of a part, or of both, over the epochs; neighbours as their mean where there are too many.
fn curve(records: &[Record], part: Option<Part>, value: impl Fn(&Record) -> Option<f64>) -> Vec<(f64, f64)> {
    let of = records.iter().filter(|r| part.map_or(r.part != Part::Other, |part| r.part == part));
    let points = of.filter_map(|r| Some((r.epoch, value(r)?))).filter(|p| is_shown(p.0) && is_shown(p.1));
    let mut points: Vec<_> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mean = |of: &[(f64, f64)]| {
        let sum = of.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (sum.0 / of.len() as f64, sum.1 / of.len() as f64)
    };
    points.chunks(points.len().div_ceil(CORNERS).max(1)).map(mean).collect()
}
