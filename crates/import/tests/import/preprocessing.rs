//! Pictures of any size as the input of a network, and what models say of that.

use crate::picture::{colours, encode, npy};
use copriv_import::{Error, onnx, picture};
use copriv_ir::{ChannelOrder, Graph, GraphBuilder, PixelRange, Preprocessing, Preset, Resize, Shape};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, RgbaImage};
use proptest::prelude::*;
use std::path::PathBuf;

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/pillow", name].iter().collect()
}

/// Bytes as they are.
fn bytes(resize: Resize) -> Preprocessing {
    Preprocessing { resize, range: PixelRange::Byte, ..Preprocessing::default() }
}

fn message(result: Result<Vec<f32>, Error>) -> String {
    result.unwrap_err().to_string()
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    encode(&picture.into(), ImageFormat::Png)
}

#[test]
fn pictures_become_what_pillow_makes_of_them() {
    let cases = std::fs::read_to_string(data("cases.txt")).unwrap();
    assert_eq!(cases.lines().count(), 10);
    for case in cases.lines() {
        let [name, source, resize, channels, rows, columns] =
            case.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let number = |text: &str| text.parse().unwrap();
        let shape = Shape::new(number(channels), number(rows), number(columns));
        let unit = picture::load(data(&format!("{name}.npy")), shape).unwrap();
        let expected: Vec<f32> = unit.iter().map(|pixel| (pixel * 255.0).round()).collect();
        let got = picture::load_with(data(source), shape, &bytes(resize.parse().unwrap())).unwrap();
        let largest =
            got.iter().zip(&expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max);
        assert!(largest <= 1.0, "{name}: a byte differs by {largest}");
        let differing = got.iter().zip(&expected).filter(|(got, expected)| got != expected).count();
        println!("{name}: {differing} of {} bytes differ, by {largest} at most", got.len());
        // Weights have 16 bits here and 22 there, which ties are sensitive to.
        assert!(differing * 50 <= got.len(), "{name}: {differing} of {} bytes differ", got.len());
    }
}

#[test]
fn channels_have_their_numbers_in_the_network_s_order() {
    let shape = Shape::new(3, 2, 3);
    let rgb =
        Preprocessing { mean: vec![0.1, 0.2, 0.4], std: vec![0.5, 0.25, 2.0], ..Preprocessing::default() };
    let got = picture::decode_with(&png(colours()), shape, &rgb).unwrap();
    // The first pixel is red, the second green, the third blue.
    let (r, g, b) = ((1.0 - 0.1) / 0.5, (1.0 - 0.2) / 0.25, (1.0 - 0.4) / 2.0);
    assert_eq!([got[0], got[7], got[14]], [r, g, b]);
    assert_eq!([got[1], got[6], got[12]], [-0.1 / 0.5, -0.2 / 0.25, -0.4 / 2.0]);
    let bgr = Preprocessing { channels: ChannelOrder::Bgr, ..rgb };
    let got = picture::decode_with(&png(colours()), shape, &bgr).unwrap();
    // The first channel is blue.
    assert_eq!([got[2], got[7], got[12]], [r, g, b]);
    // Planes of bytes are a picture too.
    let planes = npy("|u1", "(3, 2, 3)", &PLANES);
    assert_eq!(picture::decode_with(&planes, shape, &bgr).unwrap(), got);
    // A grey network has one channel in any order.
    let grey = Preprocessing { mean: vec![0.5], std: vec![0.5], channels: ChannelOrder::Bgr, ..bgr };
    let got = picture::decode_with(&png(colours()), Shape::new(1, 2, 3), &grey).unwrap();
    assert_eq!([got[3], got[5]], [-1.0, 1.0]);
}

/// [`colours`] in planes.
const PLANES: [u8; 18] = [255, 0, 0, 0, 51, 255, 0, 255, 0, 0, 51, 255, 0, 0, 255, 0, 51, 255];

