use copriv_import::Error;
use copriv_import::picture::{
    Ink, decode, decode_batch, decode_labels, load, load_batch, load_labels, render,
};
use copriv_ir::Shape;
use image::{DynamicImage, ImageFormat, RgbImage};
use std::io::Cursor;

/// An npy file as NumPy writes it.
pub fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}").into_bytes();
    header.resize(header.len().next_multiple_of(64) + 64 - 11, b' ');
    header.push(b'\n');
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), &header, data].concat()
}

pub fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// 3 columns, 2 rows: red, green, blue; black, grey, white.
pub fn colours() -> DynamicImage {
    let pixels = vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 51, 51, 51, 255, 255, 255];
    DynamicImage::ImageRgb8(RgbImage::from_raw(3, 2, pixels).unwrap())
}

const PLANES: [f32; 18] =
    [1.0, 0.0, 0.0, 0.0, 0.2, 1.0, 0.0, 1.0, 0.0, 0.0, 0.2, 1.0, 0.0, 0.0, 1.0, 0.0, 0.2, 1.0];

fn message(result: Result<Vec<f32>, Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn png_becomes_planes() {
    let shape = Shape::new(3, 2, 3);
    let picture = colours();
    for variant in [
        picture.clone(),
        DynamicImage::ImageRgba8(picture.to_rgba8()),
        DynamicImage::ImageRgb16(picture.to_rgb16()),
    ] {
        assert_eq!(decode(&encode(&variant, ImageFormat::Png), shape).unwrap(), PLANES);
    }
    let grey = DynamicImage::ImageLuma8(image::GrayImage::from_raw(2, 1, vec![51, 255]).unwrap());
    let png = encode(&grey, ImageFormat::Png);
    assert_eq!(decode(&png, Shape::new(1, 1, 2)).unwrap(), [0.2, 1.0]);
    assert_eq!(decode(&png, Shape::new(3, 1, 2)).unwrap(), [0.2, 1.0, 0.2, 1.0, 0.2, 1.0]);
    let luma = decode(&encode(&picture, ImageFormat::Png), Shape::new(1, 2, 3)).unwrap();
    assert!((luma[0] - 0.21).abs() < 0.01 && luma[3..] == [0.0, 0.2, 1.0], "{luma:?}");
}

#[test]
fn jpeg_is_near() {
    let flat = DynamicImage::ImageRgb8(RgbImage::from_pixel(16, 8, image::Rgb([200, 100, 50])));
    let got = decode(&encode(&flat, ImageFormat::Jpeg), Shape::new(3, 8, 16)).unwrap();
    for (plane, value) in got.chunks(128).zip([200.0, 100.0, 50.0]) {
        assert!(plane.iter().all(|p| (p * 255.0 - value).abs() < 4.0), "{plane:?}");
    }
}

#[test]
fn another_size_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.png");
    std::fs::write(&path, encode(&colours(), ImageFormat::Png)).unwrap();
    assert_eq!(load(&path, Shape::new(3, 2, 3)).unwrap(), PLANES);
    let text = message(load(&path, Shape::new(3, 32, 28)));
    for word in ["photo.png", "3x2 pixels", "28x32", "resize"] {
        assert!(text.contains(word), "{text}");
    }
    assert!(message(load(&path, Shape::new(4, 2, 3))).contains("4"));
    assert!(message(load(folder.path().join("none.png"), Shape::new(3, 2, 3))).contains("none.png"));
    std::fs::write(&path, b"GIF89a").unwrap();
    assert!(message(load(&path, Shape::new(3, 2, 3))).contains("PNG, JPEG and npy"));
}

