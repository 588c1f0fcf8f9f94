//! Floats as integers and a scale.

use super::super::import::Trouble;
use super::call::Call;
use super::walk::{Table, picked, whole};
use super::{Budget, Data, Element, Known, decode};

/// The scale or zero point `known` for the elements of `x`: one, or one per index of the axis, or one per block of
/// indices.
fn spread(call: &Call, known: &Known, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    // Tables of an axis along which it is the same.
    let same = |axis: usize| -> Table { vec![Some(0); x.dims[axis]] };
    let mut ones = Known { dims: vec![1; x.rank()], data: known.data.clone() };
    if known.data.len() == 1 && known.rank() <= 1 {
        return picked(&ones, x.dims.clone(), || (0..x.rank()).map(same).collect(), budget);
    }
    let axis = call.axis(1, x.rank())?;
    let block = usize::try_from(call.int("block_size", 0)?).map_err(|_| "its block_size is negative")?;
    let wrong =
        || Trouble::from(format!("a scale or zero point of {:?} does not fit {:?}", known.dims, x.dims));
    if block == 0 {
        if known.dims != [x.dims[axis]] {
            return Err(wrong());
        }
        ones.dims[axis] = x.dims[axis];
        let table = |other| if other == axis { whole(x.dims[axis]) } else { same(other) };
        return picked(&ones, x.dims.clone(), || (0..x.rank()).map(table).collect(), budget);
    }
    let mut expected = x.dims.clone();
    expected[axis] = x.dims[axis].div_ceil(block);
    if known.dims != expected {
        return Err(wrong());
    }
    let blocks = |other: usize| -> Table {
        (0..x.dims[other]).map(|i| Some(if other == axis { i / block } else { i })).collect()
    };
    picked(known, x.dims.clone(), || (0..x.rank()).map(blocks).collect(), budget)
}

/// QuantizeLinear: x / scale to the nearest integer, even where two are, plus the zero point, within the type.
pub(super) fn quantize(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let (x, scale) = (call.input(0)?, spread(call, call.input(1)?, budget)?);
    let rounded = {
        fn divide<T: Element<Wide = f64>>(x: &[T], scale: &[T]) -> Vec<f64> {
            let quotient = |(x, s): (&T, &T)| T::narrow(x.widen() / s.widen()).widen();
            x.iter().zip(scale).map(|pair| quotient(pair).round_ties_even()).collect()
        }
        budget.spend(x.data.len())?;
        each_float!(&x.data, v => Ok::<_, Trouble>(divide(v, scale.elements()?)))?
    };
    let zero = match call.optional(2) {
        Some(zero) => spread(call, zero, budget)?,
        None => {
            let count = budget.tensor(&x.dims)?;
            let data = match call.int("output_dtype", 0)? as i32 {
                0 | decode::UINT8 => Data::U8(vec![0; count]),
                decode::INT8 => Data::I8(vec![0; count]),
                decode::UINT16 => Data::U16(vec![0; count]),
                decode::INT16 => Data::I16(vec![0; count]),
                _ => return Err("its output_dtype is not supported".into()),
            };
            Known { dims: x.dims.clone(), data }
        }
    };
    budget.tensor(&x.dims)?;
    macro_rules! within {
        ($type:ty, $zero:expr) => {{
            let shifted = rounded.iter().zip($zero).map(|(r, &z)| (r + f64::from(z)) as $type);
            // A conversion from a float stays within the type.
            Ok(Known::made(x.dims.clone(), shifted.collect()))
        }};
    }
    match &zero.data {
        Data::U8(z) => within!(u8, z),
        Data::I8(z) => within!(i8, z),
        Data::U16(z) => within!(u16, z),
        Data::I16(z) => within!(i16, z),
        other => Err(format!("it makes {}, which are not supported", other.name()).into()),
    }
}

/// DequantizeLinear: (x - zero point) · scale.
pub(super) fn dequantize(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn multiply<T: Element<Wide = f64>>(x: &[f64], zero: Option<Vec<f64>>, scale: &[T]) -> Vec<T> {
        let zero = |i: usize| zero.as_ref().map_or(0.0, |zero| zero[i]);
        let scaled = |(i, s): (usize, &T)| T::narrow((x[i] - zero(i)) * s.widen());
        scale.iter().enumerate().map(scaled).collect()
    }
    let (x, scale) = (call.input(0)?, spread(call, call.input(1)?, budget)?);
    let zero = call.optional(2).map(|zero| spread(call, zero, budget)).transpose()?;
    if !matches!(x.data, Data::I8(_) | Data::U8(_) | Data::I16(_) | Data::U16(_) | Data::I32(_)) {
        return Err(format!("it takes integers, not {}", x.data.name()).into());
    }
    let zero = zero.map(|zero| zero.floats(budget)).transpose()?;
    let values = x.floats(budget)?;
    budget.tensor(&x.dims)?;
    each_float!(&scale.data, s => Ok(Known::made(x.dims.clone(), multiply(&values, zero, s))))
}
