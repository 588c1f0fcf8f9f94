//! Models and pictures from files: ONNX, safetensors, npy, PNG and JPEG, and the zoo of networks.
//!
//! Everything becomes the float [`Graph`](copriv_ir::Graph) of `copriv-ir` or a list of pixels; nothing here knows
//! fixed point or a protocol. All files are taken to be hostile: the parsers [`onnx::read`], [`safetensors::apply`] and
//! [`picture::decode`] answer any bytes with a value or an [`Error`] that says what to do, in memory proportional to
//! the file.
//!
//! ```
//! let graph = copriv_import::load("zoo:resnet20-cifar10")?;
//! assert_eq!(graph.output_shape().channels, 10);
//! # Ok::<(), copriv_import::Error>(())
//! ```

mod error;
mod file;
mod half;
mod load;
pub mod network;
mod npy;
pub mod onnx;
pub mod picture;
mod rng;
pub mod safetensors;
pub mod zoo;

pub use error::Error;
pub use load::{load, load_network, load_with_weights, preprocessing};
pub use network::{Fixed, Network};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
