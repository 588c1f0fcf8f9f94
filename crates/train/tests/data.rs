//! Pictures from files, their parts, batches and variations.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "data/batches.rs"]
mod batches;
#[path = "data/files.rs"]
mod files;
#[path = "data/folder.rs"]
mod folder;
#[path = "data/hostile.rs"]
mod hostile;
#[path = "data/npz.rs"]
mod npz;
#[path = "data/source.rs"]
mod source;
#[path = "data/split.rs"]
mod split;
