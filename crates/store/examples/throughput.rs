//! How fast entries are written, taken, read and erased.
//!
//! `cargo run --release -p copriv-store --example throughput -- [MEGABYTES] [FOLDER]`

#![expect(clippy::print_stdout, reason = "a program")]

use copriv_store::{EntryId, Store};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let megabytes: u32 = args.next().map_or(Ok(200), |n| n.parse())?;
    let folder = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("store");
    let chunk: Vec<u8> = (0..1_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let step = |what: &str, start: Instant| {
        let seconds = start.elapsed().as_secs_f64();
        println!("{what:<28} {:8.3} s {:8.0} MB/s", seconds, f64::from(megabytes) / seconds);
    };

    let start = Instant::now();
    let mut file = tempfile::tempfile_in(folder.path())?;
    for _ in 0..megabytes {
        file.write_all(&chunk)?;
    }
    file.sync_all()?;
    drop(file);
    step("plain file, written, synced", start);

    let store = Store::open(&path)?;
    let id = EntryId([1; 16]);
    let start = Instant::now();
    let mut writer = store.writer(id, b"example")?;
    for _ in 0..megabytes {
        writer.put(0, &chunk)?;
    }
    step("put, 1 MB at a time", start);
    writer.commit()?;
    step("put and commit", start);
    println!("{:<28} {:8.3} of its material", "the file", size(&path, megabytes)?);

    drop(store);
    let start = Instant::now();
    let store = Store::open(&path)?;
    step("open, checking everything", start);

    let start = Instant::now();
    let taken = store.take(id, b"example")?;
    println!("{:<28} {:8.4} s", "take", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let bytes = taken.part(0)?;
    step("part", start);
    assert_eq!(bytes.len(), chunk.len() * megabytes as usize);
    assert!(bytes.chunks(chunk.len()).all(|read| read == chunk));
    let start = Instant::now();
    taken.finish()?;
    println!("{:<28} {:8.4} s", "finish", start.elapsed().as_secs_f64());

    for i in 2..5 {
        let id = EntryId([i; 16]);
        let mut writer = store.writer(id, b"example")?;
        for _ in 0..megabytes {
            writer.put(0, &chunk)?;
        }
        writer.commit()?;
        store.take(id, b"example")?.finish()?;
    }
    println!("{:<28} {:8.3} of an entry", "the file after three more", size(&path, megabytes)?);

    let start = Instant::now();
    for i in 0..100_u8 {
        let id = EntryId([i + 10; 16]);
        let mut writer = store.writer(id, b"small")?;
        writer.put(0, &chunk[..1000])?;
        writer.commit()?;
        store.take(id, b"small")?.finish()?;
    }
    println!("{:<28} {:8.4} s", "a small entry's life", start.elapsed().as_secs_f64() / 100.0);
    Ok(())
}

fn size(path: &std::path::Path, megabytes: u32) -> Result<f64, std::io::Error> {
    Ok(std::fs::metadata(path)?.len() as f64 / 1e6 / f64::from(megabytes))
}
