//! 128-bit blocks, packed bit vectors and the bit-matrix transposition at the heart of OT extension.
//!
//! ```
//! use copriv_bits::{BitVec, Block, transpose};
//! let rows = vec![Block::new(5, 0); 128]; // 128 rows of 128 bits
//! let mut columns = vec![Block::ZERO; 128];
//! transpose(&rows, &mut columns);
//! assert_eq!(columns[0], Block::ONES);
//! assert_eq!(columns[1], Block::ZERO);
//! assert!(BitVec::from_fn(3, |i| i == 2).get(2));
//! ```

mod bitvec;
mod block;
mod clmul;
mod transpose;

pub use bitvec::BitVec;
pub use block::Block;
#[doc(hidden)]
pub use clmul::{Gf128Backend, gf128_backends};
pub use clmul::{gf128_mul, gf128_mul_slice};
#[doc(hidden)]
pub use transpose::{TransposeBackend, transpose_backends};
pub use transpose::{transpose, transpose_lines};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
