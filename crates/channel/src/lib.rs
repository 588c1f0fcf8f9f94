//! A typed, counted message channel between two parties.
//!
//! [`Channel`] is a struct over a [`Transport`]: TCP, memory, or either behind a shaped link. It packs
//! messages to the bit, checks every header before the payload is read, and counts bytes and rounds; a
//! [`Cost`] predicts the same numbers.
//!
//! ```
//! use copriv_channel::{Channel, memory};
//! use copriv_wire::{Role, messages};
//! use copriv_bits::BitVec;
//! messages! { /** One bit an item. */ Flips: Bits = 0xFFF0; }
//! let (a, b) = memory();
//! let (mut p0, mut p1) = (Channel::new(Role::P0, a), Channel::new(Role::P1, b));
//! p0.send_bits::<Flips>(&BitVec::from_fn(9, |i| i == 3))?;
//! assert!(p1.recv_bits::<Flips>(9)?.get(3));
//! assert_eq!(p1.traffic().received, 8 + 2);
//! # Ok::<(), copriv_wire::Error>(())
//! ```

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod channel;
mod cost;
mod memory;
mod pool;
mod shaped;
mod tcp;
mod transport;

pub use channel::{Channel, Traffic};
pub use cost::Cost;
pub use memory::{Memory, memory};
pub use shaped::{Link, Shaped};
pub use tcp::Tcp;
pub use transport::Transport;
