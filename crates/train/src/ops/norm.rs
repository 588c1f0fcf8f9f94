//! Batch normalisation and scaling by channel. A channel's planes are taken together, as far as they are in cache for all
//! passes over them; sums are in double precision over runs of single.

use rayon::prelude::*;

use super::pointwise::{by_channel, sum2};
use super::tile::Machine;

/// The planes of one channel, in a tensor of `channels` channels of `area` values.
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    pub values: &'a [f32],
    pub channels: usize,
    pub area: usize,
}

impl<'a> Planes<'a> {
    #[inline(always)]
    fn of(self, channel: usize) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.area).skip(channel).step_by(self.channels)
    }

    /// Values of a channel.
    fn count(self) -> f64 {
        (self.values.len() / self.channels) as f64
    }
}

/// `scale·x + shift`, by channel.
pub fn affine(x: Planes<'_>, scale: &[f32], shift: &[f32]) -> Vec<f32> {
    let machine = Machine::new();
    let mut y = vec![0.0; x.values.len()];
    if y.is_empty() {
        return y;
    }
    y.par_chunks_exact_mut(x.area).zip(x.values.par_chunks_exact(x.area)).enumerate().for_each(
        |(plane, (y, values))| {
            let channel = plane % x.channels;
            let (scale, shift) = (scale[channel], shift[channel]);
            machine.run(|| y.iter_mut().zip(values).for_each(|(y, &x)| *y = scale * x + shift));
        },
    );
    y
}

/// The gradients of scale and shift; `dy` becomes that of x.
pub fn affine_gradient(x: Planes<'_>, scale: &[f32], dy: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
    let machine = Machine::new();
    by_channel(dy, x.channels, x.area)
        .into_par_iter()
        .enumerate()
        .map(|(channel, planes)| {
            machine.run(|| {
                let (mut dscale, mut dshift) = (0.0, 0.0);
                for (x, dy) in x.of(channel).zip(planes) {
                    dscale += sum2(x, dy, |x, dy| x * dy);
                    dshift += sum2(dy, dy, |dy, _| dy);
                    dy.iter_mut().for_each(|dy| *dy *= scale[channel]);
                }
                (dscale as f32, dshift as f32)
            })
        })
        .unzip()
}

/// What [`batch_norm`] gives.
pub struct Normalised {
    pub y: Vec<f32>,
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

/// `γ·(x − mean) / √(variance + ε) + β`, with the mean and the biased variance of each channel.
pub fn batch_norm(x: Planes<'_>, gamma: &[f32], beta: &[f32], epsilon: f64) -> Normalised {
    let machine = Machine::new();
    let mut y = vec![0.0; x.values.len()];
    let (mean, variance) = by_channel(&mut y, x.channels, x.area)
        .into_par_iter()
        .enumerate()
        .map(|(channel, planes)| {
            machine.run(|| {
                let mean = (x.of(channel).map(|x| sum2(x, x, |x, _| x)).sum::<f64>() / x.count()) as f32;
                let squares = x.of(channel).map(|x| sum2(x, x, |x, _| (x - mean) * (x - mean)));
                let variance = squares.sum::<f64>() / x.count();
                let scale = (f64::from(gamma[channel]) / (variance + epsilon).sqrt()) as f32;
                for (x, y) in x.of(channel).zip(planes) {
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = scale * (x - mean) + beta[channel]);
                }
                (mean, variance as f32)
            })
        })
        .unzip();
    Normalised { y, mean, variance }
}

/// The gradients of γ and β; `dy` becomes that of x.
pub fn batch_norm_gradient(
    x: Planes<'_>,
    gamma: &[f32],
    [mean, variance]: [&[f32]; 2],
    epsilon: f64,
    dy: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let machine = Machine::new();
    by_channel(dy, x.channels, x.area)
        .into_par_iter()
        .enumerate()
        .map(|(channel, planes)| {
            machine.run(|| {
                let mean = mean[channel];
                let inverse = 1.0 / (f64::from(variance[channel]) + epsilon).sqrt();
                let (mut dot, mut sum) = (0.0, 0.0);
                for (x, dy) in x.of(channel).zip(&planes) {
                    dot += sum2(x, dy, |x, dy| (x - mean) * dy);
                    sum += sum2(dy, dy, |dy, _| dy);
                }
                // dx = γ/σ · (dy − Σdy/n − (x − mean)/σ² · Σ(x − mean)·dy/n)
                let scale = (f64::from(gamma[channel]) * inverse) as f32;
                let centre = (sum / x.count()) as f32;
                let slope = (dot * inverse * inverse / x.count()) as f32;
                for (x, dy) in x.of(channel).zip(planes) {
                    dy.iter_mut()
                        .zip(x)
                        .for_each(|(dy, &x)| *dy = scale * (*dy - centre - slope * (x - mean)));
                }
                ((dot * inverse) as f32, sum as f32)
            })
        })
        .unzip()
}

/// The sum of each channel.
pub fn sums(x: Planes<'_>) -> Vec<f32> {
    let machine = Machine::new();
    (0..x.channels)
        .into_par_iter()
        .map(|channel| machine.run(|| x.of(channel).map(|x| sum2(x, x, |x, _| x)).sum::<f64>() as f32))
        .collect()
}
