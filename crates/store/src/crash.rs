//! A disk in memory. Power failures at every point of a script: what was synced stays, of what was written since any
//! part may. And bits that flip.

use crate::store::initialise;
use crate::{EntryId, Error, Store};
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What a disk writes as a whole.
const SECTOR: usize = 512;
const LABEL: &[u8] = b"label";

#[derive(Clone, Debug)]
enum Operation {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
}

/// A disk that remembers how it came to be what it is.
#[derive(Clone, Default, Debug)]
struct Disk(Arc<Mutex<State>>);

#[derive(Clone, Default, Debug)]
struct State {
    first: Vec<u8>,
    now: Vec<u8>,
    log: Vec<Operation>,
}

impl Disk {
    fn new(first: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { now: first.clone(), first, log: Vec::new() })))
    }

    fn operations(&self) -> usize {
        self.0.lock().unwrap().log.len()
    }

    fn store(&self) -> Store {
        Store::on(Path::new("disk"), self.clone()).expect("the store opens")
    }

    /// What is there if the power fails after `count` operations.
    fn crashed(&self, count: usize, draw: &mut Draw) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        let log = &state.log[..count];
        let synced = log.iter().rposition(|o| matches!(o, Operation::Sync)).map_or(0, |at| at + 1);
        let mut bytes = state.first.clone();
        for operation in &log[..synced] {
            apply(&mut bytes, operation);
        }
        let mood = draw.below(4);
        for operation in &log[synced..] {
            match operation {
                // Nothing, all, whole writes, sectors.
                _ if mood == 0 => {}
                _ if mood == 1 => apply(&mut bytes, operation),
                Operation::Write(at, data) if mood == 2 => {
                    for (i, sector) in data.chunks(SECTOR).enumerate() {
                        if draw.below(2) == 0 {
                            let at = at + (i * SECTOR) as u64;
                            apply(&mut bytes, &Operation::Write(at, sector.to_owned()));
                        }
                    }
                }
                _ if draw.below(2) == 0 => apply(&mut bytes, operation),
                _ => {}
            }
        }
        bytes
    }
}

