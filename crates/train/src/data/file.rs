//! Whole files, with a limit on their size, and what lies in a folder.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Error;

/// The most bytes that a set of pictures takes in memory.
pub(super) const MAX_BYTES: u64 = 1 << 33;

/// The name of `path` in messages.
pub(super) fn label(path: &Path) -> String {
    path.display().to_string()
}

/// An [`Error::Content`] about `path`.
pub(super) fn content(path: &Path, why: impl Into<String>) -> Error {
    Error::Content { file: label(path), why: why.into() }
}

/// The bytes of `path`, at most `limit` whatever the size that the file system states; `hint` says what should be there.
pub(super) fn read(path: &Path, limit: u64, hint: &'static str) -> Result<Vec<u8>, Error> {
    let io = |source| Error::Io { file: label(path), source, hint };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        return Err(content(path, format!("more than {limit} bytes; is this the right file?")));
    }
    Ok(bytes)
}

/// Names of what lies in a folder, sorted: its subfolders, and its files. Names that begin with a dot are left out, and
/// what is neither, such as a pipe, of which a reader waits for a writer.
pub(super) fn list(dir: &Path, hint: &'static str) -> Result<[Vec<String>; 2], Error> {
    let io = |source| Error::Io { file: label(dir), source, hint };
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name().into_string();
        let name = name.map_err(|name| content(&dir.join(name), "the name is not UTF-8; rename it"))?;
        if name.starts_with('.') {
            continue;
        }
        // Follows a link, as reading the picture will.
        let kind = fs::metadata(entry.path()).map_err(io)?;
        if kind.is_dir() {
            folders.push(name);
        } else if kind.is_file() {
            files.push(name);
        }
    }
    folders.sort_unstable();
    files.sort_unstable();
    Ok([folders, files])
}

/// `dir`, or its subfolder `name` where only that has the file `mark`.
pub(super) fn descend(dir: &Path, name: &str, mark: &str) -> PathBuf {
    let below = dir.join(name);
    if !dir.join(mark).is_file() && below.join(mark).is_file() { below } else { dir.to_owned() }
}
