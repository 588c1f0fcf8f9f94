//! Activations, gates and mixtures, each in one pass over the tensor and one over its gradient.
//!
//! Sums are formed plane by plane, or value by value over the batch, and added up in order.

use rayon::prelude::*;

use super::Activation;
use super::tile::Machine;

/// Floats that a thread takes at once.
const CHUNK: usize = 1 << 14;

/// Floats that are added up in single precision before their sum is in double.
const RUN: usize = 1 << 10;

impl Activation {
    #[inline(always)]
    fn apply(self, x: f32) -> f32 {
        let (low, high) = self.bounds();
        let x = if x < low { low } else { x };
        if x > high { high } else { x }
    }

    #[inline(always)]
    fn passes(self, x: f32) -> bool {
        let (low, high) = self.bounds();
        x > low && x < high
    }
}

/// Sum of a function over two slices: sixteen sums side by side, the same on every machine.
#[inline(always)]
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    a.chunks(RUN)
        .zip(b.chunks(RUN))
        .map(|(a, b)| {
            let ((a, a_tail), (b, b_tail)) = (pulp::as_arrays::<16, _>(a), pulp::as_arrays::<16, _>(b));
            let mut sums = [0.0f32; 16];
            for (a, b) in a.iter().zip(b) {
                for i in 0..16 {
                    sums[i] += f(a[i], b[i]);
                }
            }
            let tail: f32 = a_tail.iter().zip(b_tail).map(|(&a, &b)| f(a, b)).sum();
            f64::from(sums.iter().sum::<f32>() + tail)
        })
        .sum()
}

/// Replaces x by its activation.
pub fn activate(x: &mut [f32], activation: Activation) {
    let machine = Machine::new();
    x.par_chunks_mut(CHUNK)
        .for_each(|x| machine.run(|| x.iter_mut().for_each(|x| *x = activation.apply(*x))));
}

/// The activation of x.
pub fn activated(x: &[f32], activation: Activation) -> Vec<f32> {
    let machine = Machine::new();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        machine.run(|| y.iter_mut().zip(x).for_each(|(y, &x)| *y = activation.apply(x)));
    });
    y
}

/// Replaces the gradient of an activation's output by that of its input, which `x` is; or the output, from which it shows
/// just as well where the activation passes.
pub fn activate_gradient(x: &[f32], activation: Activation, dy: &mut [f32]) {
    let machine = Machine::new();
    dy.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(dy, x)| {
        machine.run(|| {
            dy.iter_mut().zip(x).for_each(|(dy, &x)| *dy = if activation.passes(x) { *dy } else { 0.0 });
        });
    });
}

/// The gradient of the score of a gate that is kept; `dy` becomes the gradient of its input.
pub fn gate_gradient(x: &[f32], activation: Activation, dy: &mut [f32]) -> f32 {
    let machine = Machine::new();
    let sums: Vec<f64> = dy
        .par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .map(|(dy, x)| {
            machine.run(|| {
                let sum = sum2(x, dy, |x, dy| dy * (x - activation.apply(x)));
                dy.iter_mut().zip(x).for_each(|(dy, &x)| *dy = if activation.passes(x) { *dy } else { 0.0 });
                sum
            })
        })
        .collect();
    sums.iter().sum::<f64>() as f32
}

/// The gradient of the score of a gate that has dropped the activation.
pub fn dropped_gradient(x: &[f32], activation: Activation, dy: &[f32]) -> f32 {
    let machine = Machine::new();
    let sums: Vec<f64> = dy
        .par_chunks(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .map(|(dy, x)| machine.run(|| sum2(x, dy, |x, dy| dy * (x - activation.apply(x)))))
        .collect();
    sums.iter().sum::<f64>() as f32
}

/// A mask over channels of `area` values: one for each value, or one for each channel.
#[derive(Clone, Copy)]
pub struct Mask<'a> {
    pub alpha: &'a [f32],
    pub channels: usize,
    pub area: usize,
}

impl Mask<'_> {
    fn per_channel(&self) -> bool {
        self.alpha.len() == self.channels && self.area > 1
    }
}

/// `α·a(x) + (1 − α)·x`.
pub fn mix(x: &[f32], mask: Mask<'_>, activation: Activation) -> Vec<f32> {
    let machine = Machine::new();
    let area = mask.area;
    let mut y = vec![0.0; x.len()];
    if y.is_empty() {
        return y;
    }
    let value = |x: f32, alpha: f32| alpha * activation.apply(x) + (1.0 - alpha) * x;
    y.par_chunks_exact_mut(area).zip(x.par_chunks_exact(area)).enumerate().for_each(|(plane, (y, x))| {
        let channel = plane % mask.channels;
        machine.run(|| {
            if mask.per_channel() {
                let alpha = mask.alpha[channel];
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = value(x, alpha));
            } else {
                let alpha = &mask.alpha[channel * area..][..area];
                y.iter_mut().zip(x).zip(alpha).for_each(|((y, &x), &alpha)| *y = value(x, alpha));
            }
        });
    });
    y
}

/// The gradient of α; `dy` becomes that of x.
pub fn mix_gradient(x: &[f32], mask: Mask<'_>, activation: Activation, dy: &mut [f32]) -> Vec<f32> {
    let machine = Machine::new();
    let area = mask.area;
    if x.is_empty() {
        return vec![0.0; mask.alpha.len()];
    }
    let slope = |x: f32, alpha: f32| if activation.passes(x) { 1.0 } else { 1.0 - alpha };
    let by_channel = by_channel(dy, mask.channels, area);
    let alphas: Vec<Vec<f32>> = by_channel
        .into_par_iter()
        .enumerate()
        .map(|(channel, planes)| {
            let x = |n: usize| &x[(n * mask.channels + channel) * area..][..area];
            machine.run(|| {
                if mask.per_channel() {
                    let alpha = mask.alpha[channel];
                    let mut sum = 0.0;
                    for (n, dy) in planes.into_iter().enumerate() {
                        sum += sum2(x(n), dy, |x, dy| dy * (activation.apply(x) - x));
                        dy.iter_mut().zip(x(n)).for_each(|(dy, &x)| *dy *= slope(x, alpha));
                    }
                    return vec![sum as f32];
                }
                let alpha = &mask.alpha[channel * area..][..area];
                let mut sums = vec![0.0; area];
                for (n, dy) in planes.into_iter().enumerate() {
                    for (((dy, &x), &alpha), sum) in dy.iter_mut().zip(x(n)).zip(alpha).zip(&mut sums) {
                        *sum += *dy * (activation.apply(x) - x);
                        *dy *= slope(x, alpha);
                    }
                }
                sums
            })
        })
        .collect();
    alphas.concat()
}

/// The planes of a tensor, by channel.
pub fn by_channel(values: &mut [f32], channels: usize, area: usize) -> Vec<Vec<&mut [f32]>> {
    let mut planes: Vec<Vec<_>> =
        (0..channels).map(|_| Vec::with_capacity(values.len() / (channels * area))).collect();
    for (i, plane) in values.chunks_exact_mut(area).enumerate() {
        planes[i % channels].push(plane);
    }
    planes
}