#[test]
fn arrays_of_bytes_are_pictures_and_floats_are_not() {
    let shape = Shape::new(3, 28, 28);
    for resize in [Resize::Input, Resize::Shorter(30), Resize::Exact([9, 40])] {
        let planes = npy("|u1", "(1, 3, 2, 3)", &PLANES);
        let expected = picture::decode_with(&png(colours()), shape, &bytes(resize)).unwrap();
        assert_eq!(picture::decode_with(&planes, shape, &bytes(resize)).unwrap(), expected);
        // Grey for a network of colours, and colours for a grey one.
        let grey = npy("|u1", "(2, 3)", &[7; 6]);
        let got = picture::decode_with(&grey, shape, &bytes(resize)).unwrap();
        assert_eq!(got.len(), shape.len());
        assert!(got[14 * 28 + 14] == 7.0 && got[2 * 784 + 14 * 28 + 14] == 7.0);
        let one = Shape::new(1, 5, 5);
        let expected = picture::decode_with(&png(colours()), one, &bytes(resize)).unwrap();
        assert_eq!(picture::decode_with(&planes, one, &bytes(resize)).unwrap(), expected);
    }
    let floats: Vec<u8> = [0.25f32, -3.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    let mnist = Preset::Mnist.of(Shape::new(1, 1, 2));
    let got = picture::decode_with(&npy("<f4", "(1, 2)", &floats), Shape::new(1, 1, 2), &mnist);
    assert_eq!(got.unwrap(), [0.25, -3.5]);
    let text = message(picture::decode_with(&npy("<f4", "(1, 2)", &floats), Shape::new(1, 2, 2), &mnist));
    assert!(text.contains("[1, 2]") && !text.contains("--resize"), "{text}");
    let text = message(picture::decode(&npy("|u1", "(1, 2)", &[1, 2]), Shape::new(1, 2, 2)));
    assert!(text.contains("[1, 2]") && text.contains("--resize"), "{text}");
    let two = npy("|u1", "(2, 1, 2)", &[1, 2, 3, 4]);
    assert!(message(picture::decode_with(&two, shape, &bytes(Resize::Input))).contains("2 channels"));
    // That have the size of a network that takes no pictures.
    let exact = picture::decode_with(&two, Shape::new(2, 1, 2), &bytes(Resize::Input)).unwrap();
    assert_eq!(exact, [1.0, 2.0, 3.0, 4.0]);
    for shape in ["(0, 5)", "(5, 0)", "(3, 0, 0)", "(0, 5, 5)"] {
        let empty = npy("|u1", shape, &[]);
        assert!(picture::decode_with(&empty, Shape::new(3, 2, 2), &bytes(Resize::Input)).is_err());
    }
}

#[test]
fn pictures_of_every_form() {
    let shape = Shape::new(3, 8, 8);
    let every = [Resize::Input, Resize::Shorter(9), Resize::Shorter(3), Resize::Exact([2, 31])];
    for resize in every {
        let inside = |pixels: &[f32]| {
            // Of one colour everywhere, but for black around it.
            pixels.iter().all(|&pixel| pixel == 200.0 || pixel == 0.0) && pixels.contains(&200.0)
        };
        for (width, height) in [(1, 1), (1, 300), (300, 1), (2, 16384), (16384, 2), (5, 7), (8, 8)] {
            let flat = RgbImage::from_pixel(width, height, image::Rgb([200, 200, 200]));
            let got = picture::decode_with(&png(flat), shape, &bytes(resize)).unwrap();
            assert!(got.len() == shape.len() && inside(&got), "{width}x{height} {resize}");
        }
        // Transparency is dropped, 16 bits become 8, grey becomes colour.
        let rgba = RgbaImage::from_pixel(9, 7, image::Rgba([200, 200, 200, 3]));
        let deep = image::ImageBuffer::from_pixel(9, 7, image::Rgb([200u16 * 257; 3]));
        let grey = GrayImage::from_pixel(9, 7, image::Luma([200]));
        let deep_grey = image::ImageBuffer::from_pixel(9, 7, image::Luma([200u16 * 257]));
        for picture in [png(rgba), png(deep), png(grey.clone()), png(deep_grey)] {
            assert!(inside(&picture::decode_with(&picture, shape, &bytes(resize)).unwrap()), "{resize}");
        }
        let jpeg = encode(&grey.into(), ImageFormat::Jpeg);
        let got = picture::decode_with(&jpeg, shape, &bytes(resize)).unwrap();
        assert!(got.iter().all(|&pixel| pixel == 0.0 || (pixel - 200.0).abs() < 3.0), "{resize}");
    }
}

#[test]
fn small_pictures_have_black_around_them() {
    let grey = GrayImage::from_raw(2, 1, vec![100, 200]).unwrap();
    let mean = Preprocessing { mean: vec![10.0], std: vec![2.0], ..bytes(Resize::Exact([1, 2])) };
    let got = picture::decode_with(&png(grey), Shape::new(1, 4, 3), &mean).unwrap();
    let black = -5.0;
    let row = [black; 3];
    assert_eq!(got, [row, [45.0, 95.0, black], row, row].concat());
}

#[test]
fn a_picture_of_another_size_says_what_helps() {
    let text = message(picture::decode(&png(colours()), Shape::new(3, 32, 32)));
    for word in ["3x2 pixels", "32x32", "--preprocess", "--resize"] {
        assert!(text.contains(word), "{text}");
    }
    let wrong = Preset::Imagenet.of(Shape::new(1, 2, 3));
    let text = message(picture::decode_with(&png(colours()), Shape::new(1, 2, 3), &wrong));
    assert!(text.contains("3 numbers") && text.contains("1 channels"), "{text}");
    let two = message(picture::decode_with(&png(colours()), Shape::new(2, 9, 9), &bytes(Resize::Input)));
    assert!(two.contains("1 or 3 channels"), "{two}");
    let never = Preprocessing { std: vec![0.0], ..Preprocessing::default() };
    assert!(picture::decode_with(&png(colours()), Shape::new(3, 2, 3), &never).is_err());
}

/// A chunk of a PNG file; readers check its sum.
fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(body);
    [&(body.len() as u32).to_be_bytes(), &kind[..], body, &sum.sum().to_be_bytes()].concat()
}

