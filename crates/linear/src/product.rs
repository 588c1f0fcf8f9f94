//! Matrix products of two private matrices, by correlated OT on the bits of one of them.
//!
//! # Functionality
//! P0 holds W (`groups` matrices of `rows` x `inner`), P1 holds X (`groups` of `inner` x `cols`), over Z_{2^l}. The
//! outputs Y0 and Y1 are shares: Y0 + Y1 = W·X in each group. Several products run as one stream.
//!
//! # Protocol
//! W·X is the sum over c of the outer products of W's column c and X's row c. One party's vectors are chosen with
//! ([`Chooser`]): it is the OT receiver with values v of b bits; the other is the sender with rows d. An *entry* is one
//! v with the row d it multiplies; the entries go in chunks. For each chunk, and in it for each bit i from the top:
//!
//! | step | sender (d)                              | wire              | receiver (v)                         |
//! |------|-----------------------------------------|-------------------|--------------------------------------|
//! | 1    | RCOT: `q`                               | ↔                 | RCOT on bit i of v: `t = q ⊕ vᵢ·Δ`   |
//! | 2    | `p0 = H(q), p1 = H(q ⊕ Δ)`              |                   | `p = H(t)`                           |
//! | 3    | `m = p0 − p1 + d` mod 2^{l−i}           | [`MaskedRows`] →  | `u = p + vᵢ·m`                       |
//! | 4    | `s ← 2s − p0`                           |                   | `r ← 2r + u`                         |
//!
//! After the top bit, which counts negatively, s and r change their signs. In the end s + r = v·d mod 2^l, and each
//! party adds it to the row of its output. The receiver runs [`WINDOW`] chunks of step 1 ahead, so the network and both
//! parties work at the same time, in bounded memory.
//!
//! # Cost
//! [`cost`]: for each entry b RCOTs and Σ_{i<b} (l − i) bits for each element of its row; one round, of the receiver.
//!
//! # Security
//! Each RCOT is hashed under its own tweak to one pad for the whole row. The receiver's values are chosen obliviously
//! also where they are publicly zero, as in the padding of a convolution. Nothing but masks and additions touches
//! secrets.
//!
//! # Reference
//! Gilboa (CRYPTO 1999); matrix products by it as in SecureML (S&P 2017) and CrypTFlow2 (CCS 2020, section 5.1); which
//! party chooses: CoPriv (NeurIPS 2023).
//!
//! # Deviations
//! m carries p0 − p1 + d, so that step 3 of the receiver is one mask. Only extensions in which the receiver never waits
//! can run ahead; another backend has to draw its RCOTs before.

mod kernel;

use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender};
use copriv_ring::{RingVec, Width};
use copriv_session::Session;
use copriv_wire::{Result, Role, messages, pack_into, packed_bytes, unpack_into};
use std::collections::VecDeque;
use std::iter;

messages! {
    /// p0 − p1 + d of one bit of a chunk's entries.
    MaskedRows: Ring = 0x0401;
}

/// Chunks of RCOTs that the receiver is ahead (an AGREEMENT parameter: the sender draws up to two batches before it
/// answers).
pub const WINDOW: usize = 12;

/// Chunks that a party computes side by side, a core each.
const BATCH: usize = 4;

/// The party whose matrix is cut into bits and chosen with: the OT receiver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Chooser {
    /// P0: its entries are signed integers of `bits` bits, at most l.
    Weights {
        /// b.
        bits: u32,
    },
    /// P1: its entries have all l bits.
    Activations,
}

/// The shape of a product (an AGREEMENT parameter).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Product {
    /// Independent products of the same shape.
    pub groups: usize,
    /// Rows of W.
    pub rows: usize,
    /// Columns of W, rows of X.
    pub inner: usize,
    /// Columns of X.
    pub cols: usize,
    /// l.
    pub width: Width,
    /// Who is the OT receiver.
    pub chooser: Chooser,
}

impl Product {
    /// Elements of the result, group by group, row by row.
    pub fn output_len(&self) -> usize {
        self.groups * self.rows * self.cols
    }

    /// The OT sender.
    pub fn sender(&self) -> Role {
        match self.chooser {
            Chooser::Weights { .. } => Role::P1,
            Chooser::Activations => Role::P0,
        }
    }

