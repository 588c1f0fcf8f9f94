//! Tensors of a file.

use super::super::import::Trouble;
use super::super::proto::TensorProto;
use super::super::tensor::{BOOL, DOUBLE, EXTERNAL, FLOAT, FLOAT16, INT32, INT64};
use super::{Budget, Known};
use crate::half::{bf16, f16};

pub(super) const UINT8: i32 = 2;
pub(super) const INT8: i32 = 3;
pub(super) const UINT16: i32 = 4;
pub(super) const INT16: i32 = 5;
pub(super) const UINT32: i32 = 12;
pub(super) const UINT64: i32 = 13;
pub(super) const BFLOAT16: i32 = 16;

/// The tensor, whose elements are as many as its dimensions say.
pub(in crate::onnx) fn tensor(proto: &TensorProto, budget: &mut Budget) -> Result<Known, Trouble> {
    if proto.data_location() == EXTERNAL {
        return Err(format!(
            "{} lies in another file; save the model with its weights inside",
            proto.label()
        )
        .into());
    }
    let (dims, count) = proto.shape()?;
    let raw = proto.raw_data();
    // What the fields hold, whatever the dimensions say: a vector is made only where both agree.
    macro_rules! elements {
        ($type:ty, $list:expr, $from:expr) => {{
            const SIZE: usize = size_of::<$type>();
            let stored = if raw.is_empty() { $list.len() } else { raw.len() / SIZE };
            if stored != count || !raw.len().is_multiple_of(SIZE) {
                let label = proto.label();
                return Err(
                    format!("{label} has {stored} elements, its dimensions {dims:?} make {count}").into()
                );
            }
            budget.tensor(&dims)?;
            let elements = match raw.is_empty() {
                true => $list.iter().map($from).collect(),
                false => {
                    raw.as_chunks::<SIZE>().0.iter().map(|&b| <$type>::from_le_bytes(b)).collect::<Vec<_>>()
                }
            };
            (dims, elements)
        }};
    }
    macro_rules! known {
        ($type:ty, $list:expr, $from:expr) => {{
            let (dims, elements) = elements!($type, $list, $from);
            Known::made(dims, elements)
        }};
    }
    const NONE: &[u8] = &[];
    Ok(match proto.data_type() {
        FLOAT => known!(f32, proto.float_data, |&v| v),
        DOUBLE => known!(f64, proto.double_data, |&v| v),
        INT8 => known!(i8, proto.int32_data, |&v| v as i8),
        INT16 => known!(i16, proto.int32_data, |&v| v as i16),
        INT32 => known!(i32, proto.int32_data, |&v| v),
        INT64 => known!(i64, proto.int64_data, |&v| v),
        UINT8 => known!(u8, proto.int32_data, |&v| v as u8),
        UINT16 => known!(u16, proto.int32_data, |&v| v as u16),
        // Their lists are in a field that is not read.
        UINT32 => known!(u32, NONE, |&v| v.into()),
        UINT64 => known!(u64, NONE, |&v| v.into()),
        FLOAT16 | BFLOAT16 => {
            let widen = if proto.data_type() == FLOAT16 { f16 } else { bf16 };
            let (dims, bits) = elements!(u16, proto.int32_data, |&v| v as u16);
            Known::made(dims, bits.into_iter().map(widen).collect())
        }
        BOOL => {
            let (dims, bytes) = elements!(u8, proto.int32_data, |&v| u8::from(v != 0));
            Known::made(dims, bytes.into_iter().map(|b| b != 0).collect())
        }
        other => {
            return Err(
                format!("{} has elements of type {other}, which are not supported", proto.label()).into()
            );
        }
    })
}
