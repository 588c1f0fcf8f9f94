//! What goes over the wire: messages with a tag and a shape, packed to the bit, and the one error type
//! of all protocol crates.
//!
//! A message is a header of [`HEADER_BYTES`] bytes and a payload of `ceil(count * width / 8)` bytes. Its
//! shape (how many elements of how many bits) is named by the *receiver*: header and length are compared
//! before the payload is read, so that the peer never chooses an allocation.
//!
//! ```
//! use copriv_wire::{pack, unpack, packed_bytes};
//! let bytes = pack(&[1, 2, 7], 3);
//! assert_eq!(bytes.len(), packed_bytes(3, 3));
//! assert_eq!(unpack(&bytes, 3, 3)?, [1, 2, 7]);
//! # Ok::<(), copriv_wire::Error>(())
//! ```

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod error;
mod message;
mod pack;
mod role;

pub use error::{Error, Result};
pub use message::{HEADER_BYTES, Header, Kind, Message};
pub use pack::{PACK_BLOCK, pack, pack_into, pack_with, packed_bytes, unpack, unpack_into, unpack_with};
pub use role::Role;
