use crate::classes::{Classes, is_odd_mean};
use crate::{Error, Ranges};
use copriv_ir::{Graph, LowerOptions, Lowered, Op, Window, fold_affine, lower_scaled};
use copriv_ring::Width;
use std::collections::HashMap;

/// The bits that weights and values may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bits {
    /// Of weights, the sign included: 2 to 24.
    pub weights: u32,
    /// Of the largest value of a channel, without its sign: 6 to 24.
    pub values: u32,
}

/// A network whose channels have been given scales.
#[derive(Clone, PartialEq, Debug)]
pub struct Scaled {
    /// Of the same function as the original, affine layers folded.
    pub graph: Graph,
    /// f: values have so many fraction bits, apart from their channel's scale.
    pub frac_bits: u32,
    /// Bits of values above the fraction, without the sign.
    pub whole_bits: u32,
    /// Of each node, the fraction bits of its weights.
    pub weight_frac_bits: Vec<u32>,
    /// Of each node and channel, the value in the network for a value of 1 in the original.
    pub scales: Vec<Vec<f64>>,
}

impl Scaled {
    /// In fixed point of the given width, where rewrites leave so many bits above the fraction.
    ///
    /// # Errors
    /// [`Error::Network`] when something does not fit the width.
    pub fn lower(&self, width: Width, integer_bits: u32) -> Result<Lowered, Error> {
        let options = LowerOptions { width, frac_bits: self.frac_bits };
        Ok(lower_scaled(&self.graph, options, &self.weight_frac_bits, integer_bits)?)
    }

    /// Bits above the fraction that rewrites may leave: few, so that truncations are put off and transforms have room even in a narrow
    /// ring, or more, so that the ring may be narrow because nothing is rewritten.
    pub(crate) fn integer_bits(&self) -> [u32; 3] {
        // The sign, and as much again.
        [2, 5, 9].map(|more| self.whole_bits + more)
    }
}

/// Gives every channel a scale, so that its values fill the bits that they may have, and weights theirs.
///
/// Inputs, logits and what smooth activations read and make stay as they are. The first row of weights that makes a channel gives it
/// the largest scale with which neither its values nor its weights have more bits than they may, and others that are added to it take that;
/// the weights' fraction bits are those that make the roundings of both, relative to what they round, smallest. A mean over a number of elements that is no power of two becomes
/// a sum over a power of two with zeros, where its scale can make up for that.
///
/// # Errors
/// [`Error`] when the network is not valid or the bits are out of bounds.
pub fn scale(graph: &Graph, ranges: &Ranges, bits: Bits) -> Result<Scaled, Error> {
    let Bits { weights: weight, values: value } = bits;
    if !(2..=24).contains(&weight) || !(6..=24).contains(&value) {
        return Err(Error::Bits { weight, value });
    }
    let mut graph = fold_affine(graph)?;
    let classes = Classes::new(&graph);
    let largest_input = ranges.of.first().into_iter().flatten().fold(0.0, |a: f32, &b| a.max(b));
    let whole_bits = f64::from(largest_input).log2().ceil().clamp(0.0, f64::from(value - 6)) as u32;
    let frac_bits = value - whole_bits;
    let most_value = f64::from(value).exp2() / f64::from(frac_bits).exp2();
    let most_weight = f64::from(weight - 1).exp2() - 1.0;

    let mut range = vec![0.0f64; classes.pinned.len()];
    for (classes, ranges) in classes.of.iter().zip(&ranges.of) {
        for (&class, &of) in classes.iter().zip(ranges) {
            range[class] = range[class].max(of.into());
        }
    }
    // Silent channels get what they would with a value of 1.
    let full = |class: usize| most_value / if range[class] > 0.0 { range[class] } else { 1.0 };
    let mut sigma: Vec<Option<f64>> = classes.pinned.iter().map(|&pinned| pinned.then_some(1.0)).collect();
    let mut weight_frac_bits = Vec::with_capacity(graph.nodes.len());
    let mut scales: Vec<Vec<f64>> = Vec::with_capacity(graph.nodes.len());
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let own = &classes.of[index];
        let mut frac_bits_of_weights = 0;
        if let Some([per_row, row]) = rows(&graph, index) {
            let inputs = &scales[node.inputs[0].0];
            let maxima = maxima(&node.op, inputs, per_row, row);
            let mut here = HashMap::new();
            own.iter().for_each(|&class| *here.entry(class).or_insert(0) += 1);
            // The first row that makes a channel chooses, and others take its scale; several of one layer cannot.
            let free: Vec<bool> =
                own.iter().map(|class| sigma[*class].is_none() && here[class] == 1).collect();
            for (&class, &free) in own.iter().zip(&free) {
                if !free && sigma[class].is_none() {
                    sigma[class] = Some(full(class));
                }
            }
            let rows = own.iter().zip(&maxima).zip(&free).map(|((&class, &most), &free)| Row {
                most,
                range: range[class],
                scale: if free { None } else { sigma[class] },
                full: full(class),
            });
            let (bits, chosen) = choose(&rows.collect::<Vec<_>>(), most_weight, frac_bits);
            frac_bits_of_weights = bits;
            for (&class, scale) in own.iter().zip(chosen) {
                sigma[class] = Some(scale);
            }
        } else if classes.free_means && is_odd_mean(&graph, node) {
            let shape = graph.nodes[node.inputs[0].0].shape;
            let window = padded(shape.height, shape.width);
            let factor = shape.area() as f64 / window.area() as f64;
            for (&class, scale) in own.iter().zip(&scales[node.inputs[0].0]) {
                sigma[class] = Some(scale * factor);
            }
            graph.nodes[index].op = Op::AvgPool(window);
        }
        weight_frac_bits.push(frac_bits_of_weights);
        // What is made of nothing but zeros has any scale.
        let own: Vec<f64> = own.iter().map(|&class| *sigma[class].get_or_insert(1.0)).collect();
        let input = graph.nodes[index].inputs.first().map(|id| scales[id.0].clone());
        rescale(&mut graph.nodes[index].op, input.as_deref().unwrap_or_default(), &own);
        scales.push(own);
    }
    graph.validate()?;
    Ok(Scaled { graph, frac_bits, whole_bits, weight_frac_bits, scales })
}

