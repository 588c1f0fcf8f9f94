use crate::run_sessions;
use copriv_channel::{Transport, memory};
use copriv_session::{Params, Session};
use copriv_wire::{Result, Role};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What to do with one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tamper {
    /// Leave off the last byte and everything that follows.
    Truncate,
    /// Add a byte.
    Extend,
    /// Change the tag.
    Retag,
    /// Flip one bit of the payload (or of the header, where there is no payload).
    Flip,
    /// Send the previous message in its place.
    Replay,
    /// Send nothing more, and close.
    Vanish,
}

impl Tamper {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Truncate, Self::Extend, Self::Retag, Self::Flip, Self::Replay, Self::Vanish];
}

/// A transport that does something to message number `at` of its own sends.
pub struct Tampering<T> {
    inner: Option<T>,
    tamper: Tamper,
    at: usize,
    sent: Arc<AtomicUsize>,
    previous: Vec<u8>,
}

impl<T> Tampering<T> {
    /// Does `tamper` to the message `at` (from 0).
    pub fn new(inner: T, tamper: Tamper, at: usize) -> Self {
        Self { inner: Some(inner), tamper, at, sent: Arc::default(), previous: Vec::new() }
    }

    /// The number of messages sent so far, also when the transport has been given away.
    pub fn counter(&self) -> Arc<AtomicUsize> {
        self.sent.clone()
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "this end was closed on purpose")
}

impl<T: Transport> Transport for Tampering<T> {
    fn send(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        let inner = self.inner.as_mut().ok_or_else(closed)?;
        let now = self.sent.fetch_add(1, Ordering::Relaxed) == self.at;
        if !now {
            self.previous.clone_from(&bytes);
            return inner.send(bytes);
        }
        match self.tamper {
            Tamper::Truncate => drop(bytes.pop()),
            Tamper::Extend => bytes.push(0x5A),
            Tamper::Retag => bytes[0] ^= 0x40,
            Tamper::Flip => {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
            Tamper::Replay => bytes = std::mem::take(&mut self.previous),
            Tamper::Vanish => bytes.clear(),
        }
        inner.send(bytes)?;
        if matches!(self.tamper, Tamper::Truncate | Tamper::Vanish) {
            self.inner = None;
        }
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.as_mut().ok_or_else(closed)?.recv(buffer)
    }
}

/// Runs the protocol with every tampering of every message of either party, set-up included, and returns how
/// many runs that were. Neither party may panic or hang; both see an error or finish, with whatever result.
///
/// # Panics
/// When a party panics.
pub fn survive_tampering(params: Params, body: impl Fn(&mut Session) -> Result<()> + Sync) -> usize {
    let patience = Duration::from_secs(1);
    let mut runs = 0;
    for (liar, tamper) in [Role::P0, Role::P1].into_iter().flat_map(|r| Tamper::ALL.map(|t| (r, t))) {
        for at in 0.. {
            let (a, b) = memory();
            let lying = |end: usize, inner| {
                let at = if end == liar.index() { at } else { usize::MAX };
                Tampering::new(inner, tamper, at)
            };
            let ends = (lying(0, a.with_timeout(patience)), lying(1, b.with_timeout(patience)));
            let sent = if liar == Role::P0 { ends.0.counter() } else { ends.1.counter() };
            run_sessions(params, 1, ends, |s| body(s), |s| body(s));
            runs += 1;
            if sent.load(Ordering::Relaxed) <= at {
                break;
            }
        }
    }
    runs
}

/// Every byte that one end sent.
pub type Recorded = Arc<Mutex<Vec<u8>>>;

/// A transport that keeps a copy of what it sends, for wire digests.
pub fn record<T: Transport>(inner: T) -> (impl Transport, Recorded) {
    struct Recorder<T>(T, Recorded);
    impl<T: Transport> Transport for Recorder<T> {
        fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
            if let Ok(mut all) = self.1.lock() {
                all.extend_from_slice(&bytes);
            }
            self.0.send(bytes)
        }
        fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
            self.0.recv(buffer)
        }
    }
    let recorded = Recorded::default();
    (Recorder(inner, recorded.clone()), recorded)
}
