//! NumPy archives.

use crate::files::{SPLIT, eight, load, npy, picture, refused, sizes, zip};
use copriv_ir::Shape;
use copriv_train::data::{Data, Error, Part};

fn read(files: &[(&str, Vec<u8>)]) -> Result<Data, Error> {
    Data::from_npz(&zip(files, true), &SPLIT)
}

#[track_caller]
fn expect(files: &[(&str, Vec<u8>)], says: &str) {
    let error = read(files).unwrap_err().to_string();
    assert!(error.starts_with("the archive: ") && error.contains(says), "{error}");
}

#[test]
fn stored_and_deflated_archives_are_the_same() {
    let data = read(&eight()).unwrap();
    assert_eq!((data.pictures().shape(), sizes(&data)), (Shape::new(1, 2, 2), [4, 2, 2]));
    assert_eq!(picture(&data, 3), [30, 31, 32, 33].map(|b| b as f32 / 255.0));
    assert_eq!(
        (data.pictures().label(3), data.pictures().classes()),
        (1, &["0".to_owned(), "1".to_owned()][..])
    );
    let stored = Data::from_npz(&zip(&eight(), false), &SPLIT).unwrap();
    assert_eq!(stored.digest(), data.digest());

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("eight.npz");
    std::fs::write(&file, zip(&eight(), false)).unwrap();
    assert_eq!(load(&format!("npz:{}", file.display())).unwrap().digest(), data.digest());
    std::fs::write(&file, b"hello").unwrap();
    let error = refused(&format!("npz:{}", file.display()));
    assert!(error.contains("eight.npz: it is no npz file") && error.contains("numpy.savez"), "{error}");
    assert!(refused("npz:/nowhere.npz").contains("numpy.savez"));
}

/// Written by NumPy 2: `savez_compressed(x=arange(96).reshape(8, 3, 2, 2) / 64, y=arange(8) % 2,
/// x_test=float32 ones (2, 3, 2, 2), y_test=int32 [[1], [0]])`.
#[test]
fn what_numpy_writes_is_read() {
    let data = Data::from_npz(include_bytes!("numpy.npz"), &SPLIT).unwrap();
    assert_eq!((data.pictures().shape(), sizes(&data)), (Shape::new(3, 2, 2), [6, 2, 2]));
    assert_eq!(picture(&data, 1)[5], 17.0 / 64.0);
    assert_eq!(data.part(Part::Test), [8, 9]);
    assert_eq!((picture(&data, 9), data.pictures().label(8)), (vec![1.0; 12], 1));
}

#[test]
fn types_and_names() {
    let [x, _] = eight();
    let y = |descr, bytes: Vec<u8>| [x.clone(), ("y.npy", npy(descr, "(8,)", &bytes))];
    let labels = [0i8, 1, 0, 1, 0, 1, 0, 1];
    let digest = read(&eight()).unwrap().digest();
    let four = labels.iter().flat_map(|&l| i32::from(l).to_le_bytes()).collect();
    let eight_bytes = labels.iter().flat_map(|&l| i64::from(l).to_le_bytes()).collect();
    assert_eq!(read(&y("<i4", four)).unwrap().digest(), digest);
    assert_eq!(read(&y("<i8", eight_bytes)).unwrap().digest(), digest);
    // Keras's names; parts of their own; a file that is none of ours.
    let [(_, x), (_, y)] = eight();
    let mut files = vec![("x_train.npy", x.clone()), ("y_train.npy", y.clone()), ("about.txt", vec![1; 9])];
    assert_eq!(read(&files).unwrap().digest(), digest);
    files.extend([("x_val.npy", x.clone()), ("y_val.npy", y.clone())]);
    assert_eq!(sizes(&read(&files).unwrap()), [6, 8, 2]);
    files.extend([("x_test.npy", x), ("y_test.npy", y)]);
    assert_eq!(sizes(&read(&files).unwrap()), [8, 8, 8]);
}

#[test]
fn arrays_that_cannot_be_used_say_why() {
    let [(_, x), (_, y)] = eight();
    let with = |x: &[u8], y: &[u8]| [("x.npy", x.to_vec()), ("y.npy", y.to_vec())];
    expect(&[("x.npy", x.clone())], "it has x but no y");
    expect(&[("y.npy", y.clone())], "it has y but no x");
    expect(&[("z.npy", x.clone())], "no arrays x and y");
    expect(&with(&x, &npy("|u1", "(7,)", &[0; 7])), "x has 8 pictures, y has 7 labels");
    expect(&with(&x, &npy("|u1", "(8,)", &[0; 8])), "a classifier needs two classes");
    expect(&with(&x, &npy("|u1", "(8,)", &[0, 2, 0, 2, 0, 2, 0, 2])), "class 1 needs at least 3");
    expect(&with(&x, &npy("|u1", "(4, 2)", &[0; 8])), "labels have shape N");
    expect(&with(&x, &npy("<f4", "(8,)", &[0; 32])), "labels are integers");
    expect(&with(&x, &npy("<i4", "(8,)", &[255; 32])), "label -1 is not in 0..65536");
    expect(&with(&x, &npy("<i4", "(8,)", &[1; 32])), "label 16843009 is not in 0..65536");
    expect(&with(&npy("<i4", "(8, 1, 1)", &[0; 32]), &y), "pixels are uint8");
    expect(&with(&npy("|u1", "(32,)", &[0; 32]), &y), "N,C,H,W");
    expect(&with(&npy("|u1", "(8, 2, 2, 3)", &[0; 96]), &y), "transpose(0, 3, 1, 2)");
    expect(&with(&npy("|u1", "(0, 2, 2)", &[]), &npy("|u1", "(0,)", &[])), "there is no picture");
    expect(&with(&npy("|u1", "(8, 0, 2)", &[]), &y), "pictures of 1x0x2");
    expect(&with(&npy(">f4", "(8, 1, 1)", &[0; 32]), &y), "elements of type \">f4\"");
    expect(&with(&npy("|u1", "(8, 2, 2)", &[0; 31]), &y), "cut short");
    expect(&with(&npy("|u1", "(8, 2, 2)", &[0; 33]), &y), "more follows than shape");
    expect(&with(&npy("|u1", "(8, -2, 2)", &[0; 32]), &y), "its shape");
    expect(&with(b"hello", &y), "cut short");
    expect(&with(b"hello, I am no array", &y), "does not begin as an npy array");
    let fortran = String::from_utf8_lossy(&x[10..]).replace("False", "True ");
    expect(&with(&[&x[..10], fortran.as_bytes()].concat(), &y), "ascontiguousarray");
    let mut values = [0.5f32; 8];
    values[5] = f32::NAN;
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    expect(&with(&npy("<f4", "(8, 1, 1)", &bytes), &y), "picture 5 has a pixel that is NaN");
    let bytes: Vec<u8> = [1e300f64; 8].iter().flat_map(|v| v.to_le_bytes()).collect();
    expect(&with(&npy("<f8", "(8, 1, 1)", &bytes), &y), "picture 0 has a pixel that is inf");

    let both = |x_test, y_test| {
        let [x, y] = eight();
        [x, y, ("x_test.npy", x_test), ("y_test.npy", y_test)]
    };
    expect(&both(npy("|u1", "(8, 2, 1)", &[0; 16]), y.clone()), "save one shape");
    expect(&both(npy("<f4", "(1, 2, 2)", &[0; 16]), npy("|u1", "(1,)", &[0])), "save one type");
    expect(&both(npy("|u1", "(1, 2, 2)", &[0; 4]), npy("|u1", "(1,)", &[2])), "class 2 needs at least 2");
}
