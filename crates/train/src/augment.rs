//! Variations of pictures while a network trains on them.

use copriv_ir::Shape;
use serde::{Deserialize, Serialize};

use crate::data::{Draw, Error};

/// Rectangles tried before a picture is left whole.
const TRIES: usize = 10;

/// How a picture is varied each time that it is shown: cropped, then flipped, then partly erased. A value of 0, black,
/// stands where nothing is left of the picture.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Zeros on each side of the picture, of which a window of its own size is then cut at a uniform place: it moves by
    /// up to so many rows and columns.
    pub crop: usize,
    /// Whether it is mirrored, left to right, with probability 1/2.
    pub flip: bool,
    /// The probability that a rectangle is erased: 2 to 33 % of the area, 0.3 to 3.3 times as high as wide, at a
    /// uniform place (Zhong et al.: Random Erasing Data Augmentation, arXiv 1708.04896, algorithm 1). Unlike
    /// there it is filled with zeros rather than noise, and after ten rectangles that do not fit the picture is left whole.
    pub erase: f64,
}

impl Augment {
    /// No variation.
    pub const NONE: Self = Self { crop: 0, flip: false, erase: 0.0 };

    /// Whether the settings make sense for pictures of `shape`.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self, shape: Shape) -> Result<(), Error> {
        if self.crop >= shape.height.min(shape.width) {
            let why = format!("{} pixels would move a picture of {shape} out of sight; use fewer", self.crop);
            return Err(Error::Setting { name: "crop", why });
        }
        if !(0.0..=1.0).contains(&self.erase) {
            return Err(Error::Setting {
                name: "erase",
                why: format!("{} is no probability; use 0 to 1", self.erase),
            });
        }
        Ok(())
    }

    /// Varies a picture in place. `scratch` may hold anything; that it is kept saves allocations.
    ///
    /// # Panics
    /// When `pixels` are not as many as `shape` has.
    pub fn apply(&self, pixels: &mut [f32], shape: Shape, scratch: &mut Vec<f32>, draw: &mut Draw) {
        assert_eq!(pixels.len(), shape.len(), "as many pixels as {shape:?} has");
        if self.crop > 0 {
            let mut place = |side: usize| {
                let reach = self.crop.min(side);
                draw.below(2 * reach + 1) as isize - reach as isize
            };
            let by = [place(shape.height), place(shape.width)];
            shift(pixels, shape, by, scratch);
        }
        if self.flip && draw.below(2) == 1 {
            flip(pixels, shape);
        }
        if self.erase > 0.0
            && draw.unit() < self.erase
            && let Some(rectangle) = rectangle(shape, draw)
        {
            erase(pixels, shape, rectangle);
        }
    }
}

/// The picture whose pixel y,x is pixel y + `by[0]`, x + `by[1]` of `pixels`, or 0 where there is none.
fn shift(pixels: &mut [f32], shape: Shape, by: [isize; 2], scratch: &mut Vec<f32>) {
    scratch.clear();
    scratch.extend_from_slice(pixels);
    pixels.fill(0.0);
    // Rows or columns that stay in sight: from `to` on, `len` of them, which were from `from` on.
    let span = |by: isize, side: usize| {
        let gone = by.unsigned_abs().min(side);
        let (to, from) = if by < 0 { (gone, 0) } else { (0, gone) };
        (to, from, side - gone)
    };
    let (to_y, from_y, rows) = span(by[0], shape.height);
    let (to_x, from_x, columns) = span(by[1], shape.width);
    for channel in 0..shape.channels {
        for y in 0..rows {
            let row = |y: usize, x: usize| channel * shape.area() + y * shape.width + x;
            let (to, from) = (row(to_y + y, to_x), row(from_y + y, from_x));
            pixels[to..to + columns].copy_from_slice(&scratch[from..from + columns]);
        }
    }
}

/// Mirrors each row.
fn flip(pixels: &mut [f32], shape: Shape) {
    pixels.chunks_exact_mut(shape.width).for_each(<[f32]>::reverse);
}

