//! The geometry of convolutions, and the convolution of one party's own operands.

use copriv_ring::Width;
use copriv_winograd::{Axis, Ring, direct};
use rayon::prelude::*;

/// Zeros around a map.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The same on all sides.
    pub const fn even(size: usize) -> Self {
        Self { top: size, left: size, bottom: size, right: size }
    }
}

/// The geometry of a convolution (an AGREEMENT parameter). Sizes are (vertical, horizontal); maps and kernels are
/// row-major with the channel first; output channels, then input channels of weights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Conv2d {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Divides both; `in_channels` of them make a depthwise convolution.
    pub groups: usize,
    /// Rows and columns of the input.
    pub input: (usize, usize),
    /// Rows and columns of a kernel.
    pub kernel: (usize, usize),
    /// Steps between outputs.
    pub stride: (usize, usize),
    /// Zeros around the input.
    pub padding: Padding,
}

impl Conv2d {
    /// The convolution that is a matrix of `outputs` x `inputs`: one kernel position, a map of one pixel.
    pub const fn fully_connected(inputs: usize, outputs: usize) -> Self {
        Self {
            in_channels: inputs,
            out_channels: outputs,
            groups: 1,
            input: (1, 1),
            kernel: (1, 1),
            stride: (1, 1),
            padding: Padding::even(0),
        }
    }

    /// Rows and columns of the output.
    ///
    /// # Panics
    /// When a size is zero, the kernel exceeds the padded input, or the groups do not divide the channels.
    pub fn output(&self) -> (usize, usize) {
        let Self { input, kernel, stride, padding, groups, .. } = *self;
        let sizes = [input.0, input.1, kernel.0, kernel.1, stride.0, stride.1, groups];
        assert!(sizes.iter().all(|&n| n > 0), "sizes are positive");
        assert!(
            self.in_channels.is_multiple_of(groups) && self.out_channels.is_multiple_of(groups),
            "the groups divide the channels"
        );
        let height = input.0 + padding.top + padding.bottom;
        let width = input.1 + padding.left + padding.right;
        assert!(kernel.0 <= height && kernel.1 <= width, "the kernel fits into the padded map");
        ((height - kernel.0) / stride.0 + 1, (width - kernel.1) / stride.1 + 1)
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.in_channels * self.input.0 * self.input.1
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        let (height, width) = self.output();
        self.out_channels * height * width
    }

    /// Elements of the weights.
    pub fn weights_len(&self) -> usize {
        self.out_channels * self.inner()
    }

    /// The two dimensions, for a tiling.
    pub fn axes(&self) -> [Axis; 2] {
        let Self { input, kernel, stride, padding, .. } = *self;
        let axis = |size, kernel, stride, before, after| Axis { size, kernel, stride, before, after };
        [
            axis(input.0, kernel.0, stride.0, padding.top, padding.bottom),
            axis(input.1, kernel.1, stride.1, padding.left, padding.right),
        ]
    }

    /// Inputs of one output.
    pub(crate) fn inner(&self) -> usize {
        self.in_channels / self.groups * self.kernel.0 * self.kernel.1
    }

    /// Column c of group g's weight matrix, `pair` = g · inner + c.
    pub(crate) fn weight_column(&self, weights: &[u64], pair: usize, column: &mut [u64]) {
        let (inner, rows) = (self.inner(), self.out_channels / self.groups);
        let group = &weights[pair / inner * rows * inner..];
        column.iter_mut().enumerate().for_each(|(r, w)| *w = group[r * inner + pair % inner]);
    }

    /// Row c of group g's matrix of windows, `pair` = g · inner + c: what one kernel position sees at each output.
    pub(crate) fn window_row(&self, x: &[u64], pair: usize, row: &mut [u64]) {
        let Self { input: (height, width), kernel, stride, padding, .. } = *self;
        let area = kernel.0 * kernel.1;
        let (channel, (ky, kx)) = (pair / area, (pair % area / kernel.1, pair % kernel.1));
        let map = &x[channel * height * width..][..height * width];
        let (_, columns) = self.output();
        for (oy, out) in row.chunks_exact_mut(columns).enumerate() {
            out.fill(0);
            let Some(line) = (oy * stride.0 + ky).checked_sub(padding.top).filter(|&y| y < height) else {
                continue;
            };
            let line = &map[line * width..][..width];
            // The outputs whose column ox · stride + kx − left lies on the map.
            let start = padding.left.saturating_sub(kx).div_ceil(stride.1);
            let end = (width + padding.left).saturating_sub(kx).div_ceil(stride.1).min(columns);
            for (ox, out) in out.iter_mut().enumerate().take(end).skip(start) {
                *out = line[ox * stride.1 + kx - padding.left];
            }
        }
    }

    /// W·X(x) on one party's own canonical words.
    pub(crate) fn local(&self, width: Width, weights: &[u64], x: &[u64]) -> Vec<u64> {
        let [rows, cols] = self.axes();
        let (filters, channels) = (self.out_channels / self.groups, self.in_channels / self.groups);
        let (kernels, map) = (filters * self.inner(), channels * self.input.0 * self.input.1);
        let groups = weights.chunks_exact(kernels).zip(x.chunks_exact(map));
        let group =
            |(weights, x)| direct::convolution(&Ring(width), (rows, cols), (filters, channels), weights, x);
        match self.groups {
            1 => groups.flat_map(group).collect(),
            // Small ones, side by side.
            _ => groups.collect::<Vec<_>>().into_par_iter().flat_map_iter(group).collect(),
        }
    }
}
