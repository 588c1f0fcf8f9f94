use copriv_ir::Shape;
use copriv_ring::Width;
use thiserror::Error;

/// Why a network was not evaluated.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum Error {
    /// The network is not well-formed.
    #[error(transparent)]
    Network(#[from] copriv_ir::Error),
    /// An input of the wrong size.
    #[error("the input has {got} elements, but the network reads {expected}; resize the input")]
    InputLength {
        /// What the network reads.
        expected: Shape,
        /// Elements given.
        got: usize,
    },
    /// An input in another ring.
    #[error(
        "the input has {got} bits, but the network computes with {expected}; encode the input for its width"
    )]
    InputWidth {
        /// The network's l.
        expected: Width,
        /// The input's l.
        got: Width,
    },
}