/// Top, left, height and width of a rectangle to erase.
fn rectangle(shape: Shape, draw: &mut Draw) -> Option<[usize; 4]> {
    for _ in 0..TRIES {
        let area = (0.02 + draw.unit() * (0.33 - 0.02)) * shape.area() as f64;
        let ratio = 0.3 + draw.unit() * (3.3 - 0.3);
        // Not negative, and no larger than the picture's area: exact as an integer.
        let side = |length: f64| (length.round() as usize).max(1);
        let (height, width) = (side((area * ratio).sqrt()), side((area / ratio).sqrt()));
        if height <= shape.height && width <= shape.width {
            let (top, left) = (draw.below(shape.height - height + 1), draw.below(shape.width - width + 1));
            return Some([top, left, height, width]);
        }
    }
    None
}

fn erase(pixels: &mut [f32], shape: Shape, [top, left, height, width]: [usize; 4]) {
    for channel in pixels.chunks_exact_mut(shape.area()) {
        for row in channel.chunks_exact_mut(shape.width).skip(top).take(height) {
            row[left..left + width].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pictures() -> impl Strategy<Value = (Vec<f32>, Shape)> {
        (1usize..4, 1usize..9, 1usize..9).prop_flat_map(|(c, h, w)| {
            let shape = Shape::new(c, h, w);
            (prop::collection::vec(0.1f32..1.0, shape.len()), Just(shape))
        })
    }

    proptest! {
        #[test]
        fn a_shift_is_its_definition((picture, shape) in pictures(), dy in -12isize..=12, dx in -12isize..=12) {
            let mut moved = picture.clone();
            shift(&mut moved, shape, [dy, dx], &mut vec![f32::NAN; 3]);
            for c in 0..shape.channels {
                let at = |y: usize, x: usize| c * shape.area() + y * shape.width + x;
                for (y, x) in (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x))) {
                    let from = (y.checked_add_signed(dy), x.checked_add_signed(dx));
                    let want = match from {
                        (Some(fy), Some(fx)) if fy < shape.height && fx < shape.width => picture[at(fy, fx)],
                        _ => 0.0,
                    };
                    prop_assert_eq!(moved[at(y, x)], want);
                }
            }
        }

        #[test]
        fn a_flip_mirrors_rows_and_twice_is_the_identity((picture, shape) in pictures()) {
            let mut flipped = picture.clone();
            flip(&mut flipped, shape);
            for (row, mirrored) in picture.chunks(shape.width).zip(flipped.chunks(shape.width)) {
                prop_assert!(row.iter().eq(mirrored.iter().rev()));
            }
            flip(&mut flipped, shape);
            prop_assert_eq!(flipped, picture);
        }

        #[test]
        fn a_rectangle_lies_in_the_picture(h in 1usize..40, w in 1usize..40, seed: u64) {
            if let Some([top, left, height, width]) = rectangle(Shape::new(1, h, w), &mut Draw::new(seed, &[])) {
                prop_assert!(height > 0 && width > 0 && top + height <= h && left + width <= w);
            }
        }
    }

    /// On a large picture, where rounding is small, areas and ratios are those of the paper.
    #[test]
    fn rectangles_have_the_area_and_the_ratio_asked_for() {
        let mut draw = Draw::new(5, &[]);
        let (mut smallest, mut largest) = (1.0f64, 0.0f64);
        for _ in 0..2000 {
            let Some([_, _, height, width]) = rectangle(Shape::new(3, 500, 500), &mut draw) else { continue };
            let (area, ratio) = ((height * width) as f64 / 250_000.0, height as f64 / width as f64);
            assert!((0.019..0.332).contains(&area) && (0.28..3.4).contains(&ratio), "{height}x{width}");
            (smallest, largest) = (smallest.min(area), largest.max(area));
        }
        assert!(smallest < 0.03 && largest > 0.32, "{smallest} to {largest}");
    }
}
