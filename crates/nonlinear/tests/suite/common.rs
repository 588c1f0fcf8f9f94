use copriv_bits::{BitVec, Block};
use copriv_channel::Cost;
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, Boolean};
use copriv_testkit::run_pair;
use copriv_wire::Result;

pub const WIDTHS: [u32; 9] = [2, 3, 5, 8, 32, 37, 41, 63, 64];

pub fn prg(seed: u64) -> Prg {
    Prg::from_seed(Block::new(seed, 77))
}

/// `n` elements: the edges of the ring first, then small and uniform ones.
pub fn elements(width: Width, n: usize, seed: u64) -> RingVec {
    let min = i64::MIN >> (64 - width.bits());
    let edges = [0, -1, 1, min, -(min + 1), min + 1, 2, -2];
    let uniform = prg(seed).words(n);
    let value = |i: usize| match edges.get(i) {
        Some(&edge) => width.from_signed(edge),
        None if i.is_multiple_of(3) => width.from_signed(uniform[i] as i64 >> 58),
        None => width.reduce(uniform[i]),
    };
    RingVec::from_words(width, (0..n).map(value).collect())
}

/// Uniform shares of `x`.
pub fn shares(x: &RingVec, seed: u64) -> [Arithmetic; 2] {
    let own = prg(seed ^ 0x5A5A).ring(x.width(), x.len());
    [Arithmetic::new(x - &own), Arithmetic::new(own)]
}

/// Uniform shares of `bits`.
pub fn bit_shares(bits: &BitVec, seed: u64) -> [Boolean; 2] {
    let own = prg(seed ^ 0xA5A5).bits(bits.len());
    [Boolean::new(bits ^ &own), Boolean::new(own)]
}

pub trait Open {
    type Value;
    fn open(p0: &Self, p1: &Self) -> Self::Value;
}

impl Open for Arithmetic {
    type Value = RingVec;
    fn open(p0: &Self, p1: &Self) -> RingVec {
        p0.own() + p1.own()
    }
}

impl Open for Boolean {
    type Value = BitVec;
    fn open(p0: &Self, p1: &Self) -> BitVec {
        p0.own() ^ p1.own()
    }
}

impl<A: Open, B: Open> Open for (A, B) {
    type Value = (A::Value, B::Value);
    fn open(p0: &Self, p1: &Self) -> Self::Value {
        (A::open(&p0.0, &p1.0), B::open(&p0.1, &p1.1))
    }
}

impl<A: Open> Open for [A; 2] {
    type Value = [A::Value; 2];
    fn open(p0: &Self, p1: &Self) -> Self::Value {
        [A::open(&p0[0], &p1[0]), A::open(&p0[1], &p1[1])]
    }
}

/// Runs `protocol` with each party's input, checks the cost, and opens the output.
#[track_caller]
pub fn run<I: Send, O: Open + Send>(
    params: Params,
    cost: Cost,
    inputs: [I; 2],
    protocol: impl Fn(&mut Session, I) -> Result<O> + Sync,
) -> O::Value {
    let [x0, x1] = inputs;
    let out = run_pair(params, 7, |s| protocol(s, x0), |s| protocol(s, x1));
    out.assert_cost(cost);
    O::open(&out.p0, &out.p1)
}

/// [`run`] on shares of `x`.
#[track_caller]
pub fn run_on<O: Open + Send>(
    params: Params,
    cost: Cost,
    x: &RingVec,
    protocol: impl Fn(&mut Session, &Arithmetic) -> Result<O> + Sync,
) -> O::Value {
    run(params, cost, shares(x, 3), |s, x| protocol(s, &x))
}

pub fn signed_map(x: &RingVec, f: impl Fn(i64) -> i64) -> RingVec {
    RingVec::from_signed(x.width(), &x.to_signed().into_iter().map(f).collect::<Vec<_>>())
}

pub fn negative(x: &RingVec) -> BitVec {
    let x = x.to_signed();
    BitVec::from_fn(x.len(), |i| x[i] < 0)
}
