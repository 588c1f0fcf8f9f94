//! Constants of a model.

use super::proto::TensorProto;
use crate::half::{bf16, f16};

pub(super) const FLOAT: i32 = 1;
pub(super) const INT64: i32 = 7;
pub(super) const INT32: i32 = 6;
pub(super) const BOOL: i32 = 9;
pub(super) const FLOAT16: i32 = 10;
pub(super) const DOUBLE: i32 = 11;
const BFLOAT16: i32 = 16;
pub(super) const EXTERNAL: i32 = 1;
pub(super) const MAX_RANK: usize = 8;

impl TensorProto {
    /// The dimensions and their product.
    pub(super) fn shape(&self) -> Result<(Vec<usize>, usize), String> {
        let bad =
            || format!("{}: dimensions {:?} are not those of a tensor", self.label(), self.shown_dims());
        if self.dims.len() > MAX_RANK {
            return Err(bad());
        }
        let dims: Vec<usize> =
            self.dims.iter().map(|&d| usize::try_from(d)).collect::<Result<_, _>>().map_err(|_| bad())?;
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(bad)?;
        Ok((dims, count))
    }

    /// The elements of a tensor of floats, which are as many as the shape says and finite; `budget` is how
    /// many may be copied.
    pub(super) fn floats(&self, budget: &mut usize) -> Result<Vec<f32>, String> {
        let (_, count) = self.shape()?;
        if self.data_location() == EXTERNAL {
            return Err(format!(
                "{} lies in another file; read the model from its own file, beside which that one is, or save it with its weights \
                 inside (onnx.save_model(model, path, save_as_external_data=False))",
                self.label()
            ));
        }
        let got = self.stored()?;
        if got != count {
            let dims = self.shown_dims();
            return Err(format!("{} has {got} elements, its dimensions {dims:?} make {count}", self.label()));
        }
        *budget = budget.checked_sub(count).ok_or_else(|| {
            format!("{}: all weights together are more than this reader takes", self.label())
        })?;
        let raw = self.raw_data();
        let halves = |f: fn(u16) -> f32| -> Vec<f32> {
            if raw.is_empty() {
                self.int32_data.iter().map(|&h| f(h as u16)).collect()
            } else {
                raw.as_chunks().0.iter().map(|&b| f(u16::from_le_bytes(b))).collect()
            }
        };
        let values: Vec<f32> = match self.data_type() {
            FLOAT if raw.is_empty() => self.float_data.clone(),
            FLOAT => raw.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            DOUBLE if raw.is_empty() => self.double_data.iter().map(|&v| v as f32).collect(),
            DOUBLE => raw.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
            FLOAT16 => halves(f16),
            BFLOAT16 => halves(bf16),
            other => return Err(self.wrong_type(other)),
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(format!("{}: element {i} is {}, not a finite number", self.label(), values[i])),
            None => Ok(values),
        }
    }

    /// The elements of a tensor of truth values, as [`floats`](Self::floats).
    pub(super) fn bools(&self, budget: &mut usize) -> Result<Vec<bool>, String> {
        let (_, count) = self.shape()?;
        if self.data_type() != BOOL {
            return Err(format!("{} should hold truth values", self.label()));
        }
        let got = self.stored()?;
        if got != count || self.data_location() == EXTERNAL {
            let dims = self.shown_dims();
            return Err(format!("{} has {got} elements, its dimensions {dims:?} make {count}", self.label()));
        }
        *budget = budget.checked_sub(count).ok_or_else(|| {
            format!("{}: all weights together are more than this reader takes", self.label())
        })?;
        let raw = self.raw_data();
        Ok(match raw.is_empty() {
            true => self.int32_data.iter().map(|&v| v != 0).collect(),
            false => raw.iter().map(|&v| v != 0).collect(),
        })
    }

    /// The elements of a short list of integers: a shape, or axes.
    pub(super) fn ints(&self) -> Result<Vec<i64>, String> {
        let (_, count) = self.shape()?;
        let raw = self.raw_data();
        let stored = self.stored()?;
        if stored != count || count > MAX_RANK {
            return Err(format!("{} has {stored} elements, not those of a shape", self.label()));
        }
        match self.data_type() {
            INT64 if raw.is_empty() => Ok(self.int64_data.clone()),
            INT64 => Ok(raw.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect()),
            INT32 if raw.is_empty() => Ok(self.int32_data.iter().map(|&v| v.into()).collect()),
            INT32 => Ok(raw.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect()),
            _ => Err(format!("{} should hold integers", self.label())),
        }
    }

    /// How many elements are stored, whatever the shape says.
    fn stored(&self) -> Result<usize, String> {
        let (listed, size) = match self.data_type() {
            FLOAT => (self.float_data.len(), 4),
            INT32 => (self.int32_data.len(), 4),
            INT64 => (self.int64_data.len(), 8),
            DOUBLE => (self.double_data.len(), 8),
            FLOAT16 | BFLOAT16 => (self.int32_data.len(), 2),
            BOOL => (self.int32_data.len(), 1),
            other => return Err(self.wrong_type(other)),
        };
        let raw = self.raw_data().len();
        match raw {
            0 => Ok(listed),
            _ if raw.is_multiple_of(size) && listed == 0 => Ok(raw / size),
            _ => Err(format!("{} has {raw} bytes, not a whole number of elements", self.label())),
        }
    }

    fn wrong_type(&self, data_type: i32) -> String {
        format!(
            "{} has element type {data_type}; weights are 16-, 32- or 64-bit floats (export the float model, not a \
             quantised one)",
            self.label()
        )
    }

    /// Name for messages.
    pub(super) fn label(&self) -> String {
        format!("tensor {}", super::import::shown(self.name()))
    }

    fn shown_dims(&self) -> &[i64] {
        &self.dims[..self.dims.len().min(MAX_RANK)]
    }
}
