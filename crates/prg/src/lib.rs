//! AES-128 in counter mode as pseudorandom generator, and the tweakable correlation-robust hash on
//! fixed-key AES.
//!
//! ```
//! use copriv_bits::Block;
//! use copriv_prg::{Prg, hash};
//! let mut prg = Prg::from_seed(Block::new(1, 2));
//! let mut pads = [prg.block(), prg.block()];
//! hash(&mut pads, 0); // H(pads[i], i)
//! ```

mod aes128;
mod fold;
pub mod ggm;
mod hash;
pub mod lpn;
mod prg;
mod quad;

pub use aes128::Aes128;
pub use fold::Fold;
#[doc(hidden)]
pub use hash::Hasher;
pub use hash::{expand, hash, hash_many, hash_pair};
pub use prg::Prg;
pub use quad::Quad;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
