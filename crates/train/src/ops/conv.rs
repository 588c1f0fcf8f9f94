//! Convolution and its gradients, directly on the planes: no matrix of patches is built.
//!
//! The three products are weighted sums of rows ([`super::tile`]) of a buffer with the picture laid out for them
//! ([`super::layout`]): the outputs are rows of the input weighted, the input's gradient is rows of the output's
//! gradient weighted, one plane of the stride after the other, and a weight's gradient is the product of two rows. Sums
//! are formed in an order that does not depend on the number of threads.

use rayon::prelude::*;

use super::layout::{Axis, Layout};
use super::tile::{Machine, Rows, SLACK};

/// Parts that the pictures of a batch are divided into for the gradient of the weights, at most; their sums are added up
/// in order.
const PARTS: usize = 8;

/// Floats that all those parts may take together, unless two take more.
const PART_FLOATS: usize = 1 << 23;

/// Floats of pictures that are laid out at once for the gradient of the weights: half of a usual level-two cache.
const CACHED: usize = 1 << 17;

/// The shape of a convolution: `[batch, inputs, height, width]` to `[batch, outputs, ...]`, weights
/// `[outputs, inputs / groups, kernel...]`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub groups: usize,
    pub size: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
}

impl Shape {
    /// Height and width of the output.
    pub fn out(&self) -> [usize; 2] {
        [0, 1].map(|i| (self.size[i] + 2 * self.padding[i] - self.kernel[i]) / self.stride[i] + 1)
    }

    fn taps(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let [height, width] = self.kernel;
        (0..height).flat_map(move |ky| (0..width).map(move |kx| (ky, kx)))
    }

    /// Inputs and outputs of a group.
    fn group(&self) -> [usize; 2] {
        [self.inputs / self.groups, self.outputs / self.groups]
    }

    /// The input, laid out for outputs in rows.
    fn layout(&self) -> Layout {
        let [rows, cols] = [0, 1].map(|i| {
            let (stride, kernel) = (self.stride[i], self.kernel[i]);
            let length = self.out()[i] + (kernel - 1) / stride;
            Axis { input: self.size[i], stride, pad: self.padding[i], phases: stride.min(kernel), length }
        });
        Layout::new(rows, cols)
    }

    /// The output's gradient, laid out for gradients of the input in rows.
    fn transposed(&self) -> Layout {
        let [rows, cols] = [0, 1].map(|i| {
            let phases = (0..self.stride[i]).map(|a| Phase::new(self, i, a)).filter(|phase| phase.taps > 0);
            let pad =
                phases.clone().map(|phase| (phase.taps - 1).saturating_sub(phase.first)).max().unwrap_or(0);
            let length = phases.map(|phase| phase.last).max().unwrap_or(0) + pad;
            Axis { input: self.out()[i], stride: 1, pad, phases: 1, length }
        });
        Layout::new(rows, cols)
    }
}

/// The padded positions `stride·i + a` of one axis, i from `first` to `last`, that are inside of the input; `taps` of the
/// kernel's read them.
#[derive(Clone, Copy)]
struct Phase {
    a: usize,
    taps: usize,
    first: usize,
    last: usize,
    /// The first position, in the input.
    start: usize,
    stride: usize,
}

impl Phase {
    fn new(shape: &Shape, axis: usize, a: usize) -> Self {
        let (stride, pad) = (shape.stride[axis], shape.padding[axis]);
        let first = pad.saturating_sub(a).div_ceil(stride);
        let last = (shape.size[axis] + pad).saturating_sub(a).div_ceil(stride).max(first);
        let taps = shape.kernel[axis].saturating_sub(a).div_ceil(stride);
        Self { a, taps, first, last, start: (stride * first + a).saturating_sub(pad), stride }
    }

    fn len(&self) -> usize {
        self.last - self.first
    }
}

/// Planes of outputs that are rows of a buffer weighted.
struct Weighting {
    machine: Machine,
    groups: usize,
    /// Planes of the buffer, and of the outputs, for one group.
    planes: [usize; 2],
    layout: Layout,
    /// One for each row that an output is a sum of, from the start of a group.
    offsets: Vec<usize>,
    /// By group, block of outputs, row, output in the block.
    weights: Vec<f32>,
    /// What the sums begin at, by output; or zeros.
    start: Vec<f32>,
    /// Outputs that are kept: rows, columns.
    kept: [usize; 2],
    target: Target,
}

/// Where outputs are put in a plane of `height` by `width`: the first, and the steps to the next.
struct Target {
    size: [usize; 2],
    first: [usize; 2],
    step: [usize; 2],
}

impl Weighting {
    /// With `weight(output, row)` the weights of group `g`.
    fn weights(&mut self, weight: impl Fn(usize, usize, usize) -> f32) {
        for g in 0..self.groups {
            for (m, count) in self.machine.blocks(self.planes[1]) {
                for row in 0..self.offsets.len() {
                    self.weights.extend((m..m + count).map(|m| weight(g, m, row)));
                }
            }
        }
    }

