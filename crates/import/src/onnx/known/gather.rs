//! Elements at indices that are computed.

use super::super::import::Trouble;
use super::call::Call;
use super::walk::{Table, Walk, empty, pay_picked, strides, whole};
use super::{Budget, Data, Element, Known, walk};

/// The indices of input 1 into an axis of `size`.
fn indices(known: &Known, size: usize, budget: &mut Budget) -> Result<Vec<usize>, Trouble> {
    fn within(index: i64, size: usize) -> Result<usize, Trouble> {
        let from_start = if index < 0 { index.saturating_add(size as i64) } else { index };
        let found = usize::try_from(from_start).ok().filter(|&i| i < size);
        found.ok_or_else(|| format!("index {index} of an axis of {size}").into())
    }
    budget.spend(known.data.len())?;
    match &known.data {
        Data::I64(v) => v.iter().map(|&i| within(i, size)).collect(),
        Data::I32(v) => v.iter().map(|&i| within(i.into(), size)).collect(),
        other => Err(format!("its indices are {}, not integers", other.name()).into()),
    }
}

/// Gather: the dimensions of the indices take the place of the axis.
pub(super) fn gather(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let (x, chosen) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(0, x.rank())?;
    let indices = indices(chosen, x.dims[axis], budget)?;
    let to = [&x.dims[..axis], &chosen.dims, &x.dims[axis + 1..]].concat();
    if pay_picked(&to, budget)? == 0 {
        return Ok(empty(x, to));
    }
    let chosen = || indices.iter().copied().map(Some).collect();
    // Of the axis itself there is no table: it may be far longer than what is taken of it.
    let table = |(other, &d)| if other == axis { chosen() } else { whole(d) };
    let tables: Vec<Table> = x.dims.iter().enumerate().map(table).collect();
    Ok(each!(&x.data, v => Known::made(to, walk::pick(v, &x.dims, &tables, Default::default()))))
}

/// GatherElements: each index replaces the index of its own position along the axis.
pub(super) fn gather_elements(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<T: Element>(v: &[T], walk: Walk, indices: &[usize], stride: usize) -> Vec<T> {
        walk.zip(indices).map(|(offset, index)| v[offset + index * stride]).collect()
    }
    let (x, chosen) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(0, x.rank())?;
    let fits = |other: usize| other == axis || chosen.dims[other] <= x.dims[other];
    if chosen.rank() != x.rank() || !(0..x.rank()).all(fits) {
        return Err(format!("indices of {:?} do not fit {:?}", chosen.dims, x.dims).into());
    }
    let indices = indices(chosen, x.dims[axis], budget)?;
    budget.tensor(&chosen.dims)?;
    let mut steps = strides(&x.dims);
    let stride = std::mem::take(&mut steps[axis]);
    let walk = Walk::new(&chosen.dims, &steps);
    Ok(each!(&x.data, v => Known::made(chosen.dims.clone(), with(v, walk, &indices, stride))))
}
