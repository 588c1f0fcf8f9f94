//! What the evaluation of a model may cost.

use super::super::import::Trouble;
use super::super::tensor::MAX_RANK;

/// What is left of it. All operators together share one, so that many small nodes are no way around it.
#[derive(Debug)]
pub(in crate::onnx) struct Budget {
    /// Elements that may still be made.
    elements: usize,
    /// Multiplications and comparisons in windows and matrix products that may still be done.
    steps: usize,
}

/// The largest product of dimensions, zeros left out: products of two such numbers fit a word.
const MAX_COUNT: usize = i32::MAX as usize;

/// The number of elements of a tensor of the given dimensions; `None` where it is no size of a tensor.
pub(super) fn count(dims: &[usize]) -> Option<usize> {
    let others = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)))?;
    let fits = dims.len() <= MAX_RANK && others <= MAX_COUNT;
    fits.then_some(if dims.contains(&0) { 0 } else { others })
}

impl Budget {
    pub(in crate::onnx) fn new(elements: usize, steps: usize) -> Self {
        Self { elements, steps }
    }

    /// The elements that may still be made.
    pub(in crate::onnx) fn left(&self) -> usize {
        self.elements
    }

    /// Pays for a tensor of the given dimensions; the number of its elements.
    pub(super) fn tensor(&mut self, dims: &[usize]) -> Result<usize, Trouble> {
        let shown = &dims[..dims.len().min(MAX_RANK)];
        let count = count(dims).ok_or_else(|| format!("dimensions {shown:?} are not those of a tensor"))?;
        self.spend(count).map_err(|_| format!("a tensor of {shown:?} is more than may be computed"))?;
        Ok(count)
    }

    /// Pays for `count` elements.
    pub(in crate::onnx) fn spend(&mut self, count: usize) -> Result<(), Trouble> {
        self.elements =
            self.elements.checked_sub(count).ok_or("it makes more elements than may be computed")?;
        Ok(())
    }

    /// Pays for the product of `factors` steps; a factor of zero counts as one.
    pub(super) fn steps(&mut self, factors: &[usize]) -> Result<(), Trouble> {
        let left = factors
            .iter()
            .try_fold(1usize, |n, &f| n.checked_mul(f.max(1)))
            .and_then(|steps| self.steps.checked_sub(steps));
        self.steps = left.ok_or("it takes more steps than may be computed")?;
        Ok(())
    }
}
