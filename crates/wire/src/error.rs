use std::io;

/// What a protocol returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The three ways a protocol fails: the connection, the bytes, or the peer's conduct.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed, timed out or was closed by the peer.
    #[error("connection to the peer: {0}")]
    Io(#[from] io::Error),
    /// The peer sent bytes that are not the message expected here.
    #[error("message {message}: expected {expected}, got {got}")]
    Wire {
        /// The message's name.
        message: &'static str,
        /// What the protocol requires.
        expected: String,
        /// What came.
        got: String,
    },
    /// The peer's bytes are well-formed, their content is not acceptable.
    #[error("the peer is not in agreement: {what}: expected {expected}, got {got}")]
    Peer {
        /// The subject of disagreement.
        what: &'static str,
        /// Our side's value.
        expected: String,
        /// The peer's value.
        got: String,
    },
}

impl Error {
    /// [`Error::Wire`] from anything printable.
    pub fn wire(message: &'static str, expected: impl ToString, got: impl ToString) -> Self {
        Self::Wire { message, expected: expected.to_string(), got: got.to_string() }
    }

    /// [`Error::Peer`] from anything printable.
    pub fn peer(what: &'static str, expected: impl ToString, got: impl ToString) -> Self {
        Self::Peer { what, expected: expected.to_string(), got: got.to_string() }
    }
}
