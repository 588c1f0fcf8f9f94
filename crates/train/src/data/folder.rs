//! Folders of PNG and JPEG files, a subfolder for each class.

use std::path::{Path, PathBuf};

use copriv_ir::Shape;
use image::imageops::FilterType;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};
use rayon::prelude::*;

use super::file::{MAX_BYTES, content, label, list};
use super::pictures::{MAX_CLASSES, Pictures, Pixels};
use super::{Error, source::Loaded};

const HINT: &str = "give a folder with a subfolder of PNG or JPEG files for each class";
/// Pictures decoded together.
const CHUNK: usize = 256;

pub(super) fn load(dir: &Path, size: Option<[usize; 2]>, channels: Option<usize>) -> Result<Loaded, Error> {
    let (classes, parts) = parts(dir)?;
    let (mut files, mut labels, mut counts) = (Vec::new(), Vec::new(), [0; 3]);
    for (part, count) in parts.iter().zip(&mut counts) {
        let Some(part) = part else { continue };
        for (class, name) in classes.iter().enumerate() {
            let found = pictures(&part.join(name))?;
            *count += found.len();
            labels.resize(labels.len() + found.len(), class as u16);
            files.extend(found);
        }
    }
    let shape = common_shape(&files, size, channels)?;
    let bytes = (files.len() as u64).saturating_mul(shape.len() as u64);
    if bytes > MAX_BYTES {
        let why = format!("{} pictures of {shape} take {bytes} bytes, the limit is {MAX_BYTES}", files.len());
        return Err(content(dir, format!("{why}; ask for a smaller size with ,size=HxW")));
    }
    // In chunks, so that memory grows with what has been decoded, not with what the headers say.
    let mut pixels = Vec::new();
    for chunk in files.chunks(CHUNK) {
        let decoded: Vec<Vec<u8>> =
            chunk.par_iter().map(|path| decode(path, shape)).collect::<Result<_, _>>()?;
        decoded.iter().for_each(|picture| pixels.extend_from_slice(picture));
    }
    let pictures = Pictures::new(label(dir), shape, classes, Pixels::Bytes(pixels), labels)?;
    Ok(Loaded { pictures, counts })
}

/// The classes, and the folders that have a subfolder for each: for training, validation and test.
fn parts(dir: &Path) -> Result<(Vec<String>, [Option<PathBuf>; 3]), Error> {
    let [folders, _] = list(dir, HINT)?;
    let train = dir.join("train");
    let is_part = |name: &String| matches!(name.as_str(), "train" | "val" | "validation" | "test");
    // A folder with the classes `test` and `train` has pictures in the latter, not folders.
    let parted = folders.iter().any(|name| name == "train")
        && folders.iter().all(is_part)
        && !list(&train, HINT)?[0].is_empty();
    let (classes, parts) = if parted {
        let [classes, _] = list(&train, HINT)?;
        let find = |names: &[&str]| {
            let mut found = folders.iter().filter(|name| names.contains(&name.as_str()));
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => Err(content(dir, "it has both val and validation; keep one")),
                (name, _) => Ok(name.map(|name| dir.join(name))),
            }
        };
        let (validation, test) = (find(&["val", "validation"])?, find(&["test"])?);
        for part in [&validation, &test].into_iter().flatten() {
            let [other, _] = list(part, HINT)?;
            if other != classes {
                let odd = other
                    .iter()
                    .find(|c| !classes.contains(c))
                    .or(classes.iter().find(|c| !other.contains(c)));
                let odd = odd.map_or("", String::as_str);
                let why = format!("its classes are not those of {}: see {odd:?}", label(&train));
                return Err(content(part, format!("{why}; each needs the same subfolders")));
            }
        }
        (classes, [Some(train), validation, test])
    } else {
        (folders, [Some(dir.to_owned()), None, None])
    };
    match classes.len() {
        0 => Err(content(dir, format!("it has no subfolders; {HINT}"))),
        1 => Err(content(
            dir,
            format!("it has the class {} alone; a classifier needs two classes", classes[0]),
        )),
        n if n > MAX_CLASSES => {
            Err(content(dir, format!("it has {n} subfolders; at most {MAX_CLASSES} classes are told apart")))
        }
        _ => Ok((classes, parts)),
    }
}

