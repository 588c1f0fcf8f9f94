//! From a name or a file to a network in fixed point, from pixels to the ring, and from the ring to answers.

use crate::args::{FixedArgs, ModelArgs, PictureArgs};
use crate::error::Error;
use crate::progress::Bar;
use copriv_import::Network;
use copriv_ir::{
    Architecture, Graph, LowerOptions, Lowered, Preprocessing, Shape, fold_affine, lower, merge_linear,
    pool_first,
};
use copriv_ring::{FixedPoint, RingVec, Width};
use copriv_runner::Settings;
use copriv_runner::planner::Planner;
use std::path::Path;

/// The network that the command line names, with float weights and lowered: to the fixed point that it was calibrated to, unless
/// fraction bits are given.
pub fn load(args: &ModelArgs, fixed: FixedArgs) -> Result<(Graph, Lowered), Error> {
    let _bar = Bar::spinner("loading the network");
    let network = load_network(args)?;
    let lowered = network.lower(fixed.bits, fixed.frac)?;
    Ok((network.graph, lowered))
}

/// The network that the command line names, as its file has it.
pub fn load_network(args: &ModelArgs) -> Result<Network, Error> {
    Ok(copriv_import::load_network(&args.model, args.weights.as_deref(), &args.options())?)
}

/// The network with means before 1x1 convolutions, and linear layers that have nothing between them made one, where an inference costs less so.
pub fn merged(graph: &Graph, settings: Settings) -> Result<Graph, Error> {
    let mut planner = Planner::new(settings);
    let options = LowerOptions { width: Width::of(Network::BITS), frac_bits: Network::FRAC_BITS };
    let mut cost = |layers: &Graph| {
        // What does not fit the fixed point is not merged.
        let lowered = lower(layers, options).ok();
        let bytes = lowered.and_then(|lowered| planner.layers(&lowered.architecture).ok());
        bytes.map_or(u64::MAX, |[before, online]| before.saturating_add(online))
    };
    Ok(merge_linear(&pool_first(&fold_affine(graph)?)?, &mut cost)?)
}

/// How pictures are prepared for the network: as its file says, and the command line.
pub fn preprocessing(
    args: &ModelArgs,
    pictures: &PictureArgs,
    architecture: &Architecture,
) -> Result<Preprocessing, Error> {
    Ok(declared(args, pictures, architecture.input_shape())?.unwrap_or_default())
}

/// The same, where the file or the command line says anything.
pub fn declared(
    args: &ModelArgs,
    pictures: &PictureArgs,
    input: Shape,
) -> Result<Option<Preprocessing>, Error> {
    let told = match pictures.preprocess {
        Some(_) => None,
        None => copriv_import::preprocessing(&args.model)?,
    };
    if told.is_none() && !pictures.is_given() {
        // The usual must fit the network too.
        pictures.settle(None, input)?;
        return Ok(None);
    }
    pictures.settle(told, input).map(Some)
}

/// Refuses a file that is not there, before anything else is done.
pub fn check_file(path: &Path) -> Result<(), Error> {
    let refused = |e| Error::other(format!("{}: {e}", path.display()));
    std::fs::metadata(path).map(|_| ()).map_err(refused)
}

/// `pixels` in fixed point, as the network takes them.
pub fn encode(architecture: &Architecture, pixels: &[f32]) -> Result<RingVec, Error> {
    let fixed = FixedPoint { width: architecture.width, frac_bits: architecture.frac_bits };
    let word = |(index, &pixel): (usize, &f32)| {
        let refused = |e| Error::other(format!("the input's value number {index}: {e}; scale the input"));
        fixed.encode(pixel.into()).map_err(refused)
    };
    let words = pixels.iter().enumerate().map(word).collect::<Result<_, _>>()?;
    Ok(RingVec::from_words(architecture.width, words))
}

/// The reals that a network's output stands for.
pub fn decode(architecture: &Architecture, output: &RingVec) -> Vec<f64> {
    let fixed = FixedPoint { width: output.width(), frac_bits: output_scale(architecture) };
    output.words().iter().map(|&word| fixed.decode(word)).collect()
}

/// The integer that stands for 1 in a network's output.
pub fn unit(architecture: &Architecture) -> f64 {
    f64::from(output_scale(architecture)).exp2()
}

fn output_scale(architecture: &Architecture) -> u32 {
    // A validated architecture has a layer.
    architecture.layers.last().map_or(0, |layer| layer.frac_bits)
}

/// The index of the largest value, and the first of them.
pub fn argmax(values: &[f32]) -> Option<usize> {
    (0..values.len()).reduce(|best, i| if values[i] > values[best] { i } else { best })
}

/// The `n` largest values with their indices, largest first.
pub fn top(values: &[f64], n: usize) -> Vec<(usize, f64)> {
    let mut all: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(n);
    all
}

/// The largest difference of two lists, element by element.
pub fn distance(a: &[f64], b: impl IntoIterator<Item = f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// `count` reals in [0, 1), the same for the same seed (SplitMix64).
pub fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The upper 24 bits: every one a float.
        ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
    };
    (0..count).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), Some(1));
        assert_eq!(argmax(&[]), None);
        assert_eq!(top(&[0.5, 2.0, -1.0], 2), [(1, 2.0), (0, 0.5)]);
        assert_eq!(distance(&[1.0, 2.0], [1.5, 2.0]), 0.5);
    }

    #[test]
    fn random_inputs_are_repeatable_pixels() {
        let pixels = random(7, 1000);
        assert_eq!(pixels, random(7, 1000));
        assert_ne!(pixels, random(8, 1000));
        assert!(pixels.iter().all(|p| (0.0..1.0).contains(p)));
        let mean = pixels.iter().sum::<f32>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
