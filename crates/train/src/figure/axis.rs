//! Axes, and the frame of a panel between them.

use super::scene::{Colour, FAINT, GREY, Place, Scene, Style};
use super::{UNITS, bytes, number};
use plotters::style::text_anchor::HPos;

/// The size of the numbers at an axis.
const SMALL: f64 = 17.0;

/// What an axis shows.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Bytes, logarithmic.
    Bytes,
    /// A part of 1, in percent.
    Percent,
    /// Any number, from zero on.
    Number,
    /// Any number above zero, logarithmic.
    Log,
}

impl Kind {
    /// As it stands at the axis: of a logarithmic one, the exponent.
    fn scaled(self, value: f64) -> f64 {
        match self {
            Kind::Bytes | Kind::Log => value.log10(),
            Kind::Percent => value * 100.0,
            Kind::Number => value,
        }
    }
}

/// Whether a figure shows `value`: a number, and so far from the largest that no difference overflows.
pub(crate) fn is_shown(value: f64) -> bool {
    value.abs() < 1e100
}

/// From values to the way along an axis.
pub(crate) struct Axis {
    kind: Kind,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis around `values`, `length` long, with as many numbers as have the room. Values that it cannot show
    /// have no say.
    pub fn new(kind: Kind, values: impl IntoIterator<Item = f64>, length: f64, along_x: bool) -> Self {
        let mut axis = Self { kind, low: f64::INFINITY, high: f64::NEG_INFINITY, ticks: Vec::new() };
        for value in values.into_iter().map(|value| kind.scaled(value)).filter(|&value| is_shown(value)) {
            (axis.low, axis.high) = (axis.low.min(value), axis.high.max(value));
        }
        if axis.low > axis.high {
            (axis.low, axis.high) = (0.0, 1.0);
        }
        // What is alike shall not look like a wide spread.
        let least = match kind {
            Kind::Bytes | Kind::Log => 0.2,
            Kind::Percent => 1.0,
            Kind::Number => (axis.high.abs() * 0.1).max(1e-9),
        };
        let room = (axis.high - axis.low).max(least) * 0.07;
        let spare = (least - (axis.high - axis.low)).max(0.0) / 2.0 + room;
        (axis.low, axis.high) = (axis.low - spare, axis.high + spare);
        let width =
            |tick: f64| if along_x { Style::new(SMALL).width(&axis.label(tick)) + 22.0 } else { 40.0 };
        let fits = |ticks: &Vec<f64>| {
            let apart = |pair: &[f64]| {
                let needed = (width(pair[0]) + width(pair[1])) / 2.0;
                (axis.part(pair[1]) - axis.part(pair[0])) * length >= needed
                    && axis.label(pair[0]) != axis.label(pair[1])
            };
            ticks.windows(2).all(apart)
        };
        axis.ticks = axis.choices().into_iter().find(fits).unwrap_or_default();
        axis
    }

    /// The part of the axis before `value`.
    pub fn part(&self, value: f64) -> f64 {
        (self.kind.scaled(value) - self.low) / (self.high - self.low)
    }

    fn label(&self, tick: f64) -> String {
        match self.kind {
            Kind::Bytes => bytes(tick),
            // Not of three digits: 93.25 is a place at an axis.
            Kind::Percent => format!("{}", (tick * 1e4).round() / 100.0),
            Kind::Number | Kind::Log => number(tick),
        }
    }