    /// Sums of one output: whole vectors of them.
    fn sums(&self) -> usize {
        self.layout.span(self.kept).next_multiple_of(self.machine.lanes)
    }

    /// The planes of one picture. `sums` is room for eight rows of [`sums`](Self::sums).
    fn picture(&self, source: &[f32], out: &mut [f32], sums: &mut [f32]) {
        let (rows, length) = (self.offsets.len(), self.sums());
        let area = self.target.size[0] * self.target.size[1];
        let mut weights = self.weights.as_slice();
        for g in 0..self.groups {
            let source = &source[g * self.planes[0] * self.layout.channel()..];
            for (m, count) in self.machine.blocks(self.planes[1]) {
                let (own, rest) = weights.split_at(rows * count);
                weights = rest;
                let output = g * self.planes[1] + m;
                let sums = &mut sums[..count * length];
                self.machine.weighted_rows(&self.start[output..][..count], own, &self.offsets, source, sums);
                let planes = out[output * area..].chunks_exact_mut(area);
                for (sums, plane) in sums.chunks_exact(length).zip(planes) {
                    self.keep(sums, plane);
                }
            }
        }
    }

    /// Puts the sums of one output into its plane.
    fn keep(&self, sums: &[f32], plane: &mut [f32]) {
        let Target { size: [_, width], first, step } = self.target;
        let [rows, cols] = self.kept;
        if step == [1, 1] && cols == width && cols == self.layout.cols.length {
            return plane[first[0] * width..][..rows * cols].copy_from_slice(&sums[..rows * cols]);
        }
        for (i, sums) in sums.chunks(self.layout.cols.length).enumerate().take(rows) {
            let row = &mut plane[(first[0] + step[0] * i) * width + first[1]..];
            match step[1] {
                1 => row[..cols].copy_from_slice(&sums[..cols]),
                step => row.iter_mut().step_by(step).zip(&sums[..cols]).for_each(|(y, sum)| *y = *sum),
            }
        }
    }
}

/// Pictures, laid out, one after the other.
struct Laid {
    layout: Layout,
    channels: usize,
    buffer: Vec<f32>,
    /// Whether pictures can be used as they are.
    borrowed: bool,
}

impl Laid {
    fn new(layout: Layout, channels: usize, pictures: usize, borrowed: bool) -> Self {
        let buffer =
            if borrowed { Vec::new() } else { vec![0.0; pictures * channels * layout.channel() + SLACK] };
        Self { layout, channels, buffer, borrowed }
    }

    /// Floats of a picture.
    fn step(&self) -> usize {
        self.channels * self.layout.channel()
    }

    fn fill<'a>(&'a mut self, pictures: &'a [f32]) -> &'a [f32] {
        if self.borrowed {
            return pictures;
        }
        let area = self.channels * self.layout.rows.input * self.layout.cols.input;
        let step = self.step();
        for (picture, buffer) in pictures.chunks_exact(area).zip(self.buffer.chunks_exact_mut(step)) {
            self.layout.fill(picture, buffer);
        }
        &self.buffer
    }
}

/// The output, from input, weights and bias.
pub fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let layout = shape.layout();
    let [inputs, outputs] = shape.group();
    let taps = shape.kernel[0] * shape.kernel[1];
    let mut weighting = Weighting {
        machine: Machine::new(),
        groups: shape.groups,
        planes: [inputs, outputs],
        layout,
        offsets: (0..inputs)
            .flat_map(|c| shape.taps().map(move |(ky, kx)| c * layout.channel() + layout.tap(ky, kx)))
            .collect(),
        weights: Vec::new(),
        start: bias.map_or_else(|| vec![0.0; shape.outputs], <[f32]>::to_vec),
        kept: shape.out(),
        target: Target { size: shape.out(), first: [0, 0], step: [1, 1] },
    };
    weighting.weights(|g, m, row| weight[(g * outputs + m) * inputs * taps + row]);
    let [height, width] = shape.out();
    let mut y = vec![0.0; shape.batch * shape.outputs * height * width];
    apply(&[weighting], layout, shape.inputs, x, shape.batch, &mut y);
    y
}

