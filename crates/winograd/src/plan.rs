//! Convolutions of feature maps: two tilings nested, tiles aggregated by position.
//!
//! # Layout
//!
//! A *position* is one product of one kind of tile (a tile size along the height and one along the width). At each position
//! the convolution is a K × C by C × T matrix product over the T tiles of that kind. Buffers are flat, the positions one
//! after the other:
//!
//! | buffer   | at position p          | range                  | from                   |
//! |----------|------------------------|------------------------|------------------------|
//! | filters  | `[filter][channel]`    | [`Plan::filter_range`] | [`Plan::filters`]      |
//! | inputs   | `[channel][tile]`      | [`Plan::input_range`]  | [`Plan::inputs`]       |
//! | products | `[filter][tile]`       | [`Plan::output_range`] | the position's product |
//!
//! [`Plan::outputs`] brings the products back to a map. It is 2^h times the convolution, h being [`Plan::headroom`]. All
//! three are linear maps over the domain, so a party applies them to its own share. [`Plan::convolve`] does it all at one
//! place.
//!
//! # Groups
//!
//! A plan knows neither filters nor channels: [`Plan::filters`] transforms so many pairs, [`Plan::inputs`] so many maps, each
//! on its own. In a convolution of g groups, each of K filters and C channels, the pairs are `[group][filter][channel]`,
//! count = g·K·C, and the maps `[group][channel]`. Then the matrices of the groups at a position lie one after the other, each
//! contiguous: group i's K × C matrix is the i-th part of K·C words of [`Plan::filter_range`], its C × T matrix the i-th of
//! C·T words of [`Plan::input_range`], its product the i-th of K·T words of [`Plan::output_range`].
//!
//! # Bounds
//!
//! The transformed filter at a position is `Σ_ij G'_row[i]·G'_col[j]·g_ij`, so at most `max|g|` times the product N of the two
//! rows' L1 norms; the signs of the rows attain it. Signed weights of b bits, −2^(b−1) ≤ g ≤ 2^(b−1) − 1, are signed integers
//! of `b + ⌈log2 N⌉` bits afterwards. For let P be the sum of the positive coefficients `G'_row[i]·G'_col[j]`, and M that of the
//! negative ones without their sign, P + M = N. Then `−N·2^(b−1) + M ≤ U ≤ N·2^(b−1) − P`, and P ≥ 1: in every row of G' the
//! first entry that is not zero is positive, being a power of q > 0, or the 1 of infinity, and so is the product of two such.
//! Hence `−2^(b−1+⌈log2 N⌉) ≤ U < 2^(b−1+⌈log2 N⌉)`.

use std::ops::Range;

use rayon::prelude::*;

use crate::domain::Domain;
use crate::nested::{LANES, Lanes, Nested};
use crate::product;
use crate::ratio::Ratio;
use crate::tiling::{Axis, Tiling};
use crate::vector::{Backend, Kernel};

/// One matrix product of a plan; all its figures are public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// T, the tiles aggregated here.
    pub tiles: usize,
    /// The growth of the filters: `|U| ≤ filter_norm · max|g|`.
    pub filter_norm: u64,
    /// The growth of the inputs: `|V| ≤ input_norm · max|x|`.
    pub input_norm: u64,
    /// Mod 2^l the output depends on the product here only mod 2^(l − shift).
    pub shift: u32,
    offset: usize,
}

impl Position {
    /// The width of this position's transformed filters, signed, from signed weights of `bits` bits: see the
    /// [module's bounds](self).
    pub fn filter_bits(&self, bits: u32) -> u32 {
        bits + self.filter_norm.next_power_of_two().trailing_zeros()
    }
}

/// The tiles of one size along one dimension: they are neighbours.
#[derive(Clone, Copy, Debug)]
struct Span {
    kind: usize,
    /// The first output of the first tile.
    start: usize,
    /// The outputs of one tile.
    step: usize,
    tiles: usize,
}

