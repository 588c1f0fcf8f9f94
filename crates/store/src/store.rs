use crate::{EntryId, Error, Summary};
use redb::backends::FileBackend;
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, TableHandle, UntypedTableHandle, WriteTransaction,
};
use std::collections::{BTreeMap, HashSet};
use std::fs::{DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// The longest label, in bytes.
pub const MAX_LABEL: usize = 1024;

/// Bytes of a part in one value. A value and its key fill a page of 2^20 bytes, the page sizes being powers of two. Tests
/// of this module are better served by many chunks.
const CHUNK: usize = if cfg!(test) { 1500 } else { (1 << 20) - 64 };
/// The database's own cache: pages of a value and of the index, not of whole entries.
const CACHE: usize = 32 << 20;

/// Tells a store from other databases.
const STORE: TableDefinition<&str, u64> = TableDefinition::new("copriv-store");
const FORMAT: u64 = 1;

/// The index. Slots count upwards and are never used twice while a trace of the first use is there.
const ENTRIES: TableDefinition<u128, Record<'static>> = TableDefinition::new("entries");
/// Slot, label, and the length of each part.
type Record<'a> = (u64, &'a [u8], Vec<(u32, u64)>);
type Index = ReadOnlyTable<u128, Record<'static>>;

/// The chunks of a slot's parts are a table with this prefix: part and number of the chunk to bytes.
const PARTS: &str = "parts-";
type Chunks<'a> = TableDefinition<'a, (u32, u64), &'static [u8]>;

/// A store, open. See the crate's documentation for what it guarantees.
///
/// Threads share it by reference. The file is closed when the store and all its [`Writer`]s and [`Taken`]s are dropped.
#[derive(Clone, Debug)]
pub struct Store(Arc<Open>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    database: Database,
    next_slot: AtomicU64,
    claims: Mutex<HashSet<u128>>,
}

/// The sole right of this process to ask about an entry, until it is dropped. Nothing of it is on the disk.
#[derive(Debug)]
pub struct Claim(Arc<Open>, u128);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.claims.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// What is written to disk, and when.
#[derive(Clone, Copy)]
enum Until {
    /// With the next durable transaction, if there is one.
    Later,
    /// Before the transaction returns.
    OnDisk,
}

