//! Silent OT: random correlated OTs from primal LPN with regular noise, for under a bit of traffic each.
//!
//! # Functionality
//! Sender: Δ and q_i. Receiver: random bits b_i and t_i = q_i ⊕ b_i·Δ. The lowest bit of Δ is 1, that of q_i 0 and that of
//! t_i is b_i.
//!
//! # Protocol
//! An iteration of a [`Set`] (N, k, t) takes k + t·h RCOTs and makes N = t·2^h: the k are the LPN secret, whose multiples by a public
//! sparse matrix A look random under noise, and t trees give the noise, Δ at one leaf of each. The RCOTs of the next iteration
//! are the last ones of this; those of the first come from another backend, and small sets go before large ones ([`Schedule`]).
//! *Wide* sets run four instances with one A, so that a look-up in memory serves four outputs.
//!
//! | step | sender (Δ)                          | wire            | receiver                              |
//! |------|-------------------------------------|-----------------|---------------------------------------|
//! | 1    | another backend: `q`                | ↔               | another backend: `b, t`               |
//! | 2    | random p with Δ_p = 1               | [`Rotation`] →  |                                       |
//! | 3    | rotate Δ and q by p; lowest bit 0   |                 | rotate t by p; lowest bit b           |
//! | 4    | trees: `v` ([`spcot`])              | →               | trees: `w = v ⊕ e·Δ`                  |
//! | 5    | `v`, lowest bit 0, `+ q·A`          |                 | `w`, lowest bit e, `+ t·A`            |
//! | 6    | the last of an iteration: next `q`  |                 | the last of an iteration: next `t`    |
//!
//! Step 4 is done for few trees at a time, when their outputs are asked for.
//!
//! # Cost
//! [`setup_cost`], then what [`State::draw`] says for each call: h blocks a tree from the sender, no rounds of its own.
//!
//! # Security
//! Semi-honest, if LPN with regular noise is hard for ten-local codes (Boyle, Couteau, Gilboa, Ishai: Compressing Vector OLE, CCS 2018);
//! estimates for each set are at [`Set`]. Of a wide set they hold for each of its four instances: one matrix costs at most 2 bits. Δ keeps 127 bits but for what the weight of Δ says of p: under 0.1 bits on average.
//! The tweaks are 2^63 and on, apart from those of the backend it started from. Outputs are to be hashed
//! ([`copriv_prg::hash`] states its bound; as the lowest bit of q is known, one bit less).
//!
//! # Reference
//! Yang, Weng, Lan, Zhang, Wang: Ferret (CCS 2020); Guo, Yang, Wang, Zhang, Xie, Liu, Zhao: Half-Tree (EUROCRYPT 2023).
//!
//! # Deviations
//! Four instances side by side; sizes that are powers of two; steps 2 and 3, which put the choices into the blocks whatever Δ.

use crate::rot::CHUNK;
use crate::spcot;
use crate::{RcotBackend, RcotReceiver, RcotSender};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_prg::lpn::{self, Table};
use copriv_prg::{Prg, Quad};
use copriv_wire::{Error, Message, Result, Role, messages};
use zeroize::Zeroize;

messages! {
    /// p: by how many bits the blocks are rotated, so that the lowest bit of Δ is 1.
    Rotation: Bytes = 0x0281;
}

/// Outputs that a message of trees makes at most: they stay in the cache from step 4 to step 5.
const BATCH: usize = 1 << 15;

/// The first tweak.
const FIRST_TWEAK: u64 = 1 << 63;

