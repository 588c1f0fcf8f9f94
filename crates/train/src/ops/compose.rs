//! The operations as compositions of burn's own: what any backend gives, and what the kernels are held to.

use burn::backend::ops::BoolTensorOps;
use burn::backend::ops::{BatchNormTrain, ConvOptions};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Scalar, TensorMetadata, get_or_init_device_settings};

use super::Activation;
use super::pointwise::CutOff;

fn scalar(x: f32) -> Scalar {
    Scalar::Float(f64::from(x))
}

/// 1 where the activation passes x on, 0 elsewhere.
fn passes<B: Backend>(x: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    let (low, high) = activation.bounds();
    let settings = get_or_init_device_settings::<B>(&x.device());
    let above = B::float_greater_elem(x.clone(), scalar(low), settings.bool_dtype);
    let below = B::float_lower_elem(x, scalar(high), settings.bool_dtype);
    <B as BoolTensorOps<B>>::bool_into_float(B::bool_and(above, below), settings.float_dtype)
}

/// Sums over all dimensions in which `to` has length one.
fn sum_to<B: Backend>(x: FloatTensor<B>, to: &[usize]) -> FloatTensor<B> {
    (0..to.len()).filter(|&dim| to[dim] == 1).fold(x, B::float_sum_dim)
}

/// A value for each channel, as a tensor of four dimensions; and back.
fn channels<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let count = x.shape()[0];
    B::float_reshape(x, [1, count, 1, 1].into())
}

fn flat<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let count = x.shape().num_elements();
    B::float_reshape(x, [count].into())
}

pub fn activate<B: Backend>(x: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    match activation {
        Activation::Relu => B::relu(x),
        Activation::Clip { low, high } => B::float_clamp(x, scalar(low), scalar(high)),
    }
}

pub fn activate_gradient<B: Backend>(
    y: FloatTensor<B>,
    activation: Activation,
    dy: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_mul(dy, passes::<B>(y, activation))
}

pub fn gate_gradient<B: Backend>(
    x: FloatTensor<B>,
    activation: Activation,
    drop: bool,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let removed = B::float_sub(x.clone(), activate::<B>(x.clone(), activation));
    let ds = flat::<B>(B::float_sum(B::float_mul(dy.clone(), removed)));
    let dx = if drop { dy } else { activate_gradient::<B>(x, activation, dy) };
    (dx, ds)
}

pub fn mix<B: Backend>(x: FloatTensor<B>, alpha: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    let change = B::float_sub(activate::<B>(x.clone(), activation), x.clone());
    B::float_add(x, B::float_mul(change, alpha))
}

pub fn mix_gradient<B: Backend>(
    x: FloatTensor<B>,
    alpha: FloatTensor<B>,
    activation: Activation,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let change = B::float_sub(activate::<B>(x.clone(), activation), x.clone());
    let dalpha = sum_to::<B>(B::float_mul(dy.clone(), change), alpha.shape().as_slice());
    // dx = dy·(α·a' + 1 − α)
    let stopped = B::float_neg(B::float_sub_scalar(passes::<B>(x, activation), scalar(1.0)));
    let dx = B::float_sub(dy.clone(), B::float_mul(B::float_mul(dy, stopped), alpha));
    (dx, dalpha)
}

pub fn affine<B: Backend>(x: FloatTensor<B>, scale: FloatTensor<B>, shift: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add(B::float_mul(x, channels::<B>(scale)), channels::<B>(shift))
}

pub fn affine_gradient<B: Backend>(
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let scale = channels::<B>(scale);
    let shape = scale.shape();
    let dscale = sum_to::<B>(B::float_mul(dy.clone(), x), shape.as_slice());
    let dshift = sum_to::<B>(dy.clone(), shape.as_slice());
    (B::float_mul(dy, scale), flat::<B>(dscale), flat::<B>(dshift))
}

pub fn batch_norm<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let BatchNormTrain { output, mean, variance } = B::batch_norm_train(x, gamma, beta, epsilon);
    (output, mean, variance)
}

pub fn batch_norm_gradient<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    epsilon: f64,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let gradient = B::batch_norm_train_backward(x, gamma, mean, variance, epsilon, dy);
    (gradient.x_grad, gradient.gamma_grad, gradient.beta_grad)
}

fn options(stride: [usize; 2], padding: [usize; 2], groups: usize) -> ConvOptions<2> {
    ConvOptions::new(stride, padding, [1, 1], groups)
}

pub fn conv<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> FloatTensor<B> {
    B::conv2d(x, weight, bias, options(stride, padding, groups))
}

pub fn conv_input_gradient<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    dy: FloatTensor<B>,
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> FloatTensor<B> {
    B::conv2d_x_backward(x, weight, dy, options(stride, padding, groups))
}

pub fn conv_weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    dy: FloatTensor<B>,
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> FloatTensor<B> {
    B::conv2d_weight_backward(x, weight, dy, options(stride, padding, groups))
}

pub fn conv_bias_gradient<B: Backend>(dy: FloatTensor<B>) -> FloatTensor<B> {
    let channels = dy.shape()[1];
    flat::<B>(sum_to::<B>(dy, &[1, channels, 1, 1]))
}
