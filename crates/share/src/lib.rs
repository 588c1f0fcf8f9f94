//! Secret shares of two parties: [`Arithmetic`] over Z_{2^l}, [`Boolean`] over bits.
//!
//! A secret x is x0 + x1 mod 2^l, a secret bit b0 ⊕ b1. The two types are distinct so that one is never taken for
//! the other; `Debug` shows shapes only. What is linear is local; everything else is a protocol.
//!
//! ```
//! use copriv_ring::{RingVec, Width};
//! use copriv_share::Arithmetic;
//! let width = Width::of(37);
//! let (x0, x1) = (RingVec::from_signed(width, &[100]), RingVec::from_signed(width, &[-58]));
//! let doubled = [Arithmetic::new(x0), Arithmetic::new(x1)].map(|x| x.scale(2));
//! assert_eq!((doubled[0].own() + doubled[1].own()).to_signed(), [84]);
//! ```

mod arithmetic;
mod boolean;
mod open;

pub use arithmetic::Arithmetic;
pub use boolean::Boolean;
pub use open::{open_cost, open_to, reveal, reveal_cost, share_input, share_input_cost};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
