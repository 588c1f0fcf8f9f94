//! Attributes of nodes, and the windows that they describe.

use copriv_ir::limits::MAX_SIDE;
use copriv_ir::{Shape, Window};

use super::import::{Trouble, shown};
use super::proto::{AttributeProto, NodeProto, TensorProto};

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name() == name)
}

pub(super) fn int(node: &NodeProto, name: &str, default: i64) -> Result<i64, Trouble> {
    match attribute(node, name) {
        None => Ok(default),
        Some(attribute) => attribute.i.ok_or_else(|| format!("attribute {name} is no integer").into()),
    }
}

pub(super) fn float(node: &NodeProto, name: &str, default: f32) -> Result<f32, Trouble> {
    match attribute(node, name).map(|attribute| attribute.f) {
        None => Ok(default),
        Some(Some(value)) if !value.is_nan() => Ok(value.clamp(f32::MIN, f32::MAX)),
        Some(_) => Err(format!("attribute {name} is no number").into()),
    }
}

pub(super) fn ints<'a>(node: &'a NodeProto, name: &str) -> Result<Option<&'a [i64]>, Trouble> {
    Ok(attribute(node, name).map(|attribute| &attribute.ints[..]))
}

pub(super) fn tensor<'a>(node: &'a NodeProto, name: &str) -> Option<&'a TensorProto> {
    attribute(node, name)?.t.as_deref()
}

pub(super) fn floats<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [f32]> {
    Some(&attribute(node, name)?.floats)
}

/// An attribute that is a text of a few letters.
pub(super) fn text<'a>(node: &'a NodeProto, name: &str, default: &'static str) -> Result<&'a str, Trouble> {
    let Some(attribute) = attribute(node, name) else { return Ok(default) };
    let text = attribute.s.as_deref().and_then(|bytes| str::from_utf8(bytes).ok());
    text.ok_or_else(|| format!("attribute {name} is no text").into())
}

/// A window, and how far apart its taps are.
pub(super) struct Windows {
    pub(super) window: Window,
    pub(super) dilation: [usize; 2],
}

/// Two sizes, none above [`MAX_SIDE`]; where windows have one axis, that for rows is `single`.
pub(super) fn sizes(
    node: &NodeProto,
    name: &str,
    axes: usize,
    single: usize,
) -> Result<Option<[usize; 2]>, Trouble> {
    Ok(list(node, name, axes)?.map(|list| match list[..] {
        [size] => [single, size],
        // As many as asked for.
        _ => [list[0], list[1]],
    }))
}

/// A list of so many sizes.
fn list(node: &NodeProto, name: &str, count: usize) -> Result<Option<Vec<usize>>, Trouble> {
    let Some(list) = ints(node, name)? else { return Ok(None) };
    let size = |&v: &i64| usize::try_from(v).ok().filter(|&v| v <= MAX_SIDE);
    let sizes: Option<Vec<usize>> = if list.len() == count { list.iter().map(size).collect() } else { None };
    if sizes.is_none() {
        let shown = &list[..list.len().min(8)];
        return Err(format!("{name} {shown:?} is not {count} sizes of at most {MAX_SIDE}").into());
    }
    Ok(sizes)
}

/// Where `auto_pad` makes sizes the same, whether an odd row of padding goes below.
pub(super) fn same(node: &NodeProto) -> Result<Option<bool>, Trouble> {
    Ok(match auto_pad(node)? {
        b"SAME_UPPER" => Some(true),
        b"SAME_LOWER" => Some(false),
        _ => None,
    })
}

fn auto_pad(node: &NodeProto) -> Result<&[u8], Trouble> {
    match attribute(node, "auto_pad") {
        None => Ok(b"NOTSET"),
        Some(attribute) => attribute.s.as_deref().ok_or("attribute auto_pad is no text".into()),
    }
}

/// The window of a convolution, whose weights give `kernel`, or of a pool on a map of shape `x`, of one axis or two.
pub(super) fn windows(
    node: &NodeProto,
    kernel: Option<[usize; 2]>,
    x: Shape,
    axes: usize,
) -> Result<Windows, Trouble> {
    let stated = sizes(node, "kernel_shape", axes, 1)?;
    let kernel = match (kernel, stated) {
        (Some(kernel), Some(stated)) if kernel != stated => {
            return Err(format!("kernel_shape {stated:?} is not that of its weights, {kernel:?}").into());
        }
        (Some(kernel), _) | (None, Some(kernel)) => kernel,
        (None, None) => return Err("it has no kernel_shape".into()),
    };
    if kernel.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
        return Err(format!("a kernel of {kernel:?} is not supported").into());
    }
    let stride = sizes(node, "strides", axes, 1)?.unwrap_or([1, 1]);
    if stride.contains(&0) {
        return Err(format!("strides {stride:?} stand still").into());
    }
    let dilation = sizes(node, "dilations", axes, 1)?.unwrap_or([1, 1]);
    let reach = [0, 1].map(|d| (kernel[d] - 1) * dilation[d] + 1);
    if dilation.contains(&0) || reach.iter().any(|&side| side > MAX_SIDE) {
        return Err(format!("a kernel of {kernel:?} with dilations {dilation:?} is not supported").into());
    }
    let padding = match auto_pad(node)? {
        b"NOTSET" | b"" => match list(node, "pads", 2 * axes)?.as_deref() {
            None => [0; 4],
            Some(&[left, right]) => [0, left, 0, right],
            Some(&[top, left, bottom, right]) => [top, left, bottom, right],
            Some(_) => return Err("its pads are not two or four".into()),
        },
        b"VALID" => [0; 4],
        b"SAME_UPPER" | b"SAME_LOWER" => {
            // As many outputs as strides begin in the map; an odd row of padding goes below, or above.
            let side = |d: usize, input: usize| {
                let outputs = input.div_ceil(stride[d]);
                let total = (outputs.saturating_sub(1) * stride[d] + reach[d]).saturating_sub(input);
                let (less, more) = (total / 2, total - total / 2);
                if same(node).is_ok_and(|same| same == Some(true)) { (less, more) } else { (more, less) }
            };
            let ((top, bottom), (left, right)) = (side(0, x.height), side(1, x.width));
            [top, left, bottom, right]
        }
        other => {
            let other = shown(&String::from_utf8_lossy(other));
            return Err(format!("auto_pad {other} is not supported; export with explicit pads").into());
        }
    };
    Ok(Windows { window: Window { kernel, stride, padding }, dilation })
}

/// The rows and columns to add below and on the right where `ceil_mode` rounds the output's size up.
pub(super) fn rounding_up(node: &NodeProto, window: &Window, x: Shape) -> Result<[usize; 2], Trouble> {
    if int(node, "ceil_mode", 0)? == 0 {
        return Ok([0, 0]);
    }
    let [top, left, bottom, right] = window.padding;
    // All terms are at most MAX_SIDE: no sum overflows.
    let side = |d: usize, input: usize, before: usize, after: usize| {
        let padded = input + before + after;
        let Some(room) = padded.checked_sub(window.kernel[d]) else { return 0 };
        let steps = room.div_ceil(window.stride[d]);
        let start = steps * window.stride[d];
        // A last window that would start in the padding is left out.
        if start >= input + before { 0 } else { start.saturating_sub(room) }
    };
    Ok([side(0, x.height, top, bottom), side(1, x.width, left, right)])
}
