//! ONNX models: reading the convolutional networks that the usual exporters write, and writing a [`Graph`].
//!
//! Reading takes opset 7 and later, one float input whose batch size, axis 0, is 1 or open, and one output. Weights lie in
//! the file, as initialisers or `Constant` nodes, or in files beside it, in 16-, 32- or 64-bit floats. Nodes that the output does not need are skipped,
//! `Identity`, `Dropout` and flattening a vector leave no node behind. Operators and the part of each that is supported:
//!
//! | operator | supported |
//! |---|---|
//! | `Conv`, `ConvTranspose` | one or two dimensions, everything |
//! | `Gemm`, `MatMul` | constant matrix on the right, `transA` 0 |
//! | `BatchNormalization` | inference, per channel |
//! | `Relu`, `Clip`, `Max`, `Min`, `Abs` | between constants |
//! | `LeakyRelu`, `PRelu` | constant slopes; slopes of 0 and 1 alone make a ReLU of some elements |
//! | `HardSigmoid`, `HardSwish`, `Sigmoid`, `Tanh`, `Elu`, `Gelu` | `alpha` 1 of `Elu`; no approximation of `Gelu` |
//! | `Erf` | where it is part of a GELU |
//! | `Where` | a constant mask between a `Relu` or `Clip` and what that reads: an activation of some elements |
//! | `MaxPool`, `AveragePool` | one or two dimensions, everything but dilations |
//! | `GlobalAveragePool`, `GlobalMaxPool`, `ReduceMean` | everything |
//! | `Add`, `Sub`, `Mul`, `Div`, `Neg` | a tensor and a constant of any shape; all but `Div` also two tensors |
//! | `Pow` | by 2 |
//! | `Concat` | any axis |
//! | `Flatten`, `Reshape`, `Squeeze`, `Unsqueeze`, `Transpose`, `Slice`, `Split`, `Gather`, `Expand`, `Tile`, `DepthToSpace`, `SpaceToDepth` | constant shapes and indices |
//! | `Pad` | with zeros, reflected or with what is at the edge |
//! | `Resize`, `Upsample` | nearest neighbours |
//! | `Identity`, `Dropout`, `Constant` | |
//! | `Cast` | to 32-bit floats |
//! | `Shape` | of anything |
//! | `Softmax`, `LogSoftmax` | over the classes, at the end of the network: left out, the output is the logits |
//!
//! An input N,H,W,C, as TensorFlow has it, becomes C,H,W where all that is computed of it comes by a `Transpose` to N,C,H,W, with at
//! most shifts, scales and padding before it. Pictures are C,H,W then, as for any other network; dimensions that are given stay in
//! the model's own order. Sums, batch norms and activations of maps with their channels moved last are those of the maps.
//!
//! What depends on no input, such as shapes and weights that are computed, is evaluated by all operators that [`Model`] knows.
//!
//! [`Model`] evaluates models as they are, in floats, with more operators and on tensors of any rank.
//!
//! A hostile file costs an error: sizes are checked before anything is allocated, nothing recurses on what the file
//! says, and all weights together are at most 2^29 however often nodes share them.

mod attributes;
mod export;
mod external;
mod fold;
mod import;
mod known;
mod metadata;
mod model;
mod proto;
mod scan;
mod tensor;
#[cfg(test)]
mod tests;

use std::path::Path;

use copriv_ir::{Graph, Preprocessing};

pub use known::{Data, Known};
pub use model::Model;

use crate::error::label;
use crate::{Error, file};

/// The operators that [`read`] knows.
pub const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Expand",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Resize",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Sub",
    "Tanh",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Upsample",
    "Where",
];

/// What of a model is read where it does not say it, or says more than one network has.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The dimensions of the input, batch included and in the model's order, where the model leaves some of them open.
    pub input: Option<Vec<usize>>,
    /// The value that is the network's output, whatever the model's outputs are.
    pub output: Option<String>,
}

/// [`read`] with what the model leaves open.
///
/// # Errors
/// Those of [`read`].
pub fn read_with(bytes: &[u8], name: &str, options: &Options) -> Result<Graph, Error> {
    import::read(import::decode(bytes, name)?, name, options, None)
}

