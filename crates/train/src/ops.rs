//! Operations to train convolutional networks with, each with its gradients, and fast on a CPU.
//!
//! burn's own operations are the reference; these are what training steps spend their time in, as one pass over memory
//! where burn composes several, and a convolution that reads pictures in place. On a backend without kernels of its own
//! the same functions are compositions of burn's operations. All tensors are of single precision.
//!
//! On one machine results are equal bit for bit, whatever the number of threads: sums are formed in parts that depend on
//! shapes alone, and the parts added up in order.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use copriv_train::ops::{Activation, activate, batch_norm_train, conv2d};
//!
//! let device = Device::flex().autodiff();
//! let x = Tensor::<4>::ones([2, 3, 8, 8], &device);
//! let weight = Tensor::<4>::ones([4, 3, 3, 3], &device).require_grad();
//! let y = conv2d(x, weight.clone(), None, [1, 1], [1, 1], 1);
//! let (gamma, beta) = (Tensor::ones([4], &device), Tensor::zeros([4], &device));
//! let (y, mean, variance) = batch_norm_train(y, gamma, beta, 1e-5);
//! assert_eq!((mean.dims(), variance.dims()), ([4], [4]));
//! let gradients = activate(y, Activation::Relu).sum().backward();
//! assert_eq!(weight.grad(&gradients).map(|g| g.dims()), Some([4, 3, 3, 3]));
//! ```

mod compose;
mod conv;
mod gradients;
mod kernels;
mod layout;
mod norm;
mod pointwise;
mod tile;

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor};
use copriv_ir::{Function, Shape, View};
use kernels::Kernels;

/// x between the bounds, the bound beyond it. The gradient passes strictly between them, at a bound it is 0.
pub use copriv_ir::Activation;

/// a(x).
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::activate(x.into_dispatch(), activation))
}

/// a(x), or x where the activation is dropped, with a gradient for the score s of that choice, a tensor of one element.
///
/// With c = 1 for a dropped activation and 0 for one that is kept, this is a(x) + (x − a(x))·(c − sg(s) + s), sg being
/// a constant to the gradient: dL/ds = Σ dL/dy·(x − a(x)), dropped or kept.
///
/// # Panics
/// When the score has more than one element.
pub fn gate(x: Tensor<4>, score: Tensor<1>, activation: Activation, drop: bool) -> Tensor<4> {
    assert_eq!(score.dims(), [1], "one score for a gate");
    Tensor::from_dispatch(Dispatch::gate(x.into_dispatch(), score.into_dispatch(), activation, drop))
}

/// α·a(x) + (1 − α)·x, with α of shape `[1, channels, height, width]` or `[1, channels, 1, 1]`.
///
/// # Panics
/// When α has another shape.
pub fn mix(x: Tensor<4>, alpha: Tensor<4>, activation: Activation) -> Tensor<4> {
    let [_, channels, height, width] = x.dims();
    let shape = alpha.dims();
    assert!(
        shape == [1, channels, height, width] || shape == [1, channels, 1, 1],
        "a mask of {shape:?} for {channels} channels of {height} by {width}"
    );
    Tensor::from_dispatch(Dispatch::mix(x.into_dispatch(), alpha.into_dispatch(), activation))
}

/// A smooth activation of every element, as burn computes it.
pub fn smooth(x: Tensor<4>, function: Function) -> Tensor<4> {
    use burn::tensor::activation;
    match function {
        Function::Sigmoid => activation::sigmoid(x),
        Function::Tanh => x.tanh(),
        Function::Silu => activation::silu(x),
        Function::Gelu => activation::gelu(x),
        Function::HardSwish => x.clone() * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Function::Elu => {
            // The exponential of what is positive would be infinite, and its gradient no number.
            let below = x.clone().clamp(f32::MIN, 0.0).exp() - 1.0;
            activation::relu(x) + below
        }
    }
}

/// Elements of each picture of a batch in other places, and zeros.
///
/// # Panics
/// When it is a view of another number of elements.
pub fn view(x: Tensor<4>, view: &View) -> Tensor<4> {
    let ([batch, channels, height, width], device) = (x.dims(), x.device());
    let elements = channels * height * width;
    let places: Vec<i32> = (0..elements as i32).collect();
    let places = Tensor::<1, Int>::from_ints(view.apply(&places, elements as i32).as_slice(), &device);
    let flat = Tensor::cat(vec![x.reshape([batch, elements]), Tensor::zeros([batch, 1], &device)], 1);
    let Shape { channels, height, width } = view.shape;
    flat.select(1, places).reshape([batch, channels, height, width])
}

/// Batch normalisation with the statistics of the batch, which are returned: output, mean and biased variance of each
/// channel. No gradient goes through the returned statistics.
///
/// # Panics
/// When γ or β are not one value for each channel.
pub fn batch_norm_train(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let channels = x.dims()[1];
    assert_eq!((gamma.dims(), beta.dims()), ([channels], [channels]), "one γ and β for each channel");
    let (y, mean, variance) =
        Dispatch::normalise(x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch(), epsilon);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

/// `scale·x + shift`, by channel: batch normalisation in evaluation.
///
/// # Panics
/// When scale or shift are not one value for each channel.
pub fn affine(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>) -> Tensor<4> {
    let channels = x.dims()[1];
    assert_eq!(
        (scale.dims(), shift.dims()),
        ([channels], [channels]),
        "one scale and shift for each channel"
    );
    Tensor::from_dispatch(Dispatch::affine(x.into_dispatch(), scale.into_dispatch(), shift.into_dispatch()))
}

/// Convolution of `[batch, inputs, height, width]` with weights `[outputs, inputs / groups, rows, columns]`, zeros being
/// padded on all sides.
///
/// # Panics
/// When shapes do not fit.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> Tensor<4> {
    let ([_, inputs, height, width], [outputs, own, rows, cols]) = (x.dims(), weight.dims());
    assert!(
        groups > 0 && inputs == own * groups && outputs % groups == 0,
        "weights {:?} in {groups} groups for {inputs} channels",
        weight.dims()
    );
    assert!(
        rows > 0 && cols > 0 && height + 2 * padding[0] >= rows && width + 2 * padding[1] >= cols,
        "a kernel of {rows} by {cols} on {height} by {width} padded by {padding:?}"
    );
    assert!(stride[0] > 0 && stride[1] > 0, "a stride of {stride:?}");
    assert!(
        bias.as_ref().is_none_or(|bias| bias.dims() == [outputs]),
        "one bias for each of {outputs} outputs"
    );
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => Dispatch::conv(x, weight, stride, padding, groups),
        Some(bias) => Dispatch::conv_with_bias(x, weight, bias.into_dispatch(), stride, padding, groups),
    })
}
