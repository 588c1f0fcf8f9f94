//! Damaged files: an error or another value, never a panic; every parser, every length, random damage.

use crate::onnx::{MODELS, random_graph};
use crate::picture::{colours, encode, npy};
use copriv_import::{Network, onnx, picture, safetensors, zoo};
use copriv_ir::{Graph, Shape};
use image::ImageFormat;
use proptest::prelude::*;

fn small_graph() -> Graph {
    // Convolution, batch norm, clip, pool, flatten, linear.
    let steps =
        [(0, 0, 0, [2, 2, 0, 0]), (3, 0, 0, [0; 4]), (5, 0, 0, [0, 5, 0, 0]), (6, 0, 0, [1, 1, 1, 1])];
    let ends = [(11, 0, 0, [0; 4]), (2, 0, 0, [3, 0, 0, 0])];
    random_graph(Shape::new(2, 5, 5), &[&steps[..], &ends[..]].concat())
}

/// Whether a parser takes a file.
type Parse = fn(&[u8]) -> bool;

/// Whole files, and the parser of each.
fn files() -> Vec<(Vec<u8>, Parse)> {
    fn read_onnx(bytes: &[u8]) -> bool {
        match onnx::read(bytes, "hostile") {
            Ok(graph) => {
                // What is accepted is well-formed and can be written.
                graph.validate().unwrap();
                onnx::write(&graph);
                true
            }
            Err(error) => {
                assert!(error.to_string().len() < 4096);
                false
            }
        }
    }
    fn read_safetensors(bytes: &[u8]) -> bool {
        let mut graph = small_graph();
        let fits = safetensors::apply(&mut graph, bytes).is_ok();
        graph.validate().unwrap();
        fits
    }
    fn read_picture(bytes: &[u8]) -> bool {
        let pixels = picture::decode(bytes, Shape::new(3, 2, 3));
        assert!(pixels.as_ref().map_or(18, Vec::len) == 18);
        pixels.is_ok()
    }
    fn read_batch(bytes: &[u8]) -> bool {
        let labels = picture::decode_labels(bytes).is_ok();
        picture::decode_batch(bytes, Shape::new(1, 2, 3)).is_ok() || labels
    }
    vec![
        (onnx::write(&small_graph()), read_onnx),
        (MODELS[1].1.to_vec(), read_onnx),
        (MODELS[4].1.to_vec(), read_onnx),
        (MODELS[5].1.to_vec(), read_onnx),
        (MODELS[6].1.to_vec(), read_onnx),
        (MODELS[7].1.to_vec(), read_onnx),
        (safetensors::write(&small_graph()).unwrap(), read_safetensors),
        (npy("|u1", "(3, 2, 3)", &[7; 18]), read_picture),
        (npy("|u1", "(4, 2, 3)", &[7; 24]), read_batch),
        (npy("<i4", "(4,)", &[0; 16]), read_batch),
        (encode(&colours(), ImageFormat::Png), read_picture),
        (encode(&colours(), ImageFormat::Jpeg), read_picture),
    ]
}

#[test]
fn truncated_files_are_errors() {
    for (index, (file, parse)) in files().into_iter().enumerate() {
        assert!(parse(&file), "file {index} itself");
        for length in 0..file.len() {
            let accepted = parse(&file[..length]);
            // A JPEG or PNG may lack its end, a model what follows its graph.
            assert!(!accepted || length > file.len() / 2, "file {index} cut at {length}");
        }
    }
}

/// Every byte of the small files with each bit flipped, and set to the extremes.
#[test]
fn every_byte_flipped() {
    for (mut file, parse) in files().into_iter().filter(|(file, _)| file.len() < 2000) {
        for at in 0..file.len() {
            let byte = file[at];
            for damaged in (0..8).map(|bit| byte ^ 1 << bit).chain([0, 0x7f, 0x80, 0xff]) {
                file[at] = damaged;
                parse(&file);
            }
            file[at] = byte;
        }
    }
}

/// A change to a file: where, as a fraction; what; how long.
type Damage = (f64, u8, Vec<u8>);

fn damage(file: &mut Vec<u8>, (at, kind, bytes): &Damage) {
    let at = ((file.len() as f64 * at) as usize).min(file.len().saturating_sub(1));
    let end = (at + bytes.len()).min(file.len());
    match kind % 5 {
        0 => file.splice(at..end, bytes.iter().copied()).for_each(drop),
        1 => file.splice(at..at, bytes.iter().copied()).for_each(drop),
        2 => file.drain(at..end).for_each(drop),
        // A stretch of the file again, where lengths and tags are likely to be.
        3 => {
            let again = file[at..end].to_vec();
            file.splice(at..at, again).for_each(drop);
        }
        _ => file.truncate(at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_files(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0.0..1.0f64, any::<u8>(), prop::collection::vec(any::<u8>(), 1..12)), 1..4),
    ) {
        let files = files();
        let (mut file, parse) = files[which.index(files.len())].clone();
        for change in &changes {
            damage(&mut file, change);
        }
        parse(&file);
    }

    #[test]
    fn noise(which in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let files = files();
        files[which.index(files.len())].1(&bytes);
    }
}

/// A small model that asks for much: the answer comes at once.
#[test]
fn large_claims_are_refused_quickly() {
    let start = std::time::Instant::now();
    let huge = encode(&image::DynamicImage::new_luma8(3, 2), ImageFormat::Png);
    // A PNG that says it is 2^31 - 1 pixels wide and high; the checksum of its header comes after.
    let mut png = huge.clone();
    png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    assert!(picture::decode(&png, Shape::new(1, 2, 3)).is_err());
    // A safetensors header that says it is 2^60 bytes long, and a tensor of 2^61 elements.
    assert!(safetensors::apply(&mut small_graph(), &(1u64 << 60).to_le_bytes()).is_err());
    let header =
        br#"{"a":{"dtype":"U8","shape":[2305843009213693951],"data_offsets":[0,2305843009213693951]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header].concat();
    assert!(safetensors::apply(&mut small_graph(), &file).is_err());
    // Nested JSON.
    let header = [&b"{\"a\":"[..], &b"[".repeat(100_000)].concat();
    let file = [&(header.len() as u64).to_le_bytes()[..], &header].concat();
    assert!(safetensors::apply(&mut small_graph(), &file).is_err());
    // A header of 64 MiB that nothing is wrong with but its length, of either format.
    let list = format!("{{\"__metadata__\":{{\"copriv\":\"{}\"}}}}", "1,".repeat(1 << 25));
    let file = [&(list.len() as u64).to_le_bytes()[..], list.as_bytes()].concat();
    let network = Network::decode(&file, "hostile").unwrap_err();
    for error in [safetensors::apply(&mut small_graph(), &file).unwrap_err(), network] {
        assert!(error.to_string().contains("header"), "{error}");
    }
    assert!(start.elapsed().as_secs() < 20);
    assert!(zoo::build("digits", 0).is_ok());
}