/// Reads the model in `bytes`; `name` becomes the network's name and stands for the file in errors.
///
/// ```
/// use copriv_import::onnx;
/// use copriv_ir::{GraphBuilder, Shape, Window};
///
/// let mut net = GraphBuilder::new("tiny", Shape::new(1, 4, 4))?;
/// let x = net.conv("conv", net.input(), Window::square(3, 1, 1), 1, vec![0.1; 2 * 9], vec![0.0; 2])?;
/// let x = net.relu("relu", x)?;
/// let x = net.global_avg_pool("pool", x)?;
/// let graph = net.finish(x)?;
/// assert_eq!(onnx::read(&onnx::write(&graph), "tiny")?, graph);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Malformed`] when the bytes are no ONNX model; [`Error::Operator`], [`Error::Node`] and [`Error::Model`] when they
/// are one that cannot be used, with what to change.
pub fn read(bytes: &[u8], name: &str) -> Result<Graph, Error> {
    read_with(bytes, name, &Options::default())
}

/// Reads the model file at `path`; the network is named after the file.
///
/// # Errors
/// Those of [`read`], [`Error::Io`] and [`Error::TooLarge`].
pub fn load(path: impl AsRef<Path>) -> Result<Graph, Error> {
    load_with(path, &Options::default())
}

/// [`load`] with what the model leaves open.
///
/// # Errors
/// Those of [`load`].
pub fn load_with(path: impl AsRef<Path>, options: &Options) -> Result<Graph, Error> {
    let path = path.as_ref();
    let name = label(path);
    // The bytes are gone before the network is made of what they say.
    let model = import::decode(&file::read(path)?, &name)?;
    let mut graph = import::read(model, &name, options, Some(path))?;
    if let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) {
        graph.name = import::shown(stem);
    }
    Ok(graph)
}

/// The ONNX model of a graph: opset 17, batch 1, weights inside.
///
/// `read(&write(g), …)` computes what `g` does. It is `g` itself, weights bit for bit, but for nodes that flatten a vector, which
/// disappear, names where two nodes have the same, and nodes that ONNX has no operator for and that become several: biases that are
/// maps, and combinations with other factors than 1 and -1. A value times its own sigmoid or hard sigmoid comes back as one
/// activation. `graph` is taken to be well-formed.
pub fn write(graph: &Graph) -> Vec<u8> {
    export::write(graph, None)
}

/// Like [`write()`], with how pictures become the network's input in the model's metadata.
///
/// ```
/// use copriv_import::onnx;
/// use copriv_ir::{GraphBuilder, Preset, Shape};
///
/// let mut net = GraphBuilder::new("tiny", Shape::new(3, 4, 4))?;
/// let x = net.relu("relu", net.input())?;
/// let graph = net.finish(x)?;
/// let cifar = Preset::Cifar10.of(graph.input_shape());
/// let model = onnx::write_with(&graph, &cifar);
/// assert_eq!(onnx::preprocessing(&model, "tiny")?, Some(cifar));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_with(graph: &Graph, preprocessing: &Preprocessing) -> Vec<u8> {
    export::write(graph, Some(preprocessing))
}

/// How pictures become the network's input, if the model in `bytes` says: JSON of a [`Preprocessing`] under the key
/// [`PREPROCESSING_KEY`] of its `metadata_props`. `name` stands for the file in errors.
///
/// # Errors
/// [`Error::Malformed`] when the bytes are no ONNX model; [`Error::Model`] when what is there is no valid preprocessing.
pub fn preprocessing(bytes: &[u8], name: &str) -> Result<Option<Preprocessing>, Error> {
    metadata::preprocessing(bytes, name)
}

/// Where a model's metadata says how pictures become its input.
pub const PREPROCESSING_KEY: &str = "copriv.preprocessing";

/// Writes the ONNX model of a graph to `path`.
///
/// # Errors
/// [`Error::Io`].
pub fn save(graph: &Graph, path: impl AsRef<Path>) -> Result<(), Error> {
    file::write(path.as_ref(), &write(graph))
}
