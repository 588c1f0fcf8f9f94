//! The rings Z_{2^l} for 1 ≤ l ≤ 64, their vectors and matrices, and fixed point.
//!
//! An element is a `u64` below 2^l ("canonical"). Only this crate masks: whatever leaves it is canonical.
//!
//! ```
//! use copriv_ring::{RingVec, Width};
//! let width = Width::new(41)?;
//! let a = RingVec::from_signed(width, &[3, -1, 7]);
//! let b = RingVec::from_signed(width, &[-5, 1, 0]);
//! assert_eq!((&a + &b).to_signed(), [-2, 0, 7]);
//! # Ok::<(), copriv_ring::InvalidWidth>(())
//! ```

mod fixed;
mod matrix;
mod vec;
mod width;

pub use fixed::{FixedPoint, OutOfRange};
pub use matrix::RingMatrix;
pub use vec::RingVec;
pub use width::{InvalidWidth, Width};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