/// A set of LPN parameters: regular noise, ten places a row.
///
/// The known attacks in bits, by the formulas of the publications on a grid of their parameters: the hybrid of guessing and
/// quadratic equations (ePrint 2025/1284), regular ISD by enumeration (Esser and Santini, ePrint 2023/1568), the algebraic attack of
/// Briaud and Øygarden (EUROCRYPT 2023) and its refinement (ePrint 2025/1476), pooled Gauss (Liu, Wang, Yang and Yu,
/// ePrint 2022/712). The test `lpn_security` computes them.
///
/// | set | N | k | t | h | hybrid | ISD | algebraic | refined | Gauss |
/// |-----|---|---|---|---|--------|-----|-----------|---------|-------|
/// | NARROW_12 | 10,240 | 2^12 | 160 | 6 | >150 | 128.9 | 157.8 | 149.0 | 148.9 |
/// | NARROW_13 | 26,624 | 2^13 | 208 | 7 | >150 | 128.8 | 155.7 | 147.7 | 144.8 |
/// | NARROW_14 | 77,824 | 2^14 | 304 | 8 | 135.0 | 128.7 | 153.3 | 144.5 | 141.3 |
/// | NARROW_16 | 872,448 | 2^16 | 852 | 10 | 128.7 | 132.5 | 146.0 | 134.5 | 139.6 |
/// | WIDE_16 | 870,400 | 2^16 | 850 | 10 | 128.7 | 132.5 | 145.8 | 134.4 | 139.6 |
/// | WIDE_17 | 2,396,160 | 2^17 | 1170 | 11 | 128.2 | 136.5 | 144.7 | 132.7 | 141.7 |
/// | NARROW_18 | 6,225,920 | 2^18 | 1520 | 12 | 128.1 | 140.6 | 144.4 | 131.8 | 144.2 |
/// | NARROW_19 | 15,564,800 | 2^19 | 1900 | 13 | 128.2 | 144.8 | 143.7 | 130.9 | 146.8 |
///
/// The four large (N, k, t) are in use elsewhere for 128 bits, the narrow one of k = 2^16 with t rounded up to whole fours. The small
/// ones are for bootstrapping: about the largest t for which the same formulas give 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Set {
    /// log2 k.
    pub log_k: usize,
    /// t: trees, which is the noise's weight.
    pub trees: usize,
    /// h: the levels of a tree.
    pub height: usize,
    /// Four instances with one matrix.
    pub wide: bool,
}

impl Set {
    /// k = 2^12.
    pub const NARROW_12: Self = Self::narrow(12, 160, 6);
    /// k = 2^13.
    pub const NARROW_13: Self = Self::narrow(13, 208, 7);
    /// k = 2^14.
    pub const NARROW_14: Self = Self::narrow(14, 304, 8);
    /// k = 2^16.
    pub const NARROW_16: Self = Self::narrow(16, 852, 10);
    /// k = 2^18: fewer bytes, slower.
    pub const NARROW_18: Self = Self::narrow(18, 1520, 12);
    /// k = 2^19: fewer bytes, slower.
    pub const NARROW_19: Self = Self::narrow(19, 1900, 13);
    /// k = 2^16, four times.
    pub const WIDE_16: Self = Self { log_k: 16, trees: 850, height: 10, wide: true };
    /// k = 2^17, four times.
    pub const WIDE_17: Self = Self { log_k: 17, trees: 1170, height: 11, wide: true };

    const fn narrow(log_k: usize, trees: usize, height: usize) -> Self {
        Self { log_k, trees, height, wide: false }
    }

    /// RCOTs that an iteration makes.
    pub const fn outputs(&self) -> usize {
        self.fours() * self.of_four()
    }

    /// RCOTs that an iteration takes.
    pub const fn inputs(&self) -> usize {
        4 * (self.table() + self.fours() * self.height)
    }

    /// Times four trees.
    const fn fours(&self) -> usize {
        if self.wide { self.trees } else { self.trees / 4 }
    }

    /// Outputs of four trees.
    const fn of_four(&self) -> usize {
        4 << self.height
    }

    /// Quads of the table.
    const fn table(&self) -> usize {
        if self.wide { 1 << self.log_k } else { 1 << self.log_k >> 2 }
    }

    /// Four trees at a time as often as `wanted` outputs need, but at most in a batch; 0 if they are fewer than four trees make.
    fn whole_fours(&self, wanted: usize) -> usize {
        wanted.min(BATCH.max(self.of_four())) / self.of_four()
    }
}

/// Sets, each of which makes the inputs of the next, the last those of itself again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule(&'static [Set]);

