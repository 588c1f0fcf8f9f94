use crate::{EntryId, MAX_LABEL};
use std::io;
use std::path::{Path, PathBuf};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses the file.
    #[error("the store {}: {source}", path.display())]
    Io {
        /// The store's file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has the store open, or this one has it open already.
    #[error("the store {} is in use by another process; wait until that ends", path.display())]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a store ({why}); it is left as it is, choose another path", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        why: String,
    },
    /// The file was a store.
    #[error(
        "the store {} is damaged ({why}); nothing in it is safe to use: move it away and preprocess anew",
        path.display()
    )]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// Where it does not hold together.
        why: String,
    },
    /// An earlier failure left the open store unusable.
    #[error("the store {} has failed and must be opened again ({why})", path.display())]
    Failed {
        /// The store's file.
        path: PathBuf,
        /// How.
        why: String,
    },
    /// No such entry is ready: it was taken or discarded, or never was.
    #[error("the store has no entry {id} (any more); preprocess a new one")]
    Missing {
        /// The entry asked for.
        id: EntryId,
    },
    /// The entry fits something else. It is still there.
    #[error("entry {id} was made for another model, suite or role")]
    Mismatch {
        /// The entry asked for.
        id: EntryId,
    },
    /// A ready entry has the identifier already.
    #[error("the store has an entry {id} already; identifiers are random and never used again")]
    Exists {
        /// The identifier.
        id: EntryId,
    },
    /// The entry was written without this part.
    #[error("entry {id} has no part {part}")]
    Part {
        /// The entry.
        id: EntryId,
        /// The part asked for.
        part: u32,
    },
    /// A label that is too long.
    #[error("a label of {0} bytes; at most {MAX_LABEL} are stored")]
    Label(usize),
    /// A text that is no identifier.
    #[error("{0:?} is not an entry's identifier: that is 32 hexadecimal digits")]
    Id(String),
}

impl Error {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn not_a_store(path: &Path, why: impl Into<String>) -> Self {
        Self::NotAStore { path: path.to_owned(), why: why.into() }
    }

    pub(crate) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.into() }
    }

    /// A failure of the database at `path`.
    pub(crate) fn database(path: &Path, error: redb::Error) -> Self {
        use redb::Error as E;
        match error {
            E::DatabaseAlreadyOpen | E::LockProtocolMismatch => Self::InUse { path: path.to_owned() },
            // What redb says of a file without its magic number, and of one that is too short.
            E::Io(e) if e.kind() == io::ErrorKind::InvalidData => Self::not_a_store(path, e.to_string()),
            E::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => Self::damaged(path, "it is cut short"),
            E::Io(e) => Self::io(path, e),
            e @ (E::Corrupted(_)
            | E::UpgradeRequired(_)
            | E::TableTypeMismatch { .. }
            | E::TableIsMultimap(_)
            | E::TableDoesNotExist(_)
            | E::TypeDefinitionChanged { .. }) => Self::damaged(path, e.to_string()),
            e => Self::Failed { path: path.to_owned(), why: e.to_string() },
        }
    }
}
