//! Transposed convolutions.

use copriv_ir::limits::{MAX_ELEMENTS, MAX_SIDE};
use copriv_ir::{Op, Shape, Window};

use super::super::attributes::{Windows, same, sizes, windows};
use super::super::proto::NodeProto;
use super::linear::groups;
use super::{Importer, Tensor, Trouble, Value, natural};

impl Importer {
    /// As a convolution without strides for each place of an output between those of the input: their results, interleaved.
    pub(super) fn conv_transpose(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let (x, shape, axes) = self.map(node)?;
        let kernels = self.kernels(node, axes)?;
        let groups = groups(node)?;
        let [in_channels, per_group, ..] = kernels.dims;
        let out_channels = per_group.checked_mul(groups).ok_or("it has too many channels")?;
        if in_channels != shape.channels || groups == 0 || in_channels % groups != 0 {
            return Err(format!(
                "{} with dimensions {:?} and {groups} groups does not fit {} input channels",
                kernels.label, kernels.dims, shape.channels
            )
            .into());
        }
        let place = Transposed::new(node, kernels.size(), shape, axes)?;
        let Transposed { stride: [sy, sx], taps: [ty, tx], dilation, .. } = place;
        let bias = match self.value(node, 2)? {
            Some(_) => self.list(node, 2, out_channels)?,
            None => self.zeros(out_channels)?,
        };
        let phases = sy * sx;
        let channels = out_channels.checked_mul(phases).ok_or("its strides are too large")?;
        let per_in = in_channels / groups;
        let product = |factors: [usize; 3]| factors.iter().try_fold(channels, |n, &f| n.checked_mul(f));
        let [rows, columns] = place.rows(shape);
        if product([rows, columns, 1]).is_none_or(|elements| elements > MAX_ELEMENTS) {
            return Err("its result is too large".into());
        }
        let mut weight = self.room(product([per_in, ty, tx]).ok_or("its kernel is too large")?)?;
        let [kh, kw] = kernels.size();
        // Of the kernel with zeros between: the tap at row y and column x, where there is one.
        let tap = |c: usize, k: usize, y: usize, x: usize| {
            let [dy, dx] = dilation;
            let (row, column) = (y / dy, x / dx);
            let there = y.is_multiple_of(dy) && x.is_multiple_of(dx) && row < kh && column < kw;
            if there { kernels.weight[((c * per_group + k) * kh + row) * kw + column] } else { 0.0 }
        };
        for out in 0..out_channels {
            let (group, k) = (out / per_group, out % per_group);
            for phase in 0..phases {
                let (py, px) = (phase / sx, phase % sx);
                for c in 0..per_in {
                    for y in 0..ty {
                        let row = py + sy * (ty - 1 - y);
                        weight
                            .extend((0..tx).map(|x| tap(group * per_in + c, k, row, px + sx * (tx - 1 - x))));
                    }
                }
            }
        }
        let bias = bias.iter().flat_map(|&b| std::iter::repeat_n(b, phases)).collect();
        let window = place.window();
        let op = Op::Conv { window, groups, out_channels: channels, weight, bias };
        let y = self.add(node, "", op, vec![x])?;
        let Shape { height, width, .. } = self.builder.shape(y);
        // Channel, phase of the row and of the column, row, column: to rows and columns, of which some are cut off.
        let [oh, ow] = place.output;
        let [top, left] = place.first;
        let dims = vec![1, out_channels, oh, ow];
        let at = |c: usize, y: usize, x: usize| {
            let channel = (c * sy + y % sy) * sx + x % sx;
            let (row, column) = (y / sy, x / sx);
            let inside = row < height && column < width;
            if inside { (channel * height + row) * width + column } else { usize::MAX }
        };
        let places = (0..out_channels)
            .flat_map(|c| (0..oh).flat_map(move |y| (0..ow).map(move |x| at(c, y + top, x + left))));
        let places = self.pay(dims.iter().product()).map(|()| places.collect::<Vec<_>>())?;
        let from = Tensor { id: y, dims: vec![1, channels, height, width] };
        let id = match self.view_of(node, "interleave", &from, &places, natural(&dims))? {
            Some(id) => id,
            None => {
                // Interleaved whole, and then cut.
                let whole = vec![1, out_channels, height * sy, width * sx];
                let all = (0..out_channels).flat_map(|c| {
                    (0..height * sy).flat_map(move |y| (0..width * sx).map(move |x| at(c, y, x)))
                });
                let all = self.pay(whole.iter().product()).map(|()| all.collect::<Vec<_>>())?;
                let all = self.view(node, "interleave", &from, &all, whole)?;
                let cut = |c: usize, y: usize, x: usize| {
                    let (row, column) = (y + top, x + left);
                    let inside = row < height * sy && column < width * sx;
                    if inside { (c * height * sy + row) * width * sx + column } else { usize::MAX }
                };
                let cut = (0..out_channels)
                    .flat_map(|c| (0..oh).flat_map(move |y| (0..ow).map(move |x| cut(c, y, x))));
                let cut = self.pay(dims.iter().product()).map(|()| cut.collect::<Vec<_>>())?;
                self.view(node, "crop", &all, &cut, dims)?.id
            }
        };
        Ok(self.of_map(id, axes))
    }
}