impl Span {
    fn new(tiling: &Tiling, kind: usize) -> Self {
        let step = tiling.transforms()[kind].outputs();
        let mut starts = tiling.tiles().iter().filter(|tile| tile.kind == kind).map(|tile| tile.start);
        let start = starts.next();
        Self { kind, start: start.unwrap_or(0), step, tiles: starts.count() + usize::from(start.is_some()) }
    }
}

/// The tiles of one size along the height and one along the width, all pairs, row-major.
#[derive(Clone, Debug)]
struct Group {
    rows: Span,
    cols: Span,
    positions: Range<usize>,
}

impl Group {
    fn tiles(&self) -> usize {
        self.rows.tiles * self.cols.tiles
    }

    /// Tiles `from` to `to` of all maps, cut where a map or a row of tiles ends.
    fn runs(&self, from: usize, to: usize) -> impl Iterator<Item = Run> {
        let (tiles, width) = (self.tiles(), self.cols.tiles);
        let mut at = from;
        std::iter::from_fn(move || {
            let (map, tile) = (at / tiles, at % tiles);
            let (row, col) = (tile / width, tile % width);
            let run = Run { map, row, col, lanes: at - from..(at - from + width - col).min(to - from) };
            at += run.lanes.len();
            (!run.lanes.is_empty()).then_some(run)
        })
    }
}

/// Neighbouring tiles of one map.
struct Run {
    map: usize,
    row: usize,
    col: usize,
    lanes: Range<usize>,
}

/// A two-dimensional convolution, planned. See the [module](self).
#[derive(Clone, Debug)]
pub struct Plan {
    rows: Tiling,
    cols: Tiling,
    groups: Vec<Group>,
    positions: Vec<Position>,
    products: usize,
}

impl Plan {
    /// Nests a tiling of the height and one of the width.
    pub fn new(rows: Tiling, cols: Tiling) -> Self {
        let mut groups = Vec::new();
        let mut positions = Vec::new();
        let mut offset = 0;
        for (row_kind, row) in rows.transforms().iter().enumerate() {
            for (col_kind, col) in cols.transforms().iter().enumerate() {
                let (row_span, col_span) = (Span::new(&rows, row_kind), Span::new(&cols, col_kind));
                let tiles = row_span.tiles * col_span.tiles;
                let first = positions.len();
                for p in 0..row.products() {
                    for q in 0..col.products() {
                        positions.push(Position {
                            tiles,
                            filter_norm: row.filter_norms()[p] * col.filter_norms()[q],
                            input_norm: row.input_norms()[p] * col.input_norms()[q],
                            shift: row.shifts()[p] + col.shifts()[q],
                            offset,
                        });
                        offset += tiles;
                    }
                }
                let positions = first..positions.len();
                groups.push(Group { rows: row_span, cols: col_span, positions });
            }
        }
        Self { rows, cols, groups, positions, products: offset }
    }

    /// The tiling of the height.
    pub fn rows(&self) -> &Tiling {
        &self.rows
    }

    /// The tiling of the width.
    pub fn cols(&self) -> &Tiling {
        &self.cols
    }

    /// The positions, in the order of the buffers.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// h: the outputs are 2^h times the convolution.
    pub fn headroom(&self) -> u32 {
        self.rows.headroom() + self.cols.headroom()
    }

    /// The multiplications of one filter with one channel, over all positions and tiles.
    pub fn products(&self) -> usize {
        self.products
    }

    /// Position p's K × C matrix in the filters.
    pub fn filter_range(&self, p: usize, filters: usize, channels: usize) -> Range<usize> {
        p * filters * channels..(p + 1) * filters * channels
    }

    /// Position p's C × T matrix in the inputs.
    pub fn input_range(&self, p: usize, channels: usize) -> Range<usize> {
        let Position { offset, tiles, .. } = self.positions[p];
        offset * channels..(offset + tiles) * channels
    }

    /// Position p's K × T matrix in the products.
    pub fn output_range(&self, p: usize, filters: usize) -> Range<usize> {
        self.input_range(p, filters)
    }

    /// Transforms filters `[filter][channel][row][col]`, a pair (filter, channel) for each of `count`. The result is
    /// `[position][filter][channel]`.
    ///
    /// # Panics
    ///
    /// If `weights` is not `count` kernels.
    pub fn filters<D: Domain>(&self, domain: &D, count: usize, weights: &[D::Word]) -> Vec<D::Word> {
        self.filters_on(Backend::best(), domain, count, weights)
    }

