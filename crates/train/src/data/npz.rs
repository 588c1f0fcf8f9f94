//! NumPy archives: zip files of arrays, stored or deflated.

use std::io::Read;
use std::path::Path;

use copriv_ir::Shape;
use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipSliceArchive};

use super::file::{MAX_BYTES, label, read};
use super::npy::{self, Array, Values};
use super::pictures::{MAX_CLASSES, Pictures, Pixels};
use super::{Error, source::Loaded};

const HINT: &str = "give a file that numpy.savez(file, x=pictures, y=labels) wrote";
/// Arrays of up to so many bytes may have been deflated to anything; larger ones to no less than a hundredth. Pictures
/// do not come near it.
const ANY_RATIO: u64 = 1 << 26;
const MAX_RATIO: u64 = 100;

pub(super) fn load(path: &Path) -> Result<Loaded, Error> {
    decode(&read(path, MAX_BYTES, HINT)?, &label(path))
}

/// The pictures in an archive called `file`.
pub(super) fn decode(bytes: &[u8], file: &str) -> Result<Loaded, Error> {
    let (Part { shape, pixels, labels }, counts) =
        parts(bytes).map_err(|why| Error::Content { file: file.to_owned(), why })?;
    let classes = labels.iter().max().map_or(0, |&last| usize::from(last) + 1);
    let classes = (0..classes).map(|class| class.to_string()).collect();
    Ok(Loaded { pictures: Pictures::new(file, shape, classes, pixels, labels)?, counts })
}

/// Pictures and their labels.
struct Part {
    shape: Shape,
    pixels: Pixels,
    labels: Vec<u16>,
}

/// Those of all parts, and how many are of each.
fn parts(bytes: &[u8]) -> Result<(Part, [usize; 3]), String> {
    let zip = ZipArchive::from_slice(bytes).map_err(|e| format!("it is no npz file: {e}; {HINT}"))?;
    let budget = (bytes.len() as u64).saturating_mul(MAX_RATIO).clamp(ANY_RATIO, MAX_BYTES);
    let mut archive = Archive { zip, budget };
    let train = match archive.part("x", "y")? {
        Some(train) => Some(train),
        // As Keras calls them.
        None => archive.part("x_train", "y_train")?,
    };
    let mut all = train.ok_or_else(|| format!("it has no arrays x and y; {HINT}"))?;
    let mut counts = [all.labels.len(), 0, 0];
    for (count, [x, y]) in counts[1..].iter_mut().zip([["x_val", "y_val"], ["x_test", "y_test"]]) {
        let Some(part) = archive.part(x, y)? else { continue };
        *count = part.labels.len();
        if part.shape != all.shape {
            return Err(format!("{x} has pictures of {}, x of {}; save one shape", part.shape, all.shape));
        }
        match (&mut all.pixels, part.pixels) {
            (Pixels::Bytes(all), Pixels::Bytes(more)) => all.extend(more),
            (Pixels::Floats(all), Pixels::Floats(more)) => all.extend(more),
            _ => return Err(format!("one of x and {x} has bytes, the other floats; save one type")),
        }
        all.labels.extend(part.labels);
    }
    Ok((all, counts))
}

struct Archive<'a> {
    zip: ZipSliceArchive<&'a [u8]>,
    /// Bytes that may still be read.
    budget: u64,
}

impl Archive<'_> {
    /// The pictures called `x` with the labels called `y`, where both are there.
    fn part(&mut self, x: &str, y: &str) -> Result<Option<Part>, String> {
        let (pictures, labels) = match (self.array(x)?, self.array(y)?) {
            (Some(pictures), Some(labels)) => (pictures, labels),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(format!("it has {x} but no {y}; {HINT}")),
            (None, Some(_)) => return Err(format!("it has {y} but no {x}; {HINT}")),
        };
        let dims = pictures.dims.clone();
        let (shape, pixels) = to_pixels(pictures).map_err(|why| format!("{x}: {why}"))?;
        let labels = to_labels(labels).map_err(|why| format!("{y}: {why}"))?;
        if dims[0] != labels.len() {
            let why = format!("{x} has {} pictures, {y} has {} labels", dims[0], labels.len());
            return Err(format!("{why}; save a label for each picture"));
        }
        Ok(Some(Part { shape, pixels, labels }))
    }

    fn array(&mut self, name: &str) -> Result<Option<Array>, String> {
        let file = format!("{name}.npy");
        let bad = |e: rawzip::Error| format!("{file}: {e}; save the archive anew");
        for entry in self.zip.entries() {
            let entry = entry.map_err(bad)?;
            if entry.file_path().as_ref() != file.as_bytes() {
                continue;
            }
            let local = self.zip.get_entry(entry.wayfinder()).map_err(bad)?;
            let read = |from: &mut dyn Read, budget| npy::read(from, budget).map(Some);
            return match entry.compression_method() {
                CompressionMethod::STORE => read(&mut local.verifying_reader(local.data()), &mut self.budget),
                CompressionMethod::DEFLATE => {
                    let inflated = DeflateDecoder::new(local.data());
                    read(&mut local.verifying_reader(inflated), &mut self.budget)
                }
                other => Err(format!("it is compressed by {other}; {HINT}")),
            }
            .map_err(|why| format!("{file}: {why}"));
        }
        Ok(None)
    }
}

fn to_pixels(array: Array) -> Result<(Shape, Pixels), String> {
    let shape = match array.dims[..] {
        [_, h, w] => Shape::new(1, h, w),
        [_, h, w, c @ (1 | 3)] if h != 1 && h != 3 => {
            return Err(format!("shape N,{h},{w},{c} has the channels last; save x.transpose(0, 3, 1, 2)"));
        }
        [_, c, h, w] => Shape::new(c, h, w),
        _ => return Err(format!("pictures have shape N,C,H,W or N,H,W, not {:?}", array.dims)),
    };
    match array.values {
        Values::Bytes(bytes) => Ok((shape, Pixels::Bytes(bytes))),
        Values::Floats(floats) => Ok((shape, Pixels::Floats(floats))),
        Values::Integers(_) => Err("pixels are uint8, float32 or float64; save x.astype('uint8')".to_owned()),
    }
}

fn to_labels(array: Array) -> Result<Vec<u16>, String> {
    if !matches!(array.dims[..], [_] | [_, 1]) {
        return Err(format!("labels have shape N, not {:?}", array.dims));
    }
    match array.values {
        Values::Bytes(bytes) => Ok(bytes.into_iter().map(u16::from).collect()),
        Values::Floats(_) => Err("labels are integers; save y.astype('int64')".to_owned()),
        Values::Integers(integers) => integers
            .into_iter()
            .map(|label| {
                u16::try_from(label).map_err(|_| format!("label {label} is not in 0..{MAX_CLASSES}"))
            })
            .collect(),
    }
}