impl Schedule {
    /// Up to 10^4 OTs.
    pub const TINY: Self = Self(&[Set::NARROW_12, Set::NARROW_13]);
    /// Up to 10^5 OTs.
    pub const SMALL: Self = Self(&[Set::NARROW_12, Set::NARROW_13, Set::NARROW_14]);
    /// Up to 10^6 OTs.
    pub const MEDIUM: Self = Self(&[Set::NARROW_12, Set::NARROW_13, Set::NARROW_14, Set::NARROW_16]);
    /// As many OTs as wanted.
    pub const LARGE: Self =
        Self(&[Set::NARROW_12, Set::NARROW_13, Set::NARROW_14, Set::NARROW_16, Set::WIDE_17]);
    /// As many OTs as wanted, with twice the bytes of [`LARGE`](Self::LARGE) and half the memory: for links of gigabits and shared
    /// caches.
    pub const FAST: Self =
        Self(&[Set::NARROW_12, Set::NARROW_13, Set::NARROW_14, Set::NARROW_16, Set::WIDE_16]);
    /// As many OTs as wanted, slower, with half the bytes of [`LARGE`](Self::LARGE).
    pub const LEAN: Self =
        Self(&[Set::NARROW_12, Set::NARROW_13, Set::NARROW_14, Set::NARROW_16, Set::NARROW_18]);

    /// Sets of one's own: for tests. Their security is the caller's affair.
    ///
    /// # Panics
    /// When a set does not make the inputs of the next, or the last not more than its own.
    #[doc(hidden)]
    pub fn new(sets: &'static [Set]) -> Self {
        let last = sets.last().expect("a set");
        assert!(sets.windows(2).all(|pair| pair[0].outputs() >= pair[1].inputs()), "inputs of the next set");
        assert!(last.outputs() >= last.inputs() + last.of_four(), "more outputs than inputs");
        assert!(
            sets.iter().all(|set| set.log_k >= 2 && (set.wide || set.trees.is_multiple_of(4))),
            "whole quads"
        );
        Self(sets)
    }

    /// The cheapest schedule for `count` OTs in one direction if the first RCOTs are IKNP's and a byte takes eight times as long
    /// as a nanosecond of look-ups: both parties come to the same. [`FAST`](Self::FAST) and [`LEAN`](Self::LEAN) are left to
    /// those who know their link.
    pub fn for_count(count: usize) -> Self {
        let price = |schedule: &Self| {
            let (mut state, count) = (State::new(*schedule), count.min(1 << 27));
            let bytes = iknp_bytes(schedule.inputs()) + state.draw(Role::P0, count).bytes();
            8 * bytes + state.work
        };
        [Self::TINY, Self::SMALL, Self::MEDIUM, Self::LARGE]
            .into_iter()
            .min_by_key(price)
            .unwrap_or(Self::LARGE)
    }

    /// RCOTs of another backend that the first set takes.
    pub fn inputs(&self) -> usize {
        self.0[0].inputs()
    }

    /// The sets.
    pub fn sets(&self) -> &'static [Set] {
        self.0
    }
}

fn iknp_bytes(count: usize) -> u64 {
    RcotBackend::Iknp.cost(Role::P0, count).bytes()
}

/// The cost of starting: RCOTs of another backend, and a byte.
pub fn setup_cost(schedule: Schedule, base: RcotBackend, sender: Role) -> Cost {
    base.cost(sender, schedule.inputs()) + Cost::message(sender, 1, 8)
}

/// Where both parties are, which decides what the next call costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    schedule: Schedule,
    stage: usize,
    /// Fours of trees of this iteration that have grown.
    grown: usize,
    /// Outputs that have been made and not been handed out.
    ready: usize,
    /// Time, as [`Schedule::for_count`] counts it.
    work: u64,
}

/// What happens next.
enum Step {
    /// The next so many outputs are ready.
    Take(usize),
    /// So many fours of trees grow, from the given one on, either into the caller's outputs or beside them.
    Grow { first: usize, fours: usize, beside: bool },
    /// An iteration ends.
    Renew,
}

