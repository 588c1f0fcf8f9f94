//! Whole files, with a limit on their size.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Error;
use crate::error::label;

/// The largest file that is read: what a protobuf message may have.
pub(crate) const MAX_FILE: u64 = 1 << 31;

/// The bytes of `path`, at most [`MAX_FILE`] of them, whatever the size that the file system states.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let io = |source| Error::Io { file: label(path), source };
    let file = File::open(path).map_err(io)?;
    let stated = file.metadata().map_err(io)?.len();
    let too_large = |bytes| Error::TooLarge { file: label(path), bytes, limit: MAX_FILE };
    if stated > MAX_FILE {
        return Err(too_large(stated));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Writes `bytes` to `path`.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|source| Error::Io { file: label(path), source })
}
