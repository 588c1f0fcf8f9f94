//! Evaluation in the clear: the oracle that the protocols reproduce bit for bit, and the float network it
//! approximates.
//!
//! [`evaluate`] computes a [`Lowered`](copriv_ir::Lowered) network mod 2^l on canonical words. Its meaning,
//! layer by layer, where x is the integer in -2^{l-1}..2^{l-1} that an element stands for:
//!
//! | layer         | result, mod 2^l                                                                |
//! |---------------|--------------------------------------------------------------------------------|
//! | conv          | 2^headroom * sum of weight * x over the taps (zeros for padding), plus bias    |
//! | linear        | sum of weight * x, plus bias                                                   |
//! | truncate      | floor(x / 2^shift)                                                             |
//! | shift         | x * 2^bits                                                                     |
//! | relu          | x where x >= 0, otherwise 0                                                    |
//! | relu_truncate | floor(relu(x) / 2^shift)                                                       |
//! | clip          | low + relu(x - low) - relu(x - high), each difference mod 2^l                  |
//! | relu6_truncate| floor(clip(x, 0, high) / 2^shift), where x - high does not wrap                |
//! | maxpool       | a tournament of b + relu(a - b) over the window's elements in the map          |
//! | avgpool       | floor(s / 2^shift), s = multiplier * sum of the window, padding 0, mod 2^l     |
//! | inner_avgpool | floor(s round(2^shift / n) / 2^shift), s the sum of the n elements in the map  |
//! | sigmoid, tanh, silu, gelu, hard_swish, elu | floor((c + sum of d relu(x - t)) / 2^shift), the straight pieces of [`Function`](copriv_ir::Function) |
//! | add           | sum                                                                            |
//! | combine       | the first factor times one operand and the second times the other              |
//! | concat        | the operands' elements one after the other                                     |
//! | flatten       | the same elements                                                              |
//! | view          | elements in other places, and zeros                                            |
//!
//! A ReLU or a clip that has a mask does this to the elements that it keeps, and gives floor(x / 2^shift) for the others: x
//! where it does not truncate.
//!
//! The tournament pairs neighbours, row by row, and gives the maximum as long as the differences within a window
//! fit l bits. [`headroom`] reports how near a network comes to that and every other overflow, [`bounds`](fn@bounds) how near it
//! can come at all. Protocols that leave something out
//! come within [`deviation`] of it.

mod bounds;
mod deviation;
mod error;
pub mod float;
mod headroom;
mod kernel;
mod lowered;

pub use bounds::bounds;
pub use deviation::{Slack, deviation};
pub use error::Error;
pub use headroom::{Headroom, headroom};
pub use lowered::{argmax, evaluate, evaluate_output};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