impl State {
    /// At the start.
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule, stage: 0, grown: 0, ready: 0, work: 0 }
    }

    /// Outputs that are ready.
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// The cost of drawing `count` OTs in one call now, and the state after it.
    pub fn draw(&mut self, sender: Role, count: usize) -> Cost {
        let cost = self.simulate(sender, count, false);
        Cost::rcots(sender, count) + cost
    }

    /// The cost of drawing bits of the keys of `count` ROTs ([`RcotSender::random_planes`]), and the state after it.
    pub fn draw_planes(&mut self, sender: Role, count: usize) -> Cost {
        let whole = (0..count / CHUNK).map(|_| self.draw(sender, CHUNK)).sum::<Cost>();
        Cost::bit_ots(sender, count) + whole + self.draw(sender, count % CHUNK)
    }

    fn simulate(&mut self, sender: Role, count: usize, renewing: bool) -> Cost {
        let (mut cost, mut left) = (Cost::ZERO, count);
        while left > 0 {
            let set = self.set();
            match self.step(left, renewing) {
                Step::Take(now) => left -= now,
                Step::Grow { fours, beside, .. } => {
                    cost = cost + spcot::cost(sender, fours, set.height);
                    left -= if beside { 0 } else { fours * set.of_four() };
                }
                Step::Renew => {
                    cost = cost + self.simulate(sender, self.next_set().inputs(), true);
                    self.renewed();
                }
            }
        }
        cost
    }

    fn set(&self) -> Set {
        self.schedule.0[self.stage]
    }

    fn next_stage(&self) -> usize {
        (self.stage + 1).min(self.schedule.0.len() - 1)
    }

    fn next_set(&self) -> Set {
        self.schedule.0[self.next_stage()]
    }

    /// The next step towards `wanted` outputs, which are for the caller or for renewing.
    fn step(&mut self, wanted: usize, renewing: bool) -> Step {
        if self.ready > 0 {
            let now = self.ready.min(wanted);
            self.ready -= now;
            return Step::Take(now);
        }
        let (set, first) = (self.set(), self.grown);
        let last = match renewing {
            true => set.fours(),
            false if self.stage < self.next_stage() => 0,
            false => set.fours() - set.inputs().div_ceil(set.of_four()),
        };
        if first >= last {
            assert!(!renewing, "a set makes the inputs of the next");
            return Step::Renew;
        }
        let fours = set.whole_fours(wanted).min(last - first);
        let beside = fours == 0;
        if beside {
            self.ready = set.of_four();
        }
        self.grown += fours.max(1);
        self.work += (fours.max(1) * set.of_four()) as u64 * if set.wide { 4 } else { 10 };
        Step::Grow { first, fours: fours.max(1), beside }
    }

    /// The inputs of the next iteration are there: what is left of this is dropped.
    fn renewed(&mut self) {
        (self.stage, self.grown, self.ready) = (self.next_stage(), 0, 0);
    }
}

/// What both parties keep.
struct Core {
    state: State,
    /// The inputs of this iteration: the table, then the quads of the trees.
    inputs: Vec<Quad>,
    /// Of the next, while they are made.
    next: Vec<Quad>,
    /// Outputs of four trees of which not all have been handed out.
    beside: Vec<Block>,
    roots: Vec<Quad>,
    wire: Vec<Quad>,
    /// The number of the iteration, and of its matrix.
    matrix: u64,
}

/// What only one party has.
enum Party<'a> {
    Sender { delta: Block, prg: &'a mut Prg },
    Receiver,
}

impl Core {
    fn new(schedule: Schedule) -> Self {
        Self {
            state: State::new(schedule),
            inputs: vec![Quad::ZERO; schedule.inputs() / 4],
            next: Vec::new(),
            beside: Vec::new(),
            roots: Vec::new(),
            wire: Vec::new(),
            matrix: 0,
        }
    }

