//! Functions of one element, and Softmax.

use super::super::import::Trouble;
use super::call::Call;
use super::elementwise::map_floats;
use super::{Budget, Element, Known};

/// Functions of one float and the attributes.
pub(super) fn of_float(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let alpha = |default| call.float("alpha", default);
    match call.node.op_type() {
        "Sqrt" => map_floats(x, budget, f64::sqrt),
        "Exp" => map_floats(x, budget, f64::exp),
        "Log" => map_floats(x, budget, f64::ln),
        "Erf" => map_floats(x, budget, libm::erf),
        "Floor" => map_floats(x, budget, f64::floor),
        "Ceil" => map_floats(x, budget, f64::ceil),
        "Round" => map_floats(x, budget, f64::round_ties_even),
        "Reciprocal" => map_floats(x, budget, f64::recip),
        "Sigmoid" => map_floats(x, budget, |x| 1.0 / (1.0 + (-x).exp())),
        "Tanh" => map_floats(x, budget, f64::tanh),
        "HardSwish" => map_floats(x, budget, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "LeakyRelu" => {
            let alpha = alpha(0.01)?;
            map_floats(x, budget, |x| if x < 0.0 { alpha * x } else { x })
        }
        "Elu" => {
            let alpha = alpha(1.0)?;
            map_floats(x, budget, |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "HardSigmoid" => {
            let (alpha, beta) = (alpha(0.2)?, call.float("beta", 0.5)?);
            map_floats(x, budget, |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "Gelu" => match call.text("approximate", "none")? {
            "none" => map_floats(x, budget, |x| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()))),
            "tanh" => {
                let scale = (2.0 / std::f64::consts::PI).sqrt();
                map_floats(x, budget, |x| 0.5 * x * (1.0 + (scale * (x + 0.044715 * x * x * x)).tanh()))
            }
            _ => Err("approximate is neither none nor tanh".into()),
        },
        other => Err(format!("no function is called {other}").into()),
    }
}

/// Clip, between the attributes or the inputs, of any numbers.
pub(super) fn clip(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn bound<T: Element>(call: &Call, index: usize) -> Result<Option<T::Wide>, Trouble> {
        match call.optional(index).map(|known| known.elements::<T>()).transpose()? {
            None => Ok(None),
            Some(&[bound]) => Ok(Some(bound.widen())),
            Some(bounds) => Err(format!("input {index} has {} elements, not one bound", bounds.len()).into()),
        }
    }
    fn with<T: Element>(v: &[T], call: &Call) -> Result<Vec<T>, Trouble> {
        let (low, high) = (bound::<T>(call, 1)?, bound::<T>(call, 2)?);
        let above = |x: T::Wide| low.map_or(x, |low| if x < low { low } else { x });
        let below = |x: T::Wide| high.map_or(x, |high| if x > high { high } else { x });
        Ok(v.iter().map(|x| T::narrow(below(above(x.widen())))).collect())
    }
    let x = call.input(0)?;
    if call.opset < 11 {
        let (low, high) = (call.float("min", f32::MIN)?, call.float("max", f32::MAX)?);
        return map_floats(x, budget, |x| {
            if x < low {
                low
            } else if x > high {
                high
            } else {
                x
            }
        });
    }
    budget.tensor(&x.dims)?;
    Ok(each!(&x.data, v => Known::made(x.dims.clone(), with(v, call)?)))
}

/// Softmax and LogSoftmax: along one axis from opset 13, over all axes from that one on before.
pub(super) fn softmax(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<T: Element<Wide = f64>>(x: &[T], [outer, length, inner]: [usize; 3], log: bool) -> Vec<T> {
        let mut result = vec![T::default(); x.len()];
        for (i, j) in (0..outer).flat_map(|i| (0..inner).map(move |j| (i, j))) {
            let at = |k: usize| (i * length + k) * inner + j;
            let values = || (0..length).map(|k| x[at(k)].widen());
            let most = values().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = values().map(|v| (v - most).exp()).sum();
            for (k, v) in values().enumerate() {
                let shifted = v - most;
                result[at(k)] = T::narrow(if log { shifted - sum.ln() } else { shifted.exp() / sum });
            }
        }
        result
    }
    let x = call.input(0)?;
    let flattens = call.opset < 13;
    let axis = match (call.int("axis", if flattens { 1 } else { -1 })?, x.rank()) {
        // All of the matrix N,1.
        (axis, rank) if flattens && axis == rank as i64 => rank,
        (axis, rank) => super::call::axis(axis, rank)?,
    };
    let size = |dims: &[usize]| dims.iter().product::<usize>();
    let parts = match flattens {
        true => [size(&x.dims[..axis]), size(&x.dims[axis..]), 1],
        false => [size(&x.dims[..axis]), x.dims[axis], size(&x.dims[axis + 1..])],
    };
    if budget.tensor(&x.dims)? == 0 {
        return Ok(x.clone());
    }
    let log = call.node.op_type() == "LogSoftmax";
    each_float!(&x.data, v => Ok(Known::made(x.dims.clone(), with(v, parts, log))))
}
