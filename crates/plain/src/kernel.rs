//! The loops, shared by ring and float evaluation. Their sizes come from validated networks.

use copriv_ir::{Shape, Window};
use rayon::prelude::*;
use std::ops::Range;

/// What the loops add and multiply; `u64` wraps.
pub(crate) trait Scalar: Copy + Send + Sync {
    const ZERO: Self;
    /// self + a * b.
    fn mul_add(self, a: Self, b: Self) -> Self;
}

impl Scalar for u64 {
    const ZERO: Self = 0;
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
}

impl Scalar for f32 {
    const ZERO: Self = 0.0;
    fn mul_add(self, a: Self, b: Self) -> Self {
        self + a * b
    }
}

impl Scalar for f64 {
    const ZERO: Self = 0.0;
    fn mul_add(self, a: Self, b: Self) -> Self {
        self + a * b
    }
}

/// The outputs along one dimension whose tap `k` lies in the map: those with 0 <= o * stride + k - padding <
/// size.
fn outputs_of_tap(outputs: usize, size: usize, stride: usize, padding: usize, k: usize) -> Range<usize> {
    let first = padding.saturating_sub(k).div_ceil(stride);
    let end = (size + padding).saturating_sub(k).div_ceil(stride).min(outputs);
    first..end.max(first)
}

/// The taps along one dimension that lie in the map for output `o`.
fn taps_of_output(kernel: usize, size: usize, stride: usize, padding: usize, o: usize) -> Range<usize> {
    let start = (o * stride).saturating_sub(padding);
    start..(o * stride + kernel).saturating_sub(padding).min(size).max(start)
}

/// A convolution: `weight(i)` is element i of out_channels x (in_channels / groups) x kernel, `bias(i)` that of element i of the
/// output. Parallel over output channels.
pub(crate) fn conv<T: Scalar>(
    x: &[T],
    (input, output): (Shape, Shape),
    window: &Window,
    groups: usize,
    weight: impl Fn(usize) -> T + Sync,
    bias: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let &Window { kernel: [kh, kw], stride: [sy, sx], padding: [top, left, ..] } = window;
    let rows: Vec<_> = (0..kh).map(|ky| outputs_of_tap(output.height, input.height, sy, top, ky)).collect();
    let cols: Vec<_> = (0..kw).map(|kx| outputs_of_tap(output.width, input.width, sx, left, kx)).collect();
    let (in_group, out_group) = (input.channels / groups, output.channels / groups);
    let mut out = vec![T::ZERO; output.len()];
    out.par_chunks_mut(output.area()).enumerate().for_each(|(o, out)| {
        out.iter_mut().enumerate().for_each(|(i, out)| *out = bias(o * output.area() + i));
        let planes = &x[o / out_group * in_group * input.area()..][..in_group * input.area()];
        for (c, plane) in planes.chunks(input.area()).enumerate() {
            for (ky, rows) in rows.iter().enumerate() {
                for (kx, cols) in cols.iter().enumerate().filter(|(_, cols)| !cols.is_empty()) {
                    let w = weight(((o * in_group + c) * kh + ky) * kw + kx);
                    // In the map because the taps are: o * stride + k >= padding.
                    let from = cols.start * sx + kx - left;
                    for y in rows.clone() {
                        let out = &mut out[y * output.width..][cols.clone()];
                        let row = &plane[(y * sy + ky - top) * input.width + from..];
                        if sx == 1 {
                            out.iter_mut().zip(row).for_each(|(out, &x)| *out = out.mul_add(w, x));
                        } else {
                            let row = row.iter().step_by(sx);
                            out.iter_mut().zip(row).for_each(|(out, &x)| *out = out.mul_add(w, x));
                        }
                    }
                }
            }
        }
    });
    out
}

/// A matrix, `weight(i)` being element i of outputs x inputs, times the vector `x`, plus bias. Parallel over
/// outputs.
pub(crate) fn linear<T: Scalar>(
    x: &[T],
    outputs: usize,
    weight: impl Fn(usize) -> T + Sync,
    bias: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let dot = |o: usize| {
        let row = o * x.len();
        x.iter().enumerate().fold(bias(o), |sum, (i, &x)| sum.mul_add(weight(row + i), x))
    };
    (0..outputs).into_par_iter().map(dot).collect()
}

/// Reduces each window's elements that lie in the map from the first to the last; a valid pool has at least one in
/// each.
pub(crate) fn pool<T: Scalar>(
    x: &[T],
    shapes: (Shape, Shape),
    window: &Window,
    reduce: impl Fn(T, T) -> T + Sync,
) -> Vec<T> {
    pool_windows(x, shapes, window, |window| window.iter().copied().reduce(&reduce).unwrap_or(T::ZERO))
}

/// As [`pool`], by a tournament: neighbours are reduced, the last of an odd number goes on as it is, and so again.
pub(crate) fn tournament<T: Scalar>(
    x: &[T],
    shapes: (Shape, Shape),
    window: &Window,
    reduce: impl Fn(T, T) -> T + Sync,
) -> Vec<T> {
    pool_windows(x, shapes, window, |window| {
        while window.len() > 1 {
            let len = window.len();
            (0..len / 2).for_each(|i| window[i] = reduce(window[2 * i], window[2 * i + 1]));
            if len % 2 == 1 {
                window[len / 2] = window[len - 1];
            }
            window.truncate(len.div_ceil(2));
        }
        window.first().copied().unwrap_or(T::ZERO)
    })
}

/// `result` of each window's elements that lie in the map. Parallel over channels.
fn pool_windows<T: Scalar>(
    x: &[T],
    (input, output): (Shape, Shape),
    window: &Window,
    result: impl Fn(&mut Vec<T>) -> T + Sync,
) -> Vec<T> {
    let &Window { kernel: [kh, kw], stride: [sy, sx], padding: [top, left, ..] } = window;
    let mut out = vec![T::ZERO; output.len()];
    let channels = out.par_chunks_mut(output.area()).zip(x.par_chunks(input.area()));
    channels.for_each(|(out, plane)| {
        let mut window = Vec::new();
        for (oy, out) in out.chunks_mut(output.width).enumerate() {
            let rows = taps_of_output(kh, input.height, sy, top, oy);
            for (ox, out) in out.iter_mut().enumerate() {
                let cols = taps_of_output(kw, input.width, sx, left, ox);
                let row = |y| plane[y * input.width..][cols.clone()].iter().copied();
                window.clear();
                window.extend(rows.clone().flat_map(row));
                *out = result(&mut window);
            }
        }
    });
    out
}