    /// Fills `out`, and hands each part to `made` with its place.
    fn fill(
        &mut self,
        channel: &mut Channel,
        party: &mut Party<'_>,
        out: &mut [Block],
        renewing: bool,
        made: &mut dyn FnMut(usize, &[Block]),
    ) -> Result<()> {
        let mut done = 0;
        while done < out.len() {
            let set = self.state.set();
            let rest = &mut out[done..];
            match self.state.step(rest.len(), renewing) {
                Step::Take(now) => {
                    let end = self.beside.len() - self.state.ready;
                    rest[..now].copy_from_slice(&self.beside[end - now..end]);
                    made(done, &rest[..now]);
                    done += now;
                }
                Step::Grow { first, fours, beside: false } => {
                    let rest = &mut rest[..fours * set.of_four()];
                    self.grow(channel, party, first, fours, rest)?;
                    made(done, rest);
                    done += rest.len();
                }
                Step::Grow { first, fours, beside: true } => {
                    let mut beside = std::mem::take(&mut self.beside);
                    beside.resize(fours * set.of_four(), Block::ZERO);
                    self.grow(channel, party, first, fours, &mut beside)?;
                    self.beside = beside;
                }
                Step::Renew => self.renew(channel, party)?,
            }
        }
        Ok(())
    }

    /// The next iteration's inputs, from the last outputs of this.
    fn renew(&mut self, channel: &mut Channel, party: &mut Party<'_>) -> Result<()> {
        let mut next = std::mem::take(&mut self.next);
        next.resize(self.state.next_set().inputs() / 4, Quad::ZERO);
        self.fill(channel, party, Quad::as_blocks_mut(&mut next), true, &mut |_, _| ())?; // (6)
        self.next = std::mem::replace(&mut self.inputs, next);
        self.matrix += 1;
        self.state.renewed();
        Ok(())
    }

    /// Outputs of trees `4 * first` and on.
    fn grow(
        &mut self,
        channel: &mut Channel,
        party: &mut Party<'_>,
        first: usize,
        fours: usize,
        out: &mut [Block],
    ) -> Result<()> {
        let set = self.state.set();
        let (table, trees) = self.inputs.split_at(set.table());
        let inputs = &trees[first * set.height..][..fours * set.height];
        let table = if set.wide { Table::Wide(table) } else { Table::Narrow(table) };
        self.wire.resize(inputs.len(), Quad::ZERO);
        let (matrix, line) = (self.matrix, |four: usize| (first + four) << set.height);
        match party {
            Party::Sender { delta, prg } => {
                self.roots.resize(fours, Quad::ZERO);
                prg.fill(Quad::as_blocks_mut(&mut self.roots));
                spcot::send(channel, *delta, &self.roots, inputs, &mut self.wire, out)?; // (4)
                lpn::encode(matrix, line(0), table, None, out); // (5)
                Ok(())
            }
            Party::Receiver => {
                let take = |four: usize, leaves: &mut [Block], fix: &_| {
                    lpn::encode(matrix, line(four), table, Some(fix), leaves); // (5)
                };
                spcot::receive(channel, fours, inputs, &mut self.wire, out, take) // (4)
            }
        }
    }
}

impl Core {
    /// Bytes in buffers.
    fn memory(&self) -> usize {
        let quads = [&self.inputs, &self.next, &self.roots, &self.wire].map(Vec::capacity);
        size_of::<Quad>() * quads.iter().sum::<usize>() + size_of::<Block>() * self.beside.capacity()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        [&mut self.inputs, &mut self.next, &mut self.roots].into_iter().for_each(Zeroize::zeroize);
        self.beside.zeroize();
    }
}

/// The sender of silent OT.
pub struct SilentSender {
    delta: Block,
    prg: Prg,
    core: Core,
    tweak: u64,
}

/// The receiver of silent OT.
pub struct SilentReceiver {
    core: Core,
    tweak: u64,
}

impl SilentSender {
    /// From RCOTs of another backend, whose Δ it takes over, rotated. `prg` draws the roots of the trees. From then on
    /// that backend must not make pads with tweaks of 2^63 and above.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn new(
        channel: &mut Channel,
        base: &mut dyn RcotSender,
        mut prg: Prg,
        schedule: Schedule,
    ) -> Result<Self> {
        let mut core = Core::new(schedule);
        let q = Quad::as_blocks_mut(&mut core.inputs);
        base.extend(channel, q)?; // (1)
        let p = vartime_position(base.delta(), &mut prg);
        channel.send_bytes::<Rotation>(&[p as u8])?; // (2)
        q.iter_mut().for_each(|q| *q = with_bit(rotated(*q, p), 0)); // (3)
        Ok(Self { delta: rotated(base.delta(), p), prg, core, tweak: FIRST_TWEAK }) // (3)
    }

    /// Bytes that it keeps in memory.
    pub fn memory(&self) -> usize {
        self.core.memory()
    }

    /// What the next calls cost.
    pub fn state(&self) -> &State {
        &self.core.state
    }
}

