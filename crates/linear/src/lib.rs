//! Matrix products and convolutions over secret shares, by oblivious transfer.
//!
//! [`product`] is the protocol: shares of W·X for P0's W and P1's X. [`conv2d`] and [`fully_connected`] put it under a
//! layer of a network: P0 holds the weights, the input is shared, so are the outputs.
//!
//! ```
//! use copriv_linear::{Conv2d, Padding};
//! let conv = Conv2d {
//!     in_channels: 64,
//!     out_channels: 128,
//!     groups: 1,
//!     input: (8, 8),
//!     kernel: (3, 3),
//!     stride: (2, 2),
//!     padding: Padding::even(1),
//! };
//! assert_eq!((conv.output(), conv.output_len()), ((4, 4), 128 * 16));
//! ```

mod conv;
pub mod product;

pub use conv::{Conv2d, Padding, Roles, conv2d, conv2d_cost, fully_connected, fully_connected_cost};
pub use product::{Chooser, Product};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
