//! What goes wrong, as Python's exceptions.

use pyo3::PyErr;
use pyo3::exceptions::{PyException, PyValueError};
use std::io;

pyo3::create_exception!(
    copriv,
    Error,
    PyException,
    "A model, a peer or a store that cannot be used; the message says why and what to do."
);

/// Why a call failed.
#[derive(Debug)]
pub enum Fault {
    /// The caller's arguments: `ValueError`.
    Argument(String),
    /// What the operating system says: `OSError` or the subclass that fits.
    System(io::ErrorKind, String),
    /// Anything else: `copriv.Error`.
    Other(String),
}

impl Fault {
    /// The caller's mistake, in words.
    pub fn argument(message: impl ToString) -> Self {
        Self::Argument(message.to_string())
    }

    /// Anything else, in words.
    pub fn other(message: impl ToString) -> Self {
        Self::Other(message.to_string())
    }

    fn system(kind: io::ErrorKind, message: impl ToString) -> Self {
        // Python has no class for an end where there should be none.
        let gone = kind == io::ErrorKind::UnexpectedEof;
        Self::System(if gone { io::ErrorKind::ConnectionReset } else { kind }, message.to_string())
    }

    /// The message.
    pub fn message(&self) -> &str {
        match self {
            Self::Argument(message) | Self::System(_, message) | Self::Other(message) => message,
        }
    }

    /// The same, said of `who`.
    pub fn of(self, who: &str) -> Self {
        let say = |message: String| format!("{who}: {message}");
        match self {
            Self::Argument(message) => Self::Argument(say(message)),
            Self::System(kind, message) => Self::System(kind, say(message)),
            Self::Other(message) => Self::Other(say(message)),
        }
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Argument(message) => PyValueError::new_err(message),
            Fault::System(kind, message) => io::Error::new(kind, message).into(),
            Fault::Other(message) => Error::new_err(message),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Self::system(e.kind(), e)
    }
}

impl From<copriv_import::Error> for Fault {
    fn from(e: copriv_import::Error) -> Self {
        use copriv_import::Error as E;
        match &e {
            E::Io { source, .. } => Self::system(source.kind(), e),
            E::UnknownNetwork { .. } | E::UnknownSpec { .. } => Self::argument(e),
            _ => Self::other(e),
        }
    }
}

impl From<copriv_ir::Error> for Fault {
    fn from(e: copriv_ir::Error) -> Self {
        use copriv_ir::Fault::{Headroom, Zero};
        match &e {
            // `frac` is none, or too large for `bits`.
            copriv_ir::Error::Network(Headroom { .. } | Zero(_)) => Self::argument(e),
            _ => Self::other(e),
        }
    }
}

impl From<copriv_plain::Error> for Fault {
    fn from(e: copriv_plain::Error) -> Self {
        match e {
            copriv_plain::Error::Network(e) => e.into(),
            e => Self::argument(e),
        }
    }
}

impl From<copriv_ring::InvalidWidth> for Fault {
    fn from(e: copriv_ring::InvalidWidth) -> Self {
        Self::argument(e)
    }
}

impl From<copriv_runner::StoreError> for Fault {
    fn from(e: copriv_runner::StoreError) -> Self {
        match &e {
            copriv_runner::StoreError::Io { source, .. } => Self::system(source.kind(), e),
            _ => Self::other(e),
        }
    }
}

impl From<copriv_wire::Error> for Fault {
    fn from(e: copriv_wire::Error) -> Self {
        use copriv_wire::Error as E;
        match &e {
            E::Io(source) => Self::system(source.kind(), source),
            E::Wire { message: "Hello", .. } | E::Peer { what: "program", .. } => {
                Self::other("the other end is no copriv; check the address")
            }
            _ => Self::Other(format!("{e}; do both ends run the same release?")),
        }
    }
}

impl From<copriv_runner::Error> for Fault {
    fn from(e: copriv_runner::Error) -> Self {
        use copriv_runner::Error as E;
        match e {
            E::Protocol(e) => e.into(),
            E::Store(e) => e.into(),
            E::Architecture(e) => e.into(),
            // The runner's own words name options of the program.
            E::Suite { expected, got } => {
                Self::Other(format!("the server runs suite {got}, this client insists on {expected}"))
            }
            E::NoEntry => Self::other(
                "the store has no entry that the server has too: preprocess() makes some, infer(on_the_fly=True) does \
                 without",
            ),
            E::ServerHasNoStore => {
                Self::other("the server keeps no store, so nothing can be preprocessed for later")
            }
            E::ServerIsFull => Self::other("the server's store is full: use some entries up first"),
            e @ (E::Input { .. }
            | E::UnknownSuite(_)
            | E::UnknownOt(_)
            | E::UnknownTruncation(_)
            | E::UnknownReveal(_)
            | E::Exact(_)
            | E::DropBits { .. }) => Self::argument(e),
            e => Self::other(e),
        }
    }
}