    fn filters_on<D: Domain>(
        &self,
        backend: Backend,
        domain: &D,
        count: usize,
        weights: &[D::Word],
    ) -> Vec<D::Word> {
        let taps = self.rows.axis().kernel * self.cols.axis().kernel;
        assert_eq!(weights.len(), count * taps, "{count} kernels of {taps} taps");
        let mut out = vec![D::Word::default(); self.positions.len() * count];
        let block = block(count, self.positions.len(), self.positions.len());
        let mut kernels = Vec::new();
        let mut rest = &mut out[..];
        for group in &self.groups {
            let row = self.rows.transforms()[group.rows.kind].filter();
            let col = self.cols.transforms()[group.cols.kind].filter();
            let sizes = group.positions.clone().map(|_| (count, block));
            for (i, out) in deal(&mut rest, sizes).into_iter().enumerate() {
                let weights = &weights[i * block * taps..count.min((i + 1) * block) * taps];
                kernels.push(Filters { domain, row, col, taps, weights, out });
            }
        }
        run_all(backend, kernels);
        out
    }

    /// Transforms a map `[channel][row][col]`; what tiles read outside it is zero. The result is
    /// `[position][channel][tile]`.
    ///
    /// # Panics
    ///
    /// If `map` is not `channels` maps.
    pub fn inputs<D: Domain>(&self, domain: &D, channels: usize, map: &[D::Word]) -> Vec<D::Word> {
        self.inputs_on(Backend::best(), domain, channels, map)
    }

    fn inputs_on<D: Domain>(
        &self,
        backend: Backend,
        domain: &D,
        channels: usize,
        map: &[D::Word],
    ) -> Vec<D::Word> {
        let (height, width) = (self.rows.axis(), self.cols.axis());
        let area = height.size * width.size;
        assert_eq!(map.len(), channels * area, "{channels} maps of {} x {}", height.size, width.size);
        let mut out = vec![D::Word::default(); self.products * channels];
        let block = block(channels, self.positions.len(), self.products);
        let mut kernels = Vec::new();
        let mut rest = &mut out[..];
        for group in self.groups.iter().filter(|group| group.tiles() > 0) {
            let sizes = group.positions.clone().map(|_| (channels * group.tiles(), block * group.tiles()));
            for (i, out) in deal(&mut rest, sizes).into_iter().enumerate() {
                let map = &map[i * block * area..channels.min((i + 1) * block) * area];
                kernels.push(Inputs { plan: self, group, domain, map, out });
            }
        }
        run_all(backend, kernels);
        out
    }

    /// At every position the product of the transformed filters and inputs, a K × C and a C × T matrix, (K, C) being `shape`.
    /// The result is `[position][filter][tile]`.
    ///
    /// # Panics
    ///
    /// If `u` or `v` is not of this plan and shape.
    pub fn multiply<D: Domain>(
        &self,
        domain: &D,
        shape: (usize, usize),
        u: &[D::Word],
        v: &[D::Word],
    ) -> Vec<D::Word> {
        self.multiply_on(Backend::best(), domain, shape, u, v)
    }

    fn multiply_on<D: Domain>(
        &self,
        backend: Backend,
        domain: &D,
        (filters, channels): (usize, usize),
        u: &[D::Word],
        v: &[D::Word],
    ) -> Vec<D::Word> {
        assert_eq!(u.len(), self.positions.len() * filters * channels, "filters of this plan");
        assert_eq!(v.len(), self.products * channels, "inputs of this plan");
        let mut out = vec![D::Word::default(); self.products * filters];
        let mut rest = &mut out[..];
        let mut parts = Vec::with_capacity(self.positions.len());
        for (p, position) in self.positions.iter().enumerate() {
            let (u, v) = (&u[self.filter_range(p, filters, channels)], &v[self.input_range(p, channels)]);
            let part = rest.split_off_mut(..filters * position.tiles).expect("all positions");
            parts.push(product::Matrix { u, v, out: part });
        }
        product::matrices(backend, domain, (filters, channels), parts);
        out
    }