    /// b.
    fn bits(&self) -> u32 {
        match self.chooser {
            Chooser::Weights { bits } => bits,
            Chooser::Activations => self.width.bits(),
        }
    }

    /// Values of the OT receiver in each outer product, and elements of the sender's row.
    fn sides(&self) -> (usize, usize) {
        match self.chooser {
            Chooser::Weights { .. } => (self.rows, self.cols),
            Chooser::Activations => (self.cols, self.rows),
        }
    }

    /// The widths of the messages of a chunk, from the top bit down.
    fn message_widths(&self) -> impl Iterator<Item = Width> {
        let l = self.width.bits();
        (0..self.bits()).rev().map(move |i| Width::of(l - i))
    }

    fn check(&self) {
        assert!((1..=self.width.bits()).contains(&self.bits()), "weights have 1 to l bits");
    }
}

/// Bounds on a chunk.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// RCOTs.
    ots: usize,
    /// Elements of one message.
    elements: usize,
}

impl Limits {
    /// What a chunk's bits have in common, a share and a message of words, stays in the second-level cache.
    const DEFAULT: Self = Self { ots: 1 << 14, elements: 1 << 14 };

    /// Entries in a chunk.
    fn entries(self, product: &Product) -> usize {
        let (_, per) = product.sides();
        let most = (self.ots / product.bits() as usize).min(self.elements / per.max(1)).max(1);
        // Whole squares of the OT extension and whole blocks of the packing, where there are enough.
        if most >= 128 { most / 128 * 128 } else { 1 << most.ilog2() }
    }
}

/// Some consecutive entries of a product. Entry n is value n % values of outer product n / values.
#[derive(Clone, Copy, Default, Debug)]
struct Chunk {
    product: usize,
    first: usize,
    len: usize,
}

/// The chunks of all products in order.
fn chunks(products: &[Product], limits: Limits) -> impl Iterator<Item = Chunk> {
    products.iter().enumerate().flat_map(move |(product, p)| {
        let (values, per) = p.sides();
        let total = if per == 0 { 0 } else { p.groups * p.inner * values };
        let step = limits.entries(p);
        (0..total).step_by(step).map(move |first| Chunk { product, first, len: step.min(total - first) })
    })
}

/// The cost of [`outer_products`].
///
/// # Panics
/// When the products have different OT senders, or weights more than l bits.
pub fn cost(rcot: RcotBackend, products: &[Product]) -> Cost {
    cost_in(Limits::DEFAULT, rcot, products)
}

fn cost_in(limits: Limits, rcot: RcotBackend, products: &[Product]) -> Cost {
    let Some(sender) = common_sender(products) else { return Cost::ZERO };
    let (mut request, mut reply) = (Cost::ZERO, Cost::ZERO);
    for p in products {
        let (values, per) = p.sides();
        let (step, total) = (limits.entries(p), p.groups * p.inner * values);
        for (entries, times) in [(step, total / step), (total % step, 1)] {
            if entries * per > 0 {
                let messages = p.message_widths().map(|w| Cost::message(sender, entries * per, w.bits()));
                request = request + rcot.cost_chosen(sender, entries * p.bits() as usize).repeat(times);
                reply = reply + messages.sum::<Cost>().repeat(times);
            }
        }
    }
    Cost::pipeline(sender.peer(), request, reply)
}

fn common_sender(products: &[Product]) -> Option<Role> {
    products.iter().for_each(Product::check);
    let sender = products.first()?.sender();
    assert!(products.iter().all(|p| p.sender() == sender), "one OT sender for all products of a stream");
    Some(sender)
}

/// Shares of W·X for a W that P0 and an X that P1 gives as `own`, group by group and row by row.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When `own` has another length, or a weight more bits than the product says.
pub fn matmul(s: &mut Session, product: &Product, own: &[u64]) -> Result<RingVec> {
    let &Product { groups, rows, inner, cols, width, .. } = product;
    let role = s.role();
    let len = match role {
        Role::P0 => groups * rows * inner,
        Role::P1 => groups * inner * cols,
    };
    assert_eq!(own.len(), len, "the matrices have the agreed shape");
    let shares = outer_products(s, &[*product], |_, pair, vector| match role {
        Role::P0 => {
            let matrix = &own[pair / inner * rows * inner..];
            vector.iter_mut().enumerate().for_each(|(r, w)| *w = matrix[r * inner + pair % inner]);
        }
        Role::P1 => vector.copy_from_slice(&own[pair * cols..][..cols]),
    })?;
    Ok(shares.into_iter().next().unwrap_or_else(|| RingVec::zeros(width, 0)))
}

