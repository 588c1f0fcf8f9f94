//! Both parties of a measurement, a thread each.

use crate::error::Error;
use copriv_channel::{Channel, Tcp, memory};
use copriv_prg::Prg;
use copriv_runner::entropy;
use copriv_session::Session;
use copriv_wire::{Result as Wire, Role};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Batches that [`Parties::measure`] runs before it measures.
pub const WARM_UP: usize = 2;

/// Batches after which the parties wait for each other: where only one of them speaks it would run ahead of the other without
/// bound, until the connection's queue is full.
const AT_ONCE: usize = 64;

/// What connects the parties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// TCP on loopback.
    Tcp,
    /// Memory of this process.
    Memory,
}

impl Link {
    /// Both ends of a new connection.
    pub fn channels(self) -> Result<[Channel; 2], Error> {
        Ok(match self {
            Self::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let p1 = TcpStream::connect(listener.local_addr()?)?;
                let end =
                    |role, stream| -> Wire<Channel> { Ok(Channel::new(role, Tcp::new(stream, TIMEOUT)?)) };
                let p0 = end(Role::P0, listener.accept()?.0).map_err(failed)?;
                [p0, end(Role::P1, p1).map_err(failed)?]
            }
            Self::Memory => {
                let (p0, p1) = memory();
                [Channel::new(Role::P0, p0), Channel::new(Role::P1, p1)]
            }
        })
    }
}

/// Both parties, P0 first.
pub struct Parties<P>(pub [P; 2]);

impl<P: Send> Parties<P> {
    /// Connected by `link`, each what `party` makes of its end.
    pub fn connect(link: Link, party: impl Fn(Channel, Prg) -> Wire<P> + Sync) -> Result<Self, Error> {
        let [p0, p1] = link.channels()?;
        let mut ends = Parties([Some((p0, entropy()?)), Some((p1, entropy()?))]);
        let made = ends.both(|end| end.take().map(|(channel, prg)| party(channel, prg)).transpose())?;
        let [Some(p0), Some(p1)] = made else { return Err(Error::other("a party was not made")) };
        Ok(Self([p0, p1]))
    }

    /// What each party makes of `run`.
    pub fn both<T: Send>(&mut self, run: impl Fn(&mut P) -> Wire<T> + Sync) -> Result<[T; 2], Error> {
        let ([p0, p1], run) = (&mut self.0, &run);
        let (second, first) = thread::scope(|scope| {
            let first = scope.spawn(move || run(p0));
            (run(p1), first.join())
        });
        let first = first.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok([first.map_err(failed)?, second.map_err(failed)?])
    }

    /// The time that both take for `run`.
    pub fn timed(&mut self, run: impl Fn(&mut P) -> Wire<()> + Sync) -> Result<Duration, Error> {
        let start = Instant::now();
        self.both(run)?;
        Ok(start.elapsed())
    }
}

impl Parties<Session> {
    /// Times runs of `batch`, which are given how often they shall do it, for about `seconds`: how often it was done, and how
    /// long that took. It is done [`WARM_UP`] times before.
    pub fn measure(
        &mut self,
        seconds: Duration,
        batch: impl Fn(&mut Session, usize) -> Wire<()> + Sync,
    ) -> Result<(usize, Duration), Error> {
        self.timed(|s| batch(s, WARM_UP - 1))?;
        let once = self.timed(|s| batch(s, 1))?.as_secs_f64().max(1e-6);
        let times = (seconds.as_secs_f64() / once).ceil().max(1.0) as usize;
        let mut took = Duration::ZERO;
        for start in (0..times).step_by(AT_ONCE) {
            took += self.timed(|s| batch(s, AT_ONCE.min(times - start)))?;
        }
        Ok((times, took))
    }
}

fn failed(error: copriv_wire::Error) -> Error {
    Error::other(format!("the two parties could not be measured: {error}"))
}
