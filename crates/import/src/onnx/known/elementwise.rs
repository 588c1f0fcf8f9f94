//! Operators on pairs of elements, with numpy's broadcasting.

use super::super::import::Trouble;
use super::call::Call;
use super::walk::{Walk, broadcast};
use super::{Budget, Data, Element, Known, Number, Wide};

/// `f` of each pair of elements; `None` from it is a division by zero.
fn pairs<A: Copy, B: Copy, C: Element>(
    (a, a_dims): (&[A], &[usize]),
    (b, b_dims): (&[B], &[usize]),
    budget: &mut Budget,
    f: impl Fn(A, B) -> Option<C>,
) -> Result<Known, Trouble> {
    let dims = broadcast(a_dims, b_dims)?;
    budget.tensor(&dims)?;
    let elements: Option<Vec<C>> = if a_dims == b_dims {
        a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
    } else {
        let offsets = Walk::broadcast(a_dims, &dims).zip(Walk::broadcast(b_dims, &dims));
        offsets.map(|(i, j)| f(a[i], b[j])).collect()
    };
    Ok(Known::made(dims, elements.ok_or("it divides by zero")?))
}

/// Add, Sub, Mul, Div, Min, Max, Sum: of two inputs, or one after the other.
pub(super) fn arithmetic(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn two<T: Element>(
        a: &[T],
        x: &Known,
        y: &Known,
        name: &str,
        budget: &mut Budget,
    ) -> Result<Known, Trouble> {
        let b = y.elements::<T>()?;
        let f = T::Wide::operation(name).ok_or_else(|| format!("no arithmetic is called {name}"))?;
        pairs((a, &x.dims), (b, &y.dims), budget, |a: T, b: T| f(a.widen(), b.widen()).map(T::narrow))
    }
    let name = call.node.op_type();
    if !matches!(name, "Min" | "Max" | "Sum") && call.inputs.len() != 2 {
        return Err(format!("{name} has two inputs, not {}", call.inputs.len()).into());
    }
    let mut result = call.input(0)?.clone();
    budget.tensor(&result.dims)?;
    for index in 1..call.inputs.len() {
        let other = call.input(index)?;
        result = each!(&result.data, a => two(a, &result, other, name, budget))?;
    }
    Ok(result)
}

/// PRelu: the slopes broadcast to the input, not the other way round.
pub(super) fn prelu(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let result = arithmetic(call, budget)?;
    if result.dims != call.input(0)?.dims {
        return Err("its slopes do not broadcast to its input".into());
    }
    Ok(result)
}

/// Pow: the base gives the type.
pub(super) fn power(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<A: Element>(
        a: &[A],
        x: &Known,
        (b, b_dims): (&[Number], &[usize]),
        budget: &mut Budget,
    ) -> Result<Known, Trouble> {
        pairs((a, &x.dims), (b, b_dims), budget, |a, b| Some(A::narrow(a.widen().power(b))))
    }
    let (x, y) = (call.input(0)?, call.input(1)?);
    budget.spend(y.data.len().saturating_mul(size_of::<Number>() / size_of::<f32>()))?;
    let exponents: Vec<_> = y.data.numbers().collect();
    each!(&x.data, a => with(a, x, (&exponents, &y.dims), budget))
}

/// Equal, Greater, Less and their complements, into truth values.
pub(super) fn compare(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<T: Element>(
        a: &[T],
        x: &Known,
        y: &Known,
        budget: &mut Budget,
        holds: fn(Option<std::cmp::Ordering>) -> bool,
    ) -> Result<Known, Trouble> {
        let b = y.elements::<T>()?;
        pairs((a, &x.dims), (b, &y.dims), budget, |a, b| Some(holds(a.widen().partial_cmp(&b.widen()))))
    }
    let holds: fn(Option<std::cmp::Ordering>) -> bool = match call.node.op_type() {
        "Equal" => |order| order.is_some_and(|o| o.is_eq()),
        "Greater" => |order| order.is_some_and(|o| o.is_gt()),
        "GreaterOrEqual" => |order| order.is_some_and(|o| o.is_ge()),
        "Less" => |order| order.is_some_and(|o| o.is_lt()),
        "LessOrEqual" => |order| order.is_some_and(|o| o.is_le()),
        other => return Err(format!("no comparison is called {other}").into()),
    };
    let (x, y) = (call.input(0)?, call.input(1)?);
    each!(&x.data, a => with(a, x, y, budget, holds))
}

/// Where: the second input's element where the first's is true, the third's elsewhere.
pub(super) fn choose(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<T: Element>(
        condition: &Known,
        a: &[T],
        x: &Known,
        y: &Known,
        budget: &mut Budget,
    ) -> Result<Known, Trouble> {
        let (chosen, b) = (condition.elements::<bool>()?, y.elements::<T>()?);
        let dims = broadcast(&condition.dims, &broadcast(&x.dims, &y.dims)?)?;
        budget.tensor(&dims)?;
        let offsets = Walk::broadcast(&x.dims, &dims).zip(Walk::broadcast(&y.dims, &dims));
        let elements = Walk::broadcast(&condition.dims, &dims)
            .zip(offsets)
            .map(|(c, (i, j))| if chosen[c] { a[i] } else { b[j] })
            .collect();
        Ok(Known::made(dims, elements))
    }
    let (x, y) = (call.input(1)?, call.input(2)?);
    each!(&x.data, a => with(call.input(0)?, a, x, y, budget))
}

/// `f` of each float.
pub(super) fn map_floats(x: &Known, budget: &mut Budget, f: impl Fn(f64) -> f64) -> Result<Known, Trouble> {
    fn with<T: Element<Wide = f64>>(v: &[T], f: impl Fn(f64) -> f64) -> Vec<T> {
        v.iter().map(|x| T::narrow(f(x.widen()))).collect()
    }
    budget.tensor(&x.dims)?;
    each_float!(&x.data, v => Ok(Known::made(x.dims.clone(), with(v, f))))
}

/// Neg and Abs, of any numbers, and Relu.
pub(super) fn map_numbers(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    fn with<T: Element>(v: &[T], name: &str) -> Vec<T> {
        let zero = T::Wide::default();
        let f = |x: T::Wide| match name {
            "Neg" => x.negative(),
            "Abs" => x.absolute(),
            // Relu: a NaN stays.
            _ if x < zero => zero,
            _ => x,
        };
        v.iter().map(|x| T::narrow(f(x.widen()))).collect()
    }
    let x = call.input(0)?;
    if matches!(x.data, Data::Bool(_)) {
        return Err("it takes numbers, not truth values".into());
    }
    budget.tensor(&x.dims)?;
    Ok(each!(&x.data, v => Known::made(x.dims.clone(), with(v, call.node.op_type()))))
}
