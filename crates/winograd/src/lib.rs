//! Winograd convolution, exact over the rings Z_{2^l}.
//!
//! [`transform`] generates F(m, r) from points, with integer filter and input transforms and an output transform whose
//! denominators are odd, thus units; [`tiling`] covers a dimension with the fewest products; [`plan`] transforms feature maps and
//! filters to one matrix product per tile position and back. The result is 2^h times the convolution, bit for bit, and h is
//! absorbed by the truncation that follows. Strides above 1 go by the phases of the input, through the same plan.
//!
//! [`Plan::convolve`] does all of it at one place, in any [`Domain`]; [`direct`] is the convolution that it has to beat, and
//! [`naive`] has the definitions of everything, for tests.
//!
//! Products of 3×3 kernels, nested in two dimensions:
//!
//! | m × m | stride | products | per output | h | L1 norms of the rows of G'    | shifts of the rows     |
//! |-------|--------|----------|------------|---|-------------------------------|------------------------|
//! | 2 × 2 | 1      | 16       | 4          | 2 | 1, 3, 3, 1                    | 1, 0, 0, 1             |
//! | 3 × 3 | 1      | 25       | 2.78       | 2 | 1, 3, 3, 7, 1                 | 0, 0, 0, 0, 1          |
//! | 4 × 4 | 1      | 36       | 2.25       | 2 | 1, 7, 3, 3, 7, 1              | 0                      |
//! | 5 × 5 | 1      | 49       | 1.96       | 6 | 1, 7, 7, 3, 3, 7, 1           | 1, 0, 0, 2, 2, 2, 2    |
//! | 6 × 6 | 1      | 64       | 1.78       | 6 | 1, 7, 7, 3, 3, 7, 7, 1        | 1, 0, 0, 2, 2, 0, 0, 1 |
//! | 2 × 2 | 2      | 25       | 6.25       | 0 | 1, 2, 1, 1, 1                 | 0                      |
//! | 3 × 3 | 2      | 49       | 5.44       | 2 | 1, 2, 2, 1, 1, 1, 1           | 1, 0, 0, 1, 1, 1, 1    |
//! | 4 × 4 | 2      | 81       | 5.06       | 2 | 1, 2, 2, 3, 1, 1, 1, 1, 1     | 0, 0, 0, 0, 1, 1, 1, 1, 1 |
//!
//! The norms' products bound the growth of the filters; the shifts' sums are bits that a position's product need not have.

pub mod direct;
pub mod domain;
pub mod naive;
mod nested;
pub mod plan;
mod product;
pub mod ratio;
pub mod tiling;
pub mod transform;
mod vector;

pub use domain::{Domain, Integers, Reals, Ring};
pub use plan::{Plan, Position};
pub use tiling::{Axis, Tiling};
pub use transform::{InvalidTransform, Point, Transform};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
