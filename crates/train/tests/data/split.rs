//! Parts are disjoint, complete and stratified, and depend on the seed alone.

use crate::files::sizes;
use copriv_ir::Shape;
use copriv_train::data::{Data, Error, Part, Pictures, Pixels, Split};
use proptest::prelude::*;

/// Pictures of one pixel, labels as given.
fn pictures(classes: usize, labels: &[u16]) -> Result<Pictures, Error> {
    let names = (0..classes).map(|c| format!("class {c}")).collect();
    let pixels = Pixels::Bytes((0..labels.len()).map(|i| i as u8).collect());
    Pictures::new("here", Shape::new(1, 1, 1), names, pixels, labels.to_vec())
}

/// `counts[c]` pictures of each class c, mixed.
fn mixed(counts: &[usize]) -> Pictures {
    let longest = counts.iter().copied().max().unwrap();
    let labels = (0..longest).flat_map(|i| (0..counts.len()).filter(move |&c| i < counts[c]));
    pictures(counts.len(), &labels.map(|c| c as u16).collect::<Vec<_>>()).unwrap()
}

fn per_class(data: &Data, part: Part) -> Vec<usize> {
    let mut counts = vec![0; data.pictures().classes().len()];
    data.part(part).iter().for_each(|&i| counts[data.pictures().label(i)] += 1);
    counts
}

proptest! {
    #[test]
    fn parts_are_disjoint_complete_and_stratified(
        counts in prop::collection::vec(3usize..40, 2..6),
        validation in 0.01f64..0.6,
        test in prop_oneof![Just(0.0), 0.01f64..0.39],
        seed: u64,
    ) {
        let split = Split { validation, test, seed };
        let data = Data::new(mixed(&counts), &split).unwrap();
        let parts = [Part::Train, Part::Validation, Part::Test];
        let mut all: Vec<usize> = parts.iter().flat_map(|&part| data.part(part)).copied().collect();
        prop_assert!(parts.iter().all(|&part| data.part(part).is_sorted()));
        all.sort_unstable();
        prop_assert!(all.into_iter().eq(0..data.pictures().len()));
        for (part, share) in [(Part::Validation, validation), (Part::Test, test)] {
            for (&found, &count) in per_class(&data, part).iter().zip(&counts) {
                prop_assert_eq!(found == 0, share == 0.0);
                let want = share * count as f64;
                // Rounded, one at least, and one less where nothing else were left to train with.
                prop_assert!((found as f64 - want).abs() <= 1.5, "{found} for {want}");
            }
        }
        prop_assert!(per_class(&data, Part::Train).iter().all(|&n| n > 0));
        let again = Data::new(mixed(&counts), &split).unwrap();
        prop_assert_eq!(again.digest(), data.digest());
    }

    #[test]
    fn a_limit_keeps_proportions(counts in prop::collection::vec(3usize..60, 2..6), train in 2usize..300, seed: u64) {
        let split = Split { validation: 0.2, test: 0.0, seed };
        let data = Data::new(mixed(&counts), &split).unwrap();
        let before = per_class(&data, Part::Train);
        let total: usize = before.iter().sum();
        if train < counts.len() {
            prop_assert!(data.limit(train).unwrap_err().to_string().contains("one of each class"));
        } else {
            let limited = data.clone().limit(train).unwrap();
            let kept = per_class(&limited, Part::Train);
            prop_assert_eq!(kept.iter().sum::<usize>(), train.min(total));
            for (&kept, &before) in kept.iter().zip(&before) {
                let want = (before as f64 * train as f64 / total as f64).min(before as f64);
                prop_assert!(kept > 0 && kept <= before && (kept as f64 - want).abs() < 2.0, "{kept} for {want}");
            }
            prop_assert!(limited.part(Part::Train).iter().all(|i| data.part(Part::Train).contains(i)));
            prop_assert_eq!(limited.part(Part::Validation), data.part(Part::Validation));
            prop_assert_eq!(limited.digest() == data.digest(), train >= total);
        }
    }
}