/// Of a layer with weights, how many of them are of one input channel, and how many a row has.
fn rows(graph: &Graph, index: usize) -> Option<[usize; 2]> {
    let node = &graph.nodes[index];
    let inputs = graph.nodes[node.inputs.first()?.0].shape.channels;
    match &node.op {
        Op::Conv { window, groups, .. } => Some([window.area(), inputs / groups * window.area()]),
        Op::Linear { .. } => Some([1, inputs]),
        _ => None,
    }
}

/// The input channel of weight `index`, and the row that it is in.
fn place(op: &Op, channels: usize, per_row: usize, row: usize, index: usize) -> (usize, usize) {
    let (own, within) = (index / row, index % row / per_row);
    match op {
        Op::Conv { groups, out_channels, .. } => {
            (own / (out_channels / groups) * (channels / groups) + within, own)
        }
        _ => (within, own),
    }
}

/// The largest absolute weight of each row for inputs of the given scales.
fn maxima(op: &Op, inputs: &[f64], per_row: usize, row: usize) -> Vec<f64> {
    let (Op::Conv { weight, .. } | Op::Linear { weight, .. }) = op else { return Vec::new() };
    let mut maxima = vec![0.0f64; weight.len() / row];
    for (index, &w) in weight.iter().enumerate() {
        let (channel, row) = place(op, inputs.len(), per_row, row, index);
        maxima[row] = maxima[row].max(f64::from(w).abs() / inputs[channel]);
    }
    maxima
}

/// A row of weights, and the channel that it makes.
struct Row {
    /// The largest weight, with the scales of the inputs.
    most: f64,
    /// The largest value.
    range: f64,
    /// The channel's scale, where it is given.
    scale: Option<f64>,
    /// The scale with which its values have all bits that they may.
    full: f64,
}

/// Fraction bits of the weights, and the scale of each row.
fn choose(rows: &[Row], most_weight: f64, frac_bits: u32) -> (u32, Vec<f64>) {
    let scales = |bits: u32| -> Option<Vec<f64>> {
        let unit = f64::from(bits).exp2();
        rows.iter()
            .map(|row| {
                let most = if row.most > 0.0 { most_weight / (unit * row.most) } else { f64::INFINITY };
                match row.scale {
                    Some(scale) => (scale <= most * (1.0 + 1e-9)).then_some(scale),
                    None => Some(row.full.min(most)),
                }
            })
            .collect()
    };
    let noise = |bits: u32, scales: &[f64]| -> f64 {
        let relative = |size: f64| if size > 0.0 { size.powi(-2) } else { 0.0 };
        let (weights, values) = (f64::from(bits).exp2(), f64::from(frac_bits).exp2());
        let of = |(row, scale): (&Row, &f64)| {
            relative(weights * row.most * scale) + relative(values * row.range * scale)
        };
        rows.iter().zip(scales).map(of).sum()
    };
    let candidates =
        (0..=30).filter_map(|bits| scales(bits).map(|scales| (noise(bits, &scales), bits, scales)));
    match candidates.min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, bits, scales)) => (bits, scales),
        // Weights too large for any: as they are, without a fraction.
        None => (0, rows.iter().map(|row| row.scale.unwrap_or(row.full)).collect()),
    }
}

/// The window of a mean over a whole map with zeros below and on the right, so that its sides are powers of two.
fn padded(height: usize, width: usize) -> Window {
    let kernel = [height.next_power_of_two(), width.next_power_of_two()];
    Window { kernel, stride: [1; 2], padding: [0, 0, kernel[0] - height, kernel[1] - width] }
}

/// The operation on inputs of the given scales with a result of the given scales.
fn rescale(op: &mut Op, inputs: &[f64], own: &[f64]) {
    match op {
        Op::Conv { .. } | Op::Linear { .. } => {
            let channels = inputs.len();
            let copy = op_without_weights(op);
            let (Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. }) = op else { return };
            let row = weight.len() / own.len();
            let per_row = match &copy {
                Op::Conv { window, .. } => window.area(),
                _ => 1,
            };
            for (index, w) in weight.iter_mut().enumerate() {
                let (channel, row) = place(&copy, channels, per_row, row, index);
                *w = (f64::from(*w) * own[row] / inputs[channel]) as f32;
            }
            let each = bias.len() / own.len();
            for (index, b) in bias.iter_mut().enumerate() {
                *b = (f64::from(*b) * own[index / each]) as f32;
            }
        }
        Op::Clip { low, high }
        | Op::Partial { activation: copriv_ir::Activation::Clip { low, high }, .. } => {
            // All channels have one scale. A bound that is none stays none.
            let scaled = |bound: f32| match bound {
                f32::MIN | f32::MAX => bound,
                bound => (f64::from(bound) * own[0]) as f32,
            };
            (*low, *high) = (scaled(*low), scaled(*high));
        }
        _ => {}
    }
}

fn op_without_weights(op: &Op) -> Op {
    match op {
        &Op::Conv { window, groups, out_channels, .. } => {
            Op::Conv { window, groups, out_channels, weight: Vec::new(), bias: Vec::new() }
        }
        _ => Op::Relu,
    }
}
