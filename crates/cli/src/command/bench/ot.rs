//! Oblivious transfers.

use super::Row;
use super::parties::{Link, Parties, WARM_UP};
use crate::error::Error;
use crate::format::{count, milliseconds};
use crate::progress::Bar;
use crate::table::Column::{self, Number, Words};
use copriv_bits::Block;
use copriv_channel::{Channel, Cost};
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ot::silent::{self, Schedule, SilentReceiver, SilentSender, State};
use copriv_ot::{RcotBackend, rot};
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_runner::entropy;
use copriv_session::{Params, Session, setup_cost};
use copriv_wire::{Result as Wire, Role};
use serde::Serialize;
use std::time::Duration;

/// OTs of a session whose set-up is counted too.
const SESSION: usize = 10_000_000;

/// OTs after those of [`SESSION`], of which the steady state is an average: some 28 iterations of the largest silent set.
const STEADY: usize = 1 << 28;

const INDEX_BITS: u32 = 4;
const MESSAGE: Width = Width::of(2);

/// What was measured of a kind of OT, P0 the sender.
#[derive(Serialize)]
pub struct Measured {
    protocol: &'static str,
    /// Of each party.
    threads: usize,
    /// In a batch.
    count: usize,
    per_second: f64,
    /// Both directions, without set-up, in the long run: exact, for batches of `count`.
    bytes_each: f64,
    /// The same with the session's set-up, which is for both directions, over 10^7 OTs.
    bytes_each_with_setup: f64,
    /// Until the first OT is there.
    setup_seconds: f64,
    /// Whether the bytes that were sent are those that the cost functions say.
    as_planned: bool,
}

impl Row for Measured {
    const COLUMNS: &'static [Column<'static>] = &[
        Words("protocol"),
        Number("threads"),
        Number("batch"),
        Number("per second"),
        Number("bytes each"),
        Number("with set-up, of 10^7"),
        Number("set-up ms"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.protocol.to_owned(),
            self.threads.to_string(),
            self.count.to_string(),
            count(self.per_second as u64),
            format!("{:.3}", self.bytes_each),
            format!("{:.3}", self.bytes_each_with_setup),
            milliseconds(self.setup_seconds),
        ]
    }
}

/// What is made of RCOTs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Correlated,
    Random,
    OneOf16,
}

/// OTs to measure.
struct Task {
    protocol: &'static str,
    kind: Kind,
    params: Params,
    /// Silent OT, started from the RCOTs of `params`.
    silent: Option<Schedule>,
    /// In a batch.
    count: usize,
}

fn tasks() -> Vec<Task> {
    let kk13 = Params::CRYPTFLOW2;
    let on = |rcot| Params { rcot, one_of_n: OneOfNBackend::Rcot, ..kk13 };
    let soft = |k| on(RcotBackend::Softspoken { k });
    let task = |protocol, kind, params, silent| {
        let count = match kind {
            Kind::Correlated => 1 << 16,
            Kind::Random => 1 << 18,
            Kind::OneOf16 => 1 << 16,
        };
        Task { protocol, kind, params, silent, count }
    };
    let rcot = |protocol, params| task(protocol, Kind::Correlated, params, None);
    vec![
        rcot("random correlated OT, IKNP", on(RcotBackend::Iknp)),
        rcot("random correlated OT, SoftSpoken k = 2", soft(2)),
        rcot("random correlated OT, SoftSpoken k = 4", soft(4)),
        rcot("random correlated OT, SoftSpoken k = 8", soft(8)),
        task("random correlated OT, silent", Kind::Correlated, soft(4), Some(Schedule::LARGE)),
        task("random correlated OT, silent, lean", Kind::Correlated, soft(4), Some(Schedule::LEAN)),
        task("random OT, SoftSpoken k = 4", Kind::Random, soft(4), None),
        task("random OT, silent", Kind::Random, soft(4), Some(Schedule::LARGE)),
        task("1-of-16 OT of 2 bits, KK13", Kind::OneOf16, kk13, None),
    ]
}

/// Measures OTs of each kind with `only` in its name for `seconds`.
pub fn rows(bar: &Bar, only: &str, seconds: Duration) -> Result<Vec<Measured>, Error> {
    tasks()
        .iter()
        .filter(|task| task.protocol.contains(only))
        .map(|task| {
            bar.at(task.protocol);
            task.measure(seconds)
        })
        .collect()
}

