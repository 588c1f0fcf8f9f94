//! Several processes, and processes that are killed. The test program runs itself again as the other process.

#![expect(clippy::unwrap_used, reason = "tests and their helpers stop at the first surprise")]

use copriv_store::{EntryId, Error, Store};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const LABEL: &[u8] = b"label";
const FOLDER: &str = "COPRIV_STORE_TEST_FOLDER";
const ROLE: &str = "COPRIV_STORE_TEST_ROLE";

fn child(role: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_other_process", "--nocapture"]).env(FOLDER, folder).env(ROLE, role);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Does nothing unless a test below started it.
#[test]
fn the_other_process() {
    let (Some(folder), Ok(role)) = (std::env::var_os(FOLDER), std::env::var(ROLE)) else { return };
    let folder = Path::new(&folder);
    let store = Store::open(&folder.join("store")).unwrap();
    if role == "hold" {
        writeln!(std::io::stderr(), "ready").unwrap();
        std::io::stdin().read_line(&mut String::new()).unwrap();
    } else {
        work(&store, folder, role.parse().unwrap());
    }
}

#[test]
fn a_store_is_open_in_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(Error::InUse { .. })));
    drop(store);

    let mut holder = child("hold", folder.path()).spawn().unwrap();
    BufReader::new(holder.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    holder.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(holder.wait().unwrap().success());
    Store::open(&path).unwrap();
}

fn id(run: u32, n: u32) -> EntryId {
    EntryId((u128::from(run) << 32 | u128::from(n)).to_be_bytes())
}

fn content(id: EntryId, part: u32) -> Vec<u8> {
    let seed = u128::from_be_bytes(id.0) as usize * 31 + part as usize;
    (0..(seed % 5) * 7000).map(|i| (i * seed + 1) as u8).collect()
}

/// Writes and takes entries until killed, and notes what has returned.
fn work(store: &Store, folder: &Path, run: u32) {
    let mut notes = File::options().create(true).append(true).open(folder.join("notes")).unwrap();
    let mut note = |line: String| {
        notes.write_all(line.as_bytes()).unwrap();
        notes.sync_data().unwrap();
    };
    for n in 0.. {
        let id = id(run, n);
        let mut writer = store.writer(id, LABEL).unwrap();
        for part in 0..3 {
            writer.put(part, &content(id, part)).unwrap();
        }
        if n % 5 == 4 {
            continue;
        }
        writer.commit().unwrap();
        note(format!("{id} committed\n"));
        if n % 3 != 0 {
            // At least one, and so many that the store stays small however fast the disk is.
            let ready = store.entries(LABEL).unwrap();
            for &oldest in &ready[..ready.len().saturating_sub(8).max(1)] {
                note(format!("{oldest} wanted\n"));
                let taken = store.take(oldest, LABEL).unwrap();
                note(format!("{oldest} taken\n"));
                assert_eq!(**taken.part(1).unwrap(), content(oldest, 1));
                taken.finish().unwrap();
            }
        }
    }
}

#[test]
fn killed_at_any_moment() {
    const KILLS: u32 = 100;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let notes = folder.path().join("notes");
    let taken = || fs::read_to_string(&notes).unwrap_or_default().matches("taken").count();
    let mut draw = 1_u64;
    for run in 0..KILLS {
        let before = taken();
        let mut worker = child(&run.to_string(), folder.path()).spawn().unwrap();
        // Most work for a while first, however slow the disk is; the others are killed while they begin.
        while run % 4 != 0 && taken() == before {
            assert!(worker.try_wait().unwrap().is_none(), "the worker ended by itself");
            thread::sleep(Duration::from_millis(1));
        }
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_micros(2000 + (draw >> 33) % 60_000));
        assert!(worker.try_wait().unwrap().is_none(), "the worker ended by itself");
        worker.kill().unwrap();
        worker.wait().unwrap();
    }

    let notes = fs::read_to_string(notes).unwrap();
    // Committed, wanted, taken.
    let mut seen: HashMap<EntryId, [u32; 3]> = HashMap::new();
    for line in notes.lines() {
        let (id, what) = line.split_once(' ').unwrap();
        let counts = seen.entry(id.parse().unwrap()).or_default();
        counts[["committed", "wanted", "taken"].iter().position(|w| *w == what).unwrap()] += 1;
    }
    let store = Store::open(&path).unwrap();
    let ready = store.entries(LABEL).unwrap();
    for (id, &[committed, wanted, taken]) in &seen {
        assert!(committed <= 1 && taken <= 1, "{id} was taken {taken} times");
        let there = ready.contains(id);
        assert!(!(there && taken > 0), "{id} is ready after it was taken");
        assert!(there || wanted > 0, "{id} is lost");
    }
    let taken: u32 = seen.values().map(|s| s[2]).sum();
    assert!(taken >= KILLS / 4 * 3, "only {taken} were taken before the kills");
    for &id in &ready {
        let entry = store.take(id, LABEL).unwrap();
        for part in 0..3 {
            assert_eq!(**entry.part(part).unwrap(), content(id, part), "{id}");
        }
    }
    assert!(store.summary().unwrap().is_empty());
    drop(store);

    // Nothing but the empty store is left, and no other file.
    assert!(fs::metadata(&path).unwrap().len() < 40_000_000);
    let database = redb::Database::open(&path).unwrap();
    let tables = redb::ReadableDatabase::begin_read(&database).unwrap();
    let left =
        tables.list_tables().unwrap().filter(|t| redb::TableHandle::name(t).starts_with("parts-")).count();
    assert_eq!(left, 0);
}
