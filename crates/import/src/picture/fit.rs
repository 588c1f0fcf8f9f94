//! Pictures of any size as the input of a network: resized, cropped and normalised.

use copriv_ir::{ChannelOrder, Preprocessing, Resize, Shape};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, RgbImage};

use super::wrong;
use crate::Error;

/// The most pixels of a picture that is decoded.
const MAX_PIXELS: usize = 1 << 26;
/// What to do about a picture of another size.
pub(super) const HELP: &str = "; resize it first, or say how with --preprocess PRESET or --resize SIZE";

/// Bytes in row, column, channel order.
pub(super) struct Bytes {
    /// 1 or 3.
    pub(super) channels: usize,
    /// Rows, columns.
    pub(super) size: [usize; 2],
    pub(super) bytes: Vec<u8>,
}

impl Bytes {
    /// From as many bytes as `shape` has, in channel, row, column order.
    pub(super) fn of_planes(planes: &[u8], shape: [usize; 3], file: &str) -> Result<Self, Error> {
        let [channels, height, width] = shape;
        check_size([height, width], file)?;
        let plane = height * width;
        let bytes = match channels {
            1 => planes.to_vec(),
            3 => (0..plane).flat_map(|i| [0, 1, 2].map(|c| planes[c * plane + i])).collect(),
            _ => {
                let why =
                    format!("an array of {channels} channels, those of bytes have 1 or 3; save float32");
                return Err(wrong(file, why));
            }
        };
        Ok(Self { channels, size: [height, width], bytes })
    }

    fn into_grey(self) -> Self {
        let Self { channels, size: [height, width], bytes } = self;
        let bytes = match channels {
            3 => RgbImage::from_raw(width as u32, height as u32, bytes)
                .map_or_else(Vec::new, |rgb| DynamicImage::ImageRgb8(rgb).into_luma8().into_raw()),
            _ => bytes,
        };
        Self { channels: 1, size: [height, width], bytes }
    }
}

/// Refuses pictures of no or of too many pixels.
pub(super) fn check_size([height, width]: [usize; 2], file: &str) -> Result<(), Error> {
    if (1..=MAX_PIXELS).contains(&height.saturating_mul(width)) {
        return Ok(());
    }
    let most = MAX_PIXELS >> 20;
    let why = format!("a picture of {width}x{height} pixels; 1 pixel to {most} Mi are read, make it smaller");
    Err(wrong(file, why))
}

/// Refuses networks that take no pictures.
pub(super) fn check_channels(shape: Shape, file: &str) -> Result<(), Error> {
    match shape.channels {
        1 | 3 => Ok(()),
        takes => Err(wrong(file, format!("pictures have 1 or 3 channels, the network takes {takes}"))),
    }
}

/// Whether pictures of any size are taken.
pub(super) fn resizes(preprocessing: &Preprocessing) -> bool {
    preprocessing.resize != Resize::None
}

/// As many bytes as `shape` has, in its order, normalised.
pub(super) fn planes(bytes: &[u8], shape: Shape, preprocessing: &Preprocessing) -> Vec<f32> {
    let plane = shape.height * shape.width;
    let of = |c: usize| {
        let from = source(c, shape, preprocessing) * plane;
        bytes[from..from + plane].iter().map(move |&byte| preprocessing.value(byte, c))
    };
    (0..shape.channels).flat_map(of).collect()
}

/// The channel of a picture that is the network's channel `c`.
fn source(c: usize, shape: Shape, preprocessing: &Preprocessing) -> usize {
    match (preprocessing.channels, shape.channels) {
        (ChannelOrder::Bgr, 3) => 2 - c,
        _ => c,
    }
}

/// A picture, resized, cropped to `shape` and normalised. Where it is too small there is black around it.
pub(super) fn picture(
    picture: Bytes,
    shape: Shape,
    preprocessing: &Preprocessing,
    file: &str,
) -> Result<Vec<f32>, Error> {
    check_channels(shape, file)?;
    let picture = if shape.channels == 1 { picture.into_grey() } else { picture };
    let wanted = [shape.height, shape.width];
    let resized = resized(picture.size, preprocessing.resize, wanted);
    let windows = [Window::of(resized[0], wanted[0]), Window::of(resized[1], wanted[1])];
    let Bytes { channels, size: [rows, columns], bytes } =
        resample(picture, resized, windows).map_err(|why| wrong(file, why))?;

    let [top, left] = windows.map(|window| window.before);
    let mut pixels = Vec::with_capacity(shape.len());
    for c in 0..shape.channels {
        // A grey picture has all three in one.
        let from = source(c, shape, preprocessing).min(channels - 1);
        let black = preprocessing.value(0, c);
        for y in 0..shape.height {
            let start = pixels.len();
            pixels.resize(start + shape.width, black);
            if (top..top + rows).contains(&y) {
                let row = &bytes[(y - top) * columns * channels..][..columns * channels];
                let inside = &mut pixels[start + left..][..columns];
                for (pixel, &byte) in inside.iter_mut().zip(row.iter().skip(from).step_by(channels)) {
                    *pixel = preprocessing.value(byte, c);
                }
            }
        }
    }
    Ok(pixels)
}

