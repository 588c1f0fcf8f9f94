//! The operations by backend: compositions unless a backend has kernels of its own, as the CPU has.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::TensorData;
use burn_flex::FlexTensor;

use super::norm::{self, Planes};
use super::pointwise::{self, Mask};
use super::{Activation, compose, conv};

/// A backend to train on. `impl Kernels for …` with nothing in it does for a backend without kernels of its own; it is
/// then named beside [`Flex`] below. Gradients take the gradient of the output last.
#[backend_extension(Flex, Cube: cfg(any(feature = "cuda", feature = "wgpu")), Autodiff)]
pub trait Kernels: Backend {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        compose::activate::<Self>(x, activation)
    }

    fn activate_gradient(
        y: FloatTensor<Self>,
        activation: Activation,
        dy: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        compose::activate_gradient::<Self>(y, activation, dy)
    }

    fn gate(
        x: FloatTensor<Self>,
        _score: FloatTensor<Self>,
        activation: Activation,
        drop: bool,
    ) -> FloatTensor<Self> {
        if drop { x } else { Self::activate(x, activation) }
    }

    fn gate_gradient(
        x: FloatTensor<Self>,
        activation: Activation,
        drop: bool,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        compose::gate_gradient::<Self>(x, activation, drop, dy)
    }

    fn mix(x: FloatTensor<Self>, alpha: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        compose::mix::<Self>(x, alpha, activation)
    }

    fn mix_gradient(
        x: FloatTensor<Self>,
        alpha: FloatTensor<Self>,
        activation: Activation,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        compose::mix_gradient::<Self>(x, alpha, activation, dy)
    }

    fn affine(x: FloatTensor<Self>, scale: FloatTensor<Self>, shift: FloatTensor<Self>) -> FloatTensor<Self> {
        compose::affine::<Self>(x, scale, shift)
    }

    fn affine_gradient(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        compose::affine_gradient::<Self>(x, scale, dy)
    }

    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        compose::batch_norm::<Self>(x, gamma, beta, epsilon)
    }

    fn normalise_gradient(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        compose::batch_norm_gradient::<Self>(x, gamma, mean, variance, epsilon, dy)
    }

    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FloatTensor<Self> {
        compose::conv::<Self>(x, weight, None, stride, padding, groups)
    }

    fn conv_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FloatTensor<Self> {
        compose::conv::<Self>(x, weight, Some(bias), stride, padding, groups)
    }

    fn conv_input_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FloatTensor<Self> {
        compose::conv_input_gradient::<Self>(x, weight, dy, stride, padding, groups)
    }

    fn conv_weight_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FloatTensor<Self> {
        compose::conv_weight_gradient::<Self>(x, weight, dy, stride, padding, groups)
    }

    fn conv_bias_gradient(dy: FloatTensor<Self>) -> FloatTensor<Self> {
        compose::conv_bias_gradient::<Self>(dy)
    }
}

/// The tensor with its values in order and nothing else in its buffer.
fn whole(x: FlexTensor) -> FlexTensor {
    let whole = x.to_contiguous();
    drop(x);
    whole
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn dims(x: &FlexTensor) -> [usize; 4] {
    x.shape().dims()
}

fn planes(x: &FlexTensor) -> Planes<'_> {
    let [_, channels, height, width] = dims(x);
    Planes { values: x.storage(), channels, area: height * width }
}

fn mask<'a>(x: &FlexTensor, alpha: &'a FlexTensor) -> Mask<'a> {
    let [_, channels, height, width] = dims(x);
    Mask { alpha: alpha.storage(), channels, area: height * width }
}