#[test]
fn shares_out_of_range_are_refused() {
    let nan = f64::NAN;
    for (validation, test, says) in [
        (0.0, 0.1, "validation: 0 is no share"),
        (1.0, 0.0, "validation: 1 is no share"),
        (nan, 0.0, "validation: NaN is no share"),
        (0.1, -0.1, "test: -0.1 is no share"),
        (0.1, nan, "test: NaN is no share"),
        (0.5, 0.5, "leave nothing"),
    ] {
        let error = Data::new(mixed(&[9, 9]), &Split { validation, test, seed: 0 }).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_class_too_small_says_how_many_are_needed() {
    let split = |test| Split { validation: 0.1, test, seed: 0 };
    assert_eq!(sizes(&Data::new(mixed(&[3, 9]), &split(0.1)).unwrap()), [8, 2, 2]);
    assert_eq!(sizes(&Data::new(mixed(&[2, 9]), &split(0.0)).unwrap()), [9, 2, 0]);
    let error = Data::new(mixed(&[9, 2]), &split(0.1)).unwrap_err();
    assert!(matches!(error, Error::TooFew { found: 2, needed: 3, .. }));
    let error = error.to_string();
    assert!(error.contains("here: class class 1 needs at least 3 pictures to divide and has 2"), "{error}");
    assert!(Data::new(mixed(&[9, 1]), &split(0.0)).is_err());
}

#[test]
fn pictures_are_checked() {
    let names = |n: usize| (0..n).map(|c| c.to_string()).collect::<Vec<_>>();
    let new = |shape, classes, pixels: usize, labels: &[u16]| {
        Pictures::new("here", shape, names(classes), Pixels::Floats(vec![0.0; pixels]), labels.to_vec())
    };
    assert!(new(Shape::new(1, 2, 1), 2, 4, &[0, 1]).is_ok());
    for (made, says) in [
        (new(Shape::new(1, 2, 1), 2, 3, &[0, 1]), "3 floats are not 2 pictures of 1x2x1"),
        (new(Shape::new(1, 2, 1), 2, 4, &[0, 2]), "picture 1 has label 2, but there are 2 classes"),
        (new(Shape::new(1, 2, 1), 1, 4, &[0, 0]), "two classes"),
        (new(Shape::new(1, 2, 1), 2, 0, &[]), "no picture"),
        (new(Shape::new(1, 0, 1), 2, 0, &[0, 1]), "pictures of 1x0x1"),
        (new(Shape::new(usize::MAX, usize::MAX, 1), 2, 0, &[0, 1]), "pictures of"),
        (new(Shape::new(1, 2, 1), 70_000, 4, &[0, 1]), "at most 65536"),
    ] {
        let error = made.unwrap_err().to_string();
        assert!(error.starts_with("here: ") && error.contains(says), "{error}");
    }
    assert_eq!(
        format!("{:?}", pictures(2, &[0, 1, 1]).unwrap()),
        "Pictures(3 of 1x1x1 from here, 2 classes, 3 bytes)"
    );
}

/// Any change of what is learnt from changes the digest.
#[test]
fn the_digest_sees_every_change() {
    let make = |classes: usize, pixels: Vec<u8>, labels: &[u16], shape, seed| {
        let names = (0..classes).map(|c| c.to_string()).collect();
        let pictures = Pictures::new("here", shape, names, Pixels::Bytes(pixels), labels.to_vec()).unwrap();
        Data::new(pictures, &Split { validation: 0.3, test: 0.0, seed }).unwrap().digest()
    };
    let (tall, wide) = (Shape::new(1, 2, 1), Shape::new(1, 1, 2));
    let (pixels, labels) = ((0..16).collect::<Vec<u8>>(), [0, 0, 0, 0, 1, 1, 1, 1]);
    let first = make(2, pixels.clone(), &labels, tall, 0);
    assert_eq!(make(2, pixels.clone(), &labels, tall, 0), first);
    let mut other = pixels.clone();
    other[9] ^= 1;
    assert_ne!(make(2, other, &labels, tall, 0), first);
    assert_ne!(make(2, pixels.clone(), &[1, 0, 0, 0, 0, 1, 1, 1], tall, 0), first);
    assert_ne!(make(2, pixels.clone(), &labels, wide, 0), first);
    assert_ne!(make(2, pixels, &labels, tall, 1), first);
}
