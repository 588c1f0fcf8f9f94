use crate::counted::counted;
use crate::{dealer, stored_dealer};
use copriv_bits::Block;
use copriv_channel::{Channel, Cost, Traffic, Transport, memory};
use copriv_ot::one_of_n::{OneOfNBackend, OneOfNReceiver, OneOfNSender};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender};
use copriv_prg::Prg;
use copriv_session::{Params, Session, hello};
use copriv_wire::{Result, Role};
use std::time::Duration;

/// What a run of two parties gave.
#[derive(Debug)]
pub struct Outcome<A, B> {
    /// P0's output.
    pub p0: A,
    /// P1's output.
    pub p1: B,
    /// What the channels counted, of each party.
    pub traffic: [Traffic; 2],
    /// The RCOTs that each party drew, as sender and as receiver, and of how many of them bits of keys alone; `None` where the parties have
    /// no sessions.
    pub rcots: Option<[[[u64; 2]; 2]; 2]>,
}

impl<A, B> Outcome<A, B> {
    /// Asserts that the channels counted exactly what `cost` predicts, bytes each way and each party's rounds, and
    /// that the sessions drew the RCOTs it predicts.
    #[track_caller]
    pub fn assert_cost(&self, cost: Cost) {
        let [t0, t1] = self.traffic;
        assert_eq!(t0.sent, cost.bytes_from(Role::P0), "bytes from P0");
        assert_eq!(t1.sent, cost.bytes_from(Role::P1), "bytes from P1");
        assert_eq!((t0.received, t1.received), (t1.sent, t0.sent), "everything sent was received");
        assert_eq!(t0.rounds, cost.rounds_of(Role::P0), "rounds of P0");
        assert_eq!(t1.rounds, cost.rounds_of(Role::P1), "rounds of P1");
        if let Some([[sent0, got0], [sent1, got1]]) = self.rcots {
            assert_eq!((sent0, sent1), (got1, got0), "every RCOT has a sender and a receiver");
            let drawn = |sender| [cost.rcots_from(sender), cost.bit_ots_from(sender)];
            assert_eq!(sent0, drawn(Role::P0), "RCOTs of sender P0, and those used for bits");
            assert_eq!(sent1, drawn(Role::P1), "RCOTs of sender P1, and those used for bits");
        }
    }
}

/// Two channels in memory whose reads give up after ten seconds.
pub fn channel_pair() -> (Channel, Channel) {
    let (a, b) = memory();
    let patience = Duration::from_secs(10);
    (Channel::new(Role::P0, a.with_timeout(patience)), Channel::new(Role::P1, b.with_timeout(patience)))
}

/// Runs P0 and P1 over the given transports, each in a thread.
///
/// # Panics
/// When a party panics.
pub fn run_channels<A: Send, B: Send>(
    transports: (impl Transport + 'static, impl Transport + 'static),
    p0: impl FnOnce(&mut Channel) -> Result<A> + Send,
    p1: impl FnOnce(&mut Channel) -> Result<B> + Send,
) -> Outcome<Result<A>, Result<B>> {
    let (mut c0, mut c1) = (Channel::new(Role::P0, transports.0), Channel::new(Role::P1, transports.1));
    std::thread::scope(|scope| {
        // Each channel is dropped at the end of its party, so that the other notices.
        let first = scope.spawn(move || (p0(&mut c0), c0.traffic()));
        let second = scope.spawn(move || (p1(&mut c1), c1.traffic()));
        let join = |r: std::thread::Result<_>| r.unwrap_or_else(|e| std::panic::resume_unwind(e));
        let (p0, t0) = join(first.join());
        let (p1, t1) = match second.join() {
            Ok(result) => result,
            Err(e) => std::panic::resume_unwind(e),
        };
        Outcome { p0, p1, traffic: [t0, t1], rcots: None }
    })
}

