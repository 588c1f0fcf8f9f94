//! Operators of ONNX on tensors whose elements are known, of any rank.
//!
//! Floats are computed in 64 bits and rounded to the tensor's type once per element; 16-bit floats are held as 32-bit
//! ones. Integers wrap. Everything is written for clearness and for hostile models: no dimension is believed before the
//! [`Budget`] has paid for it.

/// Evaluates `$body` with `$v` the elements of a tensor, whatever their type.
macro_rules! each {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            $crate::onnx::Data::F32($v) => $body,
            $crate::onnx::Data::F64($v) => $body,
            $crate::onnx::Data::I8($v) => $body,
            $crate::onnx::Data::I16($v) => $body,
            $crate::onnx::Data::I32($v) => $body,
            $crate::onnx::Data::I64($v) => $body,
            $crate::onnx::Data::U8($v) => $body,
            $crate::onnx::Data::U16($v) => $body,
            $crate::onnx::Data::U32($v) => $body,
            $crate::onnx::Data::U64($v) => $body,
            $crate::onnx::Data::Bool($v) => $body,
        }
    };
}

/// The same where only floats will do; an error otherwise.
macro_rules! each_float {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            $crate::onnx::Data::F32($v) => $body,
            $crate::onnx::Data::F64($v) => $body,
            other => Err(format!("it takes floats, not {}", other.name()).into()),
        }
    };
}

mod activation;
mod budget;
mod call;
mod constant;
mod conv;
pub(super) mod decode;
mod element;
mod elementwise;
mod gather;
mod matrix;
mod movement;
mod operators;
mod pool;
mod quantize;
mod reduce;
mod resize;
mod shape;
#[cfg(test)]
mod tests;
mod walk;
mod window;

pub(super) use budget::Budget;
pub use element::Data;
use element::{Element, Number, Wide};
pub(super) use operators::evaluate;

use super::import::Trouble;

/// Which element of a tensor of dimensions `from` each element of what it broadcasts to is.
pub(super) fn broadcasting(from: &[usize], to: &[usize]) -> impl Iterator<Item = usize> {
    walk::Walk::broadcast(from, to)
}

/// A tensor whose elements are known: as many as the product of its dimensions, the last dimension fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    dims: Vec<usize>,
    data: Data,
}

impl Known {
    /// A tensor of the given dimensions; `None` where `data` has another number of elements, or where there are more
    /// than eight dimensions or their product without the zeros is above 2^31 - 1.
    ///
    /// ```
    /// use copriv_import::onnx::{Data, Known};
    ///
    /// assert!(Known::new(vec![1, 2], Data::F32(vec![0.5, 1.5])).is_some());
    /// assert!(Known::new(vec![2, 2], Data::F32(vec![0.5, 1.5])).is_none());
    /// ```
    pub fn new(dims: Vec<usize>, data: Data) -> Option<Self> {
        (budget::count(&dims) == Some(data.len())).then_some(Self { dims, data })
    }

    /// The dimensions; none for a scalar.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements alone.
    pub(super) fn into_data(self) -> Data {
        self.data
    }

    /// The tensor of an operator, which has paid for the dimensions and made as many elements.
    fn made<T: Element>(dims: Vec<usize>, elements: Vec<T>) -> Self {
        debug_assert_eq!(budget::count(&dims), Some(elements.len()));
        Self { dims, data: T::wrap(elements) }
    }

    fn rank(&self) -> usize {
        self.dims.len()
    }

    fn elements<T: Element>(&self) -> Result<&[T], Trouble> {
        T::of(&self.data)
            .ok_or_else(|| format!("a {} stands where {} belong", self.data.name(), T::NAME).into())
    }

    /// The elements as 64-bit floats, whatever they are.
    fn floats(&self, budget: &mut Budget) -> Result<Vec<f64>, Trouble> {
        budget.spend(self.data.len())?;
        Ok(each!(&self.data, v => v.iter().map(|x| x.widen().to_f64()).collect()))
    }

    /// The elements of a list of at most `most` integers.
    fn integers(&self, most: usize) -> Result<Vec<i64>, Trouble> {
        if self.data.len() > most || self.rank() > 1 {
            return Err(format!("{:?} integers where a list of at most {most} belongs", self.dims).into());
        }
        match &self.data {
            Data::I64(v) => Ok(v.clone()),
            Data::I32(v) => Ok(v.iter().map(|&x| x.into()).collect()),
            other => Err(format!("a list of {} where integers belong", other.name()).into()),
        }
    }
}
