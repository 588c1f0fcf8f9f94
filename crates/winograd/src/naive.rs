//! The definitions: direct convolution, and a plan's transforms and products, one by one.

use crate::domain::Domain;
use crate::plan::Plan;
use crate::ratio::Ratio;
use crate::tiling::{Axis, Tiling};
use crate::transform::Transform;

/// Convolution (no flip) of a map `[channel][row][col]` with weights `[filter][channel][row][col]`: the map
/// `[filter][row][col]`.
///
/// # Panics
///
/// If `map` or `weights` is shorter than its shape.
pub fn convolution<D: Domain>(
    domain: &D,
    (rows, cols): (Axis, Axis),
    (filters, channels): (usize, usize),
    weights: &[D::Word],
    map: &[D::Word],
) -> Vec<D::Word> {
    let mut out = Vec::with_capacity(filters * rows.outputs() * cols.outputs());
    for filter in 0..filters {
        for y in 0..rows.outputs() {
            for x in 0..cols.outputs() {
                let mut sum = D::Word::default();
                for channel in 0..channels {
                    for i in 0..rows.kernel {
                        for j in 0..cols.kernel {
                            let (y, x) = (y * rows.stride + i, x * cols.stride + j);
                            let in_rows = (rows.before..rows.before + rows.size).contains(&y);
                            let in_cols = (cols.before..cols.before + cols.size).contains(&x);
                            if in_rows && in_cols {
                                let line = channel * rows.size + y - rows.before;
                                let tap = ((filter * channels + channel) * rows.kernel + i) * cols.kernel + j;
                                sum = domain.multiply_add(
                                    sum,
                                    weights[tap],
                                    map[line * cols.size + x - cols.before],
                                );
                            }
                        }
                    }
                }
                out.push(domain.canonical(sum));
            }
        }
    }
    out
}

/// At every position of the plan the K × C by C × T product of transformed filters and inputs, `[position][filter][tile]`.
///
/// # Panics
///
/// If `u` or `v` is shorter than its shape.
pub fn products<D: Domain>(
    domain: &D,
    plan: &Plan,
    (filters, channels): (usize, usize),
    u: &[D::Word],
    v: &[D::Word],
) -> Vec<D::Word> {
    let mut out = Vec::with_capacity(filters * plan.products());
    for (p, position) in plan.positions().iter().enumerate() {
        let u = &u[plan.filter_range(p, filters, channels)];
        let v = &v[plan.input_range(p, channels)];
        for filter in 0..filters {
            for tile in 0..position.tiles {
                let terms = (0..channels).map(|c| (u[filter * channels + c], v[c * position.tiles + tile]));
                let sum = terms.fold(D::Word::default(), |sum, (u, v)| domain.multiply_add(sum, u, v));
                out.push(domain.canonical(sum));
            }
        }
    }
    out
}

/// [`Plan::filters`]: at position (p, q) of a kind of tile `Σ_ij G'_rows[p][i]·G'_cols[q][j]·g_ij`.
///
/// # Panics
///
/// If `weights` is shorter than its shape.
pub fn filters<D: Domain>(domain: &D, plan: &Plan, count: usize, weights: &[D::Word]) -> Vec<D::Word> {
    let (rows, cols) = (plan.rows().axis().kernel, plan.cols().axis().kernel);
    let mut out = Vec::with_capacity(plan.positions().len() * count);
    for (row, col) in kinds(plan) {
        for (left, right) in pairs(row.transform.filter(), col.transform.filter()) {
            let (left, right) = (integers(left), integers(right));
            for kernel in 0..count {
                let weight = |i, j| weights[(kernel * rows + i) * cols + j];
                out.push(bilinear(domain, &left, &right, weight));
            }
        }
    }
    out
}

