//! Operators that move elements and compute none.

use super::super::import::Trouble;
use super::budget::count;
use super::call::Call;
use super::walk::{Table, Walk, broadcast, empty, pay_picked, pick, picked, strides, view, whole};
use super::{Budget, Element, Known};

pub(super) fn concat(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    /// Of parts in which `outer` rows follow one another.
    fn with<T: Element>(_: &[T], parts: &[&Known], outer: usize, total: usize) -> Result<Vec<T>, Trouble> {
        let mut slices: Vec<&[T]> = parts.iter().map(|part| part.elements()).collect::<Result<_, _>>()?;
        slices.retain(|slice| !slice.is_empty());
        let mut joined = Vec::with_capacity(total);
        for i in 0..if slices.is_empty() { 0 } else { outer } {
            for slice in &slices {
                let length = slice.len() / outer;
                joined.extend_from_slice(&slice[i * length..][..length]);
            }
        }
        Ok(joined)
    }
    let parts: Vec<&Known> = (0..call.inputs.len()).map(|i| call.input(i)).collect::<Result<_, _>>()?;
    let first = *parts.first().ok_or("it has no input")?;
    let axis = call.axis(1, first.rank())?;
    let mut dims = first.dims.clone();
    for part in &parts[1..] {
        let fits = |other| other == axis || part.dims[other] == first.dims[other];
        if part.rank() != first.rank() || !(0..first.rank()).all(fits) {
            return Err(format!("it joins {:?} to {:?} along axis {axis}", part.dims, first.dims).into());
        }
        dims[axis] = dims[axis].saturating_add(part.dims[axis]);
    }
    let total = budget.tensor(&dims)?;
    let outer = dims[..axis].iter().product();
    Ok(each!(&first.data, v => Known::made(dims, with(v, &parts, outer, total)?)))
}

/// The sizes are an input, an attribute, or equal parts as many as `num_outputs` or outputs, the last one smaller.
pub(super) fn split(call: &Call, budget: &mut Budget) -> Result<Vec<Known>, Trouble> {
    let x = call.input(0)?;
    let axis = call.axis(0, x.rank())?;
    let size = x.dims[axis];
    let outputs = call.node.output.len();
    let sizes: Vec<usize> = match call.optional(1) {
        Some(known) => sizes(&known.integers(outputs)?)?,
        None => match call.sizes("split", outputs)? {
            Some(sizes) => sizes,
            None => {
                let most = size.div_ceil(outputs.max(1));
                (0..outputs).map(|i| size.saturating_sub(i.saturating_mul(most)).min(most)).collect()
            }
        },
    };
    if sizes.len() != outputs || sizes.iter().try_fold(0usize, |n, &s| n.checked_add(s)) != Some(size) {
        return Err(format!("parts of an axis of {size} do not fit {outputs} outputs").into());
    }
    let mut start = 0;
    let mut part = |length: usize| {
        let from = start;
        start += length;
        let mut to = x.dims.clone();
        to[axis] = length;
        let tables = || {
            let chosen = || (from..from + length).map(Some).collect();
            let table = |(other, &d)| if other == axis { chosen() } else { whole(d) };
            x.dims.iter().enumerate().map(table).collect()
        };
        picked(x, to, tables, budget)
    };
    sizes.into_iter().map(&mut part).collect()
}

/// Sizes of a list that the model computes.
pub(super) fn sizes(list: &[i64]) -> Result<Vec<usize>, Trouble> {
    list.iter().map(|&v| usize::try_from(v).map_err(|_| format!("size {v} is negative").into())).collect()
}

pub(super) fn slice(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let starts = call.list(1, "starts")?.ok_or("it has no starts")?;
    let ends = call.list(2, "ends")?.ok_or("it has no ends")?;
    let axes = match call.axes(3, x.rank())? {
        Some(axes) => axes,
        None => (0..starts.len()).collect(),
    };
    let steps = match call.optional(4) {
        Some(known) => known.integers(x.rank())?,
        None => vec![1; starts.len()],
    };
    let all = [ends.len(), axes.len(), steps.len()];
    if all != [starts.len(); 3] || axes.iter().any(|&axis| axis >= x.rank()) {
        return Err("its starts, ends, axes and steps do not belong together".into());
    }
    // First index, step and number of indices of each axis.
    let mut ranges: Vec<(i64, i64, usize)> = x.dims.iter().map(|&d| (0, 1, d)).collect();
    for (i, &axis) in axes.iter().enumerate() {
        let (size, step) = (x.dims[axis] as i64, steps[i]);
        let absolute = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
        let (start, end) = (absolute(starts[i]), absolute(ends[i]));
        let (start, length) = match step {
            0 => return Err("a step of 0 stands still".into()),
            1.. => {
                let (start, end) = (start.clamp(0, size), end.clamp(0, size));
                (start, (end - start).max(0).unsigned_abs())
            }
            _ => {
                let (start, end) = (start.clamp(-1, size - 1), end.clamp(-1, size - 1));
                (start, (start - end).max(0).unsigned_abs())
            }
        };
        ranges[axis] = (start, step, length.div_ceil(step.unsigned_abs()) as usize);
    }
    let to = ranges.iter().map(|range| range.2).collect();
    // Every index lies in the axis, so neither product nor sum overflows.
    let table = |&(start, step, length): &(i64, i64, usize)| -> Table {
        (0..length as i64).map(|i| usize::try_from(start + i * step).ok()).collect()
    };
    picked(x, to, || ranges.iter().map(table).collect(), budget)
}