    /// Transforms products `[position][filter][tile]` back to a map `[filter][row][col]`, 2^h times the convolution.
    ///
    /// # Panics
    ///
    /// If `products` is not of `filters` filters.
    pub fn outputs<D: Domain>(&self, domain: &D, filters: usize, products: &[D::Word]) -> Vec<D::Word> {
        self.outputs_on(Backend::best(), domain, filters, products)
    }

    fn outputs_on<D: Domain>(
        &self,
        backend: Backend,
        domain: &D,
        filters: usize,
        products: &[D::Word],
    ) -> Vec<D::Word> {
        assert_eq!(
            products.len(),
            filters * self.products,
            "{filters} filters of {} products",
            self.products
        );
        let area = self.rows.axis().outputs() * self.cols.axis().outputs();
        let mut out = vec![D::Word::default(); filters * area];
        if area > 0 {
            let block = block(filters, self.positions.len(), self.products);
            let kernel = |(i, out)| Outputs { plan: self, domain, first: i * block, filters, products, out };
            run_all(backend, out.chunks_mut(block * area).enumerate().map(kernel).collect());
        }
        out
    }

    /// 2^h times the convolution of a map `[channel][row][col]` with weights `[filter][channel][row][col]`, the map
    /// `[filter][row][col]`: transforms, products and back.
    ///
    /// # Panics
    ///
    /// If `map` or `weights` is not of its shape.
    pub fn convolve<D: Domain>(
        &self,
        domain: &D,
        filters: usize,
        channels: usize,
        weights: &[D::Word],
        map: &[D::Word],
    ) -> Vec<D::Word> {
        let u = self.filters(domain, filters * channels, weights);
        let v = self.inputs(domain, channels, map);
        let products = self.multiply(domain, (filters, channels), &u, &v);
        self.outputs(domain, filters, &products)
    }
}

fn integers(matrix: &[Vec<i64>]) -> Vec<Vec<Ratio>> {
    matrix.iter().map(|row| row.iter().map(|&x| Ratio::from(x)).collect()).collect()
}

/// How many of `items`, each of so many positions and words, one thread takes at a time: enough to be worth the hand-over,
/// few enough that all threads have some, and full lanes.
fn block(items: usize, positions: usize, words: usize) -> usize {
    let worth = (1usize << 14).div_ceil(words.max(1));
    let fair = items.div_ceil(4 * rayon::current_num_threads());
    fair.max(worth).next_multiple_of(LANES.div_ceil((words / positions.max(1)).max(1)))
}

/// Cuts off the front of `rest`, for each (length, block), that length in blocks, and deals the blocks out: the i-th hand has
/// the i-th block of each.
fn deal<'a, W>(rest: &mut &'a mut [W], sizes: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<&'a mut [W]>> {
    let mut hands = Vec::new();
    for (length, block) in sizes {
        let part = rest.split_off_mut(..length).expect("as long as all parts");
        hands.resize_with(length.div_ceil(block), Vec::new);
        hands.iter_mut().zip(part.chunks_mut(block)).for_each(|(hand, part)| hand.push(part));
    }
    hands
}

/// Runs the kernels on all threads; one alone on this one.
pub(crate) fn run_all<K: Kernel + Send>(backend: Backend, kernels: Vec<K>) {
    match kernels.len() {
        1 => kernels.into_iter().for_each(|kernel| backend.run(kernel)),
        _ => kernels.into_par_iter().for_each(|kernel| backend.run(kernel)),
    }
}

/// The first lanes, as many as there is room for: all of them by a copy of a length known to the compiler.
#[inline(always)]
fn store<W: Copy>(lanes: &[W; LANES], out: &mut [W]) {
    match out.first_chunk_mut() {
        Some(out) => *out = *lanes,
        None => out.copy_from_slice(&lanes[..out.len()]),
    }
}

/// The other way.
#[inline(always)]
fn load<W: Copy>(words: &[W], lanes: &mut Lanes<W>) {
    let lanes = lanes.as_flattened_mut();
    match words.first_chunk::<LANES>() {
        Some(words) => lanes.copy_from_slice(words),
        None => lanes[..words.len()].copy_from_slice(words),
    }
}

