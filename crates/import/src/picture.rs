//! Pictures: what a network takes in, from PNG, JPEG and NumPy files, and how they look in a terminal.
//!
//! Pixels are 32-bit floats in channel, row, column order. What becomes of a picture's bytes on the way is a
//! [`Preprocessing`]; without one bytes n become n/255, and a picture of another size than the network's is an error: nothing is
//! resized or cropped behind the user's back.
//!
//! Resizing is that of Pillow's `BILINEAR`, which torchvision's `Resize` uses, and cropping that of torchvision's `CenterCrop`, which pads
//! small pictures with black. A picture is resized only where it is not cropped away.

use std::io::Cursor;
use std::path::Path;

use copriv_ir::{Preprocessing, Shape};
use image::{ImageError, ImageReader, Limits};

use crate::error::label;
use crate::{Error, file, npy};

mod fit;

use fit::Bytes;

/// Reads the picture at `path`, PNG, JPEG or npy as its first bytes say, into the pixels of `shape`.
///
/// A shape of one channel makes a colour picture grey, one of three channels makes a grey picture
/// colour; transparency is dropped. An npy array has shape C,H,W or 1,C,H,W, or H,W for one channel, and holds
/// `uint8` (taken as n/255) or `float32`/`float64` (taken as they are).
///
/// # Errors
/// [`Error::Picture`] when its size is not that of `shape`, both sizes named; [`Error::Malformed`], [`Error::Io`] and
/// [`Error::TooLarge`] when the file cannot be read.
pub fn load(path: impl AsRef<Path>, shape: Shape) -> Result<Vec<f32>, Error> {
    load_with(path, shape, &Preprocessing::default())
}

/// Like [`load`], of any size where `preprocessing` resizes. It says what becomes of PNG, JPEG and npy `uint8`; npy floats stay as
/// they are and must have the size of `shape`.
///
/// # Errors
/// Those of [`load`], and [`Error::Picture`] when `preprocessing` does not fit `shape`.
pub fn load_with(
    path: impl AsRef<Path>,
    shape: Shape,
    preprocessing: &Preprocessing,
) -> Result<Vec<f32>, Error> {
    let path = path.as_ref();
    decode_named(&file::read(path)?, shape, preprocessing, &label(path))
}

/// Like [`load`], from bytes in memory.
///
/// ```
/// use copriv_import::picture;
/// use copriv_ir::Shape;
///
/// let mut npy = b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }".to_vec();
/// npy.resize(79, b' ');
/// npy.extend(b"\n\x00\xff\x33\x00");
/// assert_eq!(picture::decode(&npy, Shape::new(1, 2, 2))?, [0.0, 1.0, 0.2, 0.0]);
/// # Ok::<(), copriv_import::Error>(())
/// ```
///
/// # Errors
/// Those of [`load`] but for [`Error::Io`] and [`Error::TooLarge`].
pub fn decode(bytes: &[u8], shape: Shape) -> Result<Vec<f32>, Error> {
    decode_with(bytes, shape, &Preprocessing::default())
}

/// Like [`load_with`], from bytes in memory.
///
/// ```
/// use copriv_import::picture;
/// use copriv_ir::{Preset, Shape};
///
/// let shape = Shape::new(1, 28, 28);
/// let mut npy = b"\x93NUMPY\x01\x00\x46\x00{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }".to_vec();
/// npy.resize(79, b' ');
/// npy.extend(b"\n\xff\xff\xff\xff");
/// let pixels = picture::decode_with(&npy, shape, &Preset::Mnist.of(shape))?;
/// assert_eq!(pixels, [(1.0 - 0.1307) / 0.3081; 28 * 28]);
/// # Ok::<(), copriv_import::Error>(())
/// ```
///
/// # Errors
/// Those of [`load_with`] but for [`Error::Io`] and [`Error::TooLarge`].
pub fn decode_with(bytes: &[u8], shape: Shape, preprocessing: &Preprocessing) -> Result<Vec<f32>, Error> {
    decode_named(bytes, shape, preprocessing, "the picture")
}

fn decode_named(
    bytes: &[u8],
    shape: Shape,
    preprocessing: &Preprocessing,
    file: &str,
) -> Result<Vec<f32>, Error> {
    preprocessing.check(shape).map_err(|e| wrong(file, format!("it cannot be preprocessed: {e}")))?;
    match npy::is_npy(bytes) {
        true => decode_npy(bytes, shape, preprocessing, file),
        false => decode_image(bytes, shape, preprocessing, file),
    }
}

fn wrong(file: &str, why: String) -> Error {
    Error::Picture { file: file.to_owned(), why }
}

/// Reads an npy file of many pictures: shape N,C,H,W, or N,H,W for one channel. One vector per picture.
///
/// # Errors
/// Those of [`load`].
pub fn load_batch(path: impl AsRef<Path>, shape: Shape) -> Result<Vec<Vec<f32>>, Error> {
    let path = path.as_ref();
    decode_batch_named(&file::read(path)?, shape, &label(path))
}