impl Store {
    /// Opens the store at `path`; creates it, and the folders above it, if nothing is there.
    ///
    /// Reads all of the file, to see that it is sound, and purges what a crash left.
    ///
    /// # Errors
    /// If it is in use, not a store, damaged, or the system refuses it. In no case the file is deleted.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |e| Error::io(path, e);
        let file = match open_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                open_file(path).map_err(fail)?
            }
            file => file.map_err(fail)?,
        };
        let about = file.metadata().map_err(fail)?;
        if !about.is_file() {
            return Err(Error::not_a_store(path, "it is not a plain file"));
        }
        if about.len() == 0 {
            return Err(Error::not_a_store(path, "it is empty"));
        }
        Self::on(path, FileBackend::new(file).map_err(|e| Error::database(path, e.into()))?)
    }

    /// The store in `backend`; `path` is for messages.
    pub(crate) fn on(path: &Path, backend: impl StorageBackend) -> Result<Self, Error> {
        let database = builder()
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)
            .map_err(|e| Error::database(path, e.into()))?;
        let open =
            Open { path: path.to_owned(), database, next_slot: AtomicU64::new(0), claims: Mutex::default() };
        open.check_format()?;
        open.purge_leftovers()?;
        Ok(Self(Arc::new(open)))
    }

    #[cfg(test)]
    pub(crate) fn leftovers(&self) -> Result<Vec<UntypedTableHandle>, Error> {
        self.0.leftovers()
    }

    /// What tells this store from others: `fresh`, which should be random, when it is asked for the first time, and ever
    /// after the same.
    ///
    /// # Errors
    /// If the store fails.
    pub fn identity(&self, fresh: EntryId) -> Result<EntryId, Error> {
        self.0.write(Until::OnDisk, |transaction| {
            let mut table = transaction.open_table(STORE)?;
            let mut half = |name: &str, fresh: u128| -> Result<u128, redb::Error> {
                let there = table.get(name)?.map(|half| half.value());
                if there.is_none() {
                    table.insert(name, fresh as u64)?;
                }
                Ok(there.unwrap_or(fresh as u64).into())
            };
            let (high, low) =
                (half("identity, high", fresh.key() >> 64)?, half("identity, low", fresh.key())?);
            Ok(Ok(EntryId::from_key(high << 64 | low)))
        })
    }

    /// Claims an entry among the threads of this process, whether it is there or not: `None` while another has it. For whoever
    /// has to ask the peer before it takes or discards an entry; neither needs a claim.
    pub fn claim(&self, id: EntryId) -> Option<Claim> {
        let new = self.0.claims.lock().unwrap_or_else(PoisonError::into_inner).insert(id.key());
        new.then(|| Claim(self.0.clone(), id.key()))
    }

    /// A new entry, which nobody sees before [`Writer::commit`]. `label` says what it fits, at most [`MAX_LABEL`] bytes.
    ///
    /// # Errors
    /// If there is such an entry, or the label is too long.
    pub fn writer(&self, id: EntryId, label: &[u8]) -> Result<Writer, Error> {
        if label.len() > MAX_LABEL {
            return Err(Error::Label(label.len()));
        }
        self.0.read(|index| match index.get(id.key())? {
            Some(_) => Ok(Err(Error::Exists { id })),
            None => Ok(Ok(())),
        })??;
        let slot = self.0.next_slot.fetch_add(1, Ordering::Relaxed);
        let slot = Slot { store: Arc::clone(&self.0), slot, clear: true };
        Ok(Writer { slot, id, label: label.to_owned(), parts: BTreeMap::new(), failed: None })
    }

    /// The ready entries with this label, in the order in which their writers began.
    pub fn entries(&self, label: &[u8]) -> Result<Vec<EntryId>, Error> {
        let mut found = self.0.read(|index| {
            let mut found = Vec::new();
            for entry in index.iter()? {
                let (key, record) = entry?;
                let (slot, of, _) = record.value();
                if of == label {
                    found.push((slot, EntryId::from_key(key.value())));
                }
            }
            Ok(found)
        })?;
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }

    /// The ready entries by label.
    pub fn summary(&self) -> Result<Vec<Summary>, Error> {
        let labels = self.0.read(|index| {
            let mut labels: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
            for entry in index.iter()? {
                let (_, record) = entry?;
                let (_, label, parts) = record.value();
                let (entries, bytes) = labels.entry(label.to_owned()).or_default();
                *entries += 1;
                *bytes = parts.iter().fold(*bytes, |sum, &(_, length)| sum.saturating_add(length));
            }
            Ok(labels)
        })?;
        Ok(labels.into_iter().map(|(label, (entries, bytes))| Summary { label, entries, bytes }).collect())
    }

    /// Takes an entry, for good: that it is gone is on the disk when this returns.
    ///
    /// # Errors
    /// If it is not there, or has another label, in which case it stays. If the disk fails, the entry may be there or
    /// gone when the store is opened again; it was not handed out.
    pub fn take(&self, id: EntryId, label: &[u8]) -> Result<Taken, Error> {
        let (slot, parts) = self.0.write(Until::OnDisk, |transaction| {
            let mut index = transaction.open_table(ENTRIES)?;
            let Some(record) = index.remove(id.key())? else { return Ok(Err(Error::Missing { id })) };
            let (slot, of, parts) = record.value();
            if of != label {
                return Ok(Err(Error::Mismatch { id }));
            }
            Ok(Ok((slot, parts.into_iter().collect())))
        })?;
        Ok(Taken { slot: Slot { store: Arc::clone(&self.0), slot, clear: true }, id, parts })
    }

    /// Erases an entry that nobody wants, whatever its label; says whether it was there.
    pub fn discard(&self, id: EntryId) -> Result<bool, Error> {
        self.0.write(Until::OnDisk, |transaction| {
            let slot = {
                let mut index = transaction.open_table(ENTRIES)?;
                index.remove(id.key())?.map(|record| record.value().0)
            };
            if let Some(slot) = slot {
                transaction.delete_table(Chunks::new(&table_of(slot)))?;
            }
            Ok(Ok(slot.is_some()))
        })
    }
}

impl Open {
    fn error(&self, error: impl Into<redb::Error>) -> Error {
        Error::database(&self.path, error.into())
    }

    /// What `look` sees in the index.
    fn read<T>(&self, look: impl FnOnce(Index) -> Result<T, redb::Error>) -> Result<T, Error> {
        let index = || self.database.begin_read()?.open_table(ENTRIES).map_err(redb::Error::from);
        index().and_then(look).map_err(|e| self.error(e))
    }

