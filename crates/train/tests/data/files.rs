//! Small files of every kind of source.

use copriv_train::data::{Data, Error, Part, Split};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use image::{DynamicImage, GrayImage, RgbImage};
use rawzip::{CompressionMethod, ZipArchiveWriter};
use std::fs;
use std::io::Write;
use std::path::Path;

/// What most tests divide by.
pub const SPLIT: Split = Split { validation: 0.25, test: 0.25, seed: 7 };

/// The pictures of a source.
pub fn load(source: &str) -> Result<Data, Error> {
    Data::load(&source.parse()?, &SPLIT)
}

/// The message of a source that is refused.
pub fn refused(source: &str) -> String {
    let error = load(source).unwrap_err().to_string();
    assert!(error.len() < 2048, "{error}");
    error
}

/// Picture `i` as floats.
pub fn picture(data: &Data, i: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; data.pictures().shape().len()];
    data.pictures().write(i, &mut out);
    out
}

/// The sizes of the three parts.
pub fn sizes(data: &Data) -> [usize; 3] {
    [Part::Train, Part::Validation, Part::Test].map(|part| data.part(part).len())
}

/// An npy file as NumPy writes it.
pub fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(data);
    file
}

/// An archive of files, deflated or stored.
pub fn zip(files: &[(&str, Vec<u8>)], deflate: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut out);
    for (name, bytes) in files {
        let method = if deflate { CompressionMethod::DEFLATE } else { CompressionMethod::STORE };
        let (mut entry, config) = archive.new_file(name).compression_method(method).start().unwrap();
        let descriptor = if deflate {
            let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
            writer.write_all(bytes).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

/// Eight pictures of 1x2x2 and two classes: pixel j of picture i is byte 10·i + j.
pub fn eight() -> [(&'static str, Vec<u8>); 2] {
    let x: Vec<u8> = (0..8).flat_map(|i| (0..4).map(move |j| 10 * i + j)).collect();
    [("x.npy", npy("|u1", "(8, 2, 2)", &x)), ("y.npy", npy("|u1", "(8,)", &[0, 1, 0, 1, 0, 1, 0, 1]))]
}

/// A record of CIFAR: labels, and pixels that tell picture, channel and place.
pub fn record(labels: &[u8], i: usize) -> Vec<u8> {
    let pixel = |channel: usize, place: usize| (100 * channel + 7 * i + place) as u8;
    let pixels = (0..3).flat_map(|channel| (0..1024).map(move |place| pixel(channel, place)));
    labels.iter().copied().chain(pixels).collect()
}

/// CIFAR-10 of 20 pictures in each of the five files, and 10 to test with.
pub fn write_cifar10(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    let batch = |from: usize, len: usize| {
        (from..from + len).flat_map(|i| record(&[(i % 10) as u8], i)).collect::<Vec<u8>>()
    };
    for n in 0..5 {
        fs::write(dir.join(format!("data_batch_{}.bin", n + 1)), batch(20 * n, 20)).unwrap();
    }
    fs::write(dir.join("test_batch.bin"), batch(100, 10)).unwrap();
}

/// CIFAR-100 of 400 pictures, and 100 to test with; the coarse label is 19 throughout.
pub fn write_cifar100(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let names: String = (0..100).map(|i| format!("thing {i}\n")).collect();
    fs::write(dir.join("fine_label_names.txt"), names).unwrap();
    let batch = |len: usize| (0..len).flat_map(|i| record(&[19, (i % 100) as u8], i)).collect::<Vec<u8>>();
    fs::write(dir.join("train.bin"), batch(400)).unwrap();
    fs::write(dir.join("test.bin"), batch(100)).unwrap();
}

/// Saves a picture whose pixel y,x has grey value `value + 16·y + x`, or this in red, 100 in green, 200 in blue.
pub fn save(path: &Path, [height, width]: [u32; 2], colour: bool, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let at = |x: u32, y: u32| value + (16 * y + x) as u8;
    let picture = if colour {
        DynamicImage::from(RgbImage::from_fn(width, height, |x, y| image::Rgb([at(x, y), 100, 200])))
    } else {
        DynamicImage::from(GrayImage::from_fn(width, height, |x, y| image::Luma([at(x, y)])))
    };
    picture.save(path).unwrap();
}
