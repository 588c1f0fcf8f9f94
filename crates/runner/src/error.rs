use copriv_ir::Shape;
use copriv_ring::Width;

/// Why a private inference did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection or the peer failed.
    #[error(transparent)]
    Protocol(#[from] copriv_wire::Error),
    /// The server's architecture, or ours, is not a valid network.
    #[error("the network's architecture: {0}")]
    Architecture(#[from] copriv_ir::Error),
    /// What is said of the preparation of pictures makes no sense.
    #[error("how pictures are prepared: {0}")]
    Preprocessing(#[from] copriv_ir::PreprocessingError),
    /// Some pixel would not fit the ring.
    #[error(
        "how pictures are prepared: a pixel can become {pixel}, which does not fit {width} bits with {frac_bits} of them \
         fraction; check mean and standard deviation"
    )]
    Pixel {
        /// What it would become.
        pixel: f32,
        /// l.
        width: Width,
        /// f.
        frac_bits: u32,
    },
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
    #[error("there is no suite {0:?}; choose cryptflow2, copriv or best")]
    UnknownSuite(String),
    /// A name that is no OT.
    #[error("there are no OTs called {0:?}; choose silent, softspoken or iknp")]
    UnknownOt(String),
    /// A name that is no way of truncating.
    #[error("there is no truncation {0:?}; choose exact or one-bit")]
    UnknownTruncation(String),
    /// A suite that is exact is asked to be otherwise.
    #[error("suite {0} is exact: one-bit truncation and ReLUs on fewer bits are for suite best")]
    Exact(crate::Suite),
    /// More bits are dropped than there are.
    #[error("a ReLU can find its sign without at most {most} bits of this ring, not without {got}")]
    DropBits {
        /// The most that can be dropped.
        most: u32,
        /// What was asked for.
        got: u32,
    },
    /// A name that is no way of revealing.
    #[error("{0:?} cannot be revealed; choose logits or label")]
    UnknownReveal(String),
    /// The network is too large for what a suite's message headers can say, or has no output.
    #[error("the network cannot run under this suite: {0}")]
    Unsupported(String),
    /// The store of preprocessed entries failed.
    #[error("the store of preprocessed entries: {0}")]
    Store(#[from] copriv_store::Error),
    /// No entry of this party's store fits.
    #[error(
        "the store has no entry for this server's network and protocols that the server has too: make some with \
         copriv preprocess, or preprocess now (--on-the-fly)"
    )]
    NoEntry,
    /// The server cannot preprocess for later.
    #[error(
        "the server keeps no store, so nothing can be preprocessed for later: start it with --store FILE"
    )]
    ServerHasNoStore,
    /// The server keeps as many entries as it may.
    #[error("the server's store is full: use some entries up first, or raise the server's --stock")]
    ServerIsFull,
    /// An earlier failure has ended the session.
    #[error("the session is over: connect again")]
    Over,
    /// The suite has nothing to do before the input is there.
    #[error(
        "suite {0} does everything with the input: there is nothing to preprocess; choose copriv or best"
    )]
    NothingToPreprocess(crate::Suite),
    /// No randomness.
    #[error("the operating system gives no randomness: {0}")]
    Entropy(getrandom::Error),
}

impl Error {
    /// Whether both parties still know where they are: nothing was sent, or a question was answered with no.
    pub(crate) fn leaves_session(&self) -> bool {
        use copriv_store::Error::Exists;
        matches!(self, Self::Input { .. } | Self::NothingToPreprocess(_) | Self::NoEntry)
            || matches!(self, Self::ServerHasNoStore | Self::ServerIsFull | Self::Store(Exists { .. }))
    }
}