/// The pictures in the folder of a class. Files of other kinds, such as notes, are passed over.
fn pictures(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let [_, files] = list(dir, HINT)?;
    let mut found = Vec::new();
    for file in files {
        let extension = Path::new(&file).extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "png" | "jpg" | "jpeg" => found.push(dir.join(file)),
            "bmp" | "gif" | "tif" | "tiff" | "webp" | "heic" | "avif" | "ppm" | "pgm" => {
                return Err(content(&dir.join(file), "PNG and JPEG are read; convert it, or remove it"));
            }
            _ => {}
        }
    }
    if found.is_empty() {
        return Err(content(
            dir,
            "it holds no PNG or JPEG file; put the pictures of the class right into it",
        ));
    }
    Ok(found)
}

/// The shape of all pictures, from their headers.
fn common_shape(
    files: &[PathBuf],
    size: Option<[usize; 2]>,
    channels: Option<usize>,
) -> Result<Shape, Error> {
    let heads: Vec<([usize; 2], ColorType)> =
        files.par_iter().map(|path| head(path)).collect::<Result<_, _>>()?;
    let channels = channels.unwrap_or(if heads.iter().any(|(_, colour)| colour.has_color()) { 3 } else { 1 });
    let [height, width] = size.unwrap_or(heads[0].0);
    let shape = Shape::new(channels, height, width);
    shape.check().map_err(|fault| content(&files[0], format!("pictures of {shape}: {fault}")))?;
    match heads.iter().position(|&(found, _)| size.is_none() && found != [height, width]) {
        None => Ok(shape),
        Some(i) => {
            let [h, w] = heads[i].0;
            let first = label(&files[0]);
            let why = format!("{h}x{w} pixels (rows, columns), but {first} has {height}x{width}");
            Err(content(&files[i], format!("{why}; add ,size={height}x{width} to resize all")))
        }
    }
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>, Error> {
    let io = |source| Error::Io { file: label(path), source, hint: HINT };
    let mut reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(io)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(1 << 14);
    limits.max_image_height = Some(1 << 14);
    limits.max_alloc = Some(1 << 28);
    reader.limits(limits);
    Ok(reader)
}

fn malformed(path: &Path, e: &ImageError) -> Error {
    content(
        path,
        format!("it is no picture that can be read: {e}; save it anew as PNG or JPEG, or remove it"),
    )
}

/// Rows and columns, and whether there is colour.
fn head(path: &Path) -> Result<([usize; 2], ColorType), Error> {
    let decoder = reader(path)?.into_decoder().map_err(|e| malformed(path, &e))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(content(path, "it has no pixels; remove it"));
    }
    Ok(([height as usize, width as usize], decoder.color_type()))
}

/// The bytes of a picture, in channel, row, column order, resized where it is of another size.
fn decode(path: &Path, shape: Shape) -> Result<Vec<u8>, Error> {
    let picture = reader(path)?.decode().map_err(|e| malformed(path, &e))?;
    let picture = fit(picture, shape.width as u32, shape.height as u32);
    if shape.channels == 1 {
        return Ok(picture.into_luma8().into_raw());
    }
    let interleaved = picture.into_rgb8().into_raw();
    Ok((0..3).flat_map(|c| interleaved.iter().skip(c).step_by(3).copied()).collect())
}

/// Crops to the ratio of `width` and `height` about the centre, then resizes.
fn fit(picture: DynamicImage, width: u32, height: u32) -> DynamicImage {
    let (w, h) = (picture.width(), picture.height());
    if (w, h) == (width, height) {
        return picture;
    }
    // At most the side that is scaled, so it fits: w·height > h·width where the picture is too wide.
    let scaled = |a: u32, b: u32, c: u32| (u64::from(a) * u64::from(b) / u64::from(c)).max(1) as u32;
    let wide = u64::from(w) * u64::from(height) > u64::from(h) * u64::from(width);
    let (cw, ch) = if wide { (scaled(h, width, height), h) } else { (w, scaled(w, height, width)) };
    picture.crop_imm((w - cw) / 2, (h - ch) / 2, cw, ch).resize_exact(width, height, FilterType::Triangle)
}
