use std::io;
use std::path::Path;

/// Why a model, a weight file or a picture could not be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the operating system says.
        source: io::Error,
    },

    /// The file is larger than this crate reads.
    #[error("{file}: {bytes} bytes, the limit is {limit}; is this the right file?")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size in bytes.
        bytes: u64,
        /// The largest size read.
        limit: u64,
    },

    /// The bytes are not what the format says they should be.
    #[error("{file}: not a readable {format} file: {why}")]
    Malformed {
        /// The file.
        file: String,
        /// The format that was expected.
        format: &'static str,
        /// What is wrong with it.
        why: String,
    },

    /// A model with an operator that is not supported.
    #[error(
        "{file}: node {node}: operator {operator} is not supported; {hint} (supported: {})",
        crate::onnx::OPERATORS.join(", ")
    )]
    Operator {
        /// The file.
        file: String,
        /// The name of the node.
        node: String,
        /// The operator, with its domain unless that is the standard one.
        operator: String,
        /// What to do about it.
        hint: &'static str,
    },

    /// One node of a model cannot be used as it is.
    #[error("{file}: node {node}: {why}")]
    Node {
        /// The file.
        file: String,
        /// The name of the node.
        node: String,
        /// What is wrong and what to do.
        why: String,
    },

    /// A model as a whole cannot be used as it is.
    #[error("{file}: {why}")]
    Model {
        /// The file.
        file: String,
        /// What is wrong and what to do.
        why: String,
    },

    /// The tensors of a weight file are not those of the network.
    #[error("{file}: the weights do not fit network {network}: {why}")]
    Weights {
        /// The weight file.
        file: String,
        /// The name of the network.
        network: String,
        /// The tensors at fault.
        why: String,
    },

    /// A picture that the network cannot take.
    #[error("{file}: {why}")]
    Picture {
        /// The file.
        file: String,
        /// What is wrong and what to do.
        why: String,
    },

    /// A name that the zoo does not have.
    #[error("no network is called {name}; the zoo has {}", crate::zoo::names().join(", "))]
    UnknownNetwork {
        /// The name asked for.
        name: String,
    },

    /// A specification that is neither a zoo name nor a model file.
    #[error(
        "{spec} is neither zoo:NAME nor a file ending in .onnx or .copriv; the zoo has {}",
        crate::zoo::names().join(", ")
    )]
    UnknownSpec {
        /// The specification.
        spec: String,
    },

    /// What an ONNX file leaves open, said of something else.
    #[error("{spec} has one input shape and one output; say these of an ONNX file")]
    UnusedOptions {
        /// The specification.
        spec: String,
    },
}

/// The name of `path` in messages.
pub(crate) fn label(path: &Path) -> String {
    path.display().to_string()
}
