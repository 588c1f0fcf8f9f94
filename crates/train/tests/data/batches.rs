//! Batches: permutations that depend on seed and epoch alone, whatever was skipped and however many threads there are.

use crate::files::{SPLIT, load, picture};
use copriv_ir::Shape;
use copriv_train::augment::Augment;
use copriv_train::data::{Batch, Data, Draw, Epoch, Part, Pictures, Pixels, Split, batches, in_order};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const ALL: Augment = Augment { crop: 3, flip: true, erase: 0.5 };

fn epoch(number: u64, batch: usize, augment: Augment) -> Epoch {
    Epoch { seed: 3, number, batch, drop_last: false, augment }
}

/// Pictures of 1x2x2 whose pixels are all the number of the picture, two classes by turns.
fn numbered(len: usize) -> Data {
    let pixels = Pixels::Floats((0..len).flat_map(|i| [i as f32; 4]).collect());
    let labels = (0..len).map(|i| i as u16 % 2).collect();
    let names = vec!["even".to_owned(), "odd".to_owned()];
    let pictures = Pictures::new("here", Shape::new(1, 2, 2), names, pixels, labels).unwrap();
    Data::new(pictures, &Split { validation: 0.2, test: 0.0, seed: 1 }).unwrap()
}

fn shown(batches: impl Iterator<Item = Batch>) -> Vec<usize> {
    let mut shown = Vec::new();
    for batch in batches {
        assert_eq!(batch.pixels.len(), 4 * batch.labels.len());
        for (picture, label) in batch.pixels.chunks(4).zip(batch.labels) {
            assert!(picture.iter().all(|&p| p == picture[0]));
            assert_eq!(label, picture[0] as usize % 2);
            shown.push(picture[0] as usize);
        }
    }
    shown
}

proptest! {
    #[test]
    fn an_epoch_is_a_permutation(len in 4usize..80, batch in 1usize..90, seed: u64, number: u64) {
        let data = numbered(len);
        let train = data.part(Part::Train);
        let mut epoch = Epoch { seed, number, batch, drop_last: false, augment: Augment::NONE };
        let all = batches(&data, &epoch);
        prop_assert_eq!(all.len(), train.len().div_ceil(batch));
        let order = shown(all);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(&sorted, train);

        epoch.drop_last = true;
        let whole = batches(&data, &epoch);
        prop_assert_eq!(whole.len(), train.len() / batch);
        prop_assert!(whole.clone().all(|b| b.labels.len() == batch));
        prop_assert_eq!(shown(whole), &order[..train.len() / batch * batch]);

        prop_assert_eq!(shown(in_order(&data, Part::Train, batch)), train);
        prop_assert_eq!(shown(in_order(&data, Part::Validation, batch)), data.part(Part::Validation));
        prop_assert_eq!(in_order(&data, Part::Test, batch).count(), 0);
    }

    #[test]
    fn skipping_changes_nothing(len in 4usize..60, batch in 1usize..9, skip in 0usize..70, drop_last: bool) {
        let data = numbered(len);
        let epoch = Epoch { seed: 9, number: 2, batch, drop_last, augment: ALL };
        let all: Vec<Batch> = batches(&data, &epoch).collect();
        let rest: Vec<Batch> = batches(&data, &epoch).skip(skip).collect();
        prop_assert_eq!(&rest[..], &all[skip.min(all.len())..]);
        let mut iterator = batches(&data, &epoch);
        prop_assert_eq!(iterator.nth(skip), all.get(skip).cloned());
        prop_assert_eq!(iterator.len(), all.len().saturating_sub(skip + 1));
    }
}

#[test]
fn epochs_and_seeds_differ() {
    let data = numbered(100);
    let order = |seed, number| shown(batches(&data, &Epoch { seed, ..epoch(number, 8, Augment::NONE) }));
    assert_eq!(order(3, 1), order(3, 1));
    assert_ne!(order(3, 1), order(3, 2));
    assert_ne!(order(3, 1), order(4, 1));
}

#[test]
fn threads_change_nothing() {
    let data = load("digits").unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| batches(&data, &epoch(1, 50, ALL)).take(4).collect::<Vec<_>>())
    };
    let one = run(1);
    assert_eq!(run(2), one);
    assert_eq!(run(5), one);
}

/// What a picture becomes depends on epoch and picture, not on the batch that it is in.
#[test]
fn a_picture_varies_by_epoch_alone() {
    let data = load("digits").unwrap();
    let all = |batch, number| {
        let all = batches(&data, &epoch(number, batch, ALL));
        all.flat_map(|b| b.pixels).collect::<Vec<f32>>()
    };
    assert_eq!(all(50, 1), all(7, 1));
    assert_ne!(all(50, 1), all(50, 2));
}

