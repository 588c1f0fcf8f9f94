use std::io;
use std::path::PathBuf;

/// Why training cannot go on. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pictures.
    #[error(transparent)]
    Data(#[from] crate::data::Error),
    /// The network is not valid.
    #[error("the network cannot be used: {0}")]
    Graph(#[from] copriv_ir::Error),
    /// A network file.
    #[error(transparent)]
    Import(#[from] copriv_import::Error),
    /// What a network costs.
    #[error(transparent)]
    Cost(#[from] crate::cost::Error),
    /// Figures and results.
    #[error(transparent)]
    Figure(#[from] crate::pareto::Error),
    /// The network does not fit the pictures.
    #[error("{0}")]
    Mismatch(String),
    /// A setting out of range.
    #[error("{name}: {why}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What is wrong with it, and what is right.
        why: String,
    },
    /// The loss is no number any more.
    #[error(
        "the loss is {loss} at step {step}: the training diverged; the last checkpoint is whole. Use a lower --rate, a longer --warm-up or --clip 1"
    )]
    Diverged {
        /// Steps of the optimiser before.
        step: u64,
        /// NaN or infinite.
        loss: f32,
    },
    /// A file cannot be written.
    #[error(
        "{0:?} cannot be written: {1}; what was there before is whole. Free some space or choose another --out, then go on with --resume"
    )]
    Write(PathBuf, #[source] io::Error),
    /// A file cannot be read.
    #[error("{0:?} cannot be read: {1}; check the path and its permissions")]
    Read(PathBuf, #[source] io::Error),
    /// A checkpoint that is none, or of another run.
    #[error("{path:?}: {why}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// There is a run already.
    #[error("{0:?} holds a run already: go on with it by --resume, or choose another --out")]
    Exists(PathBuf),
    /// The budget is below all that the method can reach.
    #[error("{0}")]
    Budget(String),
    /// The tensor library failed.
    #[error("the tensor library failed: {0}")]
    Device(String),
}
