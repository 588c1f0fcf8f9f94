//! The texts that name sources, the shipped digits, and CIFAR.

use crate::files::{load, picture, record, refused, sizes, write_cifar10, write_cifar100};
use copriv_ir::Shape;
use copriv_train::data::{Part, Source};
use proptest::prelude::*;
use std::fs;

#[test]
fn texts_are_read_and_written() {
    let folder = |dir: &str, size, channels| Source::Folder { dir: dir.into(), size, channels };
    for (text, source) in [
        ("digits", Source::Digits),
        ("cifar10:/d", Source::Cifar10("/d".into())),
        ("cifar100:a:b", Source::Cifar100("a:b".into())),
        ("npz:x,y.npz", Source::Npz("x,y.npz".into())),
        ("folder:a,b", folder("a,b", None, None)),
        ("folder:a,size=32x48", folder("a", Some([32, 48]), None)),
        ("folder:a,b,size=3x4,channels=1", folder("a,b", Some([3, 4]), Some(1))),
    ] {
        assert_eq!(text.parse::<Source>().unwrap(), source);
        assert_eq!(source.to_string(), text);
        let json = serde_json::to_string(&source).unwrap();
        assert_eq!(json, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Source>(&json).unwrap(), source);
    }
    assert_eq!("folder:a,channels=3,size=1x2".parse::<Source>().unwrap(), folder("a", Some([1, 2]), Some(3)));
}

#[test]
fn texts_that_name_nothing_say_what_would() {
    for (text, says) in [
        ("", "give digits"),
        ("mnist", "give digits"),
        ("digits:x", "give digits"),
        ("tar:x", "npz:FILE"),
        ("npz:", "a path must follow"),
        ("folder:,size=2x2", "a path must follow"),
        ("folder:a,size=32", "size=32x32"),
        ("folder:a,size=0x4", "size=32x32"),
        ("folder:a,channels=2", "channels=1"),
        ("folder:a,size=2x2,size=2x2", "twice"),
        ("folder:a,channels=1,channels=3", "twice"),
    ] {
        let error = text.parse::<Source>().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same(text in "(digits|npz:|cifar10:|cifar100:|folder:)[ax,=]{0,4}(,size=[0-9x]{1,4})?") {
        if let Ok(source) = text.parse::<Source>() {
            prop_assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
        }
    }
}

#[test]
fn digits_are_there() {
    let data = load("digits").unwrap();
    assert_eq!(data.pictures().shape(), Shape::new(1, 28, 28));
    assert_eq!(data.pictures().classes().len(), 10);
    assert_eq!(sizes(&data).iter().sum::<usize>(), 1000);
    let (pictures, labels) = copriv_import::zoo::digits_heldout().unwrap();
    assert_eq!((picture(&data, 17), data.pictures().label(17)), (pictures[17].clone(), labels[17]));
    assert!(format!("{data:?}").len() < 200);
}

#[test]
fn cifar10_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("cifar-10-batches-bin");
    write_cifar10(&inner);
    let data = load(&format!("cifar10:{}", inner.display())).unwrap();
    assert_eq!(data.pictures().shape(), Shape::new(3, 32, 32));
    assert_eq!(data.pictures().classes()[2], "c");
    assert_eq!((data.pictures().len(), sizes(&data)), (110, [70, 30, 10]));
    assert_eq!(data.part(Part::Test), (100..110).collect::<Vec<_>>());
    let want: Vec<f32> = record(&[], 57).iter().map(|&byte| f32::from(byte) / 255.0).collect();
    assert_eq!((picture(&data, 57), data.pictures().label(57)), (want, 7));
    // The folder above does as well.
    assert_eq!(load(&format!("cifar10:{}", dir.path().display())).unwrap().digest(), data.digest());
}

#[test]
fn cifar100_is_read_with_fine_labels() {
    let dir = tempfile::tempdir().unwrap();
    write_cifar100(&dir.path().join("cifar-100-binary"));
    let data = load(&format!("cifar100:{}", dir.path().display())).unwrap();
    assert_eq!(sizes(&data), [300, 100, 100]);
    assert_eq!((data.pictures().label(142), data.pictures().classes()[42].as_str()), (42, "thing 42"));
    assert_eq!(picture(&data, 3)[1024], 121.0 / 255.0);
}

#[test]
fn damaged_cifar_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let source = format!("cifar10:{}", dir.path().display());
    let error = refused(&source);
    assert!(error.contains("batches.meta.txt") && error.contains("cifar-10-binary.tar.gz"), "{error}");
    assert!(refused("cifar100:/nowhere").contains("cifar-100-binary.tar.gz"));

    for (file, bytes, says) in [
        ("data_batch_3.bin", record(&[3], 0)[1..].to_vec(), "whole records of 3073"),
        ("data_batch_3.bin", vec![], "whole records"),
        ("data_batch_4.bin", [record(&[3], 0), record(&[10], 0)].concat(), "picture 1 has label 10"),
        ("batches.meta.txt", b"a\nb\n".to_vec(), "2 names of classes instead of 10"),
    ] {
        write_cifar10(dir.path());
        fs::write(dir.path().join(file), bytes).unwrap();
        let error = refused(&source);
        assert!(error.contains(file) && error.contains(says), "{error}");
    }
    write_cifar10(dir.path());
    fs::remove_file(dir.path().join("data_batch_5.bin")).unwrap();
    assert!(refused(&source).contains("data_batch_5.bin"));
    // A class without a picture to train with.
    for n in 1..=5 {
        fs::write(dir.path().join(format!("data_batch_{n}.bin")), record(&[n], 0)).unwrap();
    }
    let error = refused(&source);
    assert!(error.contains("class a needs at least 2") && error.contains("has 0"), "{error}");
}
