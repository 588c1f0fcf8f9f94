use std::io;
use std::net::SocketAddr;

/// Why a command did not do what it was asked. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model, a weight file or a picture.
    #[error(transparent)]
    Import(#[from] copriv_import::Error),
    /// A network that cannot be used.
    #[error(transparent)]
    Network(#[from] copriv_ir::Error),
    /// The evaluation in the clear.
    #[error(transparent)]
    Plain(#[from] copriv_plain::Error),
    /// How pictures are prepared, as the command line says.
    #[error("how pictures are prepared: {0}")]
    Preprocessing(#[from] copriv_ir::PreprocessingError),
    /// Calibration.
    #[error(transparent)]
    Calibrate(#[from] copriv_calibrate::Error),
    /// Planning or running.
    #[error(transparent)]
    Runner(#[from] copriv_runner::Error),
    /// A store of preprocessed entries.
    #[error(transparent)]
    Store(#[from] copriv_runner::StoreError),
    /// A bit width that is none.
    #[error(transparent)]
    Width(#[from] copriv_ring::InvalidWidth),
    /// The connection with a peer, or what came over it.
    #[error("{peer}: {why}")]
    Peer {
        /// Its address.
        peer: SocketAddr,
        /// What happened and what to do.
        why: String,
    },
    /// Standard output.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// JSON that cannot be written.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The program copriv-train is missing, or cannot be started.
    #[error("{0}")]
    Program(String),
    /// Anything else; the message says all.
    #[error("{0}")]
    Other(String),
    /// The server process has said on standard error what is wrong.
    #[error("the server process has failed")]
    Told,
}

impl Error {
    /// An error of this program, in words.
    pub fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }

    /// What went wrong in a session with `peer`, in the user's terms.
    pub fn session(peer: SocketAddr, error: copriv_runner::Error) -> Self {
        use copriv_wire::Error as Wire;
        let copriv_runner::Error::Protocol(error) = error else { return Self::Runner(error) };
        let why = match &error {
            Wire::Io(e) if e.kind() == io::ErrorKind::TimedOut => {
                format!("{e}; is it at work? --timeout waits longer")
            }
            Wire::Io(e) if gone(e) => {
                "the peer has closed the connection in the middle; see what it says, and try again".into()
            }
            Wire::Wire { message: "Hello", .. } | Wire::Peer { what: "program", .. } => {
                "the other end is no copriv; check the address".into()
            }
            Wire::Peer { what: what @ "protocol version", expected, got } => {
                format!("it speaks {what} {got}, this program {expected}; use the same release at both ends")
            }
            other => format!("{other}; do both ends run the same release?"),
        };
        Self::Peer { peer, why }
    }
}

fn gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset | ConnectionAborted)
}