/// Like [`load_batch`], from bytes in memory.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_batch(bytes: &[u8], shape: Shape) -> Result<Vec<Vec<f32>>, Error> {
    decode_batch_named(bytes, shape, "the pictures")
}

/// Reads the labels that belong to a batch: an npy file of one dimension, `uint8`, `int32` or `int64`.
///
/// # Errors
/// Those of [`load`].
pub fn load_labels(path: impl AsRef<Path>) -> Result<Vec<usize>, Error> {
    let path = path.as_ref();
    decode_labels_named(&file::read(path)?, &label(path))
}

/// Like [`load_labels`], from bytes in memory.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_labels(bytes: &[u8]) -> Result<Vec<usize>, Error> {
    decode_labels_named(bytes, "the labels")
}

fn decode_npy(
    bytes: &[u8],
    shape: Shape,
    preprocessing: &Preprocessing,
    file: &str,
) -> Result<Vec<f32>, Error> {
    let array = npy::parse(bytes, file)?;
    let dims = match array.shape[..] {
        [h, w] => Some([1, h, w]),
        [c, h, w] | [1, c, h, w] => Some([c, h, w]),
        _ => None,
    };
    let fits = dims == Some([shape.channels, shape.height, shape.width]);
    match (array.bytes_if_u8(), dims) {
        (Some(planes), Some(_)) if fits => Ok(fit::planes(planes, shape, preprocessing)),
        (Some(planes), Some([channels, height, width])) if fit::resizes(preprocessing) => {
            let bytes = Bytes::of_planes(planes, [channels, height, width], file)?;
            fit::picture(bytes, shape, preprocessing, file)
        }
        _ if fits => npy_pixels(&array, file),
        (bytes, _) => {
            let help = bytes.map_or("", |_| fit::HELP);
            let (got, takes) = (&array.shape, describe(shape));
            Err(wrong(file, format!("an array of shape {got:?}, the network takes {takes}{help}")))
        }
    }
}

fn decode_batch_named(bytes: &[u8], shape: Shape, file: &str) -> Result<Vec<Vec<f32>>, Error> {
    let array = npy::parse(bytes, file)?;
    let dims = [shape.channels, shape.height, shape.width];
    let fits = match array.shape[..] {
        [_, h, w] => [1, h, w] == dims,
        [_, c, h, w] => [c, h, w] == dims,
        _ => false,
    };
    let pixels = dims.iter().product::<usize>();
    if !fits || pixels == 0 {
        let why =
            format!("an array of shape {:?}, the network takes N times {}", array.shape, describe(shape));
        return Err(Error::Picture { file: file.to_owned(), why });
    }
    Ok(npy_pixels(&array, file)?.chunks(pixels).map(<[f32]>::to_vec).collect())
}

fn npy_pixels(array: &npy::Array<'_>, file: &str) -> Result<Vec<f32>, Error> {
    let wrong = |why: String| Error::Picture { file: file.to_owned(), why };
    let pixels = array.pixels().ok_or_else(|| {
        wrong(format!("elements of type {:?} are not pixels; save uint8 or float32", array.kind))
    })?;
    match pixels.iter().position(|p| !p.is_finite()) {
        Some(i) => Err(wrong(format!("element {i} is {}, not a finite number", pixels[i]))),
        None => Ok(pixels),
    }
}

fn decode_labels_named(bytes: &[u8], file: &str) -> Result<Vec<usize>, Error> {
    let array = npy::parse(bytes, file)?;
    let wrong = |why: String| Error::Picture { file: file.to_owned(), why };
    if array.shape.len() != 1 {
        return Err(wrong(format!("labels have one dimension, not shape {:?}", array.shape)));
    }
    array.labels().ok_or_else(|| wrong("labels are integers, zero or more".to_owned()))
}

fn decode_image(
    bytes: &[u8],
    shape: Shape,
    preprocessing: &Preprocessing,
    file: &str,
) -> Result<Vec<f32>, Error> {
    let malformed = |e: ImageError| {
        let why = format!("{e}; PNG, JPEG and npy pictures are read");
        Error::Malformed { file: file.to_owned(), format: "picture", why }
    };
    let reader = || {
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|source| Error::Io { file: file.to_owned(), source })?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(1 << 14);
        limits.max_image_height = Some(1 << 14);
        limits.max_alloc = Some(1 << 28);
        reader.limits(limits);
        Ok(reader)
    };

    // The size comes first, from the header: what is decoded then is as large as the network's input, or within limits.
    let (width, height) = reader()?.into_dimensions().map_err(malformed)?;
    if (width as usize, height as usize) != (shape.width, shape.height) && !fit::resizes(preprocessing) {
        return Err(wrong(
            file,
            format!(
                "a picture of {width}x{height} pixels, the network takes {}x{}{}",
                shape.width,
                shape.height,
                fit::HELP
            ),
        ));
    }
    fit::check_size([height as usize, width as usize], file)?;
    fit::check_channels(shape, file)?;
    let picture = reader()?.decode().map_err(malformed)?;
    let size = [height as usize, width as usize];
    // A grey picture is not made three times as large before it is cropped.
    let bytes = match shape.channels == 3 && picture.color().has_color() {
        true => Bytes { channels: 3, size, bytes: picture.into_rgb8().into_raw() },
        false => Bytes { channels: 1, size, bytes: picture.into_luma8().into_raw() },
    };
    fit::picture(bytes, shape, preprocessing, file)
}

