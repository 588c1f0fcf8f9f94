//! Operators that make tensors of numbers of a node, and those that tell a tensor's shape or change its type.

use super::super::import::Trouble;
use super::super::tensor::{BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64};
use super::call::Call;
use super::movement::sizes;
use super::{Budget, Data, Element, Known, Number, Wide, decode};

/// A float as another type: rounded towards zero to an integer, true where it is not zero.
pub(super) fn from_float<T: Element>(value: f64) -> T {
    match T::of(&Data::Bool(Vec::new())) {
        Some(_) => T::narrow(T::Wide::from_f64(if value == 0.0 { 0.0 } else { 1.0 })),
        None => T::narrow(T::Wide::from_f64(value)),
    }
}

/// The one attribute of Constant.
pub(super) fn constant(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let [attribute] = &call.node.attribute[..] else {
        return Err("a Constant has one attribute".into());
    };
    let list = |length: usize, budget: &mut Budget| budget.tensor(&[length]).map(|length| vec![length]);
    Ok(match attribute.name() {
        "value" => decode::tensor(attribute.t.as_ref().ok_or("its value is no tensor")?, budget)?,
        "value_float" => Known::made(vec![], vec![attribute.f()]),
        "value_int" => Known::made(vec![], vec![attribute.i()]),
        "value_floats" => Known::made(list(attribute.floats.len(), budget)?, attribute.floats.clone()),
        "value_ints" => Known::made(list(attribute.ints.len(), budget)?, attribute.ints.clone()),
        _ => return Err("of a Constant, value, value_float(s) and value_int(s) are supported".into()),
    })
}

pub(super) fn of_shape(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let dims = sizes(&call.input(0)?.integers(8)?)?;
    let count = budget.tensor(&dims)?;
    let value = match call.tensor("value") {
        Some(tensor) => decode::tensor(tensor, budget)?,
        None => Known::made(vec![1], vec![0f32]),
    };
    if value.data.len() != 1 {
        return Err("its value is not one element".into());
    }
    Ok(each!(&value.data, v => Known::made(dims, vec![v[0]; count])))
}

pub(super) fn range(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn one<T: Element>(call: &Call, index: usize) -> Result<T::Wide, Trouble> {
        match call.input(index)?.elements::<T>()? {
            [value] => Ok(value.widen()),
            other => Err(format!("input {index} has {} elements, not one", other.len()).into()),
        }
    }
    fn with<T: Element>(_: &[T], call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
        let [start, limit, delta] = [one::<T>(call, 0)?, one::<T>(call, 1)?, one::<T>(call, 2)?];
        let steps = if T::Wide::INTEGER {
            let (room, delta) = (limit.plus(start.negative()).to_i128(), delta.to_i128());
            let whole = room.checked_div(delta).ok_or("its delta is 0")?;
            (whole + i128::from(room % delta != 0 && (room < 0) == (delta < 0))).max(0)
        } else {
            ((limit.to_f64() - start.to_f64()) / delta.to_f64()).ceil().max(0.0).to_i128()
        };
        let length = usize::try_from(steps).map_err(|_| "it is too long")?;
        budget.tensor(&[length])?;
        let at = |i: usize| T::narrow(start.plus(delta.times(T::Wide::from_f64(i as f64))));
        Ok(Known::made(vec![length], (0..length).map(at).collect()))
    }
    each!(&call.input(0)?.data, v => with(v, call, budget))
}

/// Shape, of the axes from `start` to `end`.
pub(super) fn shape(call: &Call) -> Result<Known, Trouble> {
    let dims = &call.input(0)?.dims;
    let rank = dims.len() as i64;
    let bound = |name, default| -> Result<usize, Trouble> {
        let at: i64 = call.int(name, default)?;
        let from_start = if at < 0 { at.saturating_add(rank) } else { at };
        Ok(from_start.clamp(0, rank) as usize)
    };
    let (start, end) = (bound("start", 0)?, bound("end", rank)?);
    let kept: Vec<i64> = dims[start.min(end)..end].iter().map(|&d| d as i64).collect();
    Ok(Known::made(vec![kept.len()], kept))
}

pub(super) fn size(call: &Call) -> Result<Known, Trouble> {
    Ok(Known::made(vec![], vec![call.input(0)?.data.len() as i64]))
}

/// Cast: floats are cut to integers, and held at the ends of the type's range or 64 bits; integers keep their low
/// bits.
pub(super) fn cast(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn to<T: Element>(numbers: &mut dyn Iterator<Item = Number>) -> Vec<T> {
        let convert = |number| match number {
            Number::Float(x) => from_float(x),
            Number::Integer(x) => T::narrow(T::Wide::from_i128(x)),
        };
        numbers.map(convert).collect()
    }
    let x = call.input(0)?;
    budget.tensor(&x.dims)?;
    let dims = x.dims.clone();
    let target = call.int("to", 0)?;
    let numbers = &mut *x.data.numbers();
    Ok(match i32::try_from(target).unwrap_or(0) {
        FLOAT => Known::made(dims, to::<f32>(numbers)),
        DOUBLE => Known::made(dims, to::<f64>(numbers)),
        FLOAT16 => Known::made(dims, crate::half::to_f16(to(numbers))),
        decode::BFLOAT16 => Known::made(dims, crate::half::to_bf16(to(numbers))),
        decode::INT8 => Known::made(dims, to::<i8>(numbers)),
        decode::INT16 => Known::made(dims, to::<i16>(numbers)),
        INT32 => Known::made(dims, to::<i32>(numbers)),
        INT64 => Known::made(dims, to::<i64>(numbers)),
        decode::UINT8 => Known::made(dims, to::<u8>(numbers)),
        decode::UINT16 => Known::made(dims, to::<u16>(numbers)),
        decode::UINT32 => Known::made(dims, to::<u32>(numbers)),
        decode::UINT64 => Known::made(dims, to::<u64>(numbers)),
        BOOL => Known::made(dims, to::<bool>(numbers)),
        _ => return Err(format!("elements of type {target} are not supported").into()),
    })
}
