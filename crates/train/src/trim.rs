//! The last percent of a budget: bits of weights.
//!
//! A product's bytes grow with the bits of the layer's largest weight. Training moves these, and with them the bytes, by a few
//! percent. Where one or two weights alone need the topmost bit, they are cut to what fits without it.

use crate::cost::{Bytes, Costs, Error};
use copriv_ir::{Graph, Op};

/// Of the sum of a layer's squared weights: more than this is not cut off it at once.
const MOST: f64 = 2e-3;

/// `net`, its batch norms folded, with weights cut to fewer bits until it takes at most `limit` bytes, where that changes them least for
/// what it saves; its bytes, which are more where too much would have to go; and in how many layers weights were cut.
///
/// # Errors
/// As [`Costs::of`].
pub fn to_budget(net: &Graph, costs: &mut Costs, limit: u64) -> Result<(Graph, Bytes, usize), Error> {
    let objective = costs.objective();
    let mut net = net.clone();
    let mut bytes = costs.of(&net)?;
    let mut cut = vec![false; net.nodes.len()];
    while bytes.of(objective) > limit {
        let mut best: Option<(f64, usize, Op, Bytes)> = None;
        for index in 0..net.nodes.len() {
            let Some((op, error)) = narrower(&net.nodes[index].op, costs.setting().lower.frac_bits) else {
                continue;
            };
            let whole = std::mem::replace(&mut net.nodes[index].op, op);
            let found = costs.of(&net);
            let op = std::mem::replace(&mut net.nodes[index].op, whole);
            let found = found?;
            let saved = bytes.of(objective).saturating_sub(found.of(objective));
            if saved == 0 {
                continue;
            }
            let price = error / saved as f64;
            if best.as_ref().is_none_or(|(least, ..)| price < *least) {
                best = Some((price, index, op, found));
            }
        }
        let Some((_, index, op, found)) = best else { break };
        net.nodes[index].op = op;
        cut[index] = true;
        bytes = found;
    }
    Ok((net, bytes, cut.iter().filter(|&&cut| cut).count()))
}

/// The layer with its weights cut to one bit less, and the part of their squares that this changes; `None` where it is more than
/// [`MOST`] or they need one bit only.
fn narrower(op: &Op, frac_bits: u32) -> Option<(Op, f64)> {
    let mut op = op.clone();
    let (Op::Conv { weight, .. } | Op::Linear { weight, .. }) = &mut op else { return None };
    let scale = f64::from(frac_bits).exp2();
    // -2^b needs no more bits than 2^b - 1.
    let magnitude = |&w: &f32| {
        let word = (f64::from(w) * scale).round();
        if word < 0.0 { -1.0 - word } else { word }
    };
    let most = weight.iter().map(magnitude).fold(0.0, f64::max);
    if most < 1.0 {
        return None;
    }
    let half = most.log2().floor().exp2();
    let (least, greatest) = (-half / scale, (half - 1.0) / scale);
    let (mut gone, mut all) = (0.0, 0.0);
    for w in weight.iter_mut() {
        let value = f64::from(*w);
        // Values that are rounded to a bound stay.
        let kept = if magnitude(w) < half { value } else { value.clamp(least, greatest) };
        all += value * value;
        gone += (value - kept) * (value - kept);
        *w = kept as f32;
    }
    let error = gone / all;
    (error <= MOST).then_some((op, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use copriv_ir::{GraphBuilder, LowerOptions, Shape, lower};
    use copriv_ring::Width;

    const FRAC_BITS: u32 = 4;

    fn network(weight: Vec<f32>) -> Graph {
        let mut net = GraphBuilder::new("one", Shape::vector(1)).expect("a shape");
        let bias = vec![0.0; weight.len()];
        let x = net.linear("fc", net.input(), weight, bias).expect("a layer");
        net.finish(x).expect("a network")
    }

    fn bits(net: &Graph) -> u32 {
        let options = LowerOptions { width: Width::of(41), frac_bits: FRAC_BITS };
        let lowered = lower(net, options).expect("it fits");
        lowered.architecture.layers[1].op.weight_bits().expect("a layer with weights")
    }

    /// Cut weights need one bit less, and only those that needed it are changed.
    #[test]
    fn one_bit_less() {
        let small: Vec<f32> = (0..4000).map(|i| (i % 32) as f32 / 16.0 - 1.0).collect();
        for extreme in [1.0, 1.0625, 1.99, 2.0, -1.0625, -1.1, -2.0] {
            let net = network([&small[..], &[extreme]].concat());
            let (op, error) = narrower(&net.nodes[1].op, FRAC_BITS).expect("one weight of many");
            let Op::Linear { weight, .. } = &op else { unreachable!() };
            let before = bits(&net);
            assert_eq!(bits(&network(weight.clone())), before - 1, "{extreme}");
            assert!(weight[..4000] == small, "{extreme}");
            assert!(
                (0.0..=MOST).contains(&error) && (weight[4000] - extreme).abs() <= 1.07,
                "{extreme}: {error}"
            );
        }
        assert!(
            narrower(&network(small).nodes[1].op, FRAC_BITS).is_none(),
            "half of all need the topmost bit"
        );
    }

    #[test]
    fn nothing_is_cut_off_little_or_much() {
        assert!(narrower(&network(vec![0.0, -0.0625, 0.0]).nodes[1].op, FRAC_BITS).is_none(), "one bit");
        assert!(narrower(&network(vec![1.9, -1.9, 0.5]).nodes[1].op, FRAC_BITS).is_none(), "all of it");
        assert!(narrower(&Op::Relu, FRAC_BITS).is_none());
    }
}