/// A PNG file of zeros: a thousandth of what it becomes.
fn bomb(width: u32, height: u32, depth: u8, colour: u8, row: usize) -> Vec<u8> {
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
    let mut body = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; row + 1];
    (0..height).try_for_each(|_| std::io::Write::write_all(&mut body, &zeros)).unwrap();
    let body = body.finish().unwrap();
    let chunks = [chunk(b"IHDR", &head), chunk(b"IDAT", &body), chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n", &chunks[..]].concat()
}

#[test]
fn bombs_are_refused() {
    let shape = Shape::new(3, 28, 28);
    let decode = |bytes: &[u8]| picture::decode_with(bytes, shape, &Preset::Imagenet.of(shape));
    // By its size, whatever follows: grey, and of one bit for each pixel.
    for (depth, row) in [(8, 1 << 14), (1, 1 << 11)] {
        let text = message(decode(&bomb(1 << 14, 1 << 14, depth, 0, row)));
        assert!(text.contains("16384x16384") && text.contains("64 Mi"), "{text}");
    }
    for (width, height) in [(u32::MAX >> 1, 1), (1, 1 << 15), (u32::MAX >> 1, u32::MAX >> 1)] {
        let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        let png = [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &head)[..], &chunk(b"IDAT", &[0x78, 1])].concat();
        assert!(decode(&png).is_err());
    }
    // Of as many pixels as may be, but of too many bytes.
    let deep = bomb(1 << 13, 1 << 13, 16, 6, 1 << 16);
    assert!(deep.len() < 8 << 20);
    let text = message(decode(&deep));
    assert!(text.contains("limit") || text.contains("memory"), "{text}");
    // As large as may be.
    assert!(decode(&bomb(1 << 13, 1 << 13, 1, 0, 1 << 10)).is_ok());
}

fn tiny() -> Graph {
    let mut net = GraphBuilder::new("tiny", Shape::new(3, 4, 4)).unwrap();
    let x = net.relu("relu", net.input()).unwrap();
    net.finish(x).unwrap()
}

/// A model whose metadata has these entries.
fn model(entries: &[(&str, &str)]) -> Vec<u8> {
    let field = |tag: u8, body: &[u8]| {
        let mut length = Vec::new();
        prost::encoding::encode_varint(body.len() as u64, &mut length);
        [&[tag << 3 | 2], &length[..], body].concat()
    };
    let entry = |(key, value): &(&str, &str)| {
        field(14, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat())
    };
    [onnx::write(&tiny()), entries.iter().flat_map(entry).collect()].concat()
}

#[test]
fn models_say_how() {
    assert_eq!(onnx::preprocessing(&model(&[]), "tiny").unwrap(), None);
    assert_eq!(onnx::preprocessing(&model(&[("author", "{")]), "tiny").unwrap(), None);
    for preset in Preset::ALL {
        let preprocessing = preset.of(Shape::new(3, 224, 224));
        let model = onnx::write_with(&tiny(), &preprocessing);
        assert_eq!(onnx::preprocessing(&model, "tiny").unwrap(), Some(preprocessing));
        assert_eq!(onnx::read(&model, "tiny").unwrap(), tiny(), "the network is as it was");
    }
    // What is left out is as it always is.
    let json = r#"{"resize": "input", "mean": [0.5]}"#;
    let expected = Preprocessing { resize: Resize::Input, mean: vec![0.5], ..Preprocessing::default() };
    let says = model(&[("author", "me"), (onnx::PREPROCESSING_KEY, json)]);
    assert_eq!(onnx::preprocessing(&says, "tiny").unwrap(), Some(expected));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("says.onnx").display().to_string();
    std::fs::write(&path, &says).unwrap();
    assert!(copriv_import::preprocessing(&path).unwrap().is_some());
    assert_eq!(copriv_import::preprocessing("zoo:digits").unwrap(), None);
    for nothing in ["zoo:none", "none.onnx", "picture.png"] {
        assert!(
            copriv_import::preprocessing(nothing)
                .unwrap_err()
                .to_string()
                .contains(nothing.trim_start_matches("zoo:"))
        );
    }
}