    /// Everything that `change` does, or nothing if it ends with an error of either kind.
    fn write<T>(
        &self,
        until: Until,
        change: impl FnOnce(&WriteTransaction) -> Result<Result<T, Error>, redb::Error>,
    ) -> Result<T, Error> {
        let run = || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_two_phase_commit(true);
            transaction.set_durability(match until {
                Until::Later => Durability::None,
                Until::OnDisk => Durability::Immediate,
            })?;
            match change(&transaction)? {
                Ok(done) => transaction.commit().map(|()| Ok(done)).map_err(redb::Error::from),
                Err(refused) => transaction.abort().map(|()| Err(refused)).map_err(redb::Error::from),
            }
        };
        run().map_err(|e| self.error(e))?
    }

    fn check_format(&self) -> Result<(), Error> {
        let format = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(STORE)?;
            Ok(table.get("format")?.map(|format| format.value()))
        };
        match format() {
            Ok(Some(FORMAT)) => Ok(()),
            Ok(Some(other)) => {
                Err(Error::not_a_store(&self.path, format!("it has format {other}, not {FORMAT}")))
            }
            Ok(None) | Err(redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. }) => {
                Err(Error::not_a_store(&self.path, "it is a database of something else"))
            }
            Err(e) => Err(self.error(e)),
        }
    }

    /// Deletes the parts that the index does not name, and sets the next slot beyond those that it does.
    fn purge_leftovers(&self) -> Result<(), Error> {
        let slots = self.read(slots_in)?;
        self.next_slot.store(slots.iter().max().map_or(0, |slot| slot + 1), Ordering::Relaxed);
        let leftovers = self.leftovers()?;
        if leftovers.is_empty() {
            return Ok(());
        }
        self.write(Until::OnDisk, |transaction| {
            for table in leftovers {
                transaction.delete_table(table)?;
            }
            Ok(Ok(()))
        })
    }

    /// The tables of parts that the index does not name.
    fn leftovers(&self) -> Result<Vec<UntypedTableHandle>, Error> {
        let named: HashSet<String> = self.read(slots_in)?.into_iter().map(table_of).collect();
        let left = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let tables = transaction.list_tables()?;
            Ok(tables.filter(|t| t.name().starts_with(PARTS) && !named.contains(t.name())).collect())
        };
        left().map_err(|e| self.error(e))
    }
}

/// The slots that the index names.
fn slots_in(index: Index) -> Result<Vec<u64>, redb::Error> {
    index.iter()?.map(|entry| Ok(entry?.1.value().0)).collect()
}

/// The right to a slot's parts. They are erased when it is dropped.
#[derive(Debug)]
struct Slot {
    store: Arc<Open>,
    slot: u64,
    clear: bool,
}

