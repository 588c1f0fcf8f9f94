//! Sums of ReLUs: functions of straight pieces, before they are divided.
//!
//! # Functionality
//! Input: additive shares of x over Z_{2^l}, public pairs (t_k, d_k) and a constant c. Output: additive shares of c + sum of d_k relu(x - t_k)
//! mod 2^l. [`sum_top`] finds signs without the lowest bits ([`relu_top`](relu::relu_top)).
//!
//! # Protocol
//! | step | P0 (x0)                              | wire | P1 (x1)                              |
//! |------|--------------------------------------|------|--------------------------------------|
//! | 1    | `relu` of all x - t_k together: r_k  | ↔    | `relu` of all x - t_k together: r_k  |
//! | 2    | `c + sum of d_k r_k`                 |      | `sum of d_k r_k`                     |
//!
//! # Cost
//! [`cost_top`]: a ReLU for each element and pair, in the rounds of one.
//!
//! # Security
//! That of [`relu`].
//!
//! # Reference
//! Splines over shares as in MiniONN (Liu et al., CCS 2017), section 5.3.2; here all pieces share one batch of comparisons.
//!
//! # Deviations
//! None.

use crate::relu;
use copriv_channel::Cost;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::Result;

/// The cost of the sums of `n` elements of `width` bits with `pairs` pairs, with signs that are found without the lowest `drop_bits`.
pub fn cost_top(params: &Params, n: usize, pairs: usize, width: Width, drop_bits: u32) -> Cost {
    relu::cost_top(params, n * pairs, width, drop_bits)
}

/// Shares of `constant` + sum of d relu(x - t) for the `pairs` [t, d], both at the scale of x. Values of x - t below 2^`drop_bits` may
/// count as negative.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When `drop_bits` is not below the width less 1.
pub fn sum_top(
    s: &mut Session,
    x: &Arithmetic,
    pairs: &[[i64; 2]],
    constant: i64,
    drop_bits: u32,
) -> Result<Arithmetic> {
    let (role, n) = (s.role(), x.len());
    let shifted = pairs.iter().map(|&[t, _]| x.offset(role, t.wrapping_neg() as u64));
    let none = Arithmetic::zeros(x.width(), 0);
    let all = shifted.fold(none, |all, one| all.concat(&one));
    let (relus, _) = relu::relu_top(s, &all, drop_bits)?; // (1)
    let products =
        pairs.iter().enumerate().map(|(k, &[_, d])| relus.slice(k * n..(k + 1) * n).scale(d as u64));
    let sum = products.fold(Arithmetic::zeros(x.width(), n), |sum, product| &sum + &product);
    Ok(sum.offset(role, constant as u64)) // (2)
}