/// Some of the pairs, by one group's transforms.
struct Filters<'a, D: Domain> {
    domain: &'a D,
    row: &'a [Vec<i64>],
    col: &'a [Vec<i64>],
    taps: usize,
    weights: &'a [D::Word],
    /// The pairs at each position of the group.
    out: Vec<&'a mut [D::Word]>,
}

impl<D: Domain> Kernel for Filters<'_, D> {
    #[inline(always)]
    fn run(mut self) {
        let nested = Nested::new(self.domain, &integers(self.row), &integers(self.col));
        let mut line = nested.line();
        let mut x = vec![Lanes::default(); self.taps];
        for (block, kernels) in self.weights.chunks(LANES * self.taps).enumerate() {
            for (lane, kernel) in kernels.chunks_exact(self.taps).enumerate() {
                for (x, &tap) in x.iter_mut().zip(kernel) {
                    x.as_flattened_mut()[lane] = tap;
                }
            }
            let (from, lanes) = (block * LANES, kernels.len() / self.taps);
            nested.apply(self.domain, &x, &mut line, |p, entry| {
                store(entry, &mut self.out[p][from..from + lanes]);
            });
        }
    }
}

/// Some of the channels, at one group of tiles.
struct Inputs<'a, D: Domain> {
    plan: &'a Plan,
    group: &'a Group,
    domain: &'a D,
    map: &'a [D::Word],
    /// The channels' tiles at each position of the group.
    out: Vec<&'a mut [D::Word]>,
}

impl<D: Domain> Kernel for Inputs<'_, D> {
    #[inline(always)]
    fn run(mut self) {
        let Group { rows, cols, .. } = *self.group;
        let (height, width) = (self.plan.rows.axis(), self.plan.cols.axis());
        let row = &self.plan.rows.transforms()[rows.kind];
        let col = &self.plan.cols.transforms()[cols.kind];
        let nested = Nested::new(self.domain, &integers(row.input()), &integers(col.input()));
        let mut line = nested.line();
        let mut x = vec![Lanes::default(); row.input_len() * col.input_len()];
        let reach = col.input_len() + (cols.tiles.min(LANES) - 1) * cols.step * width.stride;
        let mut padded = vec![D::Word::default(); reach];
        let tiles = self.out.first().map_or(0, |out| out.len());
        for from in (0..tiles).step_by(LANES) {
            let to = tiles.min(from + LANES);
            for run in self.group.runs(from, to) {
                let plane = &self.map[run.map * height.size * width.size..][..height.size * width.size];
                let top = (rows.start + run.row * rows.step) * height.stride;
                let left = (cols.start + run.col * cols.step) * width.stride;
                for (i, x) in x.chunks_exact_mut(col.input_len()).enumerate() {
                    match height.inside(top + i) {
                        Some(y) => {
                            copy_padded(width, &plane[y * width.size..][..width.size], left, &mut padded)
                        }
                        None => padded.fill(D::Word::default()),
                    }
                    let step = cols.step * width.stride;
                    for (j, x) in x.iter_mut().enumerate() {
                        let words = padded[j..].iter().step_by(step);
                        for (lane, &word) in x.as_flattened_mut()[run.lanes.clone()].iter_mut().zip(words) {
                            *lane = word;
                        }
                    }
                }
            }
            nested.apply(self.domain, &x, &mut line, |p, entry| {
                store(entry, &mut self.out[p][from..to]);
            });
        }
    }
}

/// What the padded axis has from index `left` on, zeros behind its end.
#[inline(always)]
fn copy_padded<W: Copy + Default>(axis: Axis, line: &[W], left: usize, out: &mut [W]) {
    let zeros = axis.before.saturating_sub(left).min(out.len());
    let line = line.get(left.saturating_sub(axis.before)..).unwrap_or(&[]);
    let (before, rest) = out.split_at_mut(zeros);
    let (words, after) = rest.split_at_mut(line.len().min(rest.len()));
    before.fill(W::default());
    words.copy_from_slice(&line[..words.len()]);
    after.fill(W::default());
}

