//! The store against a map in memory.

#![expect(clippy::unwrap_used, reason = "tests and their helpers stop at the first surprise")]

use copriv_store::{EntryId, Error, MAX_LABEL, Store, Summary, Taken, Writer};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

const LABELS: [&[u8]; 3] = [b"", b"a label", &[0xff; MAX_LABEL]];
type Parts = BTreeMap<u32, Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Write { id: u8, label: usize },
    Put { writer: usize, part: u32, length: usize },
    Commit { writer: usize },
    Abandon { writer: usize },
    Take { id: u8, label: usize },
    Read { taken: usize },
    Finish { taken: usize },
    Discard { id: u8 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let (id, label, at) = (0..5_u8, 0..LABELS.len(), 0..4_usize);
    // Around the length of a chunk, and small.
    let length =
        prop_oneof![8 => 0..200_usize, 1 => (1 << 20) - 65..(1 << 20) - 62_usize, 1 => Just(2_100_000)];
    let part = prop_oneof![0..3_u32, Just(u32::MAX)];
    prop_oneof![
        4 => (id.clone(), label.clone()).prop_map(|(id, label)| Step::Write { id, label }),
        6 => (at.clone(), part, length).prop_map(|(writer, part, length)| Step::Put { writer, part, length }),
        4 => at.clone().prop_map(|writer| Step::Commit { writer }),
        1 => at.clone().prop_map(|writer| Step::Abandon { writer }),
        4 => (id.clone(), label).prop_map(|(id, label)| Step::Take { id, label }),
        3 => at.clone().prop_map(|taken| Step::Read { taken }),
        1 => at.prop_map(|taken| Step::Finish { taken }),
        1 => id.prop_map(|id| Step::Discard { id }),
        1 => Just(Step::Reopen),
    ]
}