/// A resumed run, on another machine or with a later version, sees what the first one saw. The digits are in the
/// repository; a change of these digests breaks every run that is under way.
#[test]
fn draws_are_the_same_for_ever() {
    let hex = |bytes: &[u8]| bytes[..8].iter().map(|b| format!("{b:02x}")).collect::<String>();
    let data = load("digits").unwrap();
    let mut hash = Sha256::new();
    for batch in batches(&data, &epoch(1, 50, ALL)).take(3) {
        batch.labels.iter().for_each(|&label| hash.update([label as u8]));
        batch.pixels.iter().for_each(|pixel| hash.update(pixel.to_le_bytes()));
    }
    let mut draw = Draw::new(1, &[2, 3]);
    let draws = [draw.below(1000), draw.below(1000), (draw.unit() * 1000.0) as usize];
    let digests = (hex(&data.digest()), hex(&hash.finalize()));
    assert_eq!((digests.0.as_str(), digests.1.as_str()), ("ff2bd7b1f2b40ae7", "f8fc47ee335d19c3"));
    assert_eq!(draws, [40, 569, 542]);
    assert_eq!(hex(&load("digits").unwrap().limit(100).unwrap().digest()), "7bd3187866ee6831");
    assert_eq!(SPLIT.seed, 7);
}

#[test]
fn variations_are_as_probable_as_asked_for() {
    let shape = Shape::new(1, 8, 8);
    let whole = vec![1.0f32; 64];
    let count = |augment: Augment, is: &dyn Fn(&[f32]) -> bool| {
        let (mut scratch, mut picture) = (Vec::new(), whole.clone());
        (0..2000u64)
            .filter(|&i| {
                picture.copy_from_slice(&whole);
                picture[0] = 2.0;
                augment.apply(&mut picture, shape, &mut scratch, &mut Draw::new(1, &[i]));
                is(&picture)
            })
            .count()
    };
    let none = Augment::NONE;
    assert_eq!(count(none, &|p| p[0] == 2.0), 2000);
    let flipped = count(Augment { flip: true, ..none }, &|p| p[7] == 2.0);
    assert!((900..1100).contains(&flipped), "{flipped}");
    let erased = count(Augment { erase: 0.25, ..none }, &|p| p.contains(&0.0));
    assert!((420..580).contains(&erased), "{erased}");
    let still = count(Augment { crop: 1, ..none }, &|p| p[0] == 2.0);
    assert!((170..280).contains(&still), "{still} of 2000 · 1/9");
    // Beyond sight in all directions: nothing overflows.
    assert!(count(Augment { crop: usize::MAX, ..none }, &|p| p.iter().all(|&v| v == 0.0)) > 0);
    assert_eq!(count(Augment { erase: f64::NAN, ..none }, &|p| p.contains(&0.0)), 0);
}

#[test]
fn augmentation_is_checked_and_kept() {
    let shape = Shape::new(3, 8, 6);
    assert!(Augment { crop: 5, flip: true, erase: 1.0 }.check(shape).is_ok());
    for (augment, says) in [
        (Augment { crop: 6, ..Augment::NONE }, "crop: 6 pixels"),
        (Augment { erase: 1.5, ..Augment::NONE }, "erase: 1.5 is no probability"),
        (Augment { erase: f64::NAN, ..Augment::NONE }, "erase: NaN"),
    ] {
        let error = augment.check(shape).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let json = serde_json::to_string(&ALL).unwrap();
    assert_eq!(json, r#"{"crop":3,"flip":true,"erase":0.5}"#);
    assert_eq!(serde_json::from_str::<Augment>(&json).unwrap(), ALL);
}

#[test]
fn draws_are_uniform() {
    let mut draw = Draw::new(11, &[0]);
    for n in [1usize, 2, 3, 7, 10, 1 << 20] {
        assert!((0..200).all(|_| draw.below(n) < n));
    }
    let mut counts = [0; 6];
    (0..60_000).for_each(|_| counts[draw.below(6)] += 1);
    assert!(counts.iter().all(|c| (9_600..10_400).contains(c)), "{counts:?}");
    // Here a plain remainder, or a product without rejection, would give one third twice the others.
    let n = 3usize << 62;
    let mut thirds = [0; 3];
    (0..6_000).for_each(|_| thirds[draw.below(n) >> 62] += 1);
    assert!(thirds.iter().all(|c| (1_850..2_150).contains(c)), "{thirds:?}");
    let mean = (0..60_000).map(|_| draw.unit()).sum::<f64>() / 60_000.0;
    assert!((mean - 0.5).abs() < 0.005, "{mean}");
    let mut items: Vec<usize> = (0..50).collect();
    draw.shuffle(&mut items);
    assert_ne!(items[..5], [0, 1, 2, 3, 4]);
    items.sort_unstable();
    assert!(items.into_iter().eq(0..50));
}

#[test]
fn pixels_come_as_they_are() {
    let data = load("digits").unwrap();
    let batch = in_order(&data, Part::Test, 8).nth(1).unwrap();
    let wanted: Vec<f32> = data.part(Part::Test)[8..16].iter().flat_map(|&i| picture(&data, i)).collect();
    assert_eq!(batch.pixels, wanted);
}