    /// Ticks to choose from, the closest first.
    fn choices(&self) -> Vec<Vec<f64>> {
        let log = matches!(self.kind, Kind::Bytes | Kind::Log);
        let ends = if log { [self.low, self.high].map(|e| 10f64.powf(e)) } else { [self.low, self.high] };
        let steps = |step: f64| {
            let ticks = (ends[0] / step).ceil() as i64..=(ends[1] / step).floor() as i64;
            ticks.map(|index| index as f64 * step).filter(|&tick| tick >= 0.0).collect::<Vec<_>>()
        };
        let decade = (ends[1] - ends[0]).log10().floor() as i32;
        let even = (decade - 1..decade + 2).flat_map(|exponent| {
            // 10^-2 is a number with an error, 1 / 10^2 is not.
            [1.0, 2.0, 5.0].map(|first| match exponent {
                0.. => steps(first * 10f64.powi(exponent)),
                _ => steps(first / 10f64.powi(-exponent)),
            })
        });
        let few = |ticks: &Vec<f64>| ticks.len() < 9;
        match self.kind {
            Kind::Percent => {
                let parts =
                    even.filter(few).map(|t| t.into_iter().filter(|&t| t <= 100.0).map(|t| t / 100.0));
                parts.map(Iterator::collect).collect()
            }
            Kind::Number => even.filter(few).collect(),
            Kind::Bytes | Kind::Log => {
                let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
                let decades = |firsts: &[f64], stride: usize| {
                    let exponents = (first..=last).step_by(stride);
                    let ticks = exponents.flat_map(|e| firsts.iter().map(move |f| f * 10f64.powi(e)));
                    ticks.filter(|tick| (ends[0]..=ends[1]).contains(tick)).collect::<Vec<_>>()
                };
                let sets: [&[f64]; 4] = [&[1.0, 2.0, 3.0, 5.0], &[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
                let sets = sets.iter().map(|set| decades(set, 1)).chain((2..30).map(|n| decades(&[1.0], n)));
                // Where all is near, even steps are as good.
                let near = self.high - self.low < 0.6;
                even.filter(|ticks| near && few(ticks)).chain(sets).collect()
            }
        }
    }
}

/// A panel.
pub(crate) struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
}

impl Frame {
    /// The place of a pair of values.
    pub fn at(&self, x: f64, y: f64) -> Place {
        let across = self.left + (self.right - self.left) * self.x.part(x);
        (across, self.bottom - (self.bottom - self.top) * self.y.part(y))
    }

    /// Draws the grid, the numbers and the titles; those of the axis at the left only with a title for it.
    pub fn draw(&self, scene: &mut Scene, title: &str, x_title: &str, y_title: Option<&str>) {
        let Self { left, top, right, bottom, x, y } = self;
        for &tick in &x.ticks {
            let at = left + (right - left) * x.part(tick);
            scene.line([(at, *top), (at, *bottom)], 1.0, FAINT);
            let style = Style { side: HPos::Center, ..Style::new(SMALL) };
            scene.words(&x.label(tick), (at, bottom + 20.0), style);
        }
        for &tick in &y.ticks {
            let at = bottom - (bottom - top) * y.part(tick);
            scene.line([(*left, at), (*right, at)], 1.0, FAINT);
            if y_title.is_some() {
                let style = Style { side: HPos::Right, ..Style::new(SMALL) };
                scene.words(&y.label(tick), (left - 10.0, at), style);
            }
        }
        let corners = [(*left, *top), (*right, *top), (*right, *bottom), (*left, *bottom), (*left, *top)];
        scene.line(corners, 1.0, GREY);
        let middle = Style { side: HPos::Center, ..Style::new(18.0) };
        scene.words(title, ((left + right) / 2.0, top - 18.0), Style { bold: true, ..middle });
        scene.words(x_title, ((left + right) / 2.0, bottom + 50.0), middle);
        if let Some(title) = y_title {
            scene.words(title, (left - 68.0, (top + bottom) / 2.0), Style { turned: true, ..middle });
        }
    }

    /// Numbers of a second axis, at the right.
    pub fn right_axis(&self, scene: &mut Scene, axis: &Axis, title: &str, colour: Colour) {
        for &tick in &axis.ticks {
            let at = self.bottom - (self.bottom - self.top) * axis.part(tick);
            scene.line([(self.right, at), (self.right + 5.0, at)], 1.0, colour);
            scene.words(&axis.label(tick), (self.right + 10.0, at), Style { colour, ..Style::new(SMALL) });
        }
        let style = Style { side: HPos::Center, turned: true, colour, ..Style::new(18.0) };
        scene.words(title, (self.right + 78.0, (self.top + self.bottom) / 2.0), style);
    }
}

/// What a legend shows before a name.
pub(crate) type Sample<'a> = Box<dyn Fn(&mut Scene, Place, Place) + 'a>;

/// Draws a legend from the left to the right, in as many rows as it needs, and says where it ends.
pub(crate) fn legend(scene: &mut Scene, top: f64, entries: &[(String, Sample<'_>)]) -> f64 {
    let style = Style::new(18.0);
    let (mut left, mut row) = (24.0, top);
    for (name, sample) in entries {
        // With room for a wider font of the viewer.
        let width = 46.0 + style.width(name) * 1.1 + 26.0;
        if left > 24.0 && left + width > UNITS - 10.0 {
            (left, row) = (24.0, row + 28.0);
        }
        sample(scene, (left, row), (left + 38.0, row));
        scene.words(name, (left + 46.0, row), style);
        left += width;
    }
    row + 14.0
}