/// What a transposed convolution does with rows and columns.
struct Transposed {
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Taps of the convolution that stands for it.
    taps: [usize; 2],
    /// Padding after the input.
    after: [usize; 2],
    /// Rows and columns of its result that are cut off before the output.
    first: [usize; 2],
    output: [usize; 2],
}

impl Transposed {
    fn new(node: &NodeProto, kernel: [usize; 2], x: Shape, axes: usize) -> Result<Self, Trouble> {
        let Windows { window, dilation } = windows(node, Some(kernel), x, axes)?;
        let stride = window.stride;
        let more = sizes(node, "output_padding", axes, 0)?.unwrap_or([0; 2]);
        let input = [x.height, x.width];
        let reach = [0, 1].map(|d| (kernel[d] - 1) * dilation[d] + 1);
        // All terms are at most MAX_SIDE^2: no sum overflows.
        let full = [0, 1].map(|d| (input[d] - 1) * stride[d] + reach[d] + more[d]);
        let stated = sizes(node, "output_shape", axes, 1)?;
        let same = same(node)?;
        let (mut first, mut output) = ([0; 2], [0; 2]);
        for d in 0..2 {
            let wanted = stated.map(|s| s[d]).or(same.map(|_| input[d] * stride[d]));
            (first[d], output[d]) = match wanted {
                Some(wanted) => {
                    let total = full[d].saturating_sub(wanted);
                    // More of it before the map, unless told otherwise.
                    let less = total / 2;
                    (if same == Some(true) { less } else { total - less }, wanted)
                }
                None => {
                    let padding = window.padding[d] + window.padding[d + 2];
                    let size = full[d].checked_sub(padding).filter(|&size| size > 0);
                    (window.padding[d], size.ok_or("its padding leaves nothing of the output")?)
                }
            };
        }
        if output.iter().chain(&first).any(|&side| side > MAX_SIDE) {
            return Err(format!("its output of {output:?} rows and columns is too large").into());
        }
        let taps = [0, 1].map(|d| reach[d].div_ceil(stride[d]));
        let after = [0, 1].map(|d| (first[d] + output[d]).div_ceil(stride[d]).saturating_sub(input[d]));
        Ok(Self { stride, dilation, taps, after, first, output })
    }

    /// Rows and columns of the result of the convolution of `x` that stands for it.
    fn rows(&self, x: Shape) -> [usize; 2] {
        [x.height + self.after[0], x.width + self.after[1]]
    }

    fn window(&self) -> Window {
        let Self { taps: [ty, tx], after: [bottom, right], .. } = *self;
        Window { kernel: [ty, tx], stride: [1; 2], padding: [ty - 1, tx - 1, bottom, right] }
    }
}
