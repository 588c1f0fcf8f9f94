use copriv_ir::Shape;

/// Why a private inference did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection or the peer failed.
    #[error(transparent)]
    Protocol(#[from] copriv_wire::Error),
    /// The server's architecture, or ours, is not a valid network.
    #[error("the network's architecture: {0}")]
    Architecture(#[from] copriv_ir::Error),
    /// The server's offer cannot be read.
    #[error("the server's offer cannot be understood ({0}): is it the same version of copriv?")]
    Offer(String),
    /// The server speaks another suite than the client insists on.
    #[error(
        "the server runs suite {got}, this client insists on {expected}: drop --suite or change the server's"
    )]
    Suite {
        /// The client's.
        expected: crate::Suite,
        /// The server's.
        got: crate::Suite,
    },
    /// The input does not have the network's shape.
    #[error("the input has {got} values, the network takes {expected} ({shape})")]
    Input {
        /// Elements the network takes.
        expected: usize,
        /// Elements given.
        got: usize,
        /// The network's input.
        shape: Shape,
    },
    /// A name that is no suite.
    #[error("there is no suite {0:?}; there is: cryptflow2")]
    UnknownSuite(String),
    /// A name that is no way of revealing.
    #[error("{0:?} cannot be revealed; choose logits or label")]
    UnknownReveal(String),
    /// The network is too large for what a suite's message headers can say, or has no output.
    #[error("the network cannot run under this suite: {0}")]
    Unsupported(String),
    /// No randomness.
    #[error("the operating system gives no randomness: {0}")]
    Entropy(getrandom::Error),
}
