//! Pools with windows.

use super::super::import::Trouble;
use super::call::Call;
use super::walk::strides;
use super::window::{Window, map};
use super::{Budget, Element, Known};

/// The window of a pool, its result's dimensions, and the channels of all of the batch.
fn pool(call: &Call, budget: &mut Budget) -> Result<(Window, Vec<usize>, usize), Trouble> {
    let x = call.input(0)?;
    let (batch, channels, input) = map(&x.dims)?;
    let window = Window::sliding(call, None, input, call.flag("ceil_mode")?)?;
    let dims = [&[batch, channels], &window.output[..]].concat();
    let total = budget.tensor(&dims)?;
    budget.steps(&[&[total], &window.kernel[..]].concat())?;
    // Where there is no element, there is no window to visit.
    Ok((window, dims, if total == 0 { 0 } else { batch * channels }))
}

/// MaxPool, with the indices of the maxima in the whole input where there is a second output.
pub(super) fn max(call: &Call, budget: &mut Budget) -> Result<Vec<Known>, Trouble> {
    /// The offset of the maximum in the whole input, for each window; the first of equals.
    fn maxima<T: Element>(x: &[T], window: &Window, channels: usize) -> Option<Vec<usize>> {
        let (from, to): (usize, usize) = (window.input.iter().product(), window.output.iter().product());
        let mut found = vec![None; channels * to];
        if channels > 0 {
            window.each(|_, at, taps| {
                for c in 0..channels {
                    let mut best: Option<(usize, T::Wide)> = None;
                    for &(_, i) in taps {
                        let value = x[c * from + i].widen();
                        if best.is_none_or(|(_, most)| value > most) {
                            best = Some((c * from + i, value));
                        }
                    }
                    found[c * to + at] = best.map(|(i, _)| i);
                }
            });
        }
        found.into_iter().collect()
    }
    fn chosen<T: Element>(x: &[T], offsets: &[usize]) -> Vec<T> {
        offsets.iter().map(|&i| x[i]).collect()
    }
    let x = call.input(0)?;
    let (window, dims, channels) = pool(call, budget)?;
    // Offsets take up to four times the memory of elements.
    let total = budget.tensor(&dims)?;
    budget.spend(3 * total)?;
    let offsets = each!(&x.data, v => maxima(v, &window, channels));
    let mut offsets = offsets.ok_or("one of its windows lies in the padding alone")?;
    let mut outputs = vec![each!(&x.data, v => Known::made(dims.clone(), chosen(v, &offsets)))];
    if call.node.output.len() > 1 {
        if call.flag("storage_order")? {
            // The first axis of the map is the fastest.
            let rows = strides(&window.input);
            let map: usize = window.input.iter().product();
            for offset in &mut offsets {
                let (mut index, mut stride) = (*offset / map * map, 1);
                for (row, size) in rows.iter().zip(&window.input) {
                    index += *offset % map / row % size * stride;
                    stride *= size;
                }
                *offset = index;
            }
        }
        budget.tensor(&dims)?;
        outputs.push(Known::made(dims, offsets.into_iter().map(|i| i as i64).collect()));
    }
    Ok(outputs)
}

pub(super) fn average(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<T: Element<Wide = f64>>(x: &[T], window: &Window, channels: usize, padded: bool) -> Vec<T> {
        let (from, to): (usize, usize) = (window.input.iter().product(), window.output.iter().product());
        let mut y = vec![T::default(); channels * to];
        if channels > 0 {
            window.each(|position, at, taps| {
                let count = if padded { window.covered(position) } else { taps.len() };
                for c in 0..channels {
                    let sum: f64 = taps.iter().map(|&(_, i)| x[c * from + i].widen()).sum();
                    y[c * to + at] = T::narrow(sum / count as f64);
                }
            });
        }
        y
    }
    let x = call.input(0)?;
    let (window, dims, channels) = pool(call, budget)?;
    let padded = call.flag("count_include_pad")?;
    each_float!(&x.data, v => Ok(Known::made(dims, with(v, &window, channels, padded))))
}
