//! Damaged and malicious files: an error or other pictures, never a panic or an allocation that a header asks for.

use crate::files::{SPLIT, eight, load, npy, record, write_cifar10, zip};
use copriv_train::data::Data;
use proptest::prelude::*;
use std::fs;

fn survive(bytes: &[u8]) -> bool {
    match Data::from_npz(bytes, &SPLIT) {
        Ok(data) => data.pictures().len() > 1,
        Err(error) => {
            assert!(error.to_string().len() < 4096);
            false
        }
    }
}

/// A header that asks for more than the file can hold is refused before anything is read.
#[test]
fn headers_decide_no_allocation() {
    let [_, y] = eight();
    for shape in [
        "(8, 1000000, 1000000)",
        "(8, 60000, 60000)",
        "(18446744073709551615, 2, 2)",
        "(99999999999999999999, 2, 2)",
        "(4294967296, 4294967296, 4294967296)",
        "(1, 1, 1, 1, 1, 1, 1, 1, 1)",
    ] {
        for descr in ["|u1", "<f8"] {
            assert!(!survive(&zip(&[("x.npy", npy(descr, shape, &[0; 32])), y.clone()], true)));
        }
    }
    let mut long = npy("|u1", "(8, 2, 2)", &[0; 32]);
    (long[6], long[10], long[11]) = (2, 255, 255);
    assert!(!survive(&zip(&[("x.npy", long), y], false)));
}

/// 80 MB of zeros deflate to 80 kB; no pictures do.
#[test]
fn bombs_are_refused() {
    let [_, y] = eight();
    let bomb = zip(&[("x.npy", npy("|u1", "(8, 1000, 10000)", &vec![0; 80_000_000])), y], true);
    assert!(bomb.len() < 100_000);
    let error = Data::from_npz(&bomb, &SPLIT).unwrap_err().to_string();
    assert!(error.contains("more than a file of this size should hold"), "{error}");
}

#[test]
fn archives_cut_short_and_bits_flipped() {
    for deflate in [false, true] {
        let whole = zip(&eight(), deflate);
        assert!(survive(&whole));
        assert!(
            (0..whole.len()).all(|len| !survive(&whole[..len])),
            "an archive has its directory at the end"
        );
        for bit in 0..8 * whole.len() {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            survive(&damaged);
        }
    }
    // The checksum sees what the format does not.
    let mut damaged = zip(&eight(), false);
    let pixel = damaged.windows(4).position(|w| w == [30, 31, 32, 33]).unwrap();
    damaged[pixel] ^= 1;
    assert!(!survive(&damaged));
}

proptest! {
    #[test]
    fn any_bytes_as_an_array(
        x in prop::collection::vec(any::<u8>(), 0..200),
        dims in prop::collection::vec(any::<u64>().prop_map(|d| d >> (d % 64)), 0..5),
        descr in "[|<>][uif][1248]",
    ) {
        let shape = format!("({})", dims.iter().map(|d| format!("{d},")).collect::<String>());
        let [(_, good_x), (_, good_y)] = eight();
        let wrapped = npy(&descr, &shape, &x);
        survive(&zip(&[("x.npy", wrapped.clone()), ("y.npy", good_y)], true));
        survive(&zip(&[("x.npy", good_x), ("y.npy", wrapped)], true));
        survive(&x);
    }

    #[test]
    fn many_bytes_of_an_archive_at_random(damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..12)) {
        let mut file = zip(&eight(), true);
        for (at, byte) in damage {
            let at = at % file.len();
            file[at] = byte;
        }
        survive(&file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_bytes_as_cifar(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..3073, label: u8) {
        let dir = tempfile::tempdir().unwrap();
        write_cifar10(dir.path());
        let source = format!("cifar10:{}", dir.path().display());
        for file in ["data_batch_1.bin", "batches.meta.txt"] {
            write_cifar10(dir.path());
            fs::write(dir.path().join(file), &bytes).unwrap();
            prop_assert!(load(&source).is_err());
        }
        write_cifar10(dir.path());
        fs::write(dir.path().join("test_batch.bin"), &record(&[label], 0)[..cut]).unwrap();
        prop_assert!(load(&source).is_err());
        fs::write(dir.path().join("test_batch.bin"), record(&[label], 0)).unwrap();
        prop_assert_eq!(load(&source).is_ok(), label < 10);
    }

    #[test]
    fn any_bytes_as_pictures(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 8usize..60) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/0.png");
        crate::files::save(&path, [2, 3], false, 0);
        crate::files::save(&dir.path().join("b/0.png"), [2, 3], false, 0);
        let mut damaged = fs::read(&path).unwrap();
        let end = damaged.len().min(at + bytes.len());
        damaged[at..end].copy_from_slice(&bytes[..end - at]);
        for bytes in [bytes, damaged] {
            fs::write(&path, bytes).unwrap();
            // Each class has one picture, so that this is an error in any case.
            for options in ["", ",size=4x4"] {
                let source = format!("folder:{}{options}", dir.path().display());
                prop_assert!(load(&source).is_err());
            }
        }
    }
}
