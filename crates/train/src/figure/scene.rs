//! What a figure is made of, and how it looks.

use super::{Error, Size, UNITS};
use ab_glyph::{Font, FontRef, ScaleFont};
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;
use std::sync::LazyLock;

pub(crate) type Colour = RGBColor;
pub(crate) type Place = (f64, f64);

pub(crate) const INK: Colour = RGBColor(30, 30, 30);
pub(crate) const GREY: Colour = RGBColor(125, 125, 125);
pub(crate) const FAINT: Colour = RGBColor(226, 226, 226);
/// Told apart with every kind of colour vision (Okabe and Ito), without the yellow that is lost on white.
pub(crate) const SERIES: [Colour; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// Regular and bold.
static FONTS: LazyLock<[FontRef<'static>; 2]> = LazyLock::new(|| {
    [notosans::REGULAR_TTF, notosans::BOLD_TTF]
        .map(|bytes| FontRef::try_from_slice(bytes).expect("the font in the crate is whole"))
});

/// How words are set: the size is that of an em.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub size: f64,
    pub bold: bool,
    pub side: HPos,
    pub colour: Colour,
    /// Upwards, for an axis at the left.
    pub turned: bool,
}

impl Style {
    /// To the right of its place, in ink.
    pub const fn new(size: f64) -> Self {
        Self { size, bold: false, side: HPos::Left, colour: INK, turned: false }
    }

    pub fn font(&self) -> &'static FontRef<'static> {
        &FONTS[usize::from(self.bold)]
    }

    /// How wide `words` are.
    pub fn width(&self, words: &str) -> f64 {
        let font = self.font();
        let scaled = font.as_scaled(self.px(1.0));
        let letters: Vec<_> = words.chars().map(|c| scaled.glyph_id(c)).collect();
        let kerns: f32 = letters.windows(2).map(|pair| scaled.kern(pair[0], pair[1])).sum();
        f64::from(letters.iter().map(|&letter| scaled.h_advance(letter)).sum::<f32>() + kerns)
    }

    /// The size in the terms of `ab_glyph`: from the highest to the lowest, and not that of an em.
    pub fn px(&self, scale: f64) -> f32 {
        let font = self.font();
        (self.size * scale) as f32 * font.height_unscaled() / font.units_per_em().unwrap_or(1000.0)
    }
}

/// What is drawn, first to last; the middle of a small letter is at the place of its words.
pub(crate) enum Mark {
    /// Of two places at least.
    Line {
        way: Vec<Place>,
        width: f64,
        colour: Colour,
    },
    Area {
        edge: Vec<Place>,
        colour: Colour,
    },
    Words {
        words: String,
        at: Place,
        style: Style,
    },
}

/// A figure before it is a file.
pub(crate) struct Scene {
    pub size: Size,
    pub height: f64,
    pub marks: Vec<Mark>,
}

impl Scene {
    pub fn new(size: Size) -> Result<Self, Error> {
        let ratio = f64::from(size.height) / f64::from(size.width.max(1));
        match (300..=4800).contains(&size.width) && (0.4..=2.0).contains(&ratio) {
            true => Ok(Self { size, height: UNITS * ratio, marks: Vec::new() }),
            false => Err(Error::Size(size.width, size.height)),
        }
    }

    pub fn line(&mut self, way: impl Into<Vec<Place>>, width: f64, colour: Colour) {
        let way = way.into();
        if way.len() > 1 {
            self.marks.push(Mark::Line { way, width, colour });
        }
    }

    /// A straight line of dashes.
    pub fn dashes(&mut self, from: Place, to: Place, width: f64, colour: Colour) {
        let (dash, gap) = (9.0, 6.0);
        let (x, y) = (to.0 - from.0, to.1 - from.1);
        let length = x.hypot(y);
        let at = |way: f64| (from.0 + x * way / length, from.1 + y * way / length);
        let mut start = 0.0;
        while start < length {
            self.line([at(start), at((start + dash).min(length))], width, colour);
            start += dash + gap;
        }
    }

    pub fn area(&mut self, edge: impl Into<Vec<Place>>, colour: Colour) {
        self.marks.push(Mark::Area { edge: edge.into(), colour });
    }

    /// Words without what no SVG can hold.
    pub fn words(&mut self, words: &str, at: Place, style: Style) {
        let wrong = |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}');
        let words = words.chars().map(|c| if wrong(c) { '\u{FFFD}' } else { c }).collect();
        self.marks.push(Mark::Words { words, at, style });
    }

    /// The title at the top left, cut where it is too long.
    pub fn title(&mut self, words: &str) {
        let style = Style { bold: true, ..Style::new(25.0) };
        let mut shown = words.to_owned();
        while style.width(&shown) > UNITS - 60.0 {
            shown = shown.chars().take(shown.chars().count().saturating_sub(2)).chain(['…']).collect();
        }
        self.words(&shown, (24.0, 36.0), style);
    }
}

/// How a series looks: no two of the first 42 have the same shape and colour.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub colour: Colour,
    shape: usize,
}

impl Look {
    pub fn new(index: usize) -> Self {
        Self { colour: SERIES[index % SERIES.len()], shape: index % 7 }
    }

    /// The marker, with a white edge that keeps it apart from what lies below.
    pub fn mark(&self, scene: &mut Scene, at: Place) {
        scene.area(self.edge(at, 1.3), RGBColor(255, 255, 255));
        scene.area(self.edge(at, 1.0), self.colour);
    }

    fn edge(&self, at: Place, scale: f64) -> Vec<Place> {
        // Corners, how far the inner ones between them are, the first corner in quarter turns, the radius.
        let (corners, inner, turn, radius) = match self.shape {
            0 => (40, 1.0, 0.0, 7.2),
            1 => (4, 1.0, 0.5, 9.2),
            2 => (3, 1.0, -1.0, 10.0),
            3 => (4, 1.0, 0.0, 9.6),
            4 => (3, 1.0, 1.0, 10.0),
            5 => (5, 0.45, -1.0, 11.0),
            _ => (4, 0.35, 0.5, 11.0),
        };
        let spikes: &[f64] = if inner < 1.0 { &[1.0, inner] } else { &[1.0] };
        let count = corners * spikes.len();
        let corner = |index: usize| {
            let angle = std::f64::consts::TAU * (index as f64 / count as f64 + turn / 4.0);
            // A spike is far longer than its edge is thick.
            let edge = (scale - 1.0) * radius * if inner < 1.0 { 0.7 } else { 1.0 };
            let far = radius * spikes[index % spikes.len()] + edge;
            (at.0 + far * angle.cos(), at.1 + far * angle.sin())
        };
        (0..count).map(corner).collect()
    }
}
