//! Convolutions and transposed convolutions, of floats.

use super::super::import::Trouble;
use super::call::Call;
use super::window::{Auto, Window, map};
use super::{Budget, Element, Known};

/// A convolution's sizes: `taps` elements of the kernel, and the elements of one channel's map, before and after.
struct Sizes {
    batch: usize,
    groups: usize,
    /// Per group.
    inputs: usize,
    outputs: usize,
    taps: usize,
}

fn groups(call: &Call) -> Result<usize, Trouble> {
    let group = call.int("group", 1)?;
    usize::try_from(group).ok().filter(|&g| g > 0).ok_or_else(|| format!("group {group} is no number").into())
}

fn bias(call: &Call, channels: usize, budget: &mut Budget) -> Result<Vec<f64>, Trouble> {
    match call.optional(2) {
        Some(_) => call.floats(2, channels, budget),
        None => {
            budget.spend(channels)?;
            Ok(vec![0.0; channels])
        }
    }
}

pub(super) fn conv(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let (batch, channels, input) = map(&x.dims)?;
    let (out_channels, inputs, kernel) = map(&w.dims)?;
    let groups = groups(call)?;
    if channels == 0 || inputs.checked_mul(groups) != Some(channels) || !out_channels.is_multiple_of(groups) {
        return Err(format!("weights {:?} in {groups} groups do not fit {:?}", w.dims, x.dims).into());
    }
    let window = Window::sliding(call, Some(kernel), input, false)?;
    let bias = bias(call, out_channels, budget)?;
    let dims = [&[batch, out_channels], &window.output[..]].concat();
    let total = budget.tensor(&dims)?;
    let sizes =
        Sizes { batch, groups, inputs, outputs: out_channels / groups, taps: kernel.iter().product() };
    budget.steps(&[total, inputs, sizes.taps])?;
    fn with<T: Element<Wide = f64>>(
        x: &[T],
        w: &[T],
        bias: &[f64],
        window: &Window,
        sizes: &Sizes,
        total: usize,
    ) -> Vec<T> {
        let mut y = vec![T::default(); total];
        let Sizes { batch, groups, inputs, outputs, taps: kernel } = *sizes;
        let (from, to): (usize, usize) = (window.input.iter().product(), window.output.iter().product());
        if total == 0 {
            return y;
        }
        window.each(|_, at, taps| {
            for (n, g, m) in triples(batch, groups, outputs) {
                let out = g * outputs + m;
                let mut sum = bias[out];
                for c in 0..inputs {
                    let x = &x[((n * groups + g) * inputs + c) * from..][..from];
                    let w = &w[(out * inputs + c) * kernel..][..kernel];
                    sum += taps.iter().map(|&(k, i)| w[k].widen() * x[i].widen()).sum::<f64>();
                }
                y[(n * groups * outputs + out) * to + at] = T::narrow(sum);
            }
        });
        y
    }
    each_float!(&x.data, v => Ok(Known::made(dims, with(v, w.elements()?, &bias, &window, &sizes, total))))
}

fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

/// The window of a transposed convolution: it slides over the result, and there is one for each element of the input.
fn transposed_window(call: &Call, kernel: &[usize], input: &[usize]) -> Result<Window, Trouble> {
    let mut window = Window::new(call, Some(kernel), input)?;
    let rank = input.len();
    let auto = Auto::of(call)?;
    let extra = call.sizes("output_padding", rank)?.unwrap_or(vec![0; rank]);
    let mut stated = call.sizes("output_shape", rank)?;
    if stated.is_none() && matches!(auto, Auto::Upper | Auto::Lower) {
        stated = Some((0..rank).map(|axis| input[axis] * window.stride[axis]).collect());
    }
    for axis in 0..rank {
        let strides = input[axis].checked_sub(1).ok_or("its input is empty")? * window.stride[axis];
        let full = strides.saturating_add(window.extent(axis)).saturating_add(extra[axis]);
        window.input[axis] = match &stated {
            Some(sizes) => {
                let total = full.saturating_sub(sizes[axis]);
                (window.before[axis], window.after[axis]) = auto.share(total);
                sizes[axis]
            }
            None => {
                if auto == Auto::None {
                    (window.before[axis], window.after[axis]) = (0, 0);
                }
                let pads = window.before[axis] + window.after[axis];
                full.checked_sub(pads).ok_or("its padding leaves nothing of the result")?
            }
        };
    }
    window.output = input.to_vec();
    Ok(window)
}

pub(super) fn conv_transpose(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let (batch, channels, input) = map(&x.dims)?;
    let (in_channels, outputs, kernel) = map(&w.dims)?;
    let groups = groups(call)?;
    if channels == 0 || in_channels != channels || !channels.is_multiple_of(groups) {
        return Err(format!("weights {:?} in {groups} groups do not fit {:?}", w.dims, x.dims).into());
    }
    let window = transposed_window(call, kernel, input)?;
    let out_channels = outputs.checked_mul(groups).ok_or("it has too many outputs")?;
    let dims = [&[batch, out_channels], &window.input[..]].concat();
    // The result, and its sums in 64 bits.
    let total = budget.tensor(&dims)?;
    budget.spend(total)?;
    let bias = bias(call, out_channels, budget)?;
    let sizes = Sizes { batch, groups, inputs: channels / groups, outputs, taps: kernel.iter().product() };
    budget.steps(&[x.data.len(), outputs, sizes.taps])?;
    fn with<T: Element<Wide = f64>>(
        x: &[T],
        w: &[T],
        bias: &[f64],
        window: &Window,
        sizes: &Sizes,
        total: usize,
    ) -> Vec<T> {
        let Sizes { batch, groups, inputs, outputs, taps: kernel } = *sizes;
        let (from, to): (usize, usize) = (window.output.iter().product(), window.input.iter().product());
        if total == 0 {
            return Vec::new();
        }
        let mut y: Vec<f64> = (0..total).map(|i| bias[i / to % bias.len()]).collect();
        window.each(|_, at, taps| {
            for (n, g, c) in triples(batch, groups, inputs) {
                let value = x[((n * groups + g) * inputs + c) * from + at].widen();
                for m in 0..outputs {
                    let w = &w[((g * inputs + c) * outputs + m) * kernel..][..kernel];
                    let y = &mut y[((n * groups + g) * outputs + m) * to..][..to];
                    for &(k, i) in taps {
                        y[i] += value * w[k].widen();
                    }
                }
            }
        });
        y.into_iter().map(T::narrow).collect()
    }
    each_float!(&x.data, v => Ok(Known::made(dims, with(v, w.elements()?, &bias, &window, &sizes, total))))
}
