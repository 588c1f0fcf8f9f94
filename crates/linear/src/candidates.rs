//! The ways a layer can be produced, for a planner to choose from.

use crate::direct::Direct;
use crate::layer::{LinearLayer, Producer};
use crate::product::Chooser;
use crate::winograd::{Precision, Winograd};
use copriv_ot::RcotBackend;
use copriv_winograd::{Plan, Tiling};
use std::sync::Arc;

/// Tile sizes that are tried together along a dimension: of each set the cover with the fewest products.
pub type TileSizes<'a> = &'a [&'a [usize]];

/// The most products of a tile along one dimension: those of 6 outputs of 11 taps at stride 4 are 31. Transforms are dense
/// matrices, and a layer has a product at each pair of them.
const MAX_PRODUCTS: usize = 32;

/// The tilings of a layer's two dimensions; none where the kernel is a single weight. Sizes for which there is no transform,
/// or one with more than [`MAX_PRODUCTS`], are left out.
fn tilings(layer: &LinearLayer, sizes: TileSizes) -> Vec<Plan> {
    if layer.conv.kernel == (1, 1) {
        return Vec::new();
    }
    let [rows, cols] = layer.conv.axes();
    let plan = |sizes: &&[usize]| {
        let tiling = |axis| Tiling::new(axis, sizes).ok();
        Some(Plan::new(tiling(rows)?, tiling(cols)?))
    };
    let small = |sizes: &&&[usize]| {
        let outputs = sizes.iter().copied().max().unwrap_or(0);
        [rows, cols].iter().all(|axis| {
            let phases = axis.stride.min(axis.kernel);
            phases * outputs + axis.kernel - phases <= MAX_PRODUCTS
        })
    };
    sizes.iter().filter(small).filter_map(plan).collect()
}

/// The factors 2^h, as h, that the tilings of `sizes` leave, and 0; ascending.
pub fn headrooms(layer: &LinearLayer, sizes: TileSizes) -> Vec<u32> {
    let mut all: Vec<u32> = tilings(layer, sizes).iter().map(Plan::headroom).chain([0]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Every way to produce `layer` by OT: either party's bits choosing in the direct product, and the tilings of `sizes` that
/// leave at most the layer's factor 2^h.
pub fn candidates(
    layer: &LinearLayer,
    sizes: TileSizes,
    precision: Precision,
    rcot: RcotBackend,
) -> Vec<Arc<dyn Producer>> {
    let bits = match precision {
        Precision::Full => layer.width.bits(),
        Precision::Narrow { weight_bits } => weight_bits,
    };
    let direct =
        [Chooser::Weights { bits }, Chooser::Activations].map(|c| Arc::new(Direct::new(*layer, c)) as _);
    let tiled =
        tilings(layer, sizes).into_iter().filter_map(|plan| Winograd::new(*layer, plan, precision, rcot));
    direct.into_iter().chain(tiled.map(|w| Arc::new(w) as _)).collect()
}