/// Some of the filters, at all groups of tiles.
struct Outputs<'a, D: Domain> {
    plan: &'a Plan,
    domain: &'a D,
    first: usize,
    /// All of them.
    filters: usize,
    products: &'a [D::Word],
    out: &'a mut [D::Word],
}

impl<D: Domain> Kernel for Outputs<'_, D> {
    #[inline(always)]
    fn run(self) {
        let (height, width) = (self.plan.rows.axis().outputs(), self.plan.cols.axis().outputs());
        for group in self.plan.groups.iter().filter(|group| group.tiles() > 0) {
            let Group { rows, cols, .. } = *group;
            let row = &self.plan.rows.transforms()[rows.kind];
            let col = &self.plan.cols.transforms()[cols.kind];
            let nested = Nested::new(self.domain, row.output(), col.output());
            let mut line = nested.line();
            let mut x = vec![Lanes::default(); group.positions.len()];
            let mut y = vec![[D::Word::default(); LANES]; row.outputs() * col.outputs()];
            let tiles = self.out.len() / (height * width) * group.tiles();
            for from in (0..tiles).step_by(LANES) {
                let to = tiles.min(from + LANES);
                for (x, p) in x.iter_mut().zip(group.positions.clone()) {
                    let at = self.plan.output_range(p, self.filters).start + self.first * group.tiles();
                    load(&self.products[at + from..at + to], x);
                }
                nested.apply(self.domain, &x, &mut line, |i, entry| y[i] = *entry);
                for run in group.runs(from, to) {
                    let plane = &mut self.out[run.map * height * width..][..height * width];
                    let (top, left) = (rows.start + run.row * rows.step, cols.start + run.col * cols.step);
                    let lines = plane[top * width..].chunks_exact_mut(width);
                    for (y, line) in y.chunks_exact(col.outputs()).zip(lines) {
                        let tiles = line[left..].chunks_mut(col.outputs());
                        for (lane, tile) in run.lanes.clone().zip(tiles) {
                            for (word, y) in tile.iter_mut().zip(y) {
                                *word = y[lane];
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Reals, Ring};
    use crate::naive;

    /// All instructions there are here, on the same words; 33 channels are a block of lanes and one more.
    #[test]
    fn backends_agree_with_the_definitions() {
        let ring = Ring(copriv_ring::Width::of(41));
        for (size, stride, tiles) in [(1, 1, &[2][..]), (4, 1, &[4]), (9, 2, &[4]), (33, 1, &[2, 4, 6])] {
            let axis = Axis { size, kernel: 3, stride, before: 1, after: 1 };
            let tiling = Tiling::new(axis, tiles).unwrap();
            let plan = Plan::new(tiling.clone(), tiling);
            let (filters, channels) = (5, 33);
            let word = |i: usize| ring.canonical((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let words = |n: usize| (0..n).map(word).collect::<Vec<_>>();
            let (weights, map) = (words(filters * channels * 9), words(channels * size * size));
            let products = words(filters * plan.products());
            let u = naive::filters(&ring, &plan, filters * channels, &weights);
            let v = naive::inputs(&ring, &plan, channels, &map);
            let y = naive::outputs(&ring, &plan, filters, &products);
            let reals: Vec<f64> = map.iter().map(|&x| x as f64).collect();
            let first = plan.inputs_on(Backend::Portable, &Reals, channels, &reals);
            for backend in Backend::all() {
                assert_eq!(plan.filters_on(backend, &ring, filters * channels, &weights), u, "{backend:?}");
                assert_eq!(plan.inputs_on(backend, &ring, channels, &map), v, "{backend:?}");
                assert_eq!(plan.outputs_on(backend, &ring, filters, &products), y, "{backend:?}");
                assert_eq!(plan.inputs_on(backend, &Reals, channels, &reals), first, "{backend:?}");
                let m = plan.multiply_on(backend, &ring, (filters, channels), &u, &v);
                assert_eq!(m, naive::products(&ring, &plan, (filters, channels), &u, &v), "{backend:?}");
            }
        }
    }
}
