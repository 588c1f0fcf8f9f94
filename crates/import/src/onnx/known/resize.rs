//! Resize and Upsample.

use super::super::import::Trouble;
use super::call::Call;
use super::movement::sizes;
use super::walk::{Table, picked};
use super::{Budget, Element, Known};

/// How one axis is resized.
#[derive(Clone, Copy)]
struct Axis {
    from: usize,
    to: usize,
    scale: f64,
    /// The part of the axis that `tf_crop_and_resize` takes.
    part: (f64, f64),
}

/// Where an output lies among the inputs.
type Place = fn(Axis, f64) -> f64;

fn place(mode: &str) -> Result<Place, Trouble> {
    Ok(match mode {
        "half_pixel" => |a, i| (i + 0.5) / a.scale - 0.5,
        "half_pixel_symmetric" => |a, i| {
            // The output's size was rounded: its middle stays that of the input.
            let kept = a.to as f64 / (a.scale * a.from as f64);
            a.from as f64 / 2.0 * (1.0 - kept) + (i + 0.5) / a.scale - 0.5
        },
        "pytorch_half_pixel" => |a, i| if a.to > 1 { (i + 0.5) / a.scale - 0.5 } else { 0.0 },
        "align_corners" => {
            |a, i| if a.to > 1 { i * (a.from as f64 - 1.0) / (a.to as f64 - 1.0) } else { 0.0 }
        }
        "asymmetric" => |a, i| i / a.scale,
        "tf_half_pixel_for_nn" => |a, i| (i + 0.5) / a.scale,
        "tf_crop_and_resize" => |a, i| {
            let ((start, end), last) = (a.part, a.from as f64 - 1.0);
            let along = if a.to > 1 { i / (a.to as f64 - 1.0) } else { 0.5 };
            last * (start + along * (end - start))
        },
        _ => return Err("its coordinate_transformation_mode is not supported".into()),
    })
}

pub(super) fn resize(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let x = call.input(0)?;
    let upsample = call.node.op_type() == "Upsample";
    let old = upsample || call.opset < 11;
    let axes = axes(call, old, budget)?;
    let to: Vec<usize> = axes.iter().map(|axis| axis.to).collect();
    let mode = if old { "asymmetric" } else { call.text("coordinate_transformation_mode", "half_pixel")? };
    let crops = mode == "tf_crop_and_resize";
    let place = place(mode)?;
    let outside = call.float("extrapolation_value", 0.0)?;
    let antialias = call.flag("antialias")?;
    let nearest: fn(f64) -> f64 =
        match call.text("nearest_mode", if old { "floor" } else { "round_prefer_floor" })? {
            "floor" => f64::floor,
            "ceil" => f64::ceil,
            "round_prefer_floor" => |x| (x - 0.5).ceil(),
            "round_prefer_ceil" => |x| (x + 0.5).floor(),
            _ => return Err("its nearest_mode is not supported".into()),
        };
    match call.text("mode", "nearest")? {
        "nearest" if crops && outside != 0.0 => {
            Err("an extrapolation_value of nearest elements is not supported".into())
        }
        "nearest" => {
            let table = |axis: &Axis| -> Table {
                // The first Resize took the next element where it made an axis smaller.
                let nearest = if old && axis.scale < 1.0 { f64::ceil } else { nearest };
                let at = |i: usize| {
                    let at = place(*axis, i as f64);
                    let outside = crops && !(0.0..=axis.from as f64 - 1.0).contains(&at);
                    (!outside).then(|| (nearest(at).max(0.0) as usize).min(axis.from - 1))
                };
                (0..axis.to).map(at).collect()
            };
            let tables = || axes.iter().map(table).collect();
            picked(x, to, tables, budget)
        }
        "linear" => {
            filtered(x, &axes, place, antialias, (linear, 1.0), call, crops.then_some(outside), budget)
        }
        "cubic" => {
            let a = call.float("cubic_coeff_a", -0.75)?;
            let cubic = move |d: f64| cubic(a, d);
            filtered(x, &axes, place, antialias, (cubic, 2.0), call, crops.then_some(outside), budget)
        }
        _ => Err("its mode is none of nearest, linear and cubic".into()),
    }
}

