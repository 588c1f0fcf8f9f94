//! Activations, gates and mixtures, each in one pass over the tensor and one over its gradient.
//!
//! Sums are formed plane by plane, or value by value over the batch, and added up in order.

use rayon::prelude::*;

use super::Activation;
use super::tile::vectorised;

/// Floats that a thread takes at once.
const CHUNK: usize = 1 << 14;

/// Floats that are added up in single precision before their sum is in double.
const RUN: usize = 1 << 10;

/// An activation as what cuts off.
pub trait CutOff: Copy {
    /// The least and the greatest value.
    fn bounds(self) -> (f32, f32);

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

impl CutOff for Activation {
    #[inline(always)]
    fn bounds(self) -> (f32, f32) {
        match self {
            Self::Relu => (0.0, f32::INFINITY),
            Self::Clip { low, high } => (low, high),
        }
    }
}

/// Sum of a function over two slices: sixteen sums side by side, the same on every machine.
#[inline(always)]
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let mut total = 0.0;
    for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
        let ((a, a_tail), (b, b_tail)) = (pulp::as_arrays::<16, _>(a), pulp::as_arrays::<16, _>(b));
        let mut sums = [0.0f32; 16];
        for (a, b) in a.iter().zip(b) {
            for i in 0..16 {
                sums[i] += f(a[i], b[i]);
            }
        }
        for (i, (&a, &b)) in a_tail.iter().zip(b_tail).enumerate() {
            sums[i] += f(a, b);
        }
        total += f64::from(sums.iter().sum::<f32>());
    }
    total
}

vectorised! {
    fn activate_chunk(x: &'a mut [f32], activation: Activation) -> () {
        for x in x {
            *x = activation.apply(*x);
        }
    }

    fn activated_chunk(x: &'a [f32], y: &'a mut [f32], activation: Activation) -> () {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = activation.apply(x);
        }
    }

    fn activate_gradient_chunk(x: &'a [f32], activation: Activation, dy: &'a mut [f32]) -> () {
        for (dy, &x) in dy.iter_mut().zip(x) {
            *dy = if activation.passes(x) { *dy } else { 0.0 };
        }
    }

    /// Σ dy·(x − a(x)).
    fn removed(x: &'a [f32], activation: Activation, dy: &'a [f32]) -> f64 {
        sum2(x, dy, |x, dy| dy * (x - activation.apply(x)))
    }

    fn mix_plane(x: &'a [f32], alpha: Alpha<'a>, activation: Activation, y: &'a mut [f32]) -> () {
        match alpha {
            Alpha::One(alpha) => {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = mixed(x, alpha, activation);
                }
            }
            Alpha::Each(alpha) => {
                for ((y, &x), &alpha) in y.iter_mut().zip(x).zip(alpha) {
                    *y = mixed(x, alpha, activation);
                }
            }
        }
    }

    /// Adds to the sum of one α, or those of each.
    fn mix_gradient_plane(
        x: &'a [f32],
        alpha: Alpha<'a>,
        activation: Activation,
        dy: &'a mut [f32],
        sums: &'a mut [f64]
    ) -> () {
        match alpha {
            Alpha::One(alpha) => {
                sums[0] += sum2(x, dy, |x, dy| dy * (activation.apply(x) - x));
                for (dy, &x) in dy.iter_mut().zip(x) {
                    *dy *= if activation.passes(x) { 1.0 } else { 1.0 - alpha };
                }
            }
            Alpha::Each(alpha) => {
                for (((dy, &x), &alpha), sum) in dy.iter_mut().zip(x).zip(alpha).zip(sums) {
                    *sum += f64::from(*dy * (activation.apply(x) - x));
                    *dy *= if activation.passes(x) { 1.0 } else { 1.0 - alpha };
                }
            }
        }
    }
}

#[inline(always)]
fn mixed(x: f32, alpha: f32, activation: Activation) -> f32 {
    alpha * activation.apply(x) + (1.0 - alpha) * x
}

/// Replaces x by its activation.
pub fn activate(x: &mut [f32], activation: Activation) {
    x.par_chunks_mut(CHUNK).for_each(|x| activate_chunk(x, activation));
}

/// The activation of x.
pub fn activated(x: &[f32], activation: Activation) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let chunks = x.par_chunks(CHUNK).zip(y.par_chunks_mut(CHUNK));
    chunks.for_each(|(x, y)| activated_chunk(x, y, activation));
    y
}

/// Replaces the gradient of an activation's output by that of its input, which `x` is; or the output, from which it shows
/// just as well where the activation passes.
pub fn activate_gradient(x: &[f32], activation: Activation, dy: &mut [f32]) {
    let chunks = x.par_chunks(CHUNK).zip(dy.par_chunks_mut(CHUNK));
    chunks.for_each(|(x, dy)| activate_gradient_chunk(x, activation, dy));
}

/// The gradient of the score of a gate that is kept; `dy` becomes the gradient of its input.
pub fn gate_gradient(x: &[f32], activation: Activation, dy: &mut [f32]) -> f32 {
    let chunks = x.par_chunks(CHUNK).zip(dy.par_chunks_mut(CHUNK));
    let sums: Vec<f64> = chunks
        .map(|(x, dy)| {
            let sum = removed(x, activation, dy);
            activate_gradient_chunk(x, activation, dy);
            sum
        })
        .collect();
    sums.iter().sum::<f64>() as f32
}

/// The gradient of the score of a gate that has dropped the activation.
pub fn dropped_gradient(x: &[f32], activation: Activation, dy: &[f32]) -> f32 {
    let chunks = x.par_chunks(CHUNK).zip(dy.par_chunks(CHUNK));
    let sums: Vec<f64> = chunks.map(|(x, dy)| removed(x, activation, dy)).collect();
    sums.iter().sum::<f64>() as f32
}

/// A mask over channels of `area` values: one for each value, or one for each channel.
#[derive(Clone, Copy)]
pub struct Mask<'a> {
    pub alpha: &'a [f32],
    pub channels: usize,
    pub area: usize,
}

/// The α of one plane.
#[derive(Clone, Copy)]
enum Alpha<'a> {
    One(f32),
    Each(&'a [f32]),
}

impl<'a> Mask<'a> {
    fn of(self, channel: usize) -> Alpha<'a> {
        if self.alpha.len() == self.channels {
            Alpha::One(self.alpha[channel])
        } else {
            Alpha::Each(&self.alpha[channel * self.area..][..self.area])
        }
    }
}

/// `α·a(x) + (1 − α)·x`.
pub fn mix(x: &[f32], mask: Mask<'_>, activation: Activation) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let planes = x.par_chunks_exact(mask.area).zip(y.par_chunks_exact_mut(mask.area));
    planes.enumerate().for_each(|(plane, (x, y))| {
        mix_plane(x, mask.of(plane % mask.channels), activation, y);
    });
    y
}

/// The gradient of α; `dy` becomes that of x.
pub fn mix_gradient(x: &[f32], mask: Mask<'_>, activation: Activation, dy: &mut [f32]) -> Vec<f32> {
    let sums: Vec<Vec<f64>> = by_channel(dy, mask.channels, mask.area)
        .into_par_iter()
        .enumerate()
        .map(|(channel, planes)| {
            let mut sums = vec![0.0; mask.alpha.len() / mask.channels];
            for (n, dy) in planes.into_iter().enumerate() {
                let x = &x[(n * mask.channels + channel) * mask.area..][..mask.area];
                mix_gradient_plane(x, mask.of(channel), activation, dy, &mut sums);
            }
            sums
        })
        .collect();
    sums.iter().flatten().map(|&sum| sum as f32).collect()
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