/// Runs one protocol function as both parties in sessions with `params`; the set-up is not counted. `seed` makes the
/// run repeatable.
///
/// # Panics
/// When a party fails or panics.
pub fn run_pair<A: Send, B: Send>(
    params: Params,
    seed: u64,
    p0: impl FnOnce(&mut Session) -> Result<A> + Send,
    p1: impl FnOnce(&mut Session) -> Result<B> + Send,
) -> Outcome<A, B> {
    let (a, b) = memory();
    let patience = Duration::from_secs(30);
    let outcome = run_sessions(params, seed, (a.with_timeout(patience), b.with_timeout(patience)), p0, p1);
    let Outcome { p0, p1, traffic, rcots } = outcome;
    match (p0, p1) {
        (Ok(p0), Ok(p1)) => Outcome { p0, p1, traffic, rcots },
        (p0, p1) => panic!("P0: {:?}, P1: {:?}", p0.err(), p1.err()),
    }
}

/// Like [`run_pair`], over the given transports, with each party's result as it is.
///
/// # Panics
/// When a party panics.
pub fn run_sessions<A: Send, B: Send>(
    params: Params,
    seed: u64,
    transports: (impl Transport + 'static, impl Transport + 'static),
    p0: impl FnOnce(&mut Session) -> Result<A> + Send,
    p1: impl FnOnce(&mut Session) -> Result<B> + Send,
) -> Outcome<Result<A>, Result<B>> {
    let party = move |channel: Channel| -> Result<Session> {
        let role = channel.role();
        let prg = Prg::from_seed(Block::new(seed, role.index() as u64));
        let mut session = match params.rcot {
            RcotBackend::Ideal => {
                dealt(channel, prg, params, [2, 3].map(|i| boxed(dealer(Block::new(seed, i)))))
            }
            RcotBackend::Stored => {
                dealt(channel, prg, params, [2, 3].map(|i| boxed(stored_dealer(Block::new(seed, i)))))
            }
            RcotBackend::Iknp | RcotBackend::Softspoken { .. } => Session::setup(channel, prg, params)?,
        };
        // Both parties end with a receive, so that what follows is counted as on a fresh channel.
        hello(&mut session.channel)?;
        Ok(session)
    };
    let (c0, c1) = (Channel::new(Role::P0, transports.0), Channel::new(Role::P1, transports.1));
    std::thread::scope(|scope| {
        let first = scope.spawn(move || run_party(party(c0), p0));
        let second = scope.spawn(move || run_party(party(c1), p1));
        let (p0, t0, rcots0) = first.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
        let (p1, t1, rcots1) = second.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
        Outcome { p0, p1, traffic: [t0, t1], rcots: Some([rcots0, rcots1]) }
    })
}

fn run_party<T>(
    session: Result<Session>,
    body: impl FnOnce(&mut Session) -> Result<T>,
) -> (Result<T>, Traffic, [[u64; 2]; 2]) {
    match session {
        Err(e) => (Err(e), Traffic::default(), Default::default()),
        Ok(session) => {
            let (mut session, drawn) = counted(session);
            let before = session.channel.traffic();
            let result = body(&mut session);
            let rcots = drawn.map(|drawn| drawn.numbers());
            (result, session.channel.traffic().since(before), rcots)
        }
    }
}

/// The two ends of RCOTs in one direction.
type Ends = (Box<dyn RcotSender>, Box<dyn RcotReceiver>);

fn boxed((sender, receiver): (impl RcotSender + 'static, impl RcotReceiver + 'static)) -> Ends {
    (Box::new(sender), Box::new(receiver))
}

/// A session on the dealer's OTs: sent by P0, and sent by P1.
fn dealt(channel: Channel, prg: Prg, params: Params, [(s0, r0), (s1, r1)]: [Ends; 2]) -> Session {
    assert!(params.one_of_n == OneOfNBackend::Rcot, "the dealer gives RCOTs only");
    let one_of_n = (OneOfNSender::Rcot, OneOfNReceiver::Rcot);
    let rcot = match channel.role() {
        Role::P0 => (s0, r1),
        Role::P1 => (s1, r0),
    };
    Session::from_parts(channel, prg, params, rcot, one_of_n)
}