/// Shares of each product, all in one stream. `own(product, pair, vector)` writes this party's canonical words of the
/// outer product `pair` = group · inner + c: W's column c at P0 (`rows` words), X's row c at P1 (`cols` words).
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// As [`cost`], and when a weight has more bits than the product says.
pub fn outer_products(
    s: &mut Session,
    products: &[Product],
    own: impl FnMut(usize, usize, &mut [u64]),
) -> Result<Vec<RingVec>> {
    outer_products_in(Limits::DEFAULT, s, products, own)
}

fn outer_products_in(
    limits: Limits,
    s: &mut Session,
    products: &[Product],
    own: impl FnMut(usize, usize, &mut [u64]),
) -> Result<Vec<RingVec>> {
    let Some(sender) = common_sender(products) else { return Ok(Vec::new()) };
    let Session { channel, rcot_sender, rcot_receiver, .. } = s;
    let mut out: Vec<Vec<u64>> = products.iter().map(|p| vec![0; p.output_len()]).collect();
    let run = |channel: &mut Channel| {
        if channel.role() == sender {
            send(channel, rcot_sender.as_mut(), limits, products, own, &mut out)
        } else {
            receive(channel, rcot_receiver.as_mut(), limits, products, own, &mut out)
        }
    };
    channel.pipelined(run)?;
    let shares = products.iter().zip(out).map(|(p, words)| match p.chooser {
        Chooser::Weights { .. } => RingVec::from_words(p.width, words),
        Chooser::Activations => RingVec::from_words(p.width, transpose(&words, p.groups, p.cols, p.rows)),
    });
    Ok(shares.collect())
}

/// Adds the sender's share of each product to `out`: in each group a row for each value.
fn send(
    channel: &mut Channel,
    ot: &mut dyn RcotSender,
    limits: Limits,
    products: &[Product],
    mut own: impl FnMut(usize, usize, &mut [u64]),
    out: &mut [Vec<u64>],
) -> Result<()> {
    let delta = ot.delta();
    let mut coming = chunks(products, limits);
    let [mut now, mut next] = [(); 2].map(|()| Jobs::<SendJob>::new());
    loop {
        let draw = |job: &mut SendJob, chunk| job.draw(channel, ot, products, chunk, &mut own);
        overlap(&mut now, |job| job.compute(delta, products), || next.fill(&mut coming, draw))?;
        for job in now.active() {
            job.deliver(channel, products, out)?;
        }
        std::mem::swap(&mut now, &mut next);
        next.idle();
        if now.active().is_empty() {
            return Ok(());
        }
    }
}

/// Adds the receiver's share of each product to `out`, as [`send`] does.
fn receive(
    channel: &mut Channel,
    ot: &mut dyn RcotReceiver,
    limits: Limits,
    products: &[Product],
    mut own: impl FnMut(usize, usize, &mut [u64]),
    out: &mut [Vec<u64>],
) -> Result<()> {
    let mut vector = Vec::new();
    let mut requests = chunks(products, limits);
    let mut ahead = VecDeque::with_capacity(WINDOW + 1);
    let mut coming = chunks(products, limits);
    let [mut now, mut next] = [(); 2].map(|()| Jobs::<ReceiveJob>::new());
    loop {
        let fetch = |job: &mut ReceiveJob, chunk| {
            for request in requests.by_ref().take(WINDOW + 1 - ahead.len()) {
                let choices = choices(products, request, &mut vector, &mut own);
                let mut t = vec![Block::ZERO; choices.len()];
                ot.extend_chosen(channel, &choices, &mut t)?; // (1)
                ahead.push_back((choices, t));
            }
            // There are as many requests as chunks.
            let (choices, t) = ahead.pop_front().unwrap_or_default();
            (job.choices, job.t, job.tweak) = (choices.to_lsb(), t, 0);
            job.tweak = ot.take_tweaks(job.t.len());
            job.fetch(channel, products, chunk)
        };
        overlap(&mut now, |job| job.compute(products), || next.fill(&mut coming, fetch))?;
        for job in now.active() {
            std::mem::replace(&mut job.outcome, Ok(()))?;
            add_rows(&products[job.chunk.product], job.chunk.first, &job.share, &mut out[job.chunk.product]);
        }
        std::mem::swap(&mut now, &mut next);
        next.idle();
        if now.active().is_empty() {
            return Ok(());
        }
    }
}

