//! Comparison, ReLU, truncation, pooling and argmax over secret shares.
//!
//! Every protocol is one function that both parties call with their session and their shares, and a `cost`
//! beside it that gives its bytes and rounds exactly:
//!
//! | module           | result                                                                      |
//! |------------------|-----------------------------------------------------------------------------|
//! | [`millionaires`] | 1{a < b} of two private integers                                            |
//! | [`product`]      | u·v of two private bits                                                     |
//! | [`and`]          | x ∧ y of shared bits                                                        |
//! | [`drelu`]        | msb(x), and 1{x ≥ 0}                                                        |
//! | [`wrap`]         | whether the two shares of x wrap around the ring                            |
//! | [`b2a`]          | a shared bit as a ring element                                              |
//! | [`mux`]          | b·x of a shared bit b                                                       |
//! | [`relu`]         | max(x, 0), and 1{x ≥ 0}                                                     |
//! | [`relu_truncate`]| floor(max(x, 0) / 2^shift), and 1{x ≥ 0}                                    |
//! | [`clip`]         | min(max(x, low), high)                                                      |
//! | [`clip_truncate`]| floor(min(max(x, 0), high) / 2^shift)                                       |
//! | [`truncate`]     | floor(x / 2^shift), exact or one less                                       |
//! | [`extend`]       | x in a wider ring                                                           |
//! | [`maxpool`]      | the largest element of each window                                          |
//! | [`avgpool`]      | the scaled sum of each window                                               |
//! | [`argmax`]       | where the largest element is                                                |
//!
//! Integers are signed: the element x of Z_{2^l} stands for x − 2^l·msb(x). Vectors of no elements cost nothing.

pub mod and;
pub mod argmax;
pub mod avgpool;
pub mod b2a;
mod bits;
pub mod clip;
pub mod clip_truncate;
pub mod drelu;
pub mod extend;
pub mod maxpool;
pub mod millionaires;
pub mod mux;
pub mod pieces;
pub mod product;
pub mod relu;
pub mod relu_truncate;
mod small_digits;
mod triples;
pub mod truncate;
mod windows;
pub mod wrap;

pub use windows::Windows;
pub use wrap::{Sign, Signedness};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