impl Slot {
    fn erase(&mut self) -> Result<(), Error> {
        self.clear = false;
        self.store.write(Until::OnDisk, |transaction| {
            transaction.delete_table(Chunks::new(&table_of(self.slot)))?;
            Ok(Ok(()))
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.clear {
            // If it fails the parts belong to nobody, and the next to open the store purges them.
            let _ = self.erase();
        }
    }
}

/// An entry that is being written. Dropped before [`commit`](Self::commit), it has never been.
#[derive(Debug)]
pub struct Writer {
    slot: Slot,
    id: EntryId,
    label: Vec<u8>,
    parts: BTreeMap<u32, Part>,
    failed: Option<String>,
}

#[derive(Default, Debug)]
struct Part {
    chunks: u64,
    bytes: u64,
}

impl Writer {
    /// The entry that it will be.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Appends to a part; the first time, also if nothing is appended, the part comes into being.
    ///
    /// # Errors
    /// If the disk fails. The writer is then of no more use.
    pub fn put(&mut self, part: u32, bytes: &[u8]) -> Result<(), Error> {
        self.sound()?;
        let state = self.parts.entry(part).or_default();
        let first = (state.chunks == 0 && bytes.is_empty()).then_some(bytes);
        for chunk in bytes.chunks(CHUNK).chain(first) {
            let table = table_of(self.slot.slot);
            let written = self.slot.store.write(Until::Later, |transaction| {
                transaction.open_table(Chunks::new(&table))?.insert((part, state.chunks), chunk)?;
                Ok(Ok(()))
            });
            if let Err(e) = written {
                self.failed = Some(e.to_string());
                return Err(e);
            }
            state.chunks += 1;
            state.bytes += chunk.len() as u64;
        }
        Ok(())
    }

    /// Makes the entry ready, for good: it is on the disk when this returns.
    ///
    /// # Errors
    /// If another entry of this identifier was quicker. If the disk fails, the entry may be there or not when the store is
    /// opened again.
    pub fn commit(mut self) -> Result<(), Error> {
        self.sound()?;
        let id = self.id;
        let parts: Vec<_> = self.parts.iter().map(|(&part, state)| (part, state.bytes)).collect();
        self.slot.store.write(Until::OnDisk, |transaction| {
            let mut index = transaction.open_table(ENTRIES)?;
            if index.get(id.key())?.is_some() {
                return Ok(Err(Error::Exists { id }));
            }
            index.insert(id.key(), (self.slot.slot, &self.label[..], parts))?;
            Ok(Ok(()))
        })?;
        self.slot.clear = false;
        Ok(())
    }

    fn sound(&self) -> Result<(), Error> {
        match &self.failed {
            Some(why) => Err(Error::Failed { path: self.slot.store.path.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }
}

/// An entry that was taken: the only way to its parts. Dropped or [finished](Self::finish), they are erased.
#[derive(Debug)]
pub struct Taken {
    slot: Slot,
    id: EntryId,
    parts: BTreeMap<u32, u64>,
}

impl Taken {
    /// The entry that it was.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The bytes of a part. May be called again.
    ///
    /// # Errors
    /// If the entry was written without that part, or the disk fails.
    pub fn part(&self, part: u32) -> Result<Zeroizing<Vec<u8>>, Error> {
        let store = &self.slot.store;
        let damaged = || Error::damaged(&store.path, format!("part {part} of entry {}", self.id));
        let &length = self.parts.get(&part).ok_or(Error::Part { id: self.id, part })?;
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let mut bytes = Zeroizing::new(Vec::new());
        bytes.try_reserve_exact(length).map_err(|_| damaged())?;
        let read = || -> Result<bool, redb::Error> {
            let table = self.slot.store.database.begin_read()?;
            let table = table.open_table(Chunks::new(&table_of(self.slot.slot)))?;
            for chunk in table.range((part, 0)..=(part, u64::MAX))? {
                let chunk = chunk?.1;
                // Never beyond what was reserved: growing would leave a copy behind.
                if chunk.value().len() > length - bytes.len() {
                    return Ok(false);
                }
                bytes.extend_from_slice(chunk.value());
            }
            Ok(bytes.len() == length)
        };
        match { read }() {
            Ok(true) => Ok(bytes),
            Ok(false) => Err(damaged()),
            Err(e) => Err(store.error(e)),
        }
    }

    /// Erases the parts, as dropping does, and says if that failed; the next to open the store makes up for it.
    pub fn finish(mut self) -> Result<(), Error> {
        self.slot.erase()
    }
}

fn table_of(slot: u64) -> String {
    format!("{PARTS}{slot:016x}")
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

fn open_file(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}

/// An empty store at `path`, there wholly or not at all, unless something else is there by then.
fn create(path: &Path) -> Result<(), Error> {
    let fail = |e| Error::io(path, e);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut folders = DirBuilder::new();
    folders.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
    folders.create(folder).map_err(fail)?;

    // Temporary files have mode 0600.
    let new = tempfile::Builder::new().prefix(".new-store-").tempfile_in(folder).map_err(fail)?;
    let backend = new
        .reopen()
        .map_err(fail)
        .and_then(|file| FileBackend::new(file).map_err(|e| Error::database(path, e.into())))?;
    initialise(path, backend)?;
    match new.persist_noclobber(path) {
        Err(e) if e.error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(e.error)),
        _ => {}
    }
    // The name itself is to survive a power failure; folders cannot be synced everywhere.
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
    }
    Ok(())
}

/// Makes the empty `backend` an empty store.
pub(crate) fn initialise(path: &Path, backend: impl StorageBackend) -> Result<(), Error> {
    let database = builder().create_with_backend(backend).map_err(|e| Error::database(path, e.into()))?;
    let open =
        Open { path: path.to_owned(), database, next_slot: AtomicU64::new(0), claims: Mutex::default() };
    open.write(Until::OnDisk, |transaction| {
        transaction.open_table(STORE)?.insert("format", FORMAT)?;
        transaction.open_table(ENTRIES)?;
        Ok(Ok(()))
    })?;
    open.database.close().map_err(|e| Error::database(path, e.into()))
}