/// Some jobs, whose buffers serve again and again.
struct Jobs<J> {
    jobs: Vec<J>,
    active: usize,
}

impl<J: Default> Jobs<J> {
    fn new() -> Self {
        let count = rayon::current_num_threads().clamp(1, BATCH);
        Self { jobs: iter::repeat_with(J::default).take(count).collect(), active: 0 }
    }

    fn active(&mut self) -> &mut [J] {
        &mut self.jobs[..self.active]
    }

    fn idle(&mut self) {
        self.active = 0;
    }

    /// Gives as many chunks as there are jobs to one job each.
    fn fill(
        &mut self,
        chunks: &mut impl Iterator<Item = Chunk>,
        mut start: impl FnMut(&mut J, Chunk) -> Result<()>,
    ) -> Result<()> {
        for (job, chunk) in self.jobs.iter_mut().zip(chunks) {
            start(job, chunk)?;
            self.active += 1;
        }
        Ok(())
    }
}

/// Computes jobs on the other cores while `network` runs here: what waits for the peer must not hold a thread that
/// computes.
fn overlap<J: Default + Send>(
    jobs: &mut Jobs<J>,
    compute: impl Fn(&mut J) + Sync,
    network: impl FnOnce() -> Result<()>,
) -> Result<()> {
    rayon::in_place_scope(|scope| {
        for job in jobs.active() {
            let compute = &compute;
            scope.spawn(move |_| compute(job));
        }
        network()
    })
}

/// One chunk at the sender.
#[derive(Default)]
struct SendJob {
    chunk: Chunk,
    q: Vec<Block>,
    tweak: u64,
    /// The rows of the chunk's outer products, and where the row of each entry starts.
    rows: Vec<u64>,
    starts: Vec<usize>,
    masked: Vec<u64>,
    share: Vec<u64>,
    /// The messages, packed, one after the other.
    packed: Vec<u8>,
}

impl SendJob {
    fn draw(
        &mut self,
        channel: &mut Channel,
        ot: &mut dyn RcotSender,
        products: &[Product],
        chunk: Chunk,
        own: &mut impl FnMut(usize, usize, &mut [u64]),
    ) -> Result<()> {
        let Chunk { product, first, len } = chunk;
        let p = &products[product];
        let (values, per) = p.sides();
        self.chunk = chunk;
        self.q.clear();
        self.q.resize(len * p.bits() as usize, Block::ZERO);
        ot.extend_chosen(channel, &mut self.q)?; // (1)
        self.tweak = ot.take_tweaks(self.q.len());
        let pairs = first / values..(first + len - 1) / values + 1;
        self.rows.resize(pairs.len() * per, 0);
        pairs.zip(self.rows.chunks_exact_mut(per)).for_each(|(pair, row)| own(product, pair, row));
        self.starts.clear();
        self.starts.extend((first..first + len).map(|n| (n / values - first / values) * per));
        Ok(())
    }

    fn compute(&mut self, delta: Block, products: &[Product]) {
        let Self { chunk, q, rows, starts, masked, share, packed, .. } = self;
        let p = &products[chunk.product];
        let (_, per) = p.sides();
        let mut tweak = self.tweak;
        share.clear();
        share.resize(chunk.len * per, 0);
        masked.resize(chunk.len * per, 0);
        packed.clear();
        for (top, (q, width)) in top_first(q.chunks_exact(chunk.len).zip(p.message_widths())) {
            kernel::mask(q, delta, tweak, per, (rows, starts), width, masked, share); // (2) (3) (4)
            pack_into(masked, width.bits(), packed);
            kernel::negate_if(top, share);
            tweak += chunk.len as u64;
        }
    }