#[test]
fn npy_of_every_kind() {
    let shape = Shape::new(1, 1, 2);
    let f32s: Vec<u8> = [0.25f32, -3.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    let f64s: Vec<u8> = [0.25f64, -3.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    for dims in ["(1, 2)", "(1, 1, 2)", "(1, 1, 1, 2)", "( 1 ,2)", "(1, 2,)"] {
        assert_eq!(decode(&npy("|u1", dims, &[51, 255]), shape).unwrap(), [0.2, 1.0]);
        assert_eq!(decode(&npy("<f4", dims, &f32s), shape).unwrap(), [0.25, -3.5]);
        assert_eq!(decode(&npy("<f8", dims, &f64s), shape).unwrap(), [0.25, -3.5]);
    }
    // Versions 2 and 3 have a longer length.
    for version in [2, 3] {
        let mut file = npy("|u1", "(1, 2)", &[51, 255]);
        file[6] = version;
        file.splice(10..10, [0, 0]);
        assert_eq!(decode(&file, shape).unwrap(), [0.2, 1.0]);
    }
}

#[test]
fn npy_faults_are_told() {
    let shape = Shape::new(1, 2, 2);
    let wide = "(1, 2, 2, 1, 1, 1, 1, 1, 1)";
    let nan: Vec<u8> = [0.0, 1.0, f32::NAN, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let huge = "(18446744073709551615, 18446744073709551615)";
    for (file, word) in [
        (npy("|u1", "(4,)", &[0; 4]), "[4]"),
        (npy("|u1", "(2, 2, 1)", &[0; 4]), "1x2x2"),
        (npy("<i8", "(2, 2)", &[0; 32]), "uint8"),
        (npy(">f4", "(2, 2)", &[0; 16]), ">f4"),
        (npy("<f4", "(2, 2)", &nan), "element 2"),
        (npy("|u1", "(2, 2)", &[0; 3]), "3 bytes"),
        (npy("|u1", huge, &[0; 4]), "4 bytes"),
        (npy("|u1", "(99999999999999999999,)", &[0; 4]), "dimension"),
        (npy("|u1", "(-2, 2)", &[0; 4]), "dimension"),
        (npy("|u1", wide, &[0; 4]), "dimensions"),
        (npy("|u1", "((((((((", &[0; 4]), "dimension"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "4096"),
        (b"\x93NUMPY\x09\x00".to_vec(), "version"),
        (b"\x93NUMPY\x01\x00\x02\x00{}".to_vec(), "descr"),
        (b"\x93NUMPY\x01\x00\x02\x00[]".to_vec(), "'{'"),
    ] {
        let text = message(decode(&file, shape));
        assert!(text.contains(word), "{text} ({word})");
    }
    let mut fortran = npy("|u1", "(2, 2)", &[0; 4]);
    let at = fortran.windows(5).position(|w| w == b"False").unwrap();
    fortran.splice(at..at + 5, *b"True ");
    assert!(message(decode(&fortran, shape)).contains("Fortran"));
}

#[test]
fn batches_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let shape = Shape::new(1, 1, 2);
    let three = vec![vec![0.0, 1.0], vec![0.2, 0.4], vec![1.0, 0.0]];
    let data = [0, 255, 51, 102, 255, 0];
    assert_eq!(decode_batch(&npy("|u1", "(3, 1, 2)", &data), shape).unwrap(), three);
    std::fs::write(&path, npy("|u1", "(3, 1, 1, 2)", &data)).unwrap();
    assert_eq!(load_batch(&path, shape).unwrap(), three);
    assert!(decode_batch(&npy("|u1", "(3, 2)", &data), shape).is_err());
    assert_eq!(decode_batch(&npy("|u1", "(0, 1, 2)", &[]), shape).unwrap(), Vec::<Vec<f32>>::new());
    assert!(decode_batch(&npy("|u1", "(5, 0, 2)", &[]), Shape::new(1, 0, 2)).is_err());

    std::fs::write(&path, npy("|u1", "(3,)", &[1, 0, 9])).unwrap();
    assert_eq!(load_labels(&path).unwrap(), [1, 0, 9]);
    assert_eq!(decode_labels(&npy("<i8", "(1,)", &7i64.to_le_bytes())).unwrap(), [7]);
    assert_eq!(decode_labels(&npy("<i4", "(1,)", &7i32.to_le_bytes())).unwrap(), [7]);
    assert!(decode_labels(&npy("<i4", "(1,)", &(-7i32).to_le_bytes())).is_err());
    assert!(decode_labels(&npy("<f4", "(1,)", &[0; 4])).is_err());
    assert!(decode_labels(&npy("|u1", "(1, 1)", &[0])).is_err());
}

#[test]
fn drawings() {
    let shape = Shape::new(3, 2, 3);
    let plain = render(&PLANES, shape, Ink::Plain);
    assert_eq!(plain, ":-+\n".replace(":-+", plain.trim_end()), "one line of three");
    assert_eq!(plain.len(), 4);
    let colour = render(&PLANES, shape, Ink::TrueColour);
    assert!(
        colour.starts_with("\x1b[38;2;255;0;0;48;2;0;0;0m▀") && colour.ends_with("▀\x1b[0m\n"),
        "{colour:?}"
    );
    let indexed = render(&PLANES, shape, Ink::Colours256);
    // Red over black, green over grey, blue over white.
    let expected = "\x1b[38;5;196;48;5;232m▀\x1b[38;5;46;48;5;236m▀\x1b[38;5;21;48;5;255m▀\x1b[0m\n";
    assert_eq!(indexed, expected);

    // Large pictures are averaged down, odd sizes and other channel counts drawn.
    let large = Shape::new(1, 225, 223);
    let drawing = render(&vec![1.0; large.len()], large, Ink::Plain);
    assert!(drawing.lines().all(|line| line.len() == 56 && line.bytes().all(|b| b == b'@')));
    assert_eq!(drawing.lines().count(), 29);
    let odd = Shape::new(2, 3, 1);
    assert_eq!(render(&[1.0, 1.0, 1.0, 0.0, 0.0, 0.0], odd, Ink::Plain).len(), 4);
    assert_eq!(render(&[f32::NAN, -5.0, 7.0], Shape::new(1, 1, 3), Ink::Plain), "  @\n");
}