fn check(taken: &Taken, parts: &Parts) {
    for (&part, bytes) in parts {
        assert!(**taken.part(part).unwrap() == *bytes, "part {part} of {} bytes", bytes.len());
    }
    assert!(matches!(taken.part(7), Err(Error::Part { part: 7, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_map_that_forgets_what_was_taken(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut store = Store::open(&path).unwrap();
        let mut writers: Vec<(Writer, usize, Parts, usize)> = Vec::new();
        let mut takens: Vec<(Taken, Parts)> = Vec::new();
        // By identifier: the writer's number, label, parts.
        let mut ready: BTreeMap<EntryId, (usize, usize, Parts)> = BTreeMap::new();
        let mut begun = 0;
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Write { id, label } => {
                    let id = EntryId([id; 16]);
                    match store.writer(id, LABELS[label]) {
                        Ok(writer) => {
                            prop_assert!(!ready.contains_key(&id));
                            writers.push((writer, label, Parts::new(), begun));
                            begun += 1;
                        }
                        Err(Error::Exists { .. }) => prop_assert!(ready.contains_key(&id)),
                        Err(e) => return Err(TestCaseError::fail(e.to_string())),
                    }
                }
                Step::Put { writer, part, length } => {
                    if let Some((writer, _, parts, _)) = writers.get_mut(writer) {
                        let bytes: Vec<u8> = (0..length).map(|i| (i * 31 + at) as u8).collect();
                        writer.put(part, &bytes).unwrap();
                        parts.entry(part).or_default().extend(bytes);
                    }
                }
                Step::Commit { writer } if writer < writers.len() => {
                    let (writer, label, parts, number) = writers.remove(writer);
                    let id = writer.id();
                    match writer.commit() {
                        Ok(()) => prop_assert!(ready.insert(id, (number, label, parts)).is_none()),
                        Err(Error::Exists { .. }) => prop_assert!(ready.contains_key(&id)),
                        Err(e) => return Err(TestCaseError::fail(e.to_string())),
                    }
                }
                Step::Abandon { writer } if writer < writers.len() => drop(writers.remove(writer)),
                Step::Take { id, label } => {
                    let id = EntryId([id; 16]);
                    match store.take(id, LABELS[label]) {
                        Ok(taken) => {
                            let (_, of, parts) = ready.remove(&id).unwrap();
                            prop_assert_eq!(of, label);
                            check(&taken, &parts);
                            takens.push((taken, parts));
                        }
                        Err(Error::Missing { .. }) => prop_assert!(!ready.contains_key(&id)),
                        Err(Error::Mismatch { .. }) => prop_assert_ne!(ready[&id].1, label),
                        Err(e) => return Err(TestCaseError::fail(e.to_string())),
                    }
                }
                Step::Read { taken } => {
                    if let Some((taken, parts)) = takens.get(taken) {
                        check(taken, parts);
                    }
                }
                Step::Finish { taken } if taken < takens.len() => takens.remove(taken).0.finish().unwrap(),
                Step::Discard { id } => {
                    let id = EntryId([id; 16]);
                    prop_assert_eq!(store.discard(id).unwrap(), ready.remove(&id).is_some());
                }
                Step::Reopen => {
                    writers.clear();
                    takens.clear();
                    drop(store);
                    store = Store::open(&path).unwrap();
                }
                _ => {}
            }
            let mut summary = Vec::new();
            for (i, &label) in LABELS.iter().enumerate() {
                let mut of: Vec<_> = ready.iter().filter(|(_, e)| e.1 == i).map(|(id, e)| (e.0, id, &e.2)).collect();
                of.sort_unstable();
                let ids: Vec<EntryId> = of.iter().map(|e| *e.1).collect();
                prop_assert_eq!(store.entries(label).unwrap(), ids);
                if !of.is_empty() {
                    let bytes = of.iter().flat_map(|e| e.2.values()).map(|part| part.len() as u64).sum();
                    summary.push(Summary { label: label.to_owned(), entries: of.len() as u64, bytes });
                }
            }
            prop_assert_eq!(store.summary().unwrap(), summary);
        }
    }
}

#[test]
fn of_many_threads_one_gets_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let barrier = Barrier::new(4);
    for round in 0..20 {
        let id = EntryId([round; 16]);
        store.writer(id, b"race").unwrap().commit().unwrap();
        let got = thread::scope(|scope| {
            let race = || {
                barrier.wait();
                usize::from(store.take(id, b"race").is_ok())
            };
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum::<usize>()
        });
        assert_eq!(got, 1);
    }
}

#[test]
fn threads_write_and_take_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    thread::scope(|scope| {
        for t in 0..4_u8 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..10_u8 {
                    let id = EntryId([t << 4 | n; 16]);
                    let mut writer = store.writer(id, b"l").unwrap();
                    let bytes = vec![t; 1000 * usize::from(n)];
                    writer.put(0, &bytes).unwrap();
                    writer.put(0, &bytes).unwrap();
                    writer.commit().unwrap();
                    assert_eq!(
                        **store.take(id, b"l").unwrap().part(0).unwrap(),
                        [&bytes[..], &bytes].concat()
                    );
                }
            });
        }
    });
    assert!(store.entries(b"l").unwrap().is_empty());
}

#[test]
fn of_two_writers_of_one_entry_the_first_to_commit_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let id = EntryId([3; 16]);
    let (mut a, mut b) = (store.writer(id, b"l").unwrap(), store.writer(id, b"l").unwrap());
    a.put(0, b"first begun").unwrap();
    b.put(0, b"first committed").unwrap();
    b.commit().unwrap();
    assert!(matches!(a.commit(), Err(Error::Exists { .. })));
    assert_eq!(**store.take(id, b"l").unwrap().part(0).unwrap(), *b"first committed");
}

#[test]
fn the_file_does_not_grow_with_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap();
    let mut sizes = Vec::new();
    for n in 0..12 {
        let id = EntryId([n; 16]);
        let mut writer = store.writer(id, b"l").unwrap();
        writer.put(0, &vec![n; 4_000_000]).unwrap();
        writer.commit().unwrap();
        store.take(id, b"l").unwrap().finish().unwrap();
        sizes.push(std::fs::metadata(&path).unwrap().len());
    }
    assert!(sizes.iter().all(|&size| size < 13_000_000), "{sizes:?}");
}

#[test]
fn a_label_is_at_most_a_kibibyte() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let error = store.writer(EntryId([0; 16]), &[0; MAX_LABEL + 1]).unwrap_err();
    assert!(matches!(error, Error::Label(1025)));
}