/// The new sizes: scales or sizes, of all axes or those listed.
fn axes(call: &Call, old: bool, budget: &mut Budget) -> Result<Vec<Axis>, Trouble> {
    let x = call.input(0)?;
    let given = |index| call.optional(index).filter(|known| !known.data.is_empty());
    let chosen = match call.ints("axes")? {
        Some(list) => super::call::axes(list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    let mut axes: Vec<Axis> =
        x.dims.iter().map(|&d| Axis { from: d, to: d, scale: 1.0, part: (0.0, 1.0) }).collect();
    let scales = match given(if old { 1 } else { 2 }) {
        Some(known) => Some(known.floats(budget)?),
        None => call.floats_attribute("scales").map(|list| list.iter().map(|&s| s.into()).collect()),
    };
    if let Some(scales) = scales {
        if scales.len() != chosen.len() || scales.iter().any(|s| s.is_nan() || *s <= 0.0) {
            return Err(
                format!("{} scales of {} axes, or one that is no scale", scales.len(), chosen.len()).into()
            );
        }
        for (&axis, scale) in chosen.iter().zip(scales) {
            let to = (axes[axis].from as f32 * scale as f32).floor() as usize;
            axes[axis] = Axis { to, scale, ..axes[axis] };
        }
    } else {
        let stated = given(3).ok_or("it has neither scales nor sizes")?.integers(x.rank())?;
        let mut stated = sizes(&stated)?;
        if stated.len() != chosen.len() || chosen.iter().any(|&axis| axes[axis].from == 0) {
            return Err(
                format!("{} sizes of {} axes, or an axis is empty", stated.len(), chosen.len()).into()
            );
        }
        let ratios = || chosen.iter().zip(&stated).map(|(&axis, &to)| to as f64 / axes[axis].from as f64);
        let shared = match call.text("keep_aspect_ratio_policy", "stretch")? {
            "stretch" => None,
            "not_larger" => Some(ratios().fold(f64::INFINITY, f64::min)),
            "not_smaller" => Some(ratios().fold(0.0, f64::max)),
            _ => return Err("its keep_aspect_ratio_policy is not supported".into()),
        };
        for (&axis, to) in chosen.iter().zip(&mut stated) {
            if let Some(scale) = shared {
                *to = (scale * axes[axis].from as f64 + 0.5).floor() as usize;
            }
            let scale = shared.unwrap_or(*to as f64 / axes[axis].from as f64);
            axes[axis] = Axis { to: *to, scale, ..axes[axis] };
        }
    }
    if call.text("coordinate_transformation_mode", "")? == "tf_crop_and_resize" {
        let parts = call.floats(1, 2 * chosen.len(), budget)?;
        for (i, &axis) in chosen.iter().enumerate() {
            axes[axis].part = (parts[i], parts[chosen.len() + i]);
        }
    }
    Ok(axes)
}

fn linear(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}

/// Keys' cubic convolution.
fn cubic(a: f64, distance: f64) -> f64 {
    let d = distance.abs();
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}

/// The result where every output is a weighted sum of the inputs around it, axis by axis; `outside` is the value
/// beyond the ends.
#[expect(clippy::too_many_arguments, reason = "the attributes of one operator")]
fn filtered(
    x: &Known,
    axes: &[Axis],
    place: Place,
    antialias: bool,
    (filter, radius): (impl Fn(f64) -> f64, f64),
    call: &Call,
    outside: Option<f64>,
    budget: &mut Budget,
) -> Result<Known, Trouble> {
    let excludes = call.flag("exclude_outside")?;
    let mut values = x.floats(budget)?;
    let mut dims = x.dims.clone();
    for (number, &axis) in axes.iter().enumerate() {
        if axis.from == axis.to && outside.is_none() && axis.scale == 1.0 {
            continue;
        }
        dims[number] = axis.to;
        // In 64 bits.
        let total = budget.tensor(&dims)?;
        budget.spend(total)?;
        if total == 0 || axis.from == 0 {
            values = vec![0.0; total];
            continue;
        }
        // How far the filter is stretched, so that it sees all inputs of a smaller output.
        let stretch = if antialias { axis.scale.min(1.0) } else { 1.0 };
        let reach = (radius / stretch).ceil();
        if reach > 4.0 * (axis.from as f64 + 1.0) {
            return Err(format!("a scale of {} is too small", axis.scale).into());
        }
        budget.steps(&[total, 2 * reach as usize])?;
        let weights = |i: usize| -> Option<Vec<(usize, f64)>> {
            let (at, last) = (place(axis, i as f64), axis.from as f64 - 1.0);
            if outside.is_some() && !(0.0..=last).contains(&at) {
                return None;
            }
            let near = |j: i64| {
                let index = at.floor() + j as f64;
                let weight = if excludes && !(0.0..=last).contains(&index) {
                    0.0
                } else {
                    filter((index - at) * stretch)
                };
                (index.clamp(0.0, last) as usize, weight)
            };
            let reach = reach as i64;
            let mut weights: Vec<(usize, f64)> = (1 - reach..=reach).map(near).collect();
            let sum: f64 = weights.iter().map(|w| w.1).sum();
            weights.iter_mut().for_each(|w| w.1 /= sum);
            Some(weights)
        };
        let inner: usize = dims[number + 1..].iter().product();
        let outer = total / axis.to / inner;
        let mut resized = vec![outside.unwrap_or(0.0); total];
        for i in 0..axis.to {
            let Some(weights) = weights(i) else { continue };
            for (o, j) in (0..outer).flat_map(|o| (0..inner).map(move |j| (o, j))) {
                let term =
                    |&(index, weight): &(usize, f64)| values[(o * axis.from + index) * inner + j] * weight;
                resized[(o * axis.to + i) * inner + j] = weights.iter().map(term).sum();
            }
        }
        values = resized;
    }
    fn narrow<T: Element<Wide = f64>>(_: &[T], values: Vec<f64>) -> Vec<T> {
        values.into_iter().map(T::narrow).collect()
    }
    budget.tensor(&dims)?;
    each_float!(&x.data, v => Ok(Known::made(dims, narrow(v, values))))
}
