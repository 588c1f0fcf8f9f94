//! ReLU, truncation, max pool and argmax: what they send, and how fast they are.

use super::parties::{Link, Parties};
use super::{Row, WIDTHS};
use crate::error::Error;
use crate::format::count;
use crate::progress::Bar;
use crate::table::Column::{self, Number, Words};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_nonlinear::truncate::{self, trunc_faithful, trunc_faithful_sirnn, trunc_one_bit};
use copriv_nonlinear::{Sign, Windows, argmax, maxpool, relu, relu_truncate};
use copriv_ot::key_bits::{self, BitsReceiver, BitsSender};
use copriv_ot::one_of_n::{OneOfNReceiver, OneOfNSender};
use copriv_ot::silent::{Schedule, SilentReceiver, SilentSender, State};
use copriv_ot::stored::{StoredReceiver, StoredSender, draw_receiver, draw_sender};
use copriv_ot::{RcotReceiver, RcotSender};
use copriv_ring::Width;
use copriv_runner::{Reveal, Settings, Suite, entropy, planner};
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::{Result as Wire, Role};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SHIFT: u32 = 12;
const WINDOW: usize = 4;
const CLASSES: usize = 100;

/// OTs over which the traffic of silent OT, its set-up but for the session's included, is spread.
const AMORTISED: usize = 1 << 27;

/// What an OT counts that is drawn before.
#[derive(Clone, Copy, Serialize)]
pub struct Drawn {
    /// Drawn at once.
    ots: usize,
    bits_each: f64,
}

impl Drawn {
    /// Silent OT over [`AMORTISED`] OTs.
    pub fn amortised() -> Self {
        let cost = State::new(Schedule::LARGE).draw(Role::P0, AMORTISED);
        Self { ots: AMORTISED, bits_each: cost.bytes() as f64 * 8.0 / AMORTISED as f64 }
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ots, bits_each } = self;
        write!(
            f,
            "before: silent OTs at {bits_each:.3} bits each, which is what {ots} take that are drawn at once"
        )
    }
}

/// What was measured of an operation with a suite's OTs.
#[derive(Serialize)]
pub struct Measured {
    operation: &'static str,
    /// l.
    width: u32,
    /// Whose OTs and digits: `cryptflow2` has IKNP and KK13 and everything online; `best` has RCOTs from silent OT, drawn before.
    suite: Suite,
    digit_bits: u32,
    /// Of each party.
    threads: usize,
    /// Operations in a batch.
    count: usize,
    /// Online; null where only traffic is counted.
    per_second: Option<f64>,
    /// RCOTs drawn before that a batch used, with P0 and with P1 as sender.
    rcots: [u64; 2],
    /// Of a batch, both directions.
    bytes_online: u64,
    /// The larger of both parties' rounds.
    rounds: u64,
    /// Of an operation.
    bits_before: f64,
    bits_online: f64,
    bits: f64,
}

impl Row for Measured {
    const COLUMNS: &'static [Column<'static>] = &[
        Words("operation"),
        Number("l"),
        Words("OTs of"),
        Number("digits"),
        Number("batch"),
        Number("per second"),
        Number("bits before"),
        Number("online"),
        Number("total"),
        Number("rounds"),
    ];

    fn cells(&self) -> Vec<String> {
        let bits = |bits: f64| format!("{bits:.1}");
        vec![
            self.operation.to_owned(),
            self.width.to_string(),
            self.suite.to_string(),
            self.digit_bits.to_string(),
            self.count.to_string(),
            self.per_second.map_or(String::new(), |rate| count(rate as u64)),
            bits(self.bits_before),
            bits(self.bits_online),
            bits(self.bits),
            self.rounds.to_string(),
        ]
    }
}

/// An operation to measure.
struct Operation {
    name: &'static str,
    /// Elements that one takes.
    inputs: usize,
    /// In a batch.
    count: usize,
    run: fn(&mut Session, &Arithmetic) -> Wire<()>,
    cost: fn(&Params, usize, Width) -> Cost,
}

