//! Operations with gradients (compositions).
use burn::tensor::{Tensor, activation as act, module, ops::ConvOptions};
use serde::{Deserialize, Serialize};

/// An activation.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// min(max(x, low), high).
    Clip {
        /// Least.
        low: f32,
        /// Largest.
        high: f32,
    },
}
/// a(x)
pub fn activate(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::Relu => act::relu(x),
        Activation::Clip { low, high } => {
            act::relu(x.clone().sub_scalar(low)) - act::relu(x.sub_scalar(high)) + low
        }
    }
}
/// gate
pub fn gate(x: Tensor<4>, s: Tensor<1>, activation: Activation, drop: bool) -> Tensor<4> {
    let a = activate(x.clone(), activation);
    let c = s.clone().sub(s.detach()).add_scalar(if drop { 1.0f32 } else { 0.0 }).reshape([1, 1, 1, 1]);
    a.clone() + (x - a) * c
}
/// mix
pub fn mix(x: Tensor<4>, alpha: Tensor<4>, activation: Activation) -> Tensor<4> {
    let a = activate(x.clone(), activation);
    x.clone() + (a - x) * alpha
}
/// bn
pub fn batch_norm_train(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let out = module::batch_norm_train(x, gamma, beta, epsilon as f64);
    (out.output, out.mean.inner(), out.variance.inner())
}
/// affine
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>) -> Tensor<4> {
    let c = scale.dims()[0];
    x * scale.reshape([1, c, 1, 1]) + shift.reshape([1, c, 1, 1])
}
/// conv
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> Tensor<4> {
    module::conv2d(x, weight, bias, ConvOptions::new(stride, padding, [1, 1], groups))
}
