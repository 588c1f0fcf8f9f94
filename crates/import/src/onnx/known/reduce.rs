//! Sums and means along axes, and batch normalisation.

use super::super::import::Trouble;
use super::call::Call;
use super::walk::{Walk, strides};
use super::{Budget, Element, Known, Wide};

/// What becomes of the elements along the axes that are reduced.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sum,
    Mean,
    Max,
}

/// ReduceSum and ReduceMean; along all axes where none is listed, unless `noop_with_empty_axes`.
pub(super) fn reduce(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let axes = call.axes(1, x.rank())?.unwrap_or_default();
    let axes = match axes.is_empty() && !call.flag("noop_with_empty_axes")? {
        true => (0..x.rank()).collect(),
        false => axes,
    };
    let kind = if call.node.op_type() == "ReduceSum" { Kind::Sum } else { Kind::Mean };
    along(x, &axes, call.int("keepdims", 1)? != 0, kind, budget)
}

/// GlobalAveragePool and GlobalMaxPool.
pub(super) fn global_pool(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let axes: Vec<usize> = (2..x.rank()).collect();
    let kind = if call.node.op_type() == "GlobalMaxPool" { Kind::Max } else { Kind::Mean };
    along(x, &axes, true, kind, budget)
}

fn along(x: &Known, axes: &[usize], keeps: bool, kind: Kind, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<T: Element>(v: &[T], walk: Walk, total: usize, kind: Kind) -> Option<Vec<T>> {
        let start = if kind == Kind::Max { T::Wide::LEAST } else { T::Wide::default() };
        let mut results = vec![start; total];
        for (x, offset) in v.iter().zip(walk) {
            let (x, result) = (x.widen(), &mut results[offset]);
            *result = match kind {
                Kind::Max if x > *result => x,
                Kind::Max => *result,
                _ => result.plus(x),
            };
        }
        let count = v.len().checked_div(total).unwrap_or(0);
        let last = |x: T::Wide| if kind == Kind::Mean { x.over(count) } else { Some(x) };
        results.into_iter().map(|x| last(x).map(T::narrow)).collect()
    }
    let size = |axis: usize| if axes.contains(&axis) { 1 } else { x.dims[axis] };
    let kept: Vec<usize> = (0..x.rank()).map(size).collect();
    // The results, and the wide numbers in which they are computed.
    let total = budget.tensor(&kept)?;
    budget.spend(total.saturating_mul(4))?;
    budget.spend(x.data.len())?;
    let mut steps = strides(&kept);
    axes.iter().for_each(|&axis| steps[axis] = 0);
    let walk = Walk::new(&x.dims, &steps);
    let dims = if keeps { kept } else { (0..x.rank()).filter(|a| !axes.contains(a)).map(size).collect() };
    let empty = "the mean of no integers is none";
    Ok(each!(&x.data, v => Known::made(dims, with(v, walk, total, kind).ok_or(empty)?)))
}

/// BatchNormalization as in inference.
pub(super) fn batch_norm(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<T: Element<Wide = f64>>(v: &[T], inner: usize, scale: &[f64], shift: &[f64]) -> Vec<T> {
        let channel = |i: usize| i / inner % scale.len();
        v.iter()
            .enumerate()
            .map(|(i, x)| T::narrow(x.widen() * scale[channel(i)] + shift[channel(i)]))
            .collect()
    }
    let x = call.input(0)?;
    let outputs = call.node.output.iter().filter(|name| !name.is_empty()).count();
    if call.flag("training_mode")? || outputs > 1 || call.int("spatial", 1)? == 0 {
        return Err("it is supported in evaluation mode, per channel".into());
    }
    let (channels, inner) = match &x.dims[..] {
        [] => return Err("its input is a scalar".into()),
        [_] => (1, 1),
        [_, channels, map @ ..] => (*channels, map.iter().product()),
    };
    let epsilon = call.float("epsilon", 1e-5)?;
    let mut list = |index| call.floats(index, channels, budget);
    let (mut scale, mut shift, mean, variance) = (list(1)?, list(2)?, list(3)?, list(4)?);
    for c in 0..channels {
        scale[c] /= (variance[c] + epsilon).sqrt();
        shift[c] -= mean[c] * scale[c];
    }
    budget.tensor(&x.dims)?;
    each_float!(&x.data, v => Ok(Known::made(x.dims.clone(), with(v, inner, &scale, &shift))))
}