impl Operation {
    const fn of_elements(
        name: &'static str,
        run: fn(&mut Session, &Arithmetic) -> Wire<()>,
        cost: fn(&Params, usize, Width) -> Cost,
    ) -> Self {
        Self { name, inputs: 1, count: 1 << 14, run, cost }
    }
}

fn positions() -> Width {
    argmax::index_width(&Windows::rows(1, CLASSES))
}

const OPERATIONS: [Operation; 10] = [
    Operation::of_elements("ReLU", |s, x| relu::relu(s, x).map(drop), relu::cost),
    Operation::of_elements(
        "truncation by 12",
        |s, x| trunc_faithful(s, x, SHIFT, Sign::Unknown).map(drop),
        |params, n, width| truncate::cost_faithful(params, n, width, SHIFT, Sign::Unknown),
    ),
    Operation::of_elements(
        "truncation by 12, one comparison",
        |s, x| trunc_faithful_sirnn(s, x, SHIFT).map(drop),
        |params, n, width| truncate::cost_faithful_sirnn(params, n, width, SHIFT),
    ),
    Operation::of_elements(
        "truncation by 12, x >= 0 known",
        |s, x| trunc_faithful(s, x, SHIFT, Sign::NonNegative).map(drop),
        |params, n, width| truncate::cost_faithful(params, n, width, SHIFT, Sign::NonNegative),
    ),
    Operation::of_elements(
        "truncation by 12, x >= 0 known, last bit may be off",
        |s, x| trunc_one_bit(s, x, SHIFT, Sign::NonNegative).map(drop),
        |params, n, width| truncate::cost_one_bit(params, n, width, SHIFT, Sign::NonNegative),
    ),
    Operation::of_elements(
        "ReLU, then truncation by 12",
        |s, x| {
            let (y, _) = relu::relu(s, x)?;
            trunc_faithful(s, &y, SHIFT, Sign::NonNegative).map(drop)
        },
        |params, n, width| {
            relu::cost(params, n, width) + truncate::cost_faithful(params, n, width, SHIFT, Sign::NonNegative)
        },
    ),
    Operation::of_elements(
        "ReLU and truncation by 12, one comparison",
        |s, x| relu_truncate::relu_truncate(s, x, SHIFT).map(drop),
        |params, n, width| relu_truncate::cost(params, n, width, SHIFT),
    ),
    Operation::of_elements(
        "ReLU and truncation by 12, last bit may be off",
        |s, x| relu_truncate::relu_truncate_one_bit(s, x, SHIFT, 0).map(drop),
        |params, n, width| relu_truncate::cost_one_bit(params, n, width, SHIFT, 0),
    ),
    Operation {
        name: "max pool 2x2",
        inputs: WINDOW,
        count: 1 << 12,
        run: |s, x| maxpool::maxpool(s, x, &Windows::rows(x.len() / WINDOW, WINDOW)).map(drop),
        cost: |params, n, width| maxpool::cost(params, &Windows::rows(n, WINDOW), width),
    },
    Operation {
        name: "argmax of 100",
        inputs: CLASSES,
        count: 1,
        run: |s, x| argmax::argmax(s, x, &Windows::rows(x.len() / CLASSES, CLASSES), positions()).map(drop),
        cost: |params, n, width| argmax::cost(params, &Windows::rows(n, CLASSES), width, positions()),
    },
];

