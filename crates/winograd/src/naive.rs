//! The definitions: direct convolution, and the products of a plan one by one.

use crate::domain::Domain;
use crate::plan::Plan;
use crate::tiling::Axis;

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