    fn deliver(&self, channel: &mut Channel, products: &[Product], out: &mut [Vec<u64>]) -> Result<()> {
        let Chunk { product, first, len } = self.chunk;
        let p = &products[product];
        let (_, per) = p.sides();
        let mut packed = &self.packed[..];
        for width in p.message_widths() {
            let (message, rest) = packed.split_at(packed_bytes(len * per, width.bits()));
            channel.send_packed::<MaskedRows>(width, len * per, message)?; // (3)
            packed = rest;
        }
        add_rows(p, first, &self.share, &mut out[product]);
        Ok(())
    }
}

/// One chunk at the receiver.
struct ReceiveJob {
    chunk: Chunk,
    choices: Vec<u64>,
    t: Vec<Block>,
    tweak: u64,
    masked: Vec<u64>,
    share: Vec<u64>,
    /// The messages, packed, one after the other.
    packed: Vec<u8>,
    /// Whether the messages were well packed.
    outcome: Result<()>,
}

impl Default for ReceiveJob {
    fn default() -> Self {
        let (chunk, tweak, outcome) = (Chunk::default(), 0, Ok(()));
        let [masked, share, choices] = [(); 3].map(|()| Vec::new());
        Self { chunk, choices, t: Vec::new(), tweak, masked, share, packed: Vec::new(), outcome }
    }
}

impl ReceiveJob {
    fn fetch(&mut self, channel: &mut Channel, products: &[Product], chunk: Chunk) -> Result<()> {
        let p = &products[chunk.product];
        let (_, per) = p.sides();
        self.chunk = chunk;
        self.packed.clear();
        for width in p.message_widths() {
            channel.recv_packed::<MaskedRows>(width, chunk.len * per, &mut self.packed)?; // (3)
        }
        Ok(())
    }

    fn compute(&mut self, products: &[Product]) {
        let Self { chunk, choices, t, masked, share, packed, .. } = self;
        let p = &products[chunk.product];
        let (_, per) = p.sides();
        let mut tweak = self.tweak;
        share.clear();
        share.resize(chunk.len * per, 0);
        masked.resize(chunk.len * per, 0);
        let bits = t.chunks_exact(chunk.len).zip(choices.chunks_exact(chunk.len));
        let mut packed = &packed[..];
        for (top, ((t, choices), width)) in top_first(bits.zip(p.message_widths())) {
            let (message, rest) = packed.split_at(packed_bytes(masked.len(), width.bits()));
            if let Err(wrong) = unpack_into(message, width.bits(), masked) {
                self.outcome = Err(wrong);
                return;
            }
            packed = rest;
            kernel::unmask(t, tweak, per, choices, width, masked, share); // (2) (3) (4)
            kernel::negate_if(top, share);
            tweak += chunk.len as u64;
        }
    }
}

/// The bits of a chunk's values: the top bits of all, then the next.
fn choices(
    products: &[Product],
    Chunk { product, first, len }: Chunk,
    vector: &mut Vec<u64>,
    own: &mut impl FnMut(usize, usize, &mut [u64]),
) -> BitVec {
    let p = &products[product];
    let (per_pair, _) = p.sides();
    let mut values = Vec::with_capacity(len);
    while values.len() < len {
        let at = first + values.len();
        vector.resize(per_pair, 0);
        own(product, at / per_pair, vector);
        let here = &vector[at % per_pair..];
        values.extend_from_slice(&here[..here.len().min(len - values.len())]);
    }
    let spare = 64 - p.bits();
    let excess = values
        .iter()
        .fold(0, |excess, &v| excess | p.width.reduce(v ^ ((v << spare) as i64 >> spare) as u64));
    assert_eq!(excess, 0, "values of more bits than the product says");
    let bits = (0..p.bits()).rev().flat_map(|i| values.iter().map(move |v| v >> i & 1));
    BitVec::from_lsb(&bits.collect::<Vec<u64>>())
}

/// The items, with whether each is the first.
fn top_first<T>(items: impl Iterator<Item = T>) -> impl Iterator<Item = (bool, T)> {
    iter::once(true).chain(iter::repeat(false)).zip(items)
}