/// Counts each operation with `only` in its name in each ring with the OTs of each suite; for `seconds` its online phase is timed besides.
pub fn rows(bar: &Bar, only: &str, link: Link, seconds: Option<Duration>) -> Result<Vec<Measured>, Error> {
    let mut prg = entropy()?;
    let best = settings(Suite::Best).live();
    let mut source =
        Parties::connect(link, |channel, prg| Silent::set_up(Session::setup(channel, prg, best)?))?;
    let mut rows = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.name.contains(only)) {
        for width in WIDTHS.map(Width::of) {
            bar.at(operation.name);
            let inputs = operation.count * operation.inputs;
            let x = [(); 2].map(|()| Arithmetic::new(prg.ring(width, inputs)));
            for suite in [Suite::Cryptflow2, Suite::Best] {
                let task = Task::new(operation, suite, width, &x);
                rows.push(task.measure(&mut source, link, seconds)?);
            }
        }
    }
    Ok(rows)
}

fn settings(suite: Suite) -> Settings {
    Settings::new(suite, Reveal::Logits)
}

/// An operation with a suite's OTs, on shares of both parties.
struct Task<'a> {
    operation: &'a Operation,
    suite: Suite,
    width: Width,
    x: &'a [Arithmetic; 2],
    params: Params,
    online: Cost,
}

impl<'a> Task<'a> {
    fn new(operation: &'a Operation, suite: Suite, width: Width, x: &'a [Arithmetic; 2]) -> Self {
        let settings = settings(suite);
        let cost = |params: &Params| (operation.cost)(params, operation.count, width);
        let (online, digit_bits) = planner::digits(&settings, cost);
        let params = Params { digit_bits, ..settings.online() };
        Self { operation, suite, width, x, params, online }
    }

    fn run(&self, s: &mut Session) -> Wire<()> {
        (self.operation.run)(s, &self.x[s.role().index()])
    }

    fn measure(
        &self,
        source: &mut Parties<Silent>,
        link: Link,
        seconds: Option<Duration>,
    ) -> Result<Measured, Error> {
        let Self { operation: &Operation { name, count, .. }, suite, width, params, .. } = *self;
        let ahead = suite == Suite::Best;
        let used: [Arc<AtomicU64>; 2] = Default::default();
        // On a connection of its own: rounds depend on what went before.
        let mut parties = match ahead {
            true => {
                let parts = source.both(|silent| silent.draw(&self.online, &used))?;
                self.sessions(link, parts)?
            }
            false => Parties::connect(link, |channel, prg| Session::setup(channel, prg, params))?,
        };
        let before = parties.0.each_ref().map(|s| s.channel.traffic());
        parties.both(|s| self.run(s))?;
        let [p0, p1] = [0, 1].map(|p| parties.0[p].channel.traffic().since(before[p]));
        let rcots = used.each_ref().map(|used| used.load(Ordering::Relaxed));

        let per_second = match seconds {
            None => None,
            Some(seconds) => {
                let (mut runs, mut took) = (0, Duration::ZERO);
                while runs == 0 || took < seconds {
                    if ahead {
                        let parts = source.both(|silent| silent.draw(&self.online, &used))?;
                        for (s, part) in parties.0.iter_mut().zip(parts) {
                            (s.rcot_sender, s.rcot_receiver) = part;
                        }
                    }
                    took += parties.timed(|s| self.run(s))?;
                    runs += 1;
                }
                Some((count * runs) as f64 / took.as_secs_f64())
            }
        };
        let each = |bits: f64| bits / count as f64;
        let bits_before = each(Drawn::amortised().bits_each * (rcots[0] + rcots[1]) as f64);
        let bytes_online = p0.sent + p1.sent;
        let bits_online = each(8.0 * bytes_online as f64);
        Ok(Measured {
            operation: name,
            width: width.bits(),
            suite,
            digit_bits: params.digit_bits,
            threads: 1,
            count,
            per_second,
            rcots,
            bytes_online,
            rounds: p0.rounds.max(p1.rounds),
            bits_before,
            bits_online,
            bits: bits_before + bits_online,
        })
    }
    /// Sessions whose OTs were drawn before.
    fn sessions(&self, link: Link, [first, second]: [Stored; 2]) -> Result<Parties<Session>, Error> {
        let session = |channel, rcot| -> Result<Session, Error> {
            let one_of_n = (OneOfNSender::Rcot, OneOfNReceiver::Rcot);
            Ok(Session::from_parts(channel, entropy()?, self.params, rcot, one_of_n))
        };
        let [p0, p1] = link.channels()?;
        Ok(Parties([session(p0, first)?, session(p1, second)?]))
    }
}