/// The gradient of the input, from that of the output.
pub fn input_gradient(shape: &Shape, weight: &[f32], dy: &[f32]) -> Vec<f32> {
    let layout = shape.transposed();
    let [inputs, outputs] = shape.group();
    let [height, width] = shape.kernel;
    let phases = |axis: usize| (0..shape.stride[axis]).map(move |a| Phase::new(shape, axis, a));
    let mut weightings = Vec::new();
    for (rows, cols) in phases(0).flat_map(|rows| phases(1).map(move |cols| (rows, cols))) {
        // Position i of the input's gradient is a sum over taps q of the output's at i − q.
        let taps: Vec<_> = (0..rows.taps).flat_map(|qy| (0..cols.taps).map(move |qx| (qy, qx))).collect();
        if taps.is_empty() || rows.len() == 0 || cols.len() == 0 {
            continue;
        }
        let offset = |c: usize, (qy, qx): (usize, usize)| {
            let y = rows.first + layout.rows.pad - qy;
            c * layout.channel() + y * layout.cols.length + cols.first + layout.cols.pad - qx
        };
        let mut weighting = Weighting {
            machine: Machine::new(),
            groups: shape.groups,
            planes: [outputs, inputs],
            layout,
            offsets: (0..outputs).flat_map(|c| taps.iter().map(move |&tap| offset(c, tap))).collect(),
            weights: Vec::new(),
            start: vec![0.0; shape.inputs],
            kept: [rows.len(), cols.len()],
            target: Target {
                size: shape.size,
                first: [rows.start, cols.start],
                step: [rows.stride, cols.stride],
            },
        };
        weighting.weights(|g, m, row| {
            let (output, (qy, qx)) = (g * outputs + row / taps.len(), taps[row % taps.len()]);
            let (ky, kx) = (rows.stride * qy + rows.a, cols.stride * qx + cols.a);
            weight[((output * inputs + m) * height + ky) * width + kx]
        });
        weightings.push(weighting);
    }
    let mut dx = vec![0.0; shape.batch * shape.inputs * shape.size[0] * shape.size[1]];
    apply(&weightings, layout, shape.outputs, dy, shape.batch, &mut dx);
    dx
}

/// Runs weightings that all read one layout over a batch.
fn apply(weightings: &[Weighting], layout: Layout, channels: usize, x: &[f32], batch: usize, y: &mut [f32]) {
    let Some(first) = weightings.first() else { return };
    if x.is_empty() || y.is_empty() {
        return;
    }
    // Nothing is read past the end of a plane where one row is a whole plane.
    let whole = |weighting: &Weighting| weighting.layout.span(weighting.kept) == layout.plane;
    let borrowed =
        layout.is_plain() && layout.plane.is_multiple_of(first.machine.lanes) && weightings.iter().all(whole);
    let room = 8 * weightings.iter().map(Weighting::sums).max().unwrap_or(0);
    let (x_step, y_step) = (x.len() / batch, y.len() / batch);
    x.par_chunks_exact(x_step).zip(y.par_chunks_exact_mut(y_step)).for_each_init(
        || (Laid::new(layout, channels, 1, borrowed), vec![0.0; room]),
        |(laid, sums), (x, y)| {
            let source = laid.fill(x);
            weightings.iter().for_each(|weighting| weighting.picture(source, y, sums));
        },
    );
}

/// The gradient of the weights, from the input and the gradient of the output.
pub fn weight_gradient(shape: &Shape, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let machine = Machine::new();
    let layout = shape.layout();
    // Rows of the output's gradient are as far apart as those of the input, with zeros between.
    let [rows, cols] = [0, 1].map(|i| shape.out()[i]);
    let spread = Layout::new(Axis::plain(rows, rows), Axis::plain(cols, layout.cols.length));
    let spread = spread.rounded(machine.lanes);
    let [inputs, outputs] = shape.group();
    let taps = shape.kernel[0] * shape.kernel[1];
    let n = spread.span([rows, cols]).next_multiple_of(machine.lanes);
    let size = outputs * inputs * taps;
    let offsets: Vec<_> = (0..inputs)
        .flat_map(|c| shape.taps().map(move |(ky, kx)| c * layout.channel() + layout.tap(ky, kx)))
        .collect();
    let lefts: Vec<_> = (0..outputs).map(|m| m * spread.channel()).collect();

    let mut total = vec![0.0; shape.groups * size];
    if x.is_empty() || dy.is_empty() {
        return total;
    }
    let parts = PARTS.min(PART_FLOATS / total.len().max(1)).max(2).min(shape.batch);
    let part = shape.batch.div_ceil(parts);
    let (x_step, dy_step) = (x.len() / shape.batch, dy.len() / shape.batch);
    let laid_floats = shape.inputs * layout.channel() + shape.outputs * spread.channel();
    let at_once = (CACHED / laid_floats.max(1)).clamp(1, part);
    let sums: Vec<Vec<f32>> = x
        .par_chunks(part * x_step)
        .zip(dy.par_chunks(part * dy_step))
        .map(|(x, dy)| {
            let plain = layout.is_plain() && spread.is_plain() && n == layout.plane;
            let mut x_laid = Laid::new(layout, shape.inputs, at_once, plain);
            let mut dy_laid = Laid::new(spread, shape.outputs, at_once, plain);
            let mut sums = vec![0.0; shape.groups * size];
            for (x, dy) in x.chunks(at_once * x_step).zip(dy.chunks(at_once * dy_step)) {
                let images = dy.len() / dy_step;
                let (x_step, dy_step) = (x_laid.step(), dy_laid.step());
                let (x, dy) = (x_laid.fill(x), dy_laid.fill(dy));
                for (g, sums) in sums.chunks_exact_mut(size).enumerate() {
                    let left = &dy[g * outputs * spread.channel()..];
                    let right = &x[g * inputs * layout.channel()..];
                    machine.products(
                        n,
                        Rows { data: left, offsets: &lefts, step: dy_step },
                        Rows { data: right, offsets: &offsets, step: x_step },
                        images,
                        sums,
                    );
                }
            }
            sums
        })
        .collect();
    for sums in sums {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
    total
}