impl Task {
    fn measure(&self, seconds: Duration) -> Result<Measured, Error> {
        let Self { protocol, count, .. } = *self;
        let mut prg = entropy()?;
        let (choices, digits) = (prg.bits(count), prg.ring(Width::of(INDEX_BITS), count));
        let digits: Vec<u8> = digits.words().iter().map(|&digit| digit as u8).collect();
        let batches = |s: &mut Session, count: usize, times: usize| match self.kind {
            Kind::Correlated => correlated(s, count, times),
            Kind::Random => (0..times).try_for_each(|_| match s.role() {
                Role::P0 => rot::send(&mut s.channel, s.rcot_sender.as_mut(), count).map(drop),
                Role::P1 => {
                    let choices = choices.slice(0..count);
                    rot::receive(&mut s.channel, s.rcot_receiver.as_mut(), &choices).map(drop)
                }
            }),
            Kind::OneOf16 => (0..times).try_for_each(|_| one_of_16(s, &digits[..count])),
        };
        let start = std::time::Instant::now();
        let mut parties = Parties::connect(Link::Tcp, |channel, prg| self.set_up(channel, prg))?;
        parties.both(|s| batches(s, 1, 1))?;
        let setup_seconds = start.elapsed().as_secs_f64();
        let (times, took) = parties.measure(seconds, |s, times| batches(s, count, times))?;

        let traffic = parties.0[1].channel.traffic();
        let mut planned = Planned::new(self);
        let bytes = self.setup_cost().bytes() + planned.draw(1, 1) + planned.draw(count, times + WARM_UP);
        let mut planned = Planned::new(self);
        let of_session = self.setup_cost().bytes()
            + planned.draw(count, SESSION / count)
            + planned.draw(SESSION % count, 1);
        let steady = planned.draw(count, STEADY / count);
        Ok(Measured {
            protocol,
            threads: 1,
            count,
            per_second: (count * times) as f64 / took.as_secs_f64(),
            bytes_each: steady as f64 / STEADY as f64,
            bytes_each_with_setup: of_session as f64 / SESSION as f64,
            setup_seconds,
            as_planned: traffic.sent + traffic.received == bytes,
        })
    }

    /// A session in which P0 sends these OTs.
    fn set_up(&self, channel: Channel, prg: Prg) -> Wire<Session> {
        let mut s = Session::setup(channel, prg, self.params)?;
        let Some(schedule) = self.silent else { return Ok(s) };
        match s.role() {
            Role::P0 => {
                let prg = s.prg.child();
                let silent = SilentSender::new(&mut s.channel, s.rcot_sender.as_mut(), prg, schedule)?;
                s.rcot_sender = Box::new(silent);
            }
            Role::P1 => {
                let silent = SilentReceiver::new(&mut s.channel, s.rcot_receiver.as_mut(), schedule)?;
                s.rcot_receiver = Box::new(silent);
            }
        }
        Ok(s)
    }

    fn setup_cost(&self) -> Cost {
        let silent = |schedule| silent::setup_cost(schedule, self.params.rcot, Role::P0);
        setup_cost(&self.params) + self.silent.map_or(Cost::ZERO, silent)
    }
}

/// The bytes of a task's batches, one after the other.
struct Planned<'a> {
    task: &'a Task,
    silent: Option<State>,
}

impl<'a> Planned<'a> {
    fn new(task: &'a Task) -> Self {
        Self { task, silent: task.silent.map(State::new) }
    }

    fn draw(&mut self, count: usize, times: usize) -> u64 {
        (0..times).map(|_| self.batch(count).bytes()).sum()
    }

    fn batch(&mut self, count: usize) -> Cost {
        let Task { kind, params, .. } = *self.task;
        match (kind, &mut self.silent) {
            (Kind::OneOf16, _) => params.one_of_n_cost(Role::P0, count, INDEX_BITS, MESSAGE),
            (Kind::Correlated, None) => params.rcot.cost(Role::P0, count),
            (Kind::Random, None) => params.rcot.cost_chosen(Role::P0, count),
            (Kind::Correlated, Some(state)) => state.draw(Role::P0, count),
            (Kind::Random, Some(state)) => state.draw(Role::P0, count) + Cost::message(Role::P1, count, 1),
        }
    }
}

fn correlated(s: &mut Session, count: usize, times: usize) -> Wire<()> {
    let mut blocks = vec![Block::ZERO; count];
    (0..times).try_for_each(|_| match s.role() {
        Role::P0 => s.rcot_sender.extend(&mut s.channel, &mut blocks),
        Role::P1 => s.rcot_receiver.extend(&mut s.channel, &mut blocks).map(drop),
    })
}

fn one_of_16(s: &mut Session, digits: &[u8]) -> Wire<()> {
    match s.role() {
        Role::P0 => s.one_of_n_send(INDEX_BITS, MESSAGE, digits.len(), |i, table| {
            table.iter_mut().enumerate().for_each(|(j, entry)| *entry = (i ^ j) as u64 & 3);
        }),
        Role::P1 => s.one_of_n_receive(INDEX_BITS, MESSAGE, digits).map(drop),
    }
}