/// One party's OTs that were drawn before, of both directions.
type Stored = (Box<dyn RcotSender>, Box<dyn RcotReceiver>);

/// One party's silent OTs of both directions.
struct Silent {
    channel: Channel,
    sender: SilentSender,
    receiver: SilentReceiver,
}

impl Silent {
    fn set_up(mut s: Session) -> Wire<Self> {
        let role = s.role();
        let (prg, schedule) = (s.prg.child(), Schedule::LARGE);
        let Session { mut channel, mut rcot_sender, mut rcot_receiver, .. } = s;
        let (base_sender, base_receiver) = (rcot_sender.as_mut(), rcot_receiver.as_mut());
        let (sender, receiver);
        match role {
            Role::P0 => {
                sender = SilentSender::new(&mut channel, base_sender, prg, schedule)?;
                receiver = SilentReceiver::new(&mut channel, base_receiver, schedule)?;
            }
            Role::P1 => {
                receiver = SilentReceiver::new(&mut channel, base_receiver, schedule)?;
                sender = SilentSender::new(&mut channel, base_sender, prg, schedule)?;
            }
        }
        Ok(Self { channel, sender, receiver })
    }

    /// What `online` uses; what is used of those that a party sends is added to its `used`.
    fn draw(&mut self, online: &Cost, used: &[Arc<AtomicU64>; 2]) -> Wire<Stored> {
        let Self { channel, sender, receiver } = self;
        let role = channel.role();
        let bits = [role, role.peer()].map(|sender| online.bit_ots_from(sender) as usize);
        let blocks = [role, role.peer()].map(|sender| online.rcots_from(sender) as usize);
        let blocks = [0, 1].map(|direction| blocks[direction] - bits[direction]);
        let mut send = |channel: &mut Channel| {
            let stored = StoredSender::new(draw_sender(channel, sender, blocks[0])?);
            Ok::<_, copriv_wire::Error>(BitsSender::new(
                stored,
                key_bits::draw_sender(channel, sender, bits[0])?,
            ))
        };
        let mut receive = |channel: &mut Channel| {
            let stored = StoredReceiver::new(draw_receiver(channel, receiver, blocks[1])?);
            Ok::<_, copriv_wire::Error>(BitsReceiver::new(
                stored,
                key_bits::draw_receiver(channel, receiver, bits[1])?,
            ))
        };
        let (sent, received);
        match role {
            Role::P0 => (sent, received) = (send(channel)?, receive(channel)?),
            Role::P1 => (received, sent) = (receive(channel)?, send(channel)?),
        }
        let used = Arc::clone(&used[role.index()]);
        Ok((Box::new(Counted { stored: sent, used }), Box::new(received)))
    }
}

/// Stored OTs that are counted as they are used.
struct Counted {
    stored: BitsSender<StoredSender>,
    used: Arc<AtomicU64>,
}

impl RcotSender for Counted {
    fn delta(&self) -> Block {
        self.stored.delta()
    }

    fn extend(&mut self, channel: &mut Channel, q: &mut [Block]) -> Wire<()> {
        self.used.fetch_add(q.len() as u64, Ordering::Relaxed);
        self.stored.extend(channel, q)
    }

    fn random_planes(&mut self, channel: &mut Channel, count: usize, planes: u32) -> Wire<[Vec<BitVec>; 2]> {
        self.used.fetch_add(count as u64, Ordering::Relaxed);
        self.stored.random_planes(channel, count, planes)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.stored.take_tweaks(count)
    }
}
