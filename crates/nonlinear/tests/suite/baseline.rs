//! The baseline suite at the sizes that its original implementation (SCI, IKNP and KKRT, 1-of-16) was measured at:
//! results, cost, and bytes relative to the original's.

use crate::common::*;
use copriv_channel::Cost;
use copriv_nonlinear::{Sign, Windows, argmax, avgpool, maxpool, relu, truncate};
use copriv_ring::{RingVec, Width};
use copriv_session::Params;
use std::panic::Location;

const PARAMS: Params = Params::CRYPTFLOW2;
const N: usize = 65_536;
const SHIFT: u32 = 12;

/// One row: what the original puts on the wire, and the range in which ours has to be, in thousandths of it.
#[track_caller]
fn assert_near(cost: Cost, original: u64, thousandths: std::ops::RangeInclusive<u64>) {
    let (bytes, rounds) = (cost.bytes(), cost.rounds());
    let ratio = bytes * 1000 / original;
    eprintln!("{}: {bytes} bytes, original {original}, {ratio}/1000; {rounds} rounds", Location::caller());
    assert!(thousandths.contains(&ratio), "{bytes} bytes are {ratio} thousandths of {original}");
}

#[test]
fn relu_of_65536() {
    for (l, original) in [(41, 44_007_424), (37, 39_092_224)] {
        let width = Width::of(l);
        let (cost, x) = (relu::cost(&PARAMS, N, width), elements(width, N, 1));
        assert_near(cost, original, 975..=1000);
        let (y, d) = run_on(PARAMS, cost, &x, relu::relu);
        assert_eq!((y, d), (signed_map(&x, |x| x.max(0)), !&negative(&x)));
    }
}

#[test]
fn truncation_of_65536() {
    for (l, original) in [(41, 55_083_008), (37, 50_167_808)] {
        let width = Width::of(l);
        let (cost, x) =
            (truncate::cost_faithful(&PARAMS, N, width, SHIFT, Sign::Unknown), elements(width, N, 2));
        assert_near(cost, original, 970..=1000);
        let y = run_on(PARAMS, cost, &x, |s, x| truncate::trunc_faithful(s, x, SHIFT, Sign::Unknown));
        assert_eq!(y, signed_map(&x, |x| x >> SHIFT));
    }
}

#[test]
fn sirnn_truncation_of_65536() {
    for (l, original) in [(41, 47_325_184), (37, 42_573_824)] {
        let width = Width::of(l);
        let (cost, x) = (truncate::cost_faithful_sirnn(&PARAMS, N, width, SHIFT), elements(width, N, 3));
        assert_near(cost, original, 970..=1000);
        let y = run_on(PARAMS, cost, &x, |s, x| truncate::trunc_faithful_sirnn(s, x, SHIFT));
        assert_eq!(y, signed_map(&x, |x| x >> SHIFT));
    }
}

/// The sign that the ReLU found takes the place of a 1-of-4 OT.
#[test]
fn relu_then_truncation_of_65536() {
    for (l, original) in [(41, 58_523_648), (37, 53_477_376)] {
        let width = Width::of(l);
        let truncation = truncate::cost_faithful(&PARAMS, N, width, SHIFT, Sign::NonNegative);
        let (cost, x) = (relu::cost(&PARAMS, N, width) + truncation, elements(width, N, 4));
        assert_near(cost, original, 930..=1000);
        let y = run_on(PARAMS, cost, &x, |s, x| {
            let (y, _) = relu::relu(s, x)?;
            truncate::trunc_faithful(s, &y, SHIFT, Sign::NonNegative)
        });
        assert_eq!(y, signed_map(&x, |x| x.max(0) >> SHIFT));
    }
}

#[test]
fn max_pool_2x2() {
    let width = Width::of(41);
    let windows = Windows::pool2d(64, [32, 32], [2, 2], [2, 2], [0; 4]);
    let x = signed_map(&elements(width, N, 5), |x| x >> 1);
    let cost = maxpool::cost(&PARAMS, &windows, width);
    assert_near(cost, 33_005_568, 975..=1000);
    let y = run_on(PARAMS, cost, &x, |s, x| maxpool::maxpool(s, x, &windows)).to_signed();
    let at = |c: usize, y: usize, x: usize| (c * 32 + y) * 32 + x;
    let signed = x.to_signed();
    for (i, y) in y.into_iter().enumerate() {
        let (c, oy, ox) = (i / 256, i / 16 % 16, i % 16);
        let window = [0, 1].map(|dy| [0, 1].map(|dx| signed[at(c, 2 * oy + dy, 2 * ox + dx)]));
        assert_eq!(Some(y), window.into_iter().flatten().max());
    }
}

/// The original's OT batches are mostly padding here.
#[test]
fn small_batches() {
    let width = Width::of(41);
    let windows = Windows::pool2d(64, [8, 8], [8, 8], [8, 8], [0; 4]);
    let x = elements(width, 4096, 6);
    let cost = avgpool::cost(&PARAMS, 64, width, 6, Sign::Unknown);
    assert_near(cost, 336_448, 0..=200);
    let y = run_on(PARAMS, cost, &x, |s, x| avgpool::avgpool(s, x, &windows, 1, 6, Sign::Unknown));
    let sums = x
        .to_signed()
        .chunks(64)
        .map(|w| w.iter().fold(0, |a: i64, &b| a.wrapping_add(b)))
        .collect::<Vec<_>>();
    assert_eq!(y, signed_map(&RingVec::from_signed(width, &sums), |x| x >> 6));

    let windows = Windows::rows(1, 100);
    let x = signed_map(&elements(width, 100, 7), |x| x >> 1);
    let index = argmax::index_width(&windows);
    let cost = argmax::cost(&PARAMS, &windows, width, index);
    assert_near(cost, 223_704, 0..=350);
    let got = run_on(PARAMS, cost, &x, |s, x| argmax::argmax(s, x, &windows, index));
    let x = x.to_signed();
    let largest = x.iter().max();
    assert_eq!(got.words()[0] as usize, x.iter().position(|v| Some(v) == largest).unwrap_or(100));
}