/// Pad in the modes constant, reflect, edge and wrap; negative padding cuts off.
pub(super) fn pad(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let pads = call.list(1, "pads")?.ok_or("it has no pads")?;
    let axes = match call.axes(3, x.rank())? {
        Some(axes) => axes,
        None => (0..x.rank()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()).into());
    }
    let mode = call.text("mode", "constant")?;
    // What stands before each axis, and the new size.
    let mut extents: Vec<(i64, usize)> = x.dims.iter().map(|&d| (0, d)).collect();
    for (i, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + axes.len()]);
        if i32::try_from(before).is_err() || i32::try_from(after).is_err() {
            return Err("its pads are no sizes".into());
        }
        let size = before + after + x.dims[axis] as i64;
        let size = usize::try_from(size).map_err(|_| "its pads cut off more than there is")?;
        extents[axis] = (before, size);
    }
    let to: Vec<usize> = extents.iter().map(|extent| extent.1).collect();
    let source = |index: i64, size: i64| -> Option<i64> {
        match mode {
            "edge" => Some(index.clamp(0, size - 1)),
            "wrap" => Some(index.rem_euclid(size)),
            // There and back again, without the ends twice.
            "reflect" if size == 1 => Some(0),
            "reflect" => Some(index.rem_euclid(2 * size - 2)).map(|i| i.min(2 * size - 2 - i)),
            _ => (0..size).contains(&index).then_some(index),
        }
    };
    if !matches!(mode, "constant" | "edge" | "wrap" | "reflect") {
        return Err("its mode is none of constant, edge, reflect and wrap".into());
    }
    if pay_picked(&to, budget)? == 0 {
        return Ok(empty(x, to));
    }
    if mode != "constant" && x.dims.contains(&0) {
        return Err("an empty axis has no elements to repeat".into());
    }
    let table = |(&(before, length), &size): (&(i64, usize), &usize)| -> Table {
        (0..length as i64).map(|i| source(i - before, size as i64).map(|i| i as usize)).collect()
    };
    let tables: Vec<Table> = extents.iter().zip(&x.dims).map(table).collect();
    fn with<T: Element>(v: &[T], x: &Known, tables: &[Table], call: &Call) -> Result<Vec<T>, Trouble> {
        let fill = match call.optional(2).map(|known| known.elements::<T>()).transpose()? {
            None => super::constant::from_float(call.float("value", 0.0)?),
            Some(&[fill]) => fill,
            Some(_) => return Err("its constant_value is not one element".into()),
        };
        Ok(pick(v, &x.dims, tables, fill))
    }
    Ok(each!(&x.data, v => Known::made(to, with(v, x, &tables, call)?)))
}

pub(super) fn transpose(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let order = match call.ints("perm")? {
        Some(perm) => super::call::axes(perm, x.rank())?,
        None => (0..x.rank()).rev().collect(),
    };
    if order.len() != x.rank() {
        return Err(format!("perm {order:?} is no order of {} axes", x.rank()).into());
    }
    let strides = strides(&x.dims);
    let to: Vec<usize> = order.iter().map(|&axis| x.dims[axis]).collect();
    let steps: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
    view(x, &to, &steps, to.clone(), budget)
}

pub(super) fn expand(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let to = broadcast(&x.dims, &sizes(&call.input(1)?.integers(8)?)?)?;
    fn with<T: Element>(v: &[T], x: &Known, to: &[usize]) -> Vec<T> {
        Walk::broadcast(&x.dims, to).map(|offset| v[offset]).collect()
    }
    budget.tensor(&to)?;
    Ok(each!(&x.data, v => Known::made(to.clone(), with(v, x, &to))))
}

pub(super) fn tile(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let repeats = sizes(&call.input(1)?.integers(x.rank())?)?;
    if repeats.len() != x.rank() {
        return Err(format!("{} repeats of {} axes", repeats.len(), x.rank()).into());
    }
    let to: Vec<usize> = x.dims.iter().zip(&repeats).map(|(&d, &r)| d.saturating_mul(r)).collect();
    let lengths = to.clone();
    let table =
        |(&length, &size): (&usize, &usize)| -> Table { (0..length).map(|i| Some(i % size)).collect() };
    picked(x, to, || lengths.iter().zip(&x.dims).map(table).collect(), budget)
}

/// DepthToSpace and SpaceToDepth of N,C,H,W.
pub(super) fn depth_space(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let [n, c, h, w] = x.dims[..] else { return Err("it takes N,C,H,W".into()) };
    let block = call.int("blocksize", 0)?;
    let b =
        usize::try_from(block).ok().filter(|&b| b > 0 && b <= 1 << 15).ok_or("its blocksize is no size")?;
    let divides = |size: usize, by: usize| {
        if size.is_multiple_of(by) { Ok(size / by) } else { Err(format!("{size} is not a multiple of {by}")) }
    };
    // The axes of the view of x, which of them the result has in which order, and its dimensions.
    let (axes, order, to) = if call.node.op_type() == "SpaceToDepth" {
        let (h, w) = (divides(h, b)?, divides(w, b)?);
        ([n, c, h, b, w, b], [0, 3, 5, 1, 2, 4], vec![n, c * b * b, h, w])
    } else {
        let c = divides(c, b * b)?;
        let to = vec![n, c, h * b, w * b];
        match call.text("mode", "DCR")? {
            "DCR" => ([n, b, b, c, h, w], [0, 3, 4, 1, 5, 2], to),
            "CRD" => ([n, c, b, b, h, w], [0, 1, 4, 2, 5, 3], to),
            _ => return Err("its mode is neither DCR nor CRD".into()),
        }
    };
    count(&to).ok_or("its result is too large")?;
    let strides = strides(&axes);
    view(x, &order.map(|axis| axes[axis]), &order.map(|axis| strides[axis]), to, budget)
}