/// Adds the products of a chunk's entries to their rows of `out`.
fn add_rows(p: &Product, first: usize, share: &[u64], out: &mut [u64]) {
    let (values, per) = p.sides();
    for (n, share) in (first..).zip(share.chunks_exact(per)) {
        let group = n / values / p.inner;
        let row = &mut out[(group * values + n % values) * per..][..per];
        row.iter_mut().zip(share).for_each(|(y, s)| *y = y.wrapping_add(*s));
    }
}

/// Each of the `groups` row-major matrices of `rows` x `cols`, transposed.
fn transpose(words: &[u64], groups: usize, rows: usize, cols: usize) -> Vec<u64> {
    let mut out = Vec::with_capacity(words.len());
    for matrix in (0..groups).map(|g| &words[g * rows * cols..]) {
        out.extend((0..cols).flat_map(|c| (0..rows).map(move |r| matrix[r * cols + c])));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use copriv_prg::Prg;
    use copriv_session::Params;
    use copriv_testkit::run_pair;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Products of any size in chunks of any size, with the cost of just these chunks.
        #[test]
        fn chunks_of_every_size(
            shapes in prop::collection::vec((1usize..4, 1usize..6, 1usize..4, 1usize..12, 1u32..=64), 1..4),
            (ots, elements) in (1usize..600, 1usize..300),
            weights: bool,
            iknp in prop::bool::weighted(0.3),
            seed: u64,
        ) {
            let plan: Vec<Product> = shapes
                .iter()
                .map(|&(groups, rows, inner, cols, l)| {
                    let bits = l.div_ceil(2);
                    let chooser = if weights { Chooser::Weights { bits } } else { Chooser::Activations };
                    Product { groups, rows, inner, cols, width: Width::of(l), chooser }
                })
                .collect();
            let limits = Limits { ots, elements };
            let own = |role: Role| {
                let plan = &plan;
                move |product: usize, pair: usize, vector: &mut [u64]| {
                    let p = &plan[product];
                    let narrow = if role == Role::P0 { Width::of(p.bits()) } else { p.width };
                    let stream = Block::new(pair as u64, (2 * product + role.index()) as u64);
                    let values = Prg::from_seed(stream).ring(narrow, vector.len()).to_signed();
                    vector.copy_from_slice(RingVec::from_signed(p.width, &values).words());
                }
            };
            let params = if iknp { Params::CRYPTFLOW2 } else { Params::IDEAL };
            let out = run_pair(
                params,
                seed,
                |s| outer_products_in(limits, s, &plan, own(Role::P0)),
                |s| outer_products_in(limits, s, &plan, own(Role::P1)),
            );
            out.assert_cost(cost_in(limits, params.rcot, &plan));
            for (i, p) in plan.iter().enumerate() {
                let mut want = vec![0u64; p.output_len()];
                let (mut w, mut x) = (vec![0; p.rows], vec![0; p.cols]);
                for pair in 0..p.groups * p.inner {
                    own(Role::P0)(i, pair, &mut w);
                    own(Role::P1)(i, pair, &mut x);
                    for (r, t) in (0..p.rows).flat_map(|r| (0..p.cols).map(move |t| (r, t))) {
                        let y = &mut want[(pair / p.inner * p.rows + r) * p.cols + t];
                        *y = y.wrapping_add(w[r].wrapping_mul(x[t]));
                    }
                }
                prop_assert_eq!(&out.p0[i] + &out.p1[i], RingVec::from_words(p.width, want));
            }
        }
    }

    #[test]
    fn every_entry_is_in_one_chunk() {
        let p = Product {
            groups: 3,
            rows: 5,
            inner: 7,
            cols: 100,
            width: Width::of(41),
            chooser: Chooser::Activations,
        };
        let all: Vec<Chunk> = chunks(&[p, p], Limits { ots: 1000, elements: 100 }).collect();
        assert_eq!(all.iter().map(|c| c.len).sum::<usize>(), 2 * 3 * 7 * 100);
        assert!(all.iter().all(|c| c.len * 41 <= 1000 && c.len * 5 <= 100));
        assert!(
            all.windows(2)
                .all(|c| c[1].first == if c[0].product == c[1].product { c[0].first + c[0].len } else { 0 })
        );
    }
}