fn describe(shape: Shape) -> String {
    format!("{}x{}x{} (channels, rows, columns)", shape.channels, shape.height, shape.width)
}

/// What a terminal can show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ink {
    /// ASCII characters, no escape sequences.
    #[default]
    Plain,
    /// Two pixels per character in the 256 colours of xterm.
    Colours256,
    /// Two pixels per character in 24-bit colour.
    TrueColour,
}

/// The widest drawing, in characters.
const MAX_COLUMNS: usize = 64;
/// From dark to light.
const SHADES: &[u8] = b" .:-=+*#%@";

/// Draws a picture for a terminal: lines that end in `\n`, at most 64 characters wide, large pictures averaged down.
///
/// Pixels below 0 are drawn black, above 1 white. Pictures of three channels have colour; of others the mean is drawn.
///
/// ```
/// use copriv_import::picture::{Ink, render};
/// use copriv_ir::Shape;
///
/// let pixels = [0.0, 1.0, 0.0, 1.0, 0.5, 0.0, 0.5, 0.0];
/// assert_eq!(render(&pixels, Shape::new(1, 4, 2), Ink::Plain), " @\n+ \n");
/// ```
///
/// # Panics
/// When `pixels` are not as many as `shape` has.
pub fn render(pixels: &[f32], shape: Shape, ink: Ink) -> String {
    let (height, width) = (shape.height, shape.width);
    let plane = height * width;
    assert_eq!(pixels.len(), shape.channels * plane, "as many pixels as {shape:?} has");
    let step = width.div_ceil(MAX_COLUMNS).max(1);
    // Mean of channel c over `rows` and `columns` that lie inside the picture.
    let mean = |c: usize, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        let rows = rows.start..rows.end.min(height);
        let columns = columns.start..columns.end.min(width);
        let count = rows.len() * columns.len();
        let sum: f32 = rows
            .flat_map(|y| columns.clone().map(move |x| (y, x)))
            .map(|(y, x)| pixels[c * plane + y * width + x].clamp(0.0, 1.0))
            .sum();
        if count == 0 { 0.0 } else { sum / count as f32 }
    };
    let colour = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| -> [f32; 3] {
        if shape.channels == 3 {
            [0, 1, 2].map(|c| mean(c, rows.clone(), columns.clone()))
        } else {
            let sum: f32 = (0..shape.channels).map(|c| mean(c, rows.clone(), columns.clone())).sum();
            [sum / shape.channels.max(1) as f32; 3]
        }
    };

    let mut drawing = String::new();
    // A character is twice as high as it is wide, so it takes 2·step rows.
    for y in (0..height).step_by(2 * step) {
        for x in (0..width).step_by(step) {
            let columns = x..x + step;
            let (upper, lower) = (y..y + step, y + step..y + 2 * step);
            match ink {
                Ink::Plain => {
                    let [r, g, b] = colour(y..y + 2 * step, columns);
                    let light = 0.299 * r + 0.587 * g + 0.114 * b;
                    let shade = (light * (SHADES.len() - 1) as f32).round() as usize;
                    drawing.push(char::from(SHADES[shade.min(SHADES.len() - 1)]));
                }
                Ink::Colours256 => {
                    let (fore, back) = (colour(upper, columns.clone()), colour(lower, columns));
                    drawing += &format!("\x1b[38;5;{};48;5;{}m▀", xterm(fore), xterm(back));
                }
                Ink::TrueColour => {
                    let byte = |v: f32| (v * 255.0).round() as u8;
                    let [r, g, b] = colour(upper, columns.clone()).map(byte);
                    let [r2, g2, b2] = colour(lower, columns).map(byte);
                    drawing += &format!("\x1b[38;2;{r};{g};{b};48;2;{r2};{g2};{b2}m▀");
                }
            }
        }
        if ink != Ink::Plain {
            drawing += "\x1b[0m";
        }
        drawing.push('\n');
    }
    drawing
}

/// The nearest of xterm's 24 greys or of its cube of 6x6x6 colours.
fn xterm([r, g, b]: [f32; 3]) -> u8 {
    let spread = r.max(g).max(b) - r.min(g).min(b);
    if spread < 0.04 {
        // Grey i is 8 + 10·i of 255.
        let grey = ((r + g + b) / 3.0 * 255.0 - 8.0) / 10.0;
        return 232 + grey.round().clamp(0.0, 23.0) as u8;
    }
    // The cube's steps are 0, 95, 135, 175, 215, 255.
    let step = |v: f32| match (v * 255.0) as u8 {
        0..=47 => 0,
        48..=114 => 1,
        byte => (byte - 35) / 40,
    };
    16 + 36 * step(r) + 6 * step(g) + step(b)
}
