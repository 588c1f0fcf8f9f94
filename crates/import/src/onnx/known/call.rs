//! A node with its inputs.

use std::sync::Arc;

use super::super::attributes;
use super::super::import::Trouble;
use super::super::proto::{NodeProto, TensorProto};
use super::super::tensor::MAX_RANK;
use super::{Budget, Known};

/// A node, its inputs (`None` where one is left out) and the opset it is of.
pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) inputs: &'a [Option<Arc<Known>>],
    pub(super) opset: i64,
}

impl Call<'_> {
    pub(super) fn optional(&self, index: usize) -> Option<&Known> {
        self.inputs.get(index)?.as_deref()
    }

    pub(super) fn input(&self, index: usize) -> Result<&Known, Trouble> {
        self.optional(index).ok_or_else(|| format!("input {index} is missing").into())
    }

    /// Input `index` as 64-bit floats, which are `length`.
    pub(super) fn floats(
        &self,
        index: usize,
        length: usize,
        budget: &mut Budget,
    ) -> Result<Vec<f64>, Trouble> {
        let values = self.input(index)?.floats(budget)?;
        if values.len() == length {
            Ok(values)
        } else {
            Err(format!("input {index} has {} elements where {length} belong", values.len()).into())
        }
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, Trouble> {
        attributes::int(self.node, name, default)
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Trouble> {
        Ok(self.int(name, 0)? != 0)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f64, Trouble> {
        attributes::float(self.node, name, default).map(f64::from)
    }

    pub(super) fn text(&self, name: &str, default: &'static str) -> Result<&str, Trouble> {
        attributes::text(self.node, name, default)
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&TensorProto> {
        attributes::tensor(self.node, name)
    }

    pub(super) fn floats_attribute(&self, name: &str) -> Option<&[f32]> {
        attributes::floats(self.node, name)
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&[i64]>, Trouble> {
        attributes::ints(self.node, name)
    }

    /// A short list of integers: input `index` or, as older opsets have it, the attribute.
    pub(super) fn list(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, Trouble> {
        match (self.optional(index), self.ints(name)?) {
            (Some(known), _) => Ok(Some(known.integers(4 * MAX_RANK)?)),
            (None, Some(list)) if list.len() > 4 * MAX_RANK => Err(format!("{name} is too long").into()),
            (None, list) => Ok(list.map(<[i64]>::to_vec)),
        }
    }

    /// A list of `length` sizes; `None` where the attribute is left out.
    pub(super) fn sizes(&self, name: &str, length: usize) -> Result<Option<Vec<usize>>, Trouble> {
        let Some(list) = self.ints(name)? else { return Ok(None) };
        let size = |&v: &i64| u32::try_from(v).ok().filter(|&v| v <= i32::MAX as u32).map(|v| v as usize);
        let sizes: Option<Vec<usize>> = list.iter().take(length + 1).map(size).collect();
        match sizes {
            Some(sizes) if sizes.len() == length => Ok(Some(sizes)),
            _ => {
                let shown = &list[..list.len().min(2 * MAX_RANK)];
                Err(format!("{name} {shown:?} is not a list of {length} sizes").into())
            }
        }
    }

    /// The axes that input `index` or the attribute lists, for a tensor of `rank`; `None` where there is no list.
    pub(super) fn axes(&self, index: usize, rank: usize) -> Result<Option<Vec<usize>>, Trouble> {
        self.list(index, "axes")?.map(|list| axes(&list, rank)).transpose()
    }

    /// The axis that the attribute names.
    pub(super) fn axis(&self, default: i64, rank: usize) -> Result<usize, Trouble> {
        axis(self.int("axis", default)?, rank)
    }
}

/// An axis as ONNX counts them, from the end where it is negative.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Trouble> {
    let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(from_start) {
        Ok(found) if found < rank => Ok(found),
        _ => Err(format!("axis {axis} of a tensor of {rank} axes").into()),
    }
}

/// Axes, none of them twice.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Trouble> {
    let mut found = Vec::new();
    for &value in list {
        let axis = axis(value, rank)?;
        if found.contains(&axis) {
            return Err(format!("axis {value} is named twice").into());
        }
        found.push(axis);
    }
    Ok(found)
}
