//! Batch normalisation and scaling by channel. A channel's planes are taken together, as far as they are in cache for all
//! passes over them; sums are in double precision over runs of single.

use rayon::prelude::*;

use super::pointwise::{by_channel, sum2};
use super::tile::vectorised;

/// The planes of one channel, in a tensor of `channels` channels of `area` values.
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    pub values: &'a [f32],
    pub channels: usize,
    pub area: usize,
}

impl<'a> Planes<'a> {
    fn of(self, channel: usize) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.area).skip(channel).step_by(self.channels)
    }

    /// Values of a channel.
    fn count(self) -> f64 {
        (self.values.len() / self.channels) as f64
    }
}

vectorised! {
    fn sum(x: &'a [f32]) -> f64 {
        sum2(x, x, |x, _| x)
    }

    fn squares(x: &'a [f32], mean: f32) -> f64 {
        sum2(x, x, |x, _| (x - mean) * (x - mean))
    }

    /// Σ (x − mean)·dy and Σ dy.
    fn products(x: &'a [f32], mean: f32, dy: &'a [f32]) -> [f64; 2] {
        [sum2(x, dy, |x, dy| (x - mean) * dy), sum2(dy, dy, |dy, _| dy)]
    }

    /// scale·(x − mean) + shift.
    fn scaled(x: &'a [f32], scale: f32, mean: f32, shift: f32, y: &'a mut [f32]) -> () {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = scale * (x - mean) + shift;
        }
    }

    fn scale(scale: f32, dy: &'a mut [f32]) -> () {
        for dy in dy {
            *dy *= scale;
        }
    }

    /// scale·(dy − centre − slope·(x − mean)).
    fn centred(x: &'a [f32], mean: f32, scale: f32, centre: f32, slope: f32, dy: &'a mut [f32]) -> () {
        for (dy, &x) in dy.iter_mut().zip(x) {
            *dy = scale * (*dy - centre - slope * (x - mean));
        }
    }
}

/// `scale·x + shift`, by channel.
pub fn affine(x: Planes<'_>, scale: &[f32], shift: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.values.len()];
    let planes = x.values.par_chunks_exact(x.area).zip(y.par_chunks_exact_mut(x.area));
    planes.enumerate().for_each(|(plane, (values, y))| {
        let channel = plane % x.channels;
        scaled(values, scale[channel], 0.0, shift[channel], y);
    });
    y
}

/// The gradients of scale and shift; `dy` becomes that of x.
pub fn affine_gradient(x: Planes<'_>, by: &[f32], dy: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
    by_channel(dy, x.channels, x.area)
        .into_par_iter()
        .enumerate()
        .map(|(channel, planes)| {
            let (mut dscale, mut dshift) = (0.0, 0.0);
            for (x, dy) in x.of(channel).zip(planes) {
                let [product, sum] = products(x, 0.0, dy);
                dscale += product;
                dshift += sum;
                scale(by[channel], dy);
            }
            (dscale as f32, dshift as f32)
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
    let mut y = vec![0.0; x.values.len()];
    let (mean, variance) = by_channel(&mut y, x.channels, x.area)
        .into_par_iter()
        .enumerate()
        .map(|(channel, planes)| {
            let mean = (x.of(channel).map(sum).sum::<f64>() / x.count()) as f32;
            let variance = x.of(channel).map(|x| squares(x, mean)).sum::<f64>() / x.count();
            let scale = (f64::from(gamma[channel]) / (variance + epsilon).sqrt()) as f32;
            for (x, y) in x.of(channel).zip(planes) {
                scaled(x, scale, mean, beta[channel], y);
            }
            (mean, variance as f32)
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
    by_channel(dy, x.channels, x.area)
        .into_par_iter()
        .enumerate()
        .map(|(channel, planes)| {
            let mean = mean[channel];
            let inverse = 1.0 / (f64::from(variance[channel]) + epsilon).sqrt();
            let (mut dot, mut sum) = (0.0, 0.0);
            for (x, dy) in x.of(channel).zip(&planes) {
                let [product, own] = products(x, mean, dy);
                dot += product;
                sum += own;
            }
            // dx = γ/σ · (dy − Σdy/n − (x − mean)/σ² · Σ(x − mean)·dy/n)
            let scale = (f64::from(gamma[channel]) * inverse) as f32;
            let centre = (sum / x.count()) as f32;
            let slope = (dot * inverse * inverse / x.count()) as f32;
            for (x, dy) in x.of(channel).zip(planes) {
                centred(x, mean, scale, centre, slope, dy);
            }
            ((dot * inverse) as f32, sum as f32)
        })
        .unzip()
}

/// The sum of each channel.
pub fn sums(x: Planes<'_>) -> Vec<f32> {
    let channels = (0..x.channels).into_par_iter();
    channels.map(|channel| x.of(channel).map(sum).sum::<f64>() as f32).collect()
}
