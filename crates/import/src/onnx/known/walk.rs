//! Ways through a tensor: with strides, and with a table per axis.

use super::super::import::Trouble;
use super::{Budget, Element, Known};

/// The distance between neighbours along each axis.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis].max(1);
    }
    strides
}

/// The offsets of the elements of a strided view, the last axis fastest.
pub(super) struct Walk {
    dims: Vec<usize>,
    strides: Vec<usize>,
    index: Vec<usize>,
    offset: usize,
    left: usize,
}

impl Walk {
    /// A walk over `dims`; the last offset is that of a tensor that exists.
    pub(super) fn new(dims: &[usize], strides: &[usize]) -> Self {
        let left = dims.iter().product();
        Self { dims: dims.to_vec(), strides: strides.to_vec(), index: vec![0; dims.len()], offset: 0, left }
    }

    /// A walk over `to`, to which a tensor of dimensions `from` broadcasts.
    pub(super) fn broadcast(from: &[usize], to: &[usize]) -> Self {
        let mut spread = vec![0; to.len()];
        let missing = to.len() - from.len();
        for (axis, stride) in strides(from).into_iter().enumerate() {
            spread[missing + axis] = if from[axis] == 1 { 0 } else { stride };
        }
        Self::new(to, &spread)
    }
}

impl Iterator for Walk {
    type Item = usize;

    // Too much to be compiled into every walk there is.
    #[inline(never)]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let found = self.offset;
        for axis in (0..self.dims.len()).rev() {
            self.index[axis] += 1;
            self.offset += self.strides[axis];
            if self.index[axis] < self.dims[axis] {
                break;
            }
            self.offset -= self.strides[axis] * self.dims[axis];
            self.index[axis] = 0;
        }
        Some(found)
    }
}

/// The dimensions to which `a` and `b` both broadcast.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Trouble> {
    let rank = a.len().max(b.len());
    // Counted from the last axis.
    let size = |dims: &[usize], back: usize| dims.len().checked_sub(back + 1).map_or(1, |axis| dims[axis]);
    let mut dims = vec![1; rank];
    for back in 0..rank {
        dims[rank - 1 - back] = match (size(a, back), size(b, back)) {
            (1, d) | (d, 1) => d,
            (d, e) if d == e => d,
            _ => return Err(format!("dimensions {a:?} and {b:?} do not broadcast").into()),
        };
    }
    Ok(dims)
}

/// The elements of `x` in the order of a walk with the given strides, as a tensor of dimensions `to`.
pub(super) fn view(
    x: &Known,
    dims: &[usize],
    strides: &[usize],
    to: Vec<usize>,
    budget: &mut Budget,
) -> Result<Known, Trouble> {
    fn along<T: Element>(x: &[T], walk: Walk) -> Vec<T> {
        walk.map(|offset| x[offset]).collect()
    }
    budget.tensor(&to)?;
    Ok(each!(&x.data, v => Known::made(to, along(v, Walk::new(dims, strides)))))
}

/// A tensor of the type of `x` without elements; `dims` has been paid for.
pub(super) fn empty(x: &Known, dims: Vec<usize>) -> Known {
    each!(&x.data, v => Known::made(dims, pick(v, &[0], &[Table::new()], Default::default())))
}

/// Which index of an axis an output takes; `None` where it takes the fill value.
pub(super) type Table = Vec<Option<usize>>;

/// An axis as it is.
pub(super) fn whole(size: usize) -> Table {
    (0..size).map(Some).collect()
}

/// Element `i, j, …` of the result is element `tables[0][i], tables[1][j], …` of `x`, or `fill` where a table has none.
pub(super) fn pick<T: Element>(x: &[T], dims: &[usize], tables: &[Table], fill: T) -> Vec<T> {
    let mut picked = Vec::new();
    if tables.iter().any(Vec::is_empty) {
        return picked;
    }
    let Some((row, outer)) = tables.split_last() else { return x.to_vec() };
    let strides = strides(dims);
    let mut index = vec![0; outer.len()];
    loop {
        let start =
            (0..outer.len()).try_fold(0, |at, axis| Some(at + outer[axis][index[axis]]? * strides[axis]));
        picked.extend(row.iter().map(|&i| start.zip(i).map_or(fill, |(start, i)| x[start + i])));
        // The next row: the last index that can grow does, those after it start again.
        let Some(grown) = (0..outer.len()).rev().find(|&axis| index[axis] + 1 < outer[axis].len()) else {
            return picked;
        };
        index[grown] += 1;
        index[grown + 1..].fill(0);
    }
}

/// Pays for the result of [`pick`] and for its tables, which take up to four times as much for an element.
pub(super) fn pay_picked(to: &[usize], budget: &mut Budget) -> Result<usize, Trouble> {
    let total = budget.tensor(to)?;
    if total > 0 {
        budget.spend(4 * to.iter().sum::<usize>())?;
    }
    Ok(total)
}

/// [`pick`] for a tensor of any type, which is paid for: `to` are the lengths of the tables. They are made only
/// where the result is not empty.
pub(super) fn picked(
    x: &Known,
    to: Vec<usize>,
    tables: impl FnOnce() -> Vec<Table>,
    budget: &mut Budget,
) -> Result<Known, Trouble> {
    if pay_picked(&to, budget)? == 0 {
        return Ok(empty(x, to));
    }
    let tables = tables();
    Ok(each!(&x.data, v => Known::made(to, pick(v, &x.dims, &tables, Default::default()))))
}
