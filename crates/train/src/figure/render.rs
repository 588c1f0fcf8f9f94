//! A scene as the text of an SVG or the bytes of a PNG.

use super::scene::{Mark, Place, Scene, Style};
use super::{Error, UNITS};
use ab_glyph::{Font, ScaleFont, point};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::io::Cursor;

/// Steps of an SVG's coordinates in a unit: plotters knows whole numbers only.
const FINE: u32 = 4;
/// For viewers that lack the first. The others are as wide, or less.
const FAMILY: &str = "Noto Sans, Open Sans, Helvetica, Arial, sans-serif";

type Area<B> = DrawingArea<B, Shift>;

fn fault(why: impl ToString) -> Error {
    Error::Draw(why.to_string())
}

pub(crate) fn svg(scene: &Scene) -> Result<String, Error> {
    let size = (UNITS as u32 * FINE, (scene.height * f64::from(FINE)).round() as u32);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let scale = f64::from(FINE);
        let line = |way: Vec<_>, style| area.draw(&PathElement::new(way, style)).map_err(fault);
        paint(&area, scene, scale, line, |words, at, style| {
            // plotters divides by 1.24, and has its letters in the middle as this module wants them.
            let font = FontDesc::new(FontFamily::Name(FAMILY), style.size * scale * 1.24, weight(style));
            let turn = if style.turned { FontTransform::Rotate270 } else { FontTransform::None };
            let style = font.transform(turn).color(&style.colour).pos(Pos::new(style.side, VPos::Center));
            area.draw(&Text::new(words.to_owned(), at, style)).map_err(fault)
        })?;
    }
    let drawn = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{}\" height=\"{}\"", scene.size.width, scene.size.height);
    Ok(text.replacen(&drawn, &shown, 1))
}

fn weight(style: &Style) -> FontStyle {
    if style.bold { FontStyle::Bold } else { FontStyle::Normal }
}

/// Drawn larger and made smaller, so that every edge is smooth.
pub(crate) fn png(scene: &Scene) -> Result<Vec<u8>, Error> {
    let (width, height) = (scene.size.width, scene.size.height);
    let fine = (4800 / width).clamp(1, 4);
    let large = (width * fine, height * fine);
    let mut pixels = vec![0; large.0 as usize * large.1 as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, large).into_drawing_area();
        let scale = f64::from(large.0) / UNITS;
        // plotters' own corners are pointed: at a sharp one, far beyond the value.
        let line = |way: Vec<_>, style: ShapeStyle| {
            for pair in way.windows(2) {
                area.draw(&PathElement::new(pair, style)).map_err(fault)?;
            }
            for &corner in &way[1..way.len() - 1] {
                area.draw(&Circle::new(corner, style.stroke_width / 2, style.color.filled()))
                    .map_err(fault)?;
            }
            Ok(())
        };
        paint(&area, scene, scale, line, |words, at, style| letters(&area, words, at, style, scale))?;
    }
    let mean = |x: u32, y: u32, part: usize| {
        let rows = (y * fine..(y + 1) * fine).map(|row| row as usize * large.0 as usize);
        let each = rows.flat_map(|row| (x * fine..(x + 1) * fine).map(move |column| row + column as usize));
        let sum: u32 = each.map(|pixel| u32::from(pixels[pixel * 3 + part])).sum();
        ((sum + fine * fine / 2) / (fine * fine)) as u8
    };
    let small =
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|part| mean(x, y, part))));
    let mut bytes = Cursor::new(Vec::new());
    small.write_to(&mut bytes, image::ImageFormat::Png).map_err(fault)?;
    Ok(bytes.into_inner())
}

/// Draws all of a scene, its lines with `line` and its words with `write`.
fn paint<B: DrawingBackend>(
    area: &Area<B>,
    scene: &Scene,
    scale: f64,
    line: impl Fn(Vec<(i32, i32)>, ShapeStyle) -> Result<(), Error>,
    write: impl Fn(&str, (i32, i32), &Style) -> Result<(), Error>,
) -> Result<(), Error> {
    // A ground of its own, for viewers with a dark one.
    area.fill(&WHITE).map_err(fault)?;
    let pixel = |at: &Place| ((at.0 * scale).round() as i32, (at.1 * scale).round() as i32);
    for mark in &scene.marks {
        match mark {
            Mark::Line { way, width, colour } => {
                let style = colour.stroke_width((width * scale).round().max(1.0) as u32);
                line(way.iter().map(pixel).collect(), style)?;
            }
            Mark::Area { edge, colour } => {
                let edge: Vec<_> = edge.iter().map(pixel).collect();
                area.draw(&Polygon::new(edge, colour.filled())).map_err(fault)?;
            }
            Mark::Words { words, at, style } => write(words, pixel(at), style)?,
        }
    }
    area.present().map_err(fault)
}

/// Draws words pixel by pixel: plotters' own letters stand unevenly, and need a font for the whole process.
fn letters<B: DrawingBackend>(
    area: &Area<B>,
    words: &str,
    at: (i32, i32),
    style: &Style,
    scale: f64,
) -> Result<(), Error> {
    let font = style.font();
    let scaled = font.as_scaled(style.px(scale));
    let before = match style.side {
        HPos::Left => 0.0,
        HPos::Center => 0.5,
        HPos::Right => 1.0,
    };
    let mut pen = (-before * style.width(words) * scale) as f32;
    // Half the height of an x, as in an SVG.
    let base = (0.268 * style.size * scale) as f32;
    let mut last = None;
    for letter in words.chars().map(|c| scaled.glyph_id(c)) {
        pen += last.map_or(0.0, |last| scaled.kern(last, letter));
        last = Some(letter);
        let glyph = letter.with_scale_and_position(scaled.scale(), point(pen, base));
        pen += scaled.h_advance(letter);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let corner = outline.px_bounds().min;
        let mut failed = None;
        outline.draw(|x, y, covered| {
            let (x, y) = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
            let (x, y) = if style.turned { (y, -x) } else { (x, y) };
            let colour = style.colour.mix(f64::from(covered.clamp(0.0, 1.0)));
            if let Err(why) = area.draw_pixel((at.0 + x, at.1 + y), &colour) {
                failed = Some(fault(why));
            }
        });
        if let Some(why) = failed {
            return Err(why);
        }
    }
    Ok(())
}
