//! Folders of PNG and JPEG files.

use crate::files::{load, picture, refused, save, sizes};
use copriv_ir::Shape;
use copriv_train::data::Part;
use std::fs;
use std::path::Path;

/// Four pictures of each of the classes cat and dog.
fn fill(dir: &Path, colour: bool) {
    for i in 0..4u8 {
        save(&dir.join(format!("dog/{i}.png")), [2, 3], false, 10 * i);
        save(&dir.join(format!("cat/{i}.png")), [2, 3], colour, 10 * i);
    }
    fs::write(dir.join("cat/notes.txt"), "not a picture").unwrap();
    fs::write(dir.join("cat/.hidden.png"), "not a picture").unwrap();
}

fn source(dir: &Path) -> String {
    format!("folder:{}", dir.display())
}

#[test]
fn classes_are_sorted_and_pixels_exact() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), false);
    let data = load(&source(dir.path())).unwrap();
    assert_eq!(data.pictures().classes(), ["cat", "dog"]);
    assert_eq!((data.pictures().shape(), sizes(&data)), (Shape::new(1, 2, 3), [4, 2, 2]));
    // Picture 5 is the second dog.
    assert_eq!(picture(&data, 5), [10, 11, 12, 26, 27, 28].map(|b| b as f32 / 255.0));
    assert_eq!((data.pictures().label(3), data.pictures().label(4)), (0, 1));
    let colour = load(&format!("{},channels=3", source(dir.path()))).unwrap();
    assert_eq!(picture(&colour, 5), picture(&data, 5).repeat(3));
}

#[test]
fn one_picture_of_colour_gives_all_three_channels() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), true);
    let data = load(&source(dir.path())).unwrap();
    assert_eq!(data.pictures().shape(), Shape::new(3, 2, 3));
    let planes = [[0, 1, 2, 16, 17, 18], [100; 6], [200; 6]];
    assert_eq!(picture(&data, 0), planes.concat().iter().map(|&b| b as f32 / 255.0).collect::<Vec<_>>());
    let grey = load(&format!("{},channels=1", source(dir.path()))).unwrap();
    assert_eq!(grey.pictures().shape().channels, 1);
}

#[test]
fn parts_of_a_folder_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("train"), false);
    let data = load(&source(dir.path())).unwrap();
    assert_eq!(sizes(&data), [4, 2, 2], "train alone is divided");
    fill(&dir.path().join("test"), false);
    fill(&dir.path().join("validation"), false);
    let data = load(&source(dir.path())).unwrap();
    assert_eq!(sizes(&data), [8, 8, 8]);
    assert_eq!(data.part(Part::Validation), (8..16).collect::<Vec<_>>());
    assert_eq!(data.pictures().classes(), ["cat", "dog"]);

    fill(&dir.path().join("val"), false);
    assert!(refused(&source(dir.path())).contains("both val and validation"));
    fs::remove_dir_all(dir.path().join("val")).unwrap();
    save(&dir.path().join("test/owl/1.png"), [2, 3], false, 0);
    let error = refused(&source(dir.path()));
    assert!(error.contains("owl") && error.contains("same subfolders"), "{error}");
}

/// Where they hold pictures, not folders, `train` and `test` are things that pictures show.
#[test]
fn train_may_be_a_class() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..4 {
        save(&dir.path().join(format!("train/{i}.png")), [2, 3], false, i);
        save(&dir.path().join(format!("test/{i}.png")), [2, 3], false, i);
    }
    assert_eq!(load(&source(dir.path())).unwrap().pictures().classes(), ["test", "train"]);
}

#[test]
fn pictures_are_cropped_at_the_centre_and_resized() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..4 {
        save(&dir.path().join(format!("a/{i}.png")), [2, 6], false, 0);
        save(&dir.path().join(format!("b/{i}.PNG")), [6, 2], false, 0);
        // One grey throughout stays so, whatever the format.
        let flat = image::GrayImage::from_pixel(9, 4, image::Luma([77]));
        flat.save(dir.path().join(format!("b/flat{i}.jpg"))).unwrap();
    }
    let error = refused(&source(dir.path()));
    assert!(error.contains("b/0.PNG: 6x2 pixels") && error.contains(",size=2x6"), "{error}");
    let data = load(&format!("{},size=2x2", source(dir.path()))).unwrap();
    assert_eq!(data.pictures().shape(), Shape::new(1, 2, 2));
    assert_eq!(picture(&data, 0), [2, 3, 18, 19].map(|b| b as f32 / 255.0));
    assert_eq!(picture(&data, 4), [32, 33, 48, 49].map(|b| b as f32 / 255.0));
    assert_eq!(picture(&data, 8), [77.0 / 255.0; 4]);
    // A long way from any picture's ratio.
    let data = load(&format!("{},size=1x50", source(dir.path()))).unwrap();
    assert_eq!(data.pictures().shape(), Shape::new(1, 1, 50));
}

#[test]
fn folders_that_cannot_be_used_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let (path, text) = (dir.path(), source(dir.path()));
    let expect = |says: &str| {
        let error = refused(&text);
        assert!(error.contains(says), "{error}");
    };
    assert!(refused("folder:/nowhere").contains("give a folder with a subfolder"));
    expect("no subfolders");
    save(&path.join("stray.png"), [2, 3], false, 0);
    expect("no subfolders");
    save(&path.join("cat/0.png"), [2, 3], false, 0);
    expect("a classifier needs two classes");
    fs::create_dir(path.join("dog")).unwrap();
    expect("it holds no PNG or JPEG file");
    save(&path.join("dog/0.png"), [2, 3], false, 0);
    expect("class cat needs at least 3 pictures");
    fill(path, false);
    assert!(load(&text).is_ok());
    save(&path.join("dog/9.png"), [3, 2], false, 0);
    expect("9.png: 3x2 pixels");
    fs::write(path.join("dog/9.png"), b"hello").unwrap();
    expect("9.png: it is no picture that can be read");
    let whole = fs::read(path.join("dog/1.png")).unwrap();
    fs::write(path.join("dog/9.png"), &whole[..whole.len() / 2 + 8]).unwrap();
    expect("9.png");
    fs::rename(path.join("dog/9.png"), path.join("dog/9.webp")).unwrap();
    expect("9.webp: PNG and JPEG are read");
}

/// Nobody writes to it: a reader would wait for ever.
#[cfg(unix)]
#[test]
fn a_pipe_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), false);
    let pipe = dir.path().join("cat/9.png");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    assert_eq!(load(&source(dir.path())).unwrap().pictures().len(), 8);
}
