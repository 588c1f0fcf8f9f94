//! What a network computes of a batch.

use super::{EPSILON, Gates, Network, Slot, Statistics};
use crate::blocks::Block;
use crate::ops::{self, Activation};
use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, linear, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use copriv_ir::{NodeId, Op, Shape, Window};

/// What batch norms normalise by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// By the batch.
    Train,
    /// By their running statistics.
    Evaluate,
    /// By their running statistics, and those of the batch are taken down.
    Measure,
}

/// What comes out.
pub struct Forward {
    /// Picture, class.
    pub logits: Tensor<2>,
    /// Of the batch, for each batch norm; but for [`Mode::Evaluate`].
    pub statistics: Vec<Statistics>,
}

/// A gate over blocks as one pass sees it.
struct Drop<'a> {
    block: &'a Block,
    dropped: bool,
    narrow: bool,
    score: Tensor<1>,
}

impl Drop<'_> {
    /// 1 where the block is dropped and 0 where it is not, with the gradient of the score.
    fn straight_through(&self) -> Tensor<1> {
        self.score.clone() - self.score.clone().detach() + f32::from(u8::from(self.dropped))
    }
}

impl Network {
    /// The logits of a batch of pictures under `leaves`, which stand for [`parameters`](Self::parameters).
    pub fn forward(&self, x: Tensor<4>, leaves: &[Tensor<1>], mode: Mode) -> Forward {
        let mut readers = self.graph.readers();
        let mut values: Vec<Option<Tensor<4>>> = Vec::with_capacity(self.graph.nodes.len());
        let mut statistics = Vec::new();
        let drops = self.drops(leaves);
        let mut take = |values: &mut Vec<Option<Tensor<4>>>, id: NodeId| {
            readers[id.0] -= 1;
            let value = if readers[id.0] == 0 { values[id.0].take() } else { values[id.0].clone() };
            value.expect("a value is kept until its last reader")
        };
        values.push(Some(x));
        for (index, node) in self.graph.nodes.iter().enumerate().skip(1) {
            let x = take(&mut values, node.inputs[0]);
            let read = self.graph.nodes[node.inputs[0].0].shape;
            let mut y = match &node.op {
                Op::Input => unreachable!("the input is the first node, and that alone"),
                Op::Conv { window, groups, out_channels, bias, .. } => {
                    let (weight, bias_at) = match self.slots[index] {
                        Slot::Layer([weight, bias]) => (weight, Some(bias)),
                        Slot::Weight(weight) => (weight, None),
                        _ => unreachable!(),
                    };
                    let shape = [*out_channels, read.channels / groups, window.kernel[0], window.kernel[1]];
                    let mut weight = leaves[weight].clone().reshape(shape);
                    for drop in &drops {
                        if drop.narrow && drop.block.narrowed.contains(&NodeId(index)) {
                            weight = narrowed(weight, drop);
                        }
                    }
                    let bias_leaf = bias_at.map(|at| leaves[at].clone());
                    if bias.len() == *out_channels {
                        convolution(x, weight, bias_leaf, window, *groups)
                    } else {
                        let Shape { channels, height, width } = node.shape;
                        let y = convolution(x, weight, None, window, *groups);
                        match bias_leaf {
                            Some(map) => y + map.reshape([1, channels, height, width]),
                            None => y,
                        }
                    }
                }
                Op::Linear { outputs, .. } => {
                    let Slot::Layer([weight, bias]) = self.slots[index] else { unreachable!() };
                    let batch = x.dims()[0];
                    let weight = leaves[weight].clone().reshape([*outputs, read.channels]).transpose();
                    let y = linear(x.reshape([batch, read.channels]), weight, Some(leaves[bias].clone()));
                    y.reshape([batch, *outputs, 1, 1])
                }
                Op::BatchNorm { .. } => {
                    let Slot::Norm([gamma, beta], at) = self.slots[index] else { unreachable!() };
                    let (gamma, beta) = (leaves[gamma].clone(), leaves[beta].clone());
                    if mode == Mode::Train {
                        let (y, mean, variance) = ops::batch_norm_train(x, gamma, beta, f64::from(EPSILON));
                        statistics.push(Statistics { mean, variance });
                        y
                    } else {
                        if mode == Mode::Measure {
                            statistics.push(moments(&x));
                        }
                        let Statistics { mean, variance } = self.statistics[at].clone();
                        let scale = gamma / (variance + EPSILON).sqrt();
                        let shift = beta - mean * scale.clone();
                        ops::affine(x, scale, shift)
                    }
                }
                Op::Relu => self.activation(index, x, Activation::Relu, &drops, leaves),
                &Op::Clip { low, high } => {
                    self.activation(index, x, Activation::Clip { low, high }, &drops, leaves)
                }
                Op::Partial { activation, keep } => {
                    let Shape { channels, height, width } = node.shape;
                    let keep: Vec<f32> =
                        keep.as_slice().iter().map(|&kept| f32::from(u8::from(kept))).collect();
                    let keep = Tensor::<1>::from_floats(keep.as_slice(), &x.device());
                    ops::mix(x, keep.reshape([1, channels, height, width]), *activation)
                }
                Op::MaxPool(window) => {
                    let options =
                        MaxPoolOptions { padding: sides(window), ..MaxPoolOptions::new(window.kernel) };
                    max_pool2d(x, MaxPoolOptions { stride: window.stride, ..options })
                }
                Op::AvgPool(window) => {
                    let options =
                        AvgPoolOptions { padding: sides(window), ..AvgPoolOptions::new(window.kernel) };
                    avg_pool2d(
                        x,
                        AvgPoolOptions { stride: window.stride, count_include_pad: true, ..options },
                    )
                }
                Op::AvgPoolInside(window) => {
                    let options =
                        AvgPoolOptions { padding: sides(window), ..AvgPoolOptions::new(window.kernel) };
                    avg_pool2d(
                        x,
                        AvgPoolOptions { stride: window.stride, count_include_pad: false, ..options },
                    )
                }
                Op::GlobalAvgPool => x.mean_dims(&[2, 3]),
                Op::Add => x + take(&mut values, node.inputs[1]),
                &Op::Combine { factors: [a, b] } => {
                    x.mul_scalar(a) + take(&mut values, node.inputs[1]).mul_scalar(b)
                }
                // Of one element for each channel it is repeated.
                Op::Multiply => x * take(&mut values, node.inputs[1]),
                Op::Smooth(function) => ops::smooth(x, *function),
                Op::View(view) => ops::view(x, view),
                Op::Concat => {
                    let mut operands = vec![x];
                    operands.extend(node.inputs[1..].iter().map(|&id| take(&mut values, id)));
                    Tensor::cat(operands, 1)
                }
                Op::Flatten => {
                    let batch = x.dims()[0];
                    x.reshape([batch, node.shape.len(), 1, 1])
                }
            };
            for drop in &drops {
                if self.ends(drop.block, NodeId(index)) {
                    // max(y, 0) where the block is dropped: the gate the other way round.
                    y = ops::gate(y, drop.score.clone().neg(), Activation::Relu, !drop.dropped);
                }
            }
            values.push(Some(y));
        }
        let last = values.pop().flatten().expect("a graph has nodes");
        let batch = last.dims()[0];
        Forward { logits: last.reshape([batch, self.graph.output_shape().len()]), statistics }
    }