/// [`Plan::inputs`]: at position (p, q) of a kind of tile `Σ_ij B'_rows[p][i]·B'_cols[q][j]·d_ij`, d what the tile reads.
///
/// # Panics
///
/// If `map` is shorter than its shape.
pub fn inputs<D: Domain>(domain: &D, plan: &Plan, channels: usize, map: &[D::Word]) -> Vec<D::Word> {
    let (height, width) = (plan.rows().axis(), plan.cols().axis());
    let mut out = Vec::with_capacity(plan.products() * channels);
    for (row, col) in kinds(plan) {
        for (left, right) in pairs(row.transform.input(), col.transform.input()) {
            let (left, right) = (integers(left), integers(right));
            for channel in 0..channels {
                for (&top, &first) in pairs(&row.starts, &col.starts) {
                    let word = |i: usize, j: usize| {
                        let (y, x) =
                            (height.inside(top * height.stride + i), width.inside(first * width.stride + j));
                        let at = |(y, x)| map[(channel * height.size + y) * width.size + x];
                        y.zip(x).map(at).unwrap_or_default()
                    };
                    out.push(bilinear(domain, &left, &right, word));
                }
            }
        }
    }
    out
}

/// [`Plan::outputs`]: output (y, x) of a tile is `Σ_pq A'_rows[y][p]·A'_cols[x][q]·m_pq`, m its products.
///
/// # Panics
///
/// If `products` is shorter than its shape.
pub fn outputs<D: Domain>(domain: &D, plan: &Plan, filters: usize, products: &[D::Word]) -> Vec<D::Word> {
    let (height, width) = (plan.rows().axis().outputs(), plan.cols().axis().outputs());
    let mut out = vec![D::Word::default(); filters * height * width];
    let mut first = 0;
    for (row, col) in kinds(plan) {
        let tiles = row.starts.len() * col.starts.len();
        for filter in 0..filters {
            for (tile, (top, left)) in pairs(&row.starts, &col.starts).enumerate() {
                for (y, a) in (*top..height).zip(row.transform.output()) {
                    for (x, b) in (*left..width).zip(col.transform.output()) {
                        let product = |p, q| {
                            let position = first + p * col.transform.products() + q;
                            products[plan.output_range(position, filters)][filter * tiles + tile]
                        };
                        out[(filter * height + y) * width + x] = bilinear(domain, a, b, product);
                    }
                }
            }
        }
        first += row.transform.products() * col.transform.products();
    }
    out
}

/// The tiles of one size along one dimension.
struct Kind<'a> {
    transform: &'a Transform,
    starts: Vec<usize>,
}

/// The kinds of tiles, in the order of the positions.
fn kinds(plan: &Plan) -> impl Iterator<Item = (Kind<'_>, Kind<'_>)> {
    let kind = |tiling: &'_ Tiling, kind: usize| -> Vec<usize> {
        tiling.tiles().iter().filter(|tile| tile.kind == kind).map(|tile| tile.start).collect()
    };
    let (rows, cols) = (plan.rows().transforms(), plan.cols().transforms());
    rows.iter().enumerate().flat_map(move |(i, row)| {
        cols.iter().enumerate().map(move |(j, col)| {
            let row = Kind { transform: row, starts: kind(plan.rows(), i) };
            (row, Kind { transform: col, starts: kind(plan.cols(), j) })
        })
    })
}

fn pairs<'a, T>(rows: &'a [T], cols: &'a [T]) -> impl Iterator<Item = (&'a T, &'a T)> {
    rows.iter().flat_map(move |row| cols.iter().map(move |col| (row, col)))
}

fn integers(row: &[i64]) -> Vec<Ratio> {
    row.iter().map(|&x| Ratio::from(x)).collect()
}

/// `Σ_ij left[i]·right[j]·x(i, j)`.
fn bilinear<D: Domain>(
    domain: &D,
    left: &[Ratio],
    right: &[Ratio],
    x: impl Fn(usize, usize) -> D::Word,
) -> D::Word {
    let mut sum = D::Word::default();
    for (i, &left) in left.iter().enumerate() {
        for (j, &right) in right.iter().enumerate() {
            let factor = left.checked_mul(right).expect("a small coefficient");
            sum = domain.multiply_add(sum, domain.coefficient(factor), x(i, j));
        }
    }
    domain.canonical(sum)
}
