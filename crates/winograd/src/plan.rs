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
//! three are linear maps over the domain, so a party applies them to its own share.
//!
//! # Bounds
//!
//! The transformed filter at a position is `Σ_ij G'_row[i]·G'_col[j]·g_ij`, so at most `max|g|` times the product N of the two
//! rows' L1 norms; the signs of the rows attain it. Signed weights of b bits, −2^(b−1) ≤ g < 2^(b−1), are signed integers of
//! `b + ⌈log2 N⌉` bits afterwards: |U| ≤ N·2^(b−1), which is below 2^(b−1+⌈log2 N⌉) unless N is a power of two; where it
//! is one, every row of G' begins with a positive entry, so the positive extreme N·2^(b−1) itself is out of reach, and the
//! negative one is representable.

use std::ops::Range;

use crate::domain::Domain;
use crate::ratio::Ratio;
use crate::tiling::{Axis, Tiling};

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

/// The tiles of one size along the height and one along the width.
#[derive(Clone, Debug)]
struct Group {
    row_kind: usize,
    col_kind: usize,
    /// First outputs, along the height and along the width; the tiles are all pairs, row-major.
    row_starts: Vec<usize>,
    col_starts: Vec<usize>,
    positions: Range<usize>,
}

impl Group {
    /// Each tile's first output row and column.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> {
        self.row_starts.iter().flat_map(|&row| self.col_starts.iter().map(move |&col| (row, col)))
    }
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
                let starts = |tiling: &Tiling, kind| {
                    tiling
                        .tiles()
                        .iter()
                        .filter(|tile| tile.kind == kind)
                        .map(|tile| tile.start)
                        .collect::<Vec<_>>()
                };
                let (row_starts, col_starts) = (starts(&rows, row_kind), starts(&cols, col_kind));
                let tiles = row_starts.len() * col_starts.len();
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
                groups.push(Group { row_kind, col_kind, row_starts, col_starts, positions });
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
        let taps = self.rows.axis().kernel * self.cols.axis().kernel;
        assert_eq!(weights.len(), count * taps, "{count} kernels of {taps} taps");
        let mut out = vec![D::Word::default(); self.positions.len() * count];
        for group in &self.groups {
            let row = self.rows.transforms()[group.row_kind].filter();
            let col = self.cols.transforms()[group.col_kind].filter();
            let nested = Nested::new(domain, &integers(row), &integers(col));
            for (k, kernel) in weights.chunks_exact(taps).enumerate() {
                for (p, word) in group.positions.clone().zip(nested.apply(domain, kernel)) {
                    out[p * count + k] = word;
                }
            }
        }
        out
    }

    /// Transforms a map `[channel][row][col]`; what tiles read outside it is zero. The result is
    /// `[position][channel][tile]`.
    ///
    /// # Panics
    ///
    /// If `map` is not `channels` maps.
    pub fn inputs<D: Domain>(&self, domain: &D, channels: usize, map: &[D::Word]) -> Vec<D::Word> {
        let (height, width) = (self.rows.axis(), self.cols.axis());
        let area = height.size * width.size;
        assert_eq!(map.len(), channels * area, "{channels} maps of {} x {}", height.size, width.size);
        let mut out = vec![D::Word::default(); self.products * channels];
        for group in &self.groups {
            let row = &self.rows.transforms()[group.row_kind];
            let col = &self.cols.transforms()[group.col_kind];
            let nested = Nested::new(domain, &integers(row.input()), &integers(col.input()));
            let mut tile = vec![D::Word::default(); row.input_len() * col.input_len()];
            for channel in 0..channels {
                let plane = &map[channel * area..(channel + 1) * area];
                for (t, (row_start, col_start)) in group.tiles().enumerate() {
                    for (i, line) in tile.chunks_exact_mut(col.input_len()).enumerate() {
                        let y = inside(height, row_start * height.stride + i);
                        for (j, word) in line.iter_mut().enumerate() {
                            let x = inside(width, col_start * width.stride + j);
                            *word = y.zip(x).map_or(D::Word::default(), |(y, x)| plane[y * width.size + x]);
                        }
                    }
                    for (p, word) in group.positions.clone().zip(nested.apply(domain, &tile)) {
                        let Position { offset, tiles, .. } = self.positions[p];
                        out[offset * channels + channel * tiles + t] = word;
                    }
                }
            }
        }
        out
    }

    /// Transforms products `[position][filter][tile]` back to a map `[filter][row][col]`, 2^h times the convolution.
    ///
    /// # Panics
    ///
    /// If `products` is not of `filters` filters.
    pub fn outputs<D: Domain>(&self, domain: &D, filters: usize, products: &[D::Word]) -> Vec<D::Word> {
        assert_eq!(
            products.len(),
            filters * self.products,
            "{filters} filters of {} products",
            self.products
        );
        let (height, width) = (self.rows.axis().outputs(), self.cols.axis().outputs());
        let mut out = vec![D::Word::default(); filters * height * width];
        for group in &self.groups {
            let row = &self.rows.transforms()[group.row_kind];
            let col = &self.cols.transforms()[group.col_kind];
            let nested = Nested::new(domain, row.output(), col.output());
            for filter in 0..filters {
                let plane = &mut out[filter * height * width..(filter + 1) * height * width];
                for (t, (row_start, col_start)) in group.tiles().enumerate() {
                    let at = |position: &Position| position.offset * filters + filter * position.tiles + t;
                    let tile: Vec<_> =
                        self.positions[group.positions.clone()].iter().map(|p| products[at(p)]).collect();
                    let tile = nested.apply(domain, &tile);
                    for (y, line) in (row_start..height).zip(tile.chunks_exact(col.outputs())) {
                        for (x, &word) in (col_start..width).zip(line) {
                            plane[y * width + x] = word;
                        }
                    }
                }
            }
        }
        out
    }
}