    fn drops(&self, leaves: &[Tensor<1>]) -> Vec<Drop<'_>> {
        let Gates::Blocks(gates) = &self.gates else { return Vec::new() };
        let each = gates.blocks.iter().zip(&gates.dropped).enumerate();
        each.map(|(index, (block, &dropped))| {
            #[allow(clippy::single_range_in_vec_init, reason = "a range for the one dimension")]
            let score = leaves[gates.scores].clone().slice([index..index + 1]);
            Drop { block, dropped, narrow: gates.how.narrow, score }
        })
        .collect()
    }

    fn ends(&self, block: &Block, node: NodeId) -> bool {
        matches!(&self.gates, Gates::Blocks(gates) if gates.how.end_activation) && block.end == Some(node)
    }

    fn activation(
        &self,
        index: usize,
        x: Tensor<4>,
        activation: Activation,
        drops: &[Drop<'_>],
        leaves: &[Tensor<1>],
    ) -> Tensor<4> {
        if let Gates::Parts(parts) = &self.gates
            && let Some(part) = parts.iter().find(|part| part.node.0 == index)
        {
            let Shape { channels, height, width } = self.graph.nodes[index].shape;
            let alphas = leaves[part.alphas].clone();
            let by_channel = alphas.dims()[0] == channels && height * width > 1;
            let shape = if by_channel { [1, channels, 1, 1] } else { [1, channels, height, width] };
            return ops::mix(x, alphas.reshape(shape), activation);
        }
        match drops.iter().find(|drop| drop.block.activations.contains(&NodeId(index))) {
            Some(drop) => ops::gate(x, drop.score.clone(), activation, drop.dropped),
            None => ops::activate(x, activation),
        }
    }
}

/// W less its part off the centre where the block is dropped.
fn narrowed(weight: Tensor<4>, drop: &Drop<'_>) -> Tensor<4> {
    let [_, _, height, width] = weight.dims();
    let mut off = vec![1.0; height * width];
    off[height / 2 * width + width / 2] = 0.0;
    let off = Tensor::<1>::from_floats(off.as_slice(), &weight.device()).reshape([1, 1, height, width]);
    weight.clone() - weight * off * drop.straight_through().reshape([1, 1, 1, 1])
}

fn sides(window: &Window) -> [(usize, usize); 2] {
    let [top, left, bottom, right] = window.padding;
    [(top, bottom), (left, right)]
}

fn convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    window: &Window,
    groups: usize,
) -> Tensor<4> {
    let [top, left, bottom, right] = window.padding;
    // What both ends share is the convolution's.
    let both = [top.min(bottom), left.min(right)];
    let more = [(top - both[0], bottom - both[0]), (left - both[1], right - both[1])];
    let x = if more == [(0, 0); 2] { x } else { x.pad(more, 0.0) };
    ops::conv2d(x, weight, bias, window.stride, both, groups)
}

/// Mean and variance of each channel.
fn moments(x: &Tensor<4>) -> Statistics {
    let x = x.clone().inner();
    let channels = x.dims()[1];
    let mean = x.clone().mean_dims(&[0, 2, 3]);
    let centred = x - mean.clone();
    let variance = (centred.clone() * centred).mean_dims(&[0, 2, 3]);
    Statistics { mean: mean.reshape([channels]), variance: variance.reshape([channels]) }
}