impl SilentReceiver {
    /// From RCOTs of another backend.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn new(channel: &mut Channel, base: &mut dyn RcotReceiver, schedule: Schedule) -> Result<Self> {
        let mut core = Core::new(schedule);
        let t = Quad::as_blocks_mut(&mut core.inputs);
        let b = base.extend(channel, t)?; // (1)
        let p = u32::from(channel.recv_bytes::<Rotation>(1)?[0]); // (2)
        if p > 127 {
            return Err(Error::wire(Rotation::NAME, "a rotation by less than 128", format!("by {p}")));
        }
        t.iter_mut().enumerate().for_each(|(i, t)| *t = with_bit(rotated(*t, p), b.bit(i))); // (3)
        Ok(Self { core, tweak: FIRST_TWEAK })
    }

    /// Bytes that it keeps in memory.
    pub fn memory(&self) -> usize {
        self.core.memory()
    }

    /// What the next calls cost.
    pub fn state(&self) -> &State {
        &self.core.state
    }
}

impl RcotSender for SilentSender {
    fn delta(&self) -> Block {
        self.delta
    }

    fn extend(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        let mut party = Party::Sender { delta: self.delta, prg: &mut self.prg };
        self.core.fill(channel, &mut party, q, false, &mut |_, _| ())
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.tweak += count as u64;
        self.tweak - count as u64
    }
}

impl RcotReceiver for SilentReceiver {
    fn extend(&mut self, channel: &mut Channel, t: &mut [Block]) -> Result<BitVec> {
        let mut words = vec![0; t.len().div_ceil(64)];
        self.core
            .fill(channel, &mut Party::Receiver, t, false, &mut |at, t| lowest_bits(t, at, &mut words))?;
        Ok(BitVec::from_words(words, t.len()))
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.tweak += count as u64;
        self.tweak - count as u64
    }
}

impl Drop for SilentSender {
    fn drop(&mut self) {
        self.delta.zeroize();
    }
}

/// A random place of a 1 in Δ. The time it takes says how many places were tried, of which nothing is said.
///
/// # Panics
/// When Δ is 0.
fn vartime_position(delta: Block, prg: &mut Prg) -> u32 {
    assert!(delta != Block::ZERO, "Δ is 0");
    loop {
        let p = (prg.block().low() & 127) as u32;
        if delta.bit(p as usize) {
            return p;
        }
    }
}

fn rotated(x: Block, p: u32) -> Block {
    u128::from(x).rotate_right(p).into()
}

fn with_bit(x: Block, bit: u64) -> Block {
    Block::new(x.low() & !1 | bit, x.high())
}

/// Ors the lowest bits of `blocks` into `words`, from bit `at` on.
fn lowest_bits(blocks: &[Block], at: usize, words: &mut [u64]) {
    let (shift, mut w) = (at % 64, at / 64);
    for chunk in blocks.chunks(64) {
        let word = match chunk.as_array::<64>() {
            Some(chunk) => pack(chunk),
            None => chunk.iter().enumerate().fold(0, |word, (i, x)| word | (x.low() & 1) << i),
        };
        words[w] |= word << shift;
        if shift > 0 && shift + chunk.len() > 64 {
            words[w + 1] |= word >> (64 - shift);
        }
        w += 1;
    }
}

/// The lowest bits of 64 blocks: halves are folded together, in steps that a compiler vectorises.
fn pack(blocks: &[Block; 64]) -> u64 {
    let mut fold: [u64; 32] = std::array::from_fn(|i| blocks[i].low() & 1 | (blocks[i + 32].low() & 1) << 32);
    for half in [16, 8, 4, 2, 1] {
        let (low, high) = fold.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low |= *high << half);
    }
    fold[0]
}
