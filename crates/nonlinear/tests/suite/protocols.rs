//! Every protocol on a few elements, for what is tested of all of them alike.

use crate::common::*;
use copriv_nonlinear::{
    Sign, Windows, and, argmax, avgpool, b2a, clip, clip_truncate, drelu, extend, maxpool, millionaires, mux,
    product, relu, relu_truncate, truncate, wrap,
};
use copriv_ring::Width;
use copriv_session::Session;
use copriv_share::{Arithmetic, Boolean};
use copriv_wire::{Result, Role};

/// One party's run with inputs of its own.
pub type Protocol = fn(&mut Session) -> Result<()>;

const WIDTH: Width = Width::of(11);
const LEN: usize = 21;

fn x(s: &Session) -> Arithmetic {
    let [x0, x1] = shares(&elements(WIDTH, LEN, 1), 2);
    match s.role() {
        Role::P0 => x0,
        Role::P1 => x1,
    }
}

fn b(s: &Session, seed: u64) -> Boolean {
    Boolean::new(prg(seed + s.role().index() as u64).bits(LEN))
}

fn windows() -> Windows {
    Windows::new((0..LEN).collect(), vec![1, 5, 8, 7])
}

/// Name, the function as both parties run it.
pub const ALL: [(&str, Protocol); 28] = [
    ("less_than", |s| {
        let own = x(s);
        millionaires::less_than(s, 11, own.own().words()).map(drop)
    }),
    ("less_than_low", |s| {
        let own = x(s);
        millionaires::less_than_low(s, 11, 6, own.own().words()).map(drop)
    }),
    ("less_than_low by small digits", |s| {
        let own = x(s);
        s.params.digit_bits = 2;
        // Digits of three, two, and two and one bits.
        millionaires::less_than_low(s, 10, 5, own.own().resize(Width::of(10)).words()).map(drop)
    }),
    ("product", |s| {
        let own = b(s, 1);
        product::product(s, WIDTH, own.own()).map(drop)
    }),
    ("and", |s| {
        let (x, y) = (b(s, 1), b(s, 3));
        and::and(s, &x, &y).map(drop)
    }),
    ("and_pair", |s| {
        let (x, y, z) = (b(s, 1), b(s, 3), b(s, 5));
        and::and_pair(s, &x, &y, &z).map(drop)
    }),
    ("b2a", |s| {
        let own = b(s, 1);
        b2a::b2a(s, &own, WIDTH).map(drop)
    }),
    ("mux", |s| {
        let (x, b) = (x(s), b(s, 1));
        mux::mux(s, &x, &b).map(drop)
    }),
    ("mux_pair", |s| {
        let (x, b) = (x(s), b(s, 1));
        mux::mux_pair(s, [&x, &x], &b).map(drop)
    }),
    ("msb", |s| {
        let x = x(s);
        drelu::msb(s, &x).map(drop)
    }),
    ("wrap", |s| {
        let x = x(s);
        wrap::wrap(s, &x).map(drop)
    }),
    ("wrap_nonnegative", |s| {
        let x = x(s);
        wrap::wrap_nonnegative(s, &x).map(drop)
    }),
    ("relu", |s| {
        let x = x(s);
        relu::relu(s, &x).map(drop)
    }),
    ("relu_truncate", |s| {
        let x = x(s);
        relu_truncate::relu_truncate(s, &x, 5).map(drop)
    }),
    ("relu_top", |s| {
        let x = x(s);
        relu::relu_top(s, &x, 4).map(drop)
    }),
    ("relu_truncate_top", |s| {
        let x = x(s);
        relu_truncate::relu_truncate_top(s, &x, 3, 5).map(drop)
    }),
    ("relu_truncate_beside", |s| {
        let x = x(s);
        relu_truncate::relu_truncate_beside(s, &x.slice(0..3), &x.slice(3..x.len()), 3).map(drop)
    }),
    ("relu_truncate_one_bit", |s| {
        let x = x(s);
        relu_truncate::relu_truncate_one_bit(s, &x, 3, 5).map(drop)
    }),
    ("clip", |s| {
        let x = x(s);
        clip::clip(s, &x, 0, 60).map(drop)
    }),
    ("clip_truncate", |s| {
        let x = x(s);
        clip_truncate::clip_truncate(s, &x, 48, 4).map(drop)
    }),
    ("clip_truncate_one_bit", |s| {
        let x = x(s);
        clip_truncate::clip_truncate_one_bit(s, &x, 48, 4, 5).map(drop)
    }),
    ("trunc_faithful", |s| {
        let (x, m) = (x(s), b(s, 1));
        truncate::trunc_faithful(s, &x, 5, Sign::Known(&m)).map(drop)
    }),
    ("trunc_faithful_sirnn", |s| {
        let x = x(s);
        truncate::trunc_faithful_sirnn(s, &x, 5).map(drop)
    }),
    ("trunc_one_bit", |s| {
        let x = x(s);
        truncate::trunc_one_bit(s, &x, 5, Sign::Bounded).map(drop)
    }),
    ("trunc_reduce", |s| {
        let x = x(s);
        truncate::trunc_reduce(s, &x, 5).map(drop)
    }),
    ("extend_signed", |s| {
        let x = x(s);
        extend::extend_signed(s, &x, Width::of(17), Sign::Unknown).map(drop)
    }),
    ("maxpool and avgpool", |s| {
        let x = x(s);
        maxpool::maxpool(s, &x, &windows())?;
        avgpool::avgpool(s, &x, &windows(), 3, 2, Sign::NonNegative).map(drop)
    }),
    ("argmax", |s| {
        let x = x(s);
        argmax::argmax(s, &x, &windows(), Width::of(3)).map(drop)
    }),
];
