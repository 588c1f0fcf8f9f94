//! The network: float graph, public architecture, secret weights, and the lowering between them.
//!
//! A [`Graph`] holds float weights, as imported. [`lower`] turns it into a [`Lowered`] network: the public
//! [`Architecture`] (shapes, layers, widths, scales), which is sent to the other party and which that party
//! must [`validate`](Architecture::validate), and the server's secret [`Weights`] in fixed point. [`simplify`]
//! rewrites a lowered network into one with fewer truncations and ReLUs. This crate knows no protocol;
//! `copriv-plain` evaluates all forms.
//!
//! Batch size is always 1; a vector of n elements is a map of n x 1 x 1. Sizes are bounded by [`limits`].

mod architecture;
mod error;
mod graph;
pub mod limits;
mod lower;
mod mask;
mod merge;
mod passes;
mod preprocessing;
mod shape;
mod simplify;
mod smooth;
mod view;
mod weights;

pub use architecture::{Architecture, ConvGeometry, INTEGER_BITS, Layer, LayerOp};
pub use error::{Error, Fault};
pub use graph::{Activation, Graph, GraphBuilder, Node, NodeId, Op};
pub use lower::{LowerOptions, lower, lower_outline, lower_scaled};
pub use mask::Mask;
pub use merge::{merge_linear, merge_outline};
pub use passes::{fold_affine, pool_first};
pub use preprocessing::{ChannelOrder, PixelRange, Preprocessing, PreprocessingError, Preset, Resize};
pub use shape::{Shape, Window};
pub use simplify::{Simplify, simplify, simplify_architecture};
pub use smooth::{Function, Pieces};
pub use view::{Axis, MAX_AXES, View};
pub use weights::{LayerWeights, Lowered, Weights};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