fn apply(bytes: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Write(at, data) => {
            let at = *at as usize;
            let end = bytes.len().max(at + data.len());
            bytes.resize(end, 0);
            bytes[at..at + data.len()].copy_from_slice(data);
        }
        Operation::Resize(length) => bytes.resize(*length as usize, 0),
        Operation::Sync => {}
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.0.lock().unwrap();
        let bytes = state.now.get(offset as usize..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.lock().unwrap().record(Operation::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.lock().unwrap().record(Operation::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.lock().unwrap().record(Operation::Write(offset, data.to_owned()));
        Ok(())
    }
}

impl State {
    fn record(&mut self, operation: Operation) {
        apply(&mut self.now, &operation);
        self.log.push(operation);
    }
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// When something was begun and when it was done, in operations of the disk.
#[derive(Clone, Copy, Debug)]
struct Span(usize, usize);

#[derive(Default)]
struct History {
    commits: BTreeMap<EntryId, Span>,
    /// Taken or discarded.
    gone: BTreeMap<EntryId, Span>,
}

fn id(n: u8) -> EntryId {
    EntryId([n; 16])
}

/// Some parts end within a chunk, some at its end; the last one is empty.
fn parts(n: u8) -> [Vec<u8>; 4] {
    [10, 1500, 4000 + usize::from(n), 0]
        .map(|length| (0..length).map(|i| (i as u8).wrapping_mul(n)).collect())
}

fn fill(store: &Store, n: u8) -> crate::Writer {
    let mut writer = store.writer(id(n), LABEL).unwrap();
    for (part, bytes) in parts(n).iter().enumerate() {
        writer.put(part as u32, bytes).unwrap();
    }
    writer
}

fn script(disk: &Disk) -> History {
    let mut history = History::default();
    let timed = |act: &mut dyn FnMut()| {
        let start = disk.operations();
        act();
        Span(start, disk.operations())
    };
    let mut store = Some(disk.store());
    for n in 1..=6 {
        let s = store.as_ref().unwrap();
        let mut writer = Some(fill(s, n));
        let span = timed(&mut || writer.take().unwrap().commit().unwrap());
        history.commits.insert(id(n), span);
        let abandoned = fill(s, 100 + n);
        let victim = id(n / 2 + 1);
        match n {
            2 => {
                history.gone.insert(victim, timed(&mut || assert!(s.discard(victim).unwrap())));
            }
            3 | 4 | 6 if !history.gone.contains_key(&victim) => {
                let mut taken = None;
                history.gone.insert(victim, timed(&mut || taken = Some(s.take(victim, LABEL).unwrap())));
                assert_eq!(**taken.as_ref().unwrap().part(2).unwrap(), parts(victim.0[0])[2]);
                taken.unwrap().finish().unwrap();
            }
            _ => {}
        }
        drop(abandoned);
        if n == 4 {
            drop(store.take());
            store = Some(disk.store());
        }
    }
    history
}

/// That `store` is what the history allows after `count` operations, and goes on working.
fn check(store: &Store, history: &History, count: usize) {
    let ready = store.entries(LABEL).unwrap();
    assert!(store.leftovers().unwrap().is_empty());
    assert_eq!(store.summary().unwrap().iter().map(|s| s.entries).sum::<u64>(), ready.len() as u64);
    for (entry, commit) in &history.commits {
        let gone = history.gone.get(entry);
        let there = ready.contains(entry);
        assert!(!there || commit.0 <= count, "{entry} is ready before its time");
        assert!(!there || gone.is_none_or(|g| g.1 > count), "{entry} came back after {count}");
        let lost = !there && commit.1 <= count && gone.is_none_or(|g| g.0 > count);
        assert!(!lost, "{entry} is lost after {count}");
    }
    for entry in ready {
        assert!(history.commits.contains_key(&entry), "{entry} was never committed");
        let taken = store.take(entry, LABEL).unwrap();
        for (part, bytes) in parts(entry.0[0]).iter().enumerate() {
            assert_eq!(**taken.part(part as u32).unwrap(), *bytes);
        }
        assert!(matches!(store.take(entry, LABEL), Err(Error::Missing { .. })));
    }
    fill(store, 200).commit().unwrap();
    assert_eq!(store.entries(LABEL).unwrap(), [id(200)]);
}

#[test]
fn every_crash_leaves_a_sound_store() {
    let disk = Disk::default();
    initialise(Path::new("disk"), disk.clone()).unwrap();
    let disk = Disk::new(disk.0.lock().unwrap().now.clone());
    let history = script(&disk);
    let operations = disk.operations();
    assert!(operations > 100 && history.gone.len() >= 3, "{operations}");
    for count in 0..=operations {
        for seed in 0..4 {
            let mut draw = Draw((count as u64) << 8 | seed);
            let again = Disk::new(disk.crashed(count, &mut draw));
            let store = again.store();
            if seed % 2 == 0 {
                check(&store, &history, count);
                continue;
            }
            // The power fails again while the store is being opened.
            let recovery = draw.below(again.operations() as u64 + 1) as usize;
            drop(store);
            check(&Disk::new(again.crashed(recovery, &mut draw)).store(), &history, count);
        }
    }
}

#[test]
fn a_flipped_bit_is_seen_or_means_nothing() {
    let disk = Disk::default();
    initialise(Path::new("disk"), disk.clone()).unwrap();
    script(&disk);
    let store = disk.store();
    let ready = store.entries(LABEL).unwrap();
    let taken = store.take(ready[0], LABEL).unwrap();
    // The process is killed as soon as it has its entry, or goes on to the end.
    let killed = disk.0.lock().unwrap().now.clone();
    drop(taken);
    drop(store);
    let closed = disk.0.lock().unwrap().now.clone();
    for bytes in [killed, closed] {
        let used: Vec<usize> = (320..bytes.len()).filter(|&at| bytes[at] != 0).collect();
        let header = (0..320).flat_map(|at| (0..8).map(move |bit| (at, bit)));
        let pages = used.iter().step_by(used.len() / 500).map(|&at| (at, at % 8));
        let mut refused = 0;
        for (at, bit) in header.chain(pages) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            match Store::on(Path::new("disk"), Disk::new(damaged)) {
                Ok(store) => {
                    let found = store.entries(LABEL).unwrap();
                    // The bit that says which of the two last states holds, which nothing checks.
                    if (at, bit) == (9, 0) && found == ready {
                        continue;
                    }
                    assert_eq!(found, ready[1..], "bit {bit} of {at}");
                    for &entry in &ready[1..] {
                        let taken = store.take(entry, LABEL).unwrap();
                        assert_eq!(**taken.part(2).unwrap(), parts(entry.0[0])[2]);
                    }
                }
                Err(Error::Damaged { .. } | Error::NotAStore { .. }) => refused += 1,
                Err(error) => panic!("bit {bit} of {at}: {error}"),
            }
        }
        assert!(refused > 500, "{refused}");
    }
}
