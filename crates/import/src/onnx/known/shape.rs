//! Operators that keep the elements and change the dimensions.

use super::super::import::Trouble;
use super::budget::count;
use super::call::{Call, axes};
use super::{Budget, Known};

/// `x` with other dimensions, which is a copy.
fn with_dims(x: &Known, dims: Vec<usize>, budget: &mut Budget) -> Result<Known, Trouble> {
    if budget.tensor(&dims)? != x.data.len() {
        return Err(format!("{:?} and {dims:?} have different numbers of elements", x.dims).into());
    }
    Ok(Known { dims, data: x.data.clone() })
}

/// Reshape: -1 is found from the others; 0 is the size that was there, unless `allowzero`.
pub(super) fn reshape(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let wanted = call.list(1, "shape")?.ok_or("it has no shape")?;
    let keeps = !call.flag("allowzero")?;
    let wrong = || Trouble::from(format!("it reshapes {:?} to {wanted:?}", x.dims));
    let mut dims = Vec::new();
    for (axis, &size) in wanted.iter().enumerate() {
        dims.push(match size {
            0 if keeps => *x.dims.get(axis).ok_or_else(wrong)?,
            -1 => 1,
            size => usize::try_from(size).map_err(|_| wrong())?,
        });
    }
    let mut unknown = wanted.iter().enumerate().filter(|(_, size)| **size == -1);
    if let Some((axis, _)) = unknown.next() {
        let others = count(&dims).filter(|_| unknown.next().is_none()).ok_or_else(wrong)?;
        dims[axis] = x.data.len().checked_div(others).ok_or_else(wrong)?;
    }
    with_dims(x, dims, budget)
}

/// Flatten to a matrix, of which the axes before `axis` are the rows.
pub(super) fn flatten(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let axis = match call.int("axis", 1)? {
        all if all == x.rank() as i64 => x.rank(),
        axis => super::call::axis(axis, x.rank())?,
    };
    let (rows, columns) = x.dims.split_at(axis);
    with_dims(x, vec![rows.iter().product(), columns.iter().product()], budget)
}

pub(super) fn squeeze(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let removed = match call.axes(1, x.rank())? {
        Some(axes) => axes,
        None => (0..x.rank()).filter(|&axis| x.dims[axis] == 1).collect(),
    };
    if removed.iter().any(|&axis| x.dims[axis] != 1) {
        return Err(format!("it removes axes {removed:?} of {:?}, of which one is not 1", x.dims).into());
    }
    let kept = (0..x.rank()).filter(|axis| !removed.contains(axis)).map(|axis| x.dims[axis]).collect();
    with_dims(x, kept, budget)
}

pub(super) fn unsqueeze(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let list = call.list(1, "axes")?.ok_or("it has no axes")?;
    let rank = x.rank() + list.len();
    let added = axes(&list, rank)?;
    let mut sizes = x.dims.iter().copied();
    let size = |axis| if added.contains(&axis) { 1 } else { sizes.next().unwrap_or(1) };
    with_dims(x, (0..rank).map(size).collect(), budget)
}

pub(super) fn identity(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    with_dims(x, x.dims.clone(), budget)
}

/// Dropout as in inference: the input, and a mask that keeps everything.
pub(super) fn dropout(call: &Call, budget: &mut Budget) -> Result<Vec<Known>, Trouble> {
    let training = call.optional(2).map(|known| known.elements::<bool>()).transpose()?;
    if training.is_some_and(|flags| flags.contains(&true)) {
        return Err("it trains; export the network in evaluation mode".into());
    }
    let x = identity(call, budget)?;
    let mut outputs = vec![x];
    if call.node.output.len() > 1 {
        let x = &outputs[0];
        let count = budget.tensor(&x.dims)?;
        // Before opset 10 the mask has the type of the input.
        let mask = Known::made(x.dims.clone(), vec![true; count]);
        outputs.push(mask);
    }
    Ok(outputs)
}
