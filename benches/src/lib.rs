//! Criterion benchmarks, one file per layer, and what they share: two parties in one process.

use copriv_bits::Block;
use copriv_channel::{Channel, Transport, memory};
use copriv_prg::Prg;
use copriv_session::{Params, Session};
use copriv_wire::{Result, Role};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Both ends of a session over memory, each run in a thread of its own.
pub struct Pair {
    ends: [Session; 2],
}

impl Pair {
    /// Sets up a session.
    ///
    /// # Panics
    /// When the set-up fails.
    pub fn new(params: Params) -> Self {
        let (a, b) = memory();
        let prg = |n| Prg::from_seed(Block::new(n, 0));
        let ends = std::thread::scope(|scope| {
            let p1 = scope.spawn(|| Session::setup(Channel::new(Role::P1, b), prg(1), params));
            let p0 = Session::setup(Channel::new(Role::P0, a), prg(0), params);
            [p0, p1.join().unwrap_or_else(|e| std::panic::resume_unwind(e))]
        });
        Self { ends: ends.map(|end| end.unwrap_or_else(|e| panic!("set-up: {e}"))) }
    }

    /// Runs the two functions `times` times each, side by side, and returns the wall-clock time.
    ///
    /// # Panics
    /// When a party fails.
    pub fn time(
        &mut self,
        times: u64,
        p0: impl Fn(&mut Session) -> Result<()> + Sync,
        p1: impl Fn(&mut Session) -> Result<()> + Sync,
    ) -> Duration {
        let [s0, s1] = &mut self.ends;
        let start = Instant::now();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| (0..times).try_for_each(|_| p1(s1)));
            let own = (0..times).try_for_each(|_| p0(s0));
            let other = other.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
            own.and(other).unwrap_or_else(|e| panic!("{e}"));
        });
        start.elapsed()
    }

    /// Runs the two functions once, side by side, and returns what they give.
    ///
    /// # Panics
    /// When a party fails.
    pub fn both<A: Send, B: Send>(
        &mut self,
        p0: impl FnOnce(&mut Session) -> Result<A> + Send,
        p1: impl FnOnce(&mut Session) -> Result<B> + Send,
    ) -> (A, B) {
        let [s0, s1] = &mut self.ends;
        let (own, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| p1(s1));
            (p0(s0), other.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
        });
        (own.unwrap_or_else(|e| panic!("{e}")), other.unwrap_or_else(|e| panic!("{e}")))
    }

    /// Bytes that one run of the two functions puts on the wire, both directions.
    ///
    /// # Panics
    /// When a party fails.
    pub fn bytes(
        &mut self,
        p0: impl Fn(&mut Session) -> Result<()> + Sync,
        p1: impl Fn(&mut Session) -> Result<()> + Sync,
    ) -> u64 {
        let before = self.ends[0].channel.traffic();
        self.time(1, p0, p1);
        let traffic = self.ends[0].channel.traffic().since(before);
        traffic.sent + traffic.received
    }
}

/// One party alone on the machine, against a recording of its peer: what a party can do with all cores to itself.
pub struct Alone {
    role: Role,
    params: Params,
    /// Every byte that the peer sent.
    incoming: Arc<Vec<u8>>,
}

impl Alone {
    /// Runs both parties once, set-up included, and keeps what each of them heard.
    ///
    /// # Panics
    /// When a party fails.
    pub fn record(params: Params, body: impl Fn(&mut Session) -> Result<()> + Sync) -> [Self; 2] {
        let (a, b) = memory();
        let heard = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
        let party = |role: Role, inner: copriv_channel::Memory| {
            let transport = Recorder { inner, sent: heard[role.peer().index()].clone() };
            let mut s = Session::setup(Channel::new(role, transport), seeded(role), params)?;
            body(&mut s)
        };
        let (p0, p1) = std::thread::scope(|scope| {
            let p1 = scope.spawn(|| party(Role::P1, b));
            let p0 = party(Role::P0, a);
            (p0, p1.join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
        });
        p0.and(p1).unwrap_or_else(|e| panic!("{e}"));
        [Role::P0, Role::P1].map(|role| {
            let incoming =
                std::mem::take(&mut *heard[role.index()].lock().unwrap_or_else(|e| e.into_inner()));
            Self { role, params, incoming: Arc::new(incoming) }
        })
    }

    /// Runs this party `times` times, and returns the wall-clock time without the set-ups.
    ///
    /// # Panics
    /// When `body` is not what was recorded.
    pub fn time(&self, times: u64, body: impl Fn(&mut Session) -> Result<()>) -> Duration {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let channel =
                Channel::new(self.role, Replay { bytes: self.incoming.clone(), at: 0, spare: Vec::new() });
            let mut s =
                Session::setup(channel, seeded(self.role), self.params).unwrap_or_else(|e| panic!("{e}"));
            let start = Instant::now();
            body(&mut s).unwrap_or_else(|e| panic!("{e}"));
            took += start.elapsed();
        }
        took
    }
}

fn seeded(role: Role) -> Prg {
    Prg::from_seed(Block::new(role.index() as u64, 0))
}

struct Recorder<T> {
    inner: T,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl<T: Transport> Transport for Recorder<T> {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.sent.lock().unwrap_or_else(|e| e.into_inner()).extend_from_slice(&bytes);
        self.inner.send(bytes)
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.recv(buffer)
    }
}

struct Replay {
    bytes: Arc<Vec<u8>>,
    at: usize,
    spare: Vec<u8>,
}

impl Transport for Replay {
    fn send(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        bytes.clear();
        self.spare = bytes;
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let rest = &self.bytes[self.at..];
        let here = rest.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(here);
        self.at += buffer.len();
        Ok(())
    }

    fn spare(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare)
    }
}
