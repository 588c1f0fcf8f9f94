//! Files that are no stores, or no longer.

#![expect(clippy::unwrap_used, reason = "tests and their helpers stop at the first surprise")]

use copriv_store::{EntryId, Error, Store};
use std::fs;
use std::path::Path;

const LABEL: &[u8] = b"label";

/// A store with an entry ready, and one that was taken.
fn sound(path: &Path) -> Vec<u8> {
    let store = Store::open(path).unwrap();
    for n in 1..=2 {
        let mut writer = store.writer(EntryId([n; 16]), LABEL).unwrap();
        writer.put(0, &[n; 1000]).unwrap();
        writer.put(1, &[n; 50_000]).unwrap();
        writer.commit().unwrap();
    }
    store.take(EntryId([1; 16]), LABEL).unwrap().finish().unwrap();
    drop(store);
    fs::read(path).unwrap()
}

/// Opens a file of `bytes` and, if that goes well, sees that the store is the sound one.
fn open(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).unwrap();
    let store = Store::open(path)?;
    assert_eq!(store.entries(LABEL)?, [EntryId([2; 16])]);
    let taken = store.take(EntryId([2; 16]), LABEL)?;
    assert_eq!(**taken.part(0)?, [2; 1000]);
    assert_eq!(**taken.part(1)?, [2; 50_000]);
    Ok(())
}

#[test]
fn what_never_was_a_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let zeros = vec![0; 2_000_000];
    let text = b"dear diary".repeat(1000);
    for bytes in [&b""[..], b"\0", b"redb", b"short", &text, &zeros] {
        let error = open(&path, bytes).unwrap_err();
        assert!(matches!(error, Error::NotAStore { .. }), "{error}");
        assert!(error.to_string().contains("not a store"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    // The magic number and nothing, or nonsense, behind it.
    for length in [0, 311, 5000, 2_000_000] {
        for fill in [0, 0x55] {
            let bytes = [&b"redb\x1a\x0a\xa9\x0d\x0a"[..], &vec![fill; length]].concat();
            let error = open(&path, &bytes).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. } | Error::NotAStore { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}

#[test]
fn another_database_is_not_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let table = redb::TableDefinition::<u64, u64>::new("parts-of-something");
    let content = |database: &redb::Database| {
        let transaction = database.begin_write().unwrap();
        let value = transaction.open_table(table).unwrap().insert(1, 2).unwrap().map(|v| v.value());
        transaction.commit().unwrap();
        value
    };
    assert_eq!(content(&redb::Database::create(&path).unwrap()), None);
    assert!(matches!(Store::open(&path), Err(Error::NotAStore { .. })));
    assert_eq!(content(&redb::Database::open(&path).unwrap()), Some(2));
}

#[test]
fn places_that_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for path in [folder.path().to_owned(), file.join("below"), "".into(), "/dev/null".into()] {
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, Error::Io { .. } | Error::NotAStore { .. }), "{error}");
    }
}

#[test]
fn a_store_that_may_not_be_written_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let bytes = sound(&path);
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    // Root may write everything.
    if fs::File::options().write(true).open(&path).is_err() {
        assert!(matches!(Store::open(&path), Err(Error::Io { .. })));
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_truncated_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let bytes = sound(&path);
    let lengths = (0..12).map(|i| i * i * i * 37).chain((1..12).map(|i| bytes.len() * i / 12));
    for length in lengths.chain([bytes.len() - 1, bytes.len() - 4096]).filter(|&l| l < bytes.len()) {
        let error = open(&path, &bytes[..length]).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. } | Error::NotAStore { .. }), "{length}: {error}");
        assert!(path.exists());
    }
    open(&path, &bytes).unwrap();
}

#[cfg(unix)]
#[test]
fn others_on_the_machine_cannot_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/store");
    sound(&path);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&folder.path().join("a")), 0o700);
    let beside: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
}
