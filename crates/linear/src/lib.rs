//! Matrix products and convolutions over secret shares, by oblivious transfer.
//!
//! [`product`] is the protocol: shares of W·X for P0's W and P1's X. A [`Producer`] puts it under a layer of a network, as one
//! product ([`Direct`]) or as one for each tile position ([`Winograd`]). [`conv2d`] runs a layer on a shared input at once;
//! [`prepare`] and [`conv2d_prepared`] in two phases, of which the second is one message. [`Multiply`] multiplies two shared values.
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

pub mod candidates;
mod conv;
mod direct;
mod layer;
mod multiply;
pub mod product;
mod winograd;

pub use candidates::candidates;
pub use conv::{Conv2d, Padding};
pub use direct::{Direct, Roles};
pub use layer::{Kernels, LinearLayer, Prepared, Producer, conv2d, conv2d_prepared, online_cost, prepare};
pub use multiply::{Multiply, Triple};
pub use product::{Chooser, Product};
pub use winograd::{Precision, Winograd};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
