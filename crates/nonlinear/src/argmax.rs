//! Where the largest element of each window is.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, public [`Windows`]. Output: additive shares over Z_{2^k} of the position
//! within each window of its largest element, the first of them if there are several, where the differences
//! within a window fit l bits.
//!
//! # Protocol
//! A tournament of (value, position); at each level, for the pairs (a, i), (b, j) of all windows, a before b:
//!
//! | step | P0                                         | wire | P1                                         |
//! |------|--------------------------------------------|------|--------------------------------------------|
//! | 1    | `d = drelu(a − b)`                         | ↔    | `d = drelu(a − b)`                         |
//! | 2    | `b + mux(a − b, d)`, `j + mux(i − j, d)`   | ↔    | `b + mux(a − b, d)`, `j + mux(i − j, d)`   |
//!
//! The last level needs no value.
//!
//! # Cost
//! [`cost`]: one drelu and one mux of two operands an element less one a window.
//!
//! # Security
//! Composition of [`drelu`] and [`mux`].
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), section 5.2.
//!
//! # Deviations
//! A tournament in place of a chain; positions in a ring of their own; one RCOT for both operands of step 2.

use crate::{Windows, drelu, mux};
use copriv_channel::Cost;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::Result;

/// The cost of the argmax of `windows` on elements of `width` bits, positions of `index_width` bits.
pub fn cost(params: &Params, windows: &Windows, width: Width, index_width: Width) -> Cost {
    let pairs = windows.pairs();
    let level = |(level, &n): (usize, &usize)| {
        let select = match level + 1 == pairs.len() {
            true => mux::cost(params, n, index_width),
            false => mux::cost_pair(params, n, [width, index_width]),
        };
        drelu::cost(params, n, width) + select
    };
    pairs.iter().enumerate().map(level).sum()
}

/// The narrowest ring in which every position of `windows` has a place.
pub fn index_width(windows: &Windows) -> Width {
    let last = windows.sizes().iter().max().map_or(0, |&size| size as u64 - 1);
    Width::of((u64::BITS - last.leading_zeros()).max(1))
}

/// Shares of the position of the first largest element of each window of x.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When a window's index is outside x, a position does not fit `index_width`, or the ring has one bit only.
pub fn argmax(s: &mut Session, x: &Arithmetic, windows: &Windows, index_width: Width) -> Result<Arithmetic> {
    assert!(windows.largest_index_fits(index_width), "every position fits the index ring");
    let positions = windows.sizes().iter().flat_map(|&size| 0..size as u64).collect();
    let mut position = Arithmetic::public(s.role(), &RingVec::from_words(index_width, positions));
    let mut x = windows.gather(x);
    let mut levels = windows.levels().peekable();
    while let Some(level) = levels.next() {
        let [a, b] = level.pairs.each_ref().map(|at| x.gather(at.iter().copied()));
        let [i, j] = level.pairs.map(|at| position.gather(at));
        let (value, index) = (&a - &b, &i - &j);
        let d = drelu::drelu(s, &value)?; // (1)
        let won = match levels.peek() {
            None => mux::mux(s, &index, &d)?, // (2)
            Some(_) => {
                let [value, index] = mux::mux_pair(s, [&value, &index], &d)?; // (2)
                x = (&b + &value).concat(&x).gather(level.next.iter().copied());
                index
            }
        };
        position = (&j + &won).concat(&position).gather(level.next);
    }
    Ok(position)
}