/// The rows and columns that a picture of `size` is resized to.
fn resized(size: [usize; 2], resize: Resize, input: [usize; 2]) -> [usize; 2] {
    match resize {
        Resize::None => size,
        Resize::Input => input,
        Resize::Exact(size) => size.map(|side| side as usize),
        Resize::Shorter(side) => {
            let (side, shorter) = (side as usize, size[0].min(size[1]));
            // Rounded down; the shorter side to `side` itself. Both factors are at most 2^26.
            size.map(|length| side * length / shorter)
        }
    }
}

/// What a crop about the centre takes of one dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Window {
    /// Black before it.
    before: usize,
    /// The first place that is taken.
    start: usize,
    /// How many are.
    count: usize,
}

impl Window {
    /// Of `there` places, `wanted`.
    fn of(there: usize, wanted: usize) -> Self {
        match there.checked_sub(wanted) {
            None => Self { before: (wanted - there) / 2, start: 0, count: there },
            // Half, and of two nearest the even one.
            Some(rest) => Self { before: 0, start: rest / 2 + (rest % 2) * (rest / 2 % 2), count: wanted },
        }
    }
}

/// What lies in `windows` of a picture that is resized to `resized`; nothing else is computed.
fn resample(picture: Bytes, resized: [usize; 2], windows: [Window; 2]) -> Result<Bytes, String> {
    let Bytes { channels, size, bytes } = picture;
    let [rows, columns] = windows.map(|window| window.count);
    if rows == 0 || columns == 0 {
        return Ok(Bytes { channels, size: [rows, columns], bytes: Vec::new() });
    }
    // The window, measured on the picture as it is. The filter reaches beyond it.
    let place = |d: usize| {
        let Window { start, count, .. } = windows[d];
        let scale = |n: usize| n as f64 * size[d] as f64 / resized[d] as f64;
        let start = scale(start);
        (start, scale(count).min(size[d] as f64 - start))
    };
    let ((top, height), (left, width)) = (place(0), place(1));
    // Columns, then rows, as in Pillow: between them there are bytes. The crate by itself begins with the rows.
    let narrow = pass(&bytes, channels, size, [size[0], columns], [left, 0.0, width, size[0] as f64])?;
    let bytes =
        pass(&narrow, channels, [size[0], columns], [rows, columns], [0.0, top, columns as f64, height])?;
    Ok(Bytes { channels, size: [rows, columns], bytes })
}

/// What lies in a box (left, top, width, height) of a picture of size `from`, brought to the size `to`.
fn pass(
    bytes: &[u8],
    channels: usize,
    from: [usize; 2],
    to: [usize; 2],
    [left, top, width, height]: [f64; 4],
) -> Result<Vec<u8>, String> {
    let side =
        |side: usize| u32::try_from(side).map_err(|_| format!("a side of {side} pixels; make it smaller"));
    let (from, to) = ([side(from[0])?, side(from[1])?], [side(to[0])?, side(to[1])?]);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(left, top, width, height)
        .use_alpha(false);
    // Of one kind of pixel each: the untyped call compiles every kind there is.
    if channels == 3 {
        resize::<U8x3>(bytes, from, to, &options)
    } else {
        resize::<U8>(bytes, from, to, &options)
    }
}

fn resize<P: PixelTrait>(
    bytes: &[u8],
    [from_height, from_width]: [u32; 2],
    [height, width]: [u32; 2],
    options: &ResizeOptions,
) -> Result<Vec<u8>, String> {
    let from = TypedImageRef::<P>::from_buffer(from_width, from_height, bytes).map_err(|e| e.to_string())?;
    let mut resized = vec![0; width as usize * height as usize * size_of::<P>()];
    let mut to = TypedImage::<P>::from_buffer(width, height, &mut resized).map_err(|e| e.to_string())?;
    Resizer::new().resize_typed(&from, &mut to, options).map_err(|e| format!("it cannot be resized: {e}"))?;
    drop(to);
    Ok(resized)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_are_those_of_torchvision() {
        let window = |there, wanted| {
            let Window { before, start, count } = Window::of(there, wanted);
            (before, start, count)
        };
        // round((there - wanted) / 2.0) in Python: of 0.5, 1.5, 2.5, 3.5 it is 0, 2, 2, 4.
        for (rest, start) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4), (32, 16)] {
            assert_eq!(window(28 + rest, 28), (0, start, 28), "{rest}");
        }
        // Of an odd number of black pixels the larger part comes after.
        assert_eq!([27, 25, 1].map(|there| window(there, 28)), [(0, 0, 27), (1, 0, 25), (13, 0, 1)]);
    }

    #[test]
    fn sizes_are_those_of_torchvision() {
        let shorter = |size| resized(size, Resize::Shorter(256), [224, 224]);
        assert_eq!(shorter([480, 640]), [256, 341]);
        assert_eq!(shorter([640, 427]), [383, 256]);
        assert_eq!(shorter([256, 300]), [256, 300]);
        assert_eq!(shorter([1, 16384]), [256, 256 << 14]);
        assert_eq!(resized([5, 7], Resize::Exact([3, 4]), [2, 2]), [3, 4]);
        assert_eq!(resized([5, 7], Resize::Input, [2, 9]), [2, 9]);
        assert_eq!(resized([5, 7], Resize::None, [2, 9]), [5, 7]);
    }
}
