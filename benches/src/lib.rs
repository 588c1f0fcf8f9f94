//! Criterion benchmarks, one file per layer, and what they share: two parties in one process.

use copriv_bits::Block;
use copriv_channel::{Channel, memory};
use copriv_prg::Prg;
use copriv_session::{Params, Session};
use copriv_wire::{Result, Role};
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
