/// Why a network could not be calibrated, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network, or the one that came of it, is not valid.
    #[error(transparent)]
    Network(#[from] copriv_ir::Error),
    /// It could not be evaluated.
    #[error(transparent)]
    Plain(#[from] copriv_plain::Error),
    /// No data.
    #[error("there is nothing to calibrate with; give at least one input")]
    NoData,
    /// Data that do not fit the fixed point.
    #[error("an input of {value} does not fit fixed point; scale the inputs")]
    Input {
        /// The value.
        value: f32,
    },
    /// Bits that are no use.
    #[error("{weight} bits for weights and {value} for values are outside 2 to 24 and 6 to 24")]
    Bits {
        /// Of weights.
        weight: u32,
        /// Of values.
        value: u32,
    },
    /// The network does not run.
    #[error(transparent)]
    Suite(crate::Failure),
    /// Values that no ring holds.
    #[error("`{layer}` needs a ring of {bits} bits, the widest has 63; use fewer bits for weights or values")]
    TooWide {
        /// The layer that needs most.
        layer: String,
        /// What it needs.
        bits: u32,
    },
}
