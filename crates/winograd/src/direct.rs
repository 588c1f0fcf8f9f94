//! The direct convolution, fast: what a plan has to beat.

use crate::domain::Domain;
use crate::plan::run_all;
use crate::product;
use crate::tiling::Axis;
use crate::vector::{Backend, Kernel};

/// Neighbouring outputs of one register block.
const LANES: usize = 16;

/// Filters that one thread takes at a time.
const PART: usize = 8;

/// Convolution (no flip) of a map `[channel][row][col]` with weights `[filter][channel][row][col]`: the map
/// `[filter][row][col]`, as of [`crate::naive::convolution`].
///
/// The padded map is taken apart into its phases mod the strides. In a phase's plane, which is wider than the output, a tap
/// meets all outputs, row after row, at one distance: so no loop is shorter than the plane, and nothing is copied a tap.
///
/// # Panics
///
/// If `map` or `weights` is not of its shape.
pub fn convolution<D: Domain>(
    domain: &D,
    (rows, cols): (Axis, Axis),
    (filters, channels): (usize, usize),
    weights: &[D::Word],
    map: &[D::Word],
) -> Vec<D::Word> {
    convolution_on(Backend::best(), domain, (rows, cols), (filters, channels), weights, map)
}

fn convolution_on<D: Domain>(
    backend: Backend,
    domain: &D,
    (rows, cols): (Axis, Axis),
    (filters, channels): (usize, usize),
    weights: &[D::Word],
    map: &[D::Word],
) -> Vec<D::Word> {
    let taps = channels * rows.kernel * cols.kernel;
    assert_eq!(weights.len(), filters * taps, "{filters} filters of {taps} taps");
    assert_eq!(map.len(), channels * rows.size * cols.size, "{channels} maps");
    let area = rows.outputs() * cols.outputs();
    let mut out = vec![D::Word::default(); filters * area];
    if out.is_empty() || taps == 0 {
        return out;
    }
    // Outputs y and x of tap (i, j) read row y + i / stride and column x + j / stride of phase (i, j) mod the strides.
    let extent = |axis: Axis| axis.outputs() + (axis.kernel - 1) / axis.stride;
    let (tall, wide) = (extent(rows), extent(cols));
    let phases = rows.stride * cols.stride;
    let mut planes = vec![D::Word::default(); channels * phases * tall * wide + LANES];
    let lines = planes.chunks_exact_mut(wide).take(channels * phases * tall).enumerate();
    for (n, line) in lines {
        let (channel, phase, row) = (n / (phases * tall), n / tall % phases, n % tall);
        let Some(y) = rows.inside(row * rows.stride + phase / cols.stride) else { continue };
        let source = &map[(channel * rows.size + y) * cols.size..][..cols.size];
        for (x, word) in line.iter_mut().enumerate() {
            *word = cols.inside(x * cols.stride + phase % cols.stride).map_or(*word, |x| source[x]);
        }
    }
    let offset = |tap: usize| {
        let (channel, i, j) =
            (tap / (rows.kernel * cols.kernel), tap / cols.kernel % rows.kernel, tap % cols.kernel);
        let phase = i % rows.stride * cols.stride + j % cols.stride;
        ((channel * phases + phase) * tall + i / rows.stride) * wide + j / cols.stride
    };
    let offsets: Vec<usize> = (0..taps).map(offset).collect();
    let parts = weights.chunks(PART * taps).zip(out.chunks_mut(PART * area));
    let part = |(weights, out)| Part {
        domain,
        width: cols.outputs(),
        wide,
        area,
        planes: &planes,
        offsets: &offsets,
        weights,
        out,
    };
    run_all(backend, parts.map(part).collect());
    out
}

/// Some of the filters.
struct Part<'a, D: Domain> {
    domain: &'a D,
    /// Outputs of a row, and columns of a plane.
    width: usize,
    wide: usize,
    area: usize,
    planes: &'a [D::Word],
    offsets: &'a [usize],
    weights: &'a [D::Word],
    out: &'a mut [D::Word],
}

impl<D: Domain> Kernel for Part<'_, D> {
    #[inline(always)]
    fn run(self) {
        let taps = self.offsets.len();
        // The last output, counted along the plane, as every output is.
        let last = (self.area / self.width - 1) * self.wide + self.width - 1;
        for from in (0..=last).step_by(LANES) {
            // The planes are longer by LANES than the last output's last tap.
            let lanes = |&offset: &usize| self.planes[from + offset..].first_chunk().expect("room behind");
            let outs = self.out.chunks_mut(product::ROWS * self.area);
            for (weights, out) in self.weights.chunks(product::ROWS * taps).zip(outs) {
                let store = |row: usize, sums: &[D::Word; LANES]| {
                    let out = &mut out[row * self.area..][..self.area];
                    let (mut y, mut x) = (from / self.wide, from % self.wide);
                    for &sum in sums {
                        if x < self.width && y * self.width < self.area {
                            out[y * self.width + x] = sum;
                        }
                        x += 1;
                        if x == self.wide {
                            (y, x) = (y + 1, 0);
                        }
                    }
                };
                product::rows(self.domain, taps, weights, self.offsets.iter().map(lanes), store);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Ring;
    use crate::naive;

    #[test]
    fn backends_agree_with_the_definition() {
        let ring = Ring(copriv_ring::Width::of(64));
        for (size, stride, (before, after)) in
            [(1, 1, (1, 1)), (4, 1, (0, 2)), (9, 2, (2, 0)), (21, 3, (1, 1))]
        {
            let axis = Axis { size, kernel: 3, stride, before, after };
            let axes = (axis, Axis { kernel: 2, ..axis });
            let (filters, channels) = (13, 3);
            let words = |n: u64| (1..=n).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect::<Vec<_>>();
            let (weights, map) = (words(13 * 3 * 6), words((3 * size * size) as u64));
            let expected = naive::convolution(&ring, axes, (filters, channels), &weights, &map);
            for backend in Backend::all() {
                let got = convolution_on(backend, &ring, axes, (filters, channels), &weights, &map);
                assert_eq!(got, expected, "{backend:?}");
            }
        }
    }
}
