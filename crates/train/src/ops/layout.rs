//! How pictures are laid out so that what each tap of a convolution reads is one row of a buffer.
//!
//! Along one axis of stride s, output i of a convolution reads padded position `s·i + k` at tap k. A channel is therefore
//! kept as s planes a side, plane a holding the positions `s·i + a`: tap k reads plane `k mod s` from `⌊k/s⌋` on. With
//! planes of one width for all, a tap is an offset, and the outputs of all rows come in one go, with some that fall
//! between the rows and are not kept.

/// One axis of a buffer: `phases` planes of `length` positions, position i of plane a standing for `stride·i + a − pad`
/// of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    pub input: usize,
    pub stride: usize,
    pub pad: usize,
    pub phases: usize,
    pub length: usize,
}

impl Axis {
    /// The input as it is, with zeros behind up to `length`.
    pub fn plain(input: usize, length: usize) -> Self {
        Self { input, stride: 1, pad: 0, phases: 1, length }
    }

    /// Positions of plane `a` that are inside of the input.
    fn inside(&self, a: usize) -> std::ops::Range<usize> {
        let first = self.pad.saturating_sub(a).div_ceil(self.stride);
        let last = (self.input + self.pad).saturating_sub(a).div_ceil(self.stride).min(self.length);
        first.min(last)..last
    }
}

/// The layout of one picture: rows, columns, and floats from one plane to the next.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub rows: Axis,
    pub cols: Axis,
    pub plane: usize,
}

impl Layout {
    pub fn new(rows: Axis, cols: Axis) -> Self {
        Self { rows, cols, plane: rows.length * cols.length }
    }

    /// The same, with zeros behind each plane up to a multiple of `lanes`.
    pub fn rounded(mut self, lanes: usize) -> Self {
        self.plane = self.plane.next_multiple_of(lanes);
        self
    }

    /// Floats of one channel.
    pub fn channel(&self) -> usize {
        self.rows.phases * self.cols.phases * self.plane
    }

    /// Whether a picture is laid out as it came.
    pub fn is_plain(&self) -> bool {
        let plain = |axis: Axis| axis == Axis::plain(axis.input, axis.input);
        plain(self.rows) && plain(self.cols) && self.plane == self.rows.input * self.cols.input
    }

    /// Positions from the first to the last of so many rows and columns, of which there are some.
    pub fn span(&self, [rows, cols]: [usize; 2]) -> usize {
        (rows - 1) * self.cols.length + cols
    }

    /// Where tap (ky, kx) of a convolution reads, from the start of its channel.
    pub fn tap(&self, ky: usize, kx: usize) -> usize {
        let plane = (ky % self.rows.stride) * self.cols.phases + kx % self.cols.stride;
        plane * self.plane + (ky / self.rows.stride) * self.cols.length + kx / self.cols.stride
    }

    /// Lays out a picture of as many channels as are given. What is outside of the picture is not written: the buffer has
    /// been zero from the start.
    pub fn fill(&self, picture: &[f32], buffer: &mut [f32]) {
        let area = self.rows.input * self.cols.input;
        for (channel, buffer) in picture.chunks_exact(area).zip(buffer.chunks_exact_mut(self.channel())) {
            let planes = (0..self.rows.phases).flat_map(|a| (0..self.cols.phases).map(move |b| (a, b)));
            for ((a, b), plane) in planes.zip(buffer.chunks_exact_mut(self.plane)) {
                let cols = self.cols.inside(b);
                if cols.is_empty() {
                    continue;
                }
                let first = self.cols.stride * cols.start + b - self.cols.pad;
                for i in self.rows.inside(a) {
                    let y = self.rows.stride * i + a - self.rows.pad;
                    let row = &channel[y * self.cols.input..][first..self.cols.input];
                    let out = &mut plane[i * self.cols.length..][cols.clone()];
                    match self.cols.stride {
                        1 => out.copy_from_slice(&row[..out.len()]),
                        step => out.iter_mut().zip(row.iter().step_by(step)).for_each(|(out, x)| *out = *x),
                    }
                }
            }
        }
    }
}