fn shape(
    x: [usize; 4],
    weight: [usize; 4],
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> conv::Shape {
    let ([batch, inputs, height, width], [outputs, _, rows, cols]) = (x, weight);
    let (size, kernel) = ([height, width], [rows, cols]);
    conv::Shape { batch, inputs, outputs, groups, size, kernel, stride, padding }
}

fn convolved(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> FlexTensor {
    let (x, weight) = (whole(x), whole(weight));
    let shape = shape(dims(&x), dims(&weight), stride, padding, groups);
    let [height, width] = shape.out();
    let bias = bias.as_ref().map(FlexTensor::storage);
    let y = conv::forward(&shape, x.storage(), weight.storage(), bias);
    tensor(y, [shape.batch, shape.outputs, height, width])
}

impl Kernels for Flex {
    fn activate(x: FlexTensor, activation: Activation) -> FlexTensor {
        let mut x = whole(x);
        if let Some(values) = x.try_storage_mut() {
            pointwise::activate(values, activation);
            return x;
        }
        let shape = x.shape();
        FlexTensor::from_data(TensorData::new(pointwise::activated(x.storage(), activation), shape))
    }

    fn activate_gradient(y: FlexTensor, activation: Activation, dy: FlexTensor) -> FlexTensor {
        let (y, mut dy) = (whole(y), whole(dy));
        pointwise::activate_gradient(y.storage(), activation, dy.storage_mut());
        dy
    }

    fn gate_gradient(
        x: FlexTensor,
        activation: Activation,
        drop: bool,
        dy: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let (x, mut dy) = (whole(x), whole(dy));
        let ds = if drop {
            pointwise::dropped_gradient(x.storage(), activation, dy.storage())
        } else {
            pointwise::gate_gradient(x.storage(), activation, dy.storage_mut())
        };
        (dy, tensor(vec![ds], [1]))
    }

    fn mix(x: FlexTensor, alpha: FlexTensor, activation: Activation) -> FlexTensor {
        let (x, alpha) = (whole(x), whole(alpha));
        let y = pointwise::mix(x.storage(), mask(&x, &alpha), activation);
        tensor(y, dims(&x))
    }

    fn mix_gradient(
        x: FlexTensor,
        alpha: FlexTensor,
        activation: Activation,
        dy: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let (x, alpha, mut dy) = (whole(x), whole(alpha), whole(dy));
        let dalpha = pointwise::mix_gradient(x.storage(), mask(&x, &alpha), activation, dy.storage_mut());
        (dy, tensor(dalpha, dims(&alpha)))
    }

    fn affine(x: FlexTensor, scale: FlexTensor, shift: FlexTensor) -> FlexTensor {
        let (x, scale, shift) = (whole(x), whole(scale), whole(shift));
        tensor(norm::affine(planes(&x), scale.storage(), shift.storage()), dims(&x))
    }

    fn affine_gradient(
        x: FlexTensor,
        scale: FlexTensor,
        dy: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, scale, mut dy) = (whole(x), whole(scale), whole(dy));
        let channels = dims(&x)[1];
        let (dscale, dshift) = norm::affine_gradient(planes(&x), scale.storage(), dy.storage_mut());
        (dy, tensor(dscale, [channels]), tensor(dshift, [channels]))
    }

    fn normalise(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, gamma, beta) = (whole(x), whole(gamma), whole(beta));
        let shape = dims(&x);
        let normalised = norm::batch_norm(planes(&x), gamma.storage(), beta.storage(), epsilon);
        (
            tensor(normalised.y, shape),
            tensor(normalised.mean, [shape[1]]),
            tensor(normalised.variance, [shape[1]]),
        )
    }

    fn normalise_gradient(
        x: FlexTensor,
        gamma: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        epsilon: f64,
        dy: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, gamma, mut dy) = (whole(x), whole(gamma), whole(dy));
        let (mean, variance) = (whole(mean), whole(variance));
        let channels = dims(&x)[1];
        let statistics = [mean.storage(), variance.storage()];
        let (dgamma, dbeta) =
            norm::batch_norm_gradient(planes(&x), gamma.storage(), statistics, epsilon, dy.storage_mut());
        (dy, tensor(dgamma, [channels]), tensor(dbeta, [channels]))
    }

    fn conv(
        x: FlexTensor,
        weight: FlexTensor,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FlexTensor {
        convolved(x, weight, None, stride, padding, groups)
    }

    fn conv_with_bias(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FlexTensor {
        convolved(x, weight, Some(whole(bias)), stride, padding, groups)
    }

    fn conv_input_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        dy: FlexTensor,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FlexTensor {
        let (weight, dy) = (whole(weight), whole(dy));
        let shape = shape(dims(&x), dims(&weight), stride, padding, groups);
        tensor(conv::input_gradient(&shape, weight.storage(), dy.storage()), dims(&x))
    }

    fn conv_weight_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        dy: FlexTensor,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FlexTensor {
        let (x, dy) = (whole(x), whole(dy));
        let shape = shape(dims(&x), dims(&weight), stride, padding, groups);
        tensor(conv::weight_gradient(&shape, x.storage(), dy.storage()), dims(&weight))
    }

    fn conv_bias_gradient(dy: FlexTensor) -> FlexTensor {
        let dy = whole(dy);
        let channels = dims(&dy)[1];
        tensor(norm::sums(planes(&dy)), [channels])
    }
}

/// Graphics cards: compositions, which their compiler fuses.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl Kernels for burn::backend::Cube {}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(shape: [usize; 4], seed: u32) -> FlexTensor {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        tensor((0..shape.iter().product()).map(next).collect(), shape)
    }

    fn vector(count: usize, seed: u32) -> FlexTensor {
        tensor(whole(numbers([1, 1, 1, count], seed)).storage().to_vec(), [count])
    }

    fn close(what: &str, got: &FlexTensor, wanted: &FlexTensor) {
        assert_eq!(got.shape(), wanted.shape(), "{what}");
        let (got, wanted) = (got.to_contiguous(), wanted.to_contiguous());
        for (a, b) in got.storage::<f32>().iter().zip(wanted.storage::<f32>()) {
            assert!((a - b).abs() <= 2e-5 * (1.0 + b.abs()), "{what}: {a}, not {b}");
        }
    }

    /// What a backend without kernels would give is what the kernels give, values at the bounds included.
    #[test]
    fn compositions_are_the_kernels() {
        let shape = [3, 4, 5, 3];
        let mut x = numbers(shape, 1);
        x.storage_mut::<f32>()[..3].copy_from_slice(&[0.0, -0.5, 0.75]);
        let (dy, alpha) = (numbers(shape, 2), [numbers([1, 4, 5, 3], 3), numbers([1, 4, 1, 1], 4)]);
        let (gamma, beta, score) = (vector(4, 5), vector(4, 6), vector(1, 7));
        for activation in [Activation::Relu, Activation::Clip { low: -0.5, high: 0.75 }] {
            let y = Flex::activate(x.clone(), activation);
            close("activation", &y, &compose::activate::<Flex>(x.clone(), activation));
            let wanted = compose::activate_gradient::<Flex>(y.clone(), activation, dy.clone());
            close("its gradient", &Flex::activate_gradient(y.clone(), activation, dy.clone()), &wanted);
            for drop in [false, true] {
                let kept = Flex::gate(x.clone(), score.clone(), activation, drop);
                close("gate", &kept, if drop { &x } else { &y });
                let (dx, ds) = Flex::gate_gradient(x.clone(), activation, drop, dy.clone());
                let wanted = compose::gate_gradient::<Flex>(x.clone(), activation, drop, dy.clone());
                close("gate, x", &dx, &wanted.0);
                close("gate, score", &ds, &wanted.1);
            }
            for alpha in &alpha {
                let mixed = Flex::mix(x.clone(), alpha.clone(), activation);
                close("mix", &mixed, &compose::mix::<Flex>(x.clone(), alpha.clone(), activation));
                let (dx, dalpha) = Flex::mix_gradient(x.clone(), alpha.clone(), activation, dy.clone());
                let wanted = compose::mix_gradient::<Flex>(x.clone(), alpha.clone(), activation, dy.clone());
                close("mix, x", &dx, &wanted.0);
                close("mix, α", &dalpha, &wanted.1);
            }
        }
        let scaled = Flex::affine(x.clone(), gamma.clone(), beta.clone());
        close("affine", &scaled, &compose::affine::<Flex>(x.clone(), gamma.clone(), beta.clone()));
        let (dx, dscale, dshift) = Flex::affine_gradient(x.clone(), gamma.clone(), dy.clone());
        let wanted = compose::affine_gradient::<Flex>(x.clone(), gamma.clone(), dy.clone());
        close("affine, x", &dx, &wanted.0);
        close("affine, scale", &dscale, &wanted.1);
        close("affine, shift", &dshift, &wanted.2);

        let (y, mean, variance) = Flex::normalise(x.clone(), gamma.clone(), beta.clone(), 0.1);
        let wanted = compose::batch_norm::<Flex>(x.clone(), gamma.clone(), beta, 0.1);
        close("norm", &y, &wanted.0);
        close("norm, mean", &mean, &wanted.1);
        close("norm, variance", &variance, &wanted.2);
        let arguments = || (x.clone(), gamma.clone(), mean.clone(), variance.clone(), 0.1, dy.clone());
        let (a, b, c, d, e, f) = arguments();
        let (dx, dgamma, dbeta) = Flex::normalise_gradient(a, b, c, d, e, f);
        let (a, b, c, d, e, f) = arguments();
        let wanted = compose::batch_norm_gradient::<Flex>(a, b, c, d, e, f);
        close("norm, x", &dx, &wanted.0);
        close("norm, γ", &dgamma, &wanted.1);
        close("norm, β", &dbeta, &wanted.2);
        close("bias", &Flex::conv_bias_gradient(dy.clone()), &compose::conv_bias_gradient::<Flex>(dy));
    }
}
