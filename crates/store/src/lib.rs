//! A [`Store`] on disk for one-time secrets.
//!
//! Preprocessed material serves exactly one private inference: used twice, it leaks the other party's secrets. So an
//! *entry* of this store goes through three states and never back. A [`Writer`] fills it, part by part, and nobody sees
//! it. [`Writer::commit`] makes it ready, all at once. [`Store::take`] hands it out as the one [`Taken`] there will ever
//! be, which alone can read its parts; they are erased when it is finished or dropped.
//!
//! # What holds
//! At any moment the process may be killed or the power may fail, and several threads may use the store:
//! - An entry is ready wholly or not at all, and for good once `commit` has returned.
//! - An entry is taken at most once. That it is gone is on the disk before `take` returns; a crash between the two loses
//!   the entry, it never gives it twice.
//! - What a crash leaves of entries half written or half used is purged when the store is next opened.
//! - One process at a time: the file is locked while it is open.
//! - A file that is damaged is refused when it is opened, which reads all of it, and is never deleted.
//!
//! That the power may fail presumes a file system and a disk that keep what they were told to sync.
//!
//! # What does not hold
//! - **Backups break it.** A copy of the file has the entries of its time. Restoring one, rolling back a virtual machine
//!   or a snapshot of the file system, cloning a disk: each makes entries that were used come back. Never do that; delete
//!   the store instead and preprocess anew. Keep the file out of backups.
//! - Damage is found by checksums against accidents, not against an attacker who may write the file. One bit has none, the
//!   one that says which of the two last states holds: if it flips after a crash that came right after a `take`, and
//!   before anything else was written, that entry comes back. So it may on a disk that loses what it was told to sync.
//! - The file is not encrypted. It has mode 0600 on Unix, which is all that keeps others of the machine out.
//! - Erased means that the store no longer finds it. The bytes may linger in free pages of the file, in the file system
//!   and on the medium. An encrypted disk helps, nothing here does.
//! - Parts come as [`Zeroizing`](zeroize::Zeroizing) buffers, but pages also pass through caches of this process and of
//!   the system that are not wiped.
//!
//! # The file
//! A [redb](https://docs.rs/redb) database. The table `entries` is the index: identifier, label, lengths of the parts. An
//! entry's parts, in chunks, are a table of their own, which belongs to nobody until the index names it. Chunks are
//! committed without waiting for the disk, one durable transaction ends them. Every durable transaction has two phases:
//! redb then refuses a file whose last state is damaged, where it would otherwise go back to the one before.

mod entry;
mod error;
mod store;

#[cfg(test)]
mod crash;

pub use entry::{EntryId, Summary};
pub use error::Error;
pub use store::{Claim, MAX_LABEL, Store, Taken, Writer};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