#[test]
fn what_models_say_may_be_hostile() {
    let long = format!("{{\"mean\": [{}0]}}", "0,".repeat(3000));
    for (json, word) in [
        ("", "EOF"),
        ("null", "null"),
        ("{\"resiez\": 3}", "resiez"),
        ("{\"\\u001b[2J\": 3}", "unknown field"),
        ("{\"resize\": {\"shorter\": 0}}", "0 pixels"),
        ("{\"resize\": {\"shorter\": 4294967295}}", "4294967295"),
        ("{\"resize\": {\"shorter\": -1}}", "u32"),
        ("{\"resize\": {\"exact\": [1, 16385]}}", "16385"),
        ("{\"resize\": {\"exact\": [1]}}", "resize"),
        ("{\"mean\": []}", "0 numbers"),
        ("{\"mean\": [1, 2]}", "2 numbers"),
        ("{\"mean\": [1e300]}", "inf"),
        ("{\"mean\": [1e999]}", "range"),
        ("{\"mean\": [1e6]}", "1000000"),
        ("{\"mean\": [null]}", "null"),
        ("{\"std\": [0]}", "is 0,"),
        ("{\"std\": [-1]}", "is -1,"),
        ("{\"std\": [1e-30]}", "0.0000152"),
        ("{\"std\": [1, 1, 1, 1]}", "4 numbers"),
        ("{\"channels\": \"hsv\"}", "hsv"),
        ("{\"range\": 255}", "column"),
        (&long, "4096"),
        (&"[".repeat(4000), "recursion"),
    ] {
        let text =
            onnx::preprocessing(&model(&[(onnx::PREPROCESSING_KEY, json)]), "tiny").unwrap_err().to_string();
        // Some are refused in other words.
        let told = text.contains(word) || matches!(word, "resize" | "null" | "recursion" | "EOF");
        assert!(told && text.contains("tiny") && text.len() < 400, "{text} ({word})");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    let twice = model(&[(onnx::PREPROCESSING_KEY, "{}"), (onnx::PREPROCESSING_KEY, "{}")]);
    assert!(onnx::preprocessing(&twice, "tiny").unwrap_err().to_string().contains("twice"));
    let many = model(&vec![("", ""); 1 << 17]);
    assert!(onnx::preprocessing(&many, "tiny").unwrap_err().to_string().contains("fields"));
    assert!(onnx::preprocessing(&model(&[])[..40], "tiny").is_err());
}

fn sizes() -> impl Strategy<Value = Resize> {
    prop_oneof![
        Just(Resize::Input),
        (1..80u32).prop_map(Resize::Shorter),
        (1..80u32, 1..80u32).prop_map(|(rows, columns)| Resize::Exact([rows, columns])),
    ]
}

proptest! {
    #[test]
    fn of_a_picture_turned_around_comes_the_input_turned_around(
        (width, height, grey) in (1..40u32, 1..40u32).prop_flat_map(|(w, h)| {
            (Just(w), Just(h), proptest::collection::vec(any::<u8>(), (w * h) as usize))
        }),
        resize in sizes(),
        side in 1..30usize,
    ) {
        let shape = Shape::new(1, side, side);
        let upright = GrayImage::from_raw(width, height, grey).unwrap();
        let lying = image::imageops::rotate90(&image::imageops::flip_vertical(&upright));
        let turned = match resize {
            Resize::Exact([rows, columns]) => Resize::Exact([columns, rows]),
            other => other,
        };
        let got = picture::decode_with(&png(upright), shape, &bytes(resize)).unwrap();
        let other = picture::decode_with(&png(lying), shape, &bytes(turned)).unwrap();
        // Rows first or columns first: each step is rounded to bytes.
        for y in 0..side {
            for x in 0..side {
                prop_assert!((got[y * side + x] - other[x * side + y]).abs() <= 2.0);
            }
        }
    }

    #[test]
    fn values_stay_between_those_of_the_picture(
        (width, height, grey) in (1..60u32, 1..60u32).prop_flat_map(|(w, h)| {
            (Just(w), Just(h), proptest::collection::vec(50..200u8, (w * h) as usize))
        }),
        resize in sizes(),
    ) {
        let picture = GrayImage::from_raw(width, height, grey).unwrap();
        for pixel in picture::decode_with(&png(picture), Shape::new(3, 11, 13), &bytes(resize)).unwrap() {
            prop_assert!(pixel == 0.0 || (50.0..200.0).contains(&pixel), "{}", pixel);
        }
    }
}