/// The input at this index of the padded axis.
fn inside(axis: Axis, padded: usize) -> Option<usize> {
    padded.checked_sub(axis.before).filter(|&x| x < axis.size)
}

fn integers(matrix: &[Vec<i64>]) -> Vec<Vec<Ratio>> {
    matrix.iter().map(|row| row.iter().map(|&x| Ratio::from(x)).collect()).collect()
}

/// `X ↦ L·X·Rᵀ`, the entries that are zero left out.
struct Nested<W> {
    left: Vec<Vec<(usize, W)>>,
    right: Vec<Vec<(usize, W)>>,
    right_cols: usize,
}

impl<W: Copy + Default> Nested<W> {
    fn new<D: Domain<Word = W>>(domain: &D, left: &[Vec<Ratio>], right: &[Vec<Ratio>]) -> Self {
        let entries = |row: &Vec<Ratio>| {
            let entries = row.iter().enumerate().filter(|(_, x)| **x != Ratio::ZERO);
            entries.map(|(j, &x)| (j, domain.coefficient(x))).collect::<Vec<_>>()
        };
        let right_cols = right.first().map_or(0, Vec::len);
        Self {
            left: left.iter().map(entries).collect(),
            right: right.iter().map(entries).collect(),
            right_cols,
        }
    }

    fn apply<D: Domain<Word = W>>(&self, domain: &D, x: &[W]) -> Vec<W> {
        let mut out = Vec::with_capacity(self.left.len() * self.right.len());
        let mut line = vec![W::default(); self.right_cols];
        for left in &self.left {
            for (j, sum) in line.iter_mut().enumerate() {
                let terms = left.iter().map(|&(i, factor)| (factor, x[i * self.right_cols + j]));
                *sum = terms.fold(W::default(), |sum, (factor, x)| domain.multiply_add(sum, factor, x));
            }
            for right in &self.right {
                let terms = right.iter().map(|&(j, factor)| (factor, line[j]));
                let sum = terms.fold(W::default(), |sum, (factor, x)| domain.multiply_add(sum, factor, x));
                out.push(domain.canonical(sum));
            }
        }
        out
    }
}
