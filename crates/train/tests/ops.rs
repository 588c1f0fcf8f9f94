//! The operations against burn's own, and their gradients against differences.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use burn::tensor::module::conv2d as burn_conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use copriv_train::ops::{Activation, activate, affine, batch_norm_train, conv2d, gate, mix};

const CLIP: Activation = Activation::Clip { low: -0.4, high: 0.7 };

/// Shapes with all that is odd about small ones.
const SHAPES: [[usize; 4]; 7] =
    [[2, 3, 4, 5], [3, 1, 3, 3], [2, 4, 1, 1], [1, 2, 7, 1], [2, 3, 1, 9], [1, 1, 1, 1], [3, 17, 5, 7]];

/// Numbers in −1..1, the same for the same seed.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

fn tensor<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    of(numbers(shape.iter().product(), seed), shape)
}

fn of<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn values<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone().into_data().try_to_vec().unwrap()
}

fn close(got: &[f32], wanted: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, (a, b)) in got.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}, value {i}: {a}, not {b}");
    }
}

type Inputs<'a> = &'a [Tensor<4>];

/// Runs `f` on tracked inputs, all of four dimensions, and gives the output and the gradients of Σ output·direction, the
/// direction being fixed numbers.
fn run(case: &[Tensor<4>], f: &dyn Fn(Inputs<'_>) -> Tensor<4>) -> (Vec<f32>, Vec<Vec<f32>>) {
    let inputs: Vec<_> = case.iter().map(|x| x.clone().detach().require_grad()).collect();
    let y = f(&inputs);
    let output = values(&y);
    let gradients = (y.clone() * tensor(y.dims(), 99)).sum().backward();
    let gradient = |x: &Tensor<4>| x.grad(&gradients).map(|g| g.into_data().try_to_vec().unwrap());
    (output, inputs.iter().map(|x| gradient(x).unwrap_or_default()).collect())
}

/// Compares gradients with central differences of Σ output·direction, summed in double precision. `smooth` tells at which
/// inputs a difference means something.
fn check_differences(
    what: &str,
    case: &[Tensor<4>],
    f: &dyn Fn(Inputs<'_>) -> Tensor<4>,
    smooth: &dyn Fn(f32) -> bool,
) {
    let (output, gradients) = run(case, f);
    let direction = numbers(output.len(), 99);
    let loss = |inputs: &[Tensor<4>]| -> f64 {
        let y = values(&f(inputs));
        y.iter().zip(&direction).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum()
    };
    const STEP: f32 = 1.0 / 128.0;
    for (input, gradient) in gradients.iter().enumerate() {
        assert!(!gradient.is_empty(), "{what}: no gradient for input {input}");
        let at = values(&case[input]);
        // All of a small input, some of a larger one.
        for i in (0..at.len()).step_by(1 + at.len() / 60) {
            if input == 0 && !smooth(at[i]) {
                continue;
            }
            let moved = |step: f32| {
                let mut inputs = case.to_vec();
                let mut moved = at.clone();
                moved[i] += step;
                inputs[input] = of(moved, case[input].dims());
                loss(&inputs)
            };
            let wanted = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
            let got = f64::from(gradient[i]);
            assert!(
                (got - wanted).abs() <= 4e-3 * (1.0 + wanted.abs()),
                "{what}, input {input}, value {i}: gradient {got}, differences {wanted}"
            );
        }
    }
}

fn check_against(
    what: &str,
    case: &[Tensor<4>],
    f: &dyn Fn(Inputs<'_>) -> Tensor<4>,
    reference: &dyn Fn(Inputs<'_>) -> Tensor<4>,
) {
    let ((y, gradients), (wanted, wanted_gradients)) = (run(case, f), run(case, reference));
    close(&y, &wanted, 1e-5, what);
    for (i, (got, wanted)) in gradients.iter().zip(&wanted_gradients).enumerate() {
        close(got, wanted, 5e-5, &format!("{what}, gradient of input {i}"));
    }
}

fn flat(x: &Tensor<4>) -> Tensor<1> {
    x.clone().reshape([x.dims().iter().product::<usize>()])
}

fn stock_activate(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::Relu => burn::tensor::activation::relu(x),
        Activation::Clip { low, high } => x.clamp(low, high),
    }
}

fn away_from_kinks(activation: Activation) -> impl Fn(f32) -> bool {
    move |x| {
        let kinks = match activation {
            Activation::Relu => vec![0.0],
            Activation::Clip { low, high } => vec![low, high],
        };
        kinks.iter().all(|kink| (x - kink).abs() > 0.01)
    }
}

#[test]
fn activations() {
    for activation in [Activation::Relu, CLIP] {
        for shape in SHAPES {
            let what = format!("{activation:?} of {shape:?}");
            let case = [tensor(shape, 1)];
            let f = |x: Inputs<'_>| activate(x[0].clone(), activation);
            check_against(&what, &case, &f, &|x| stock_activate(x[0].clone(), activation));
            check_differences(&what, &case, &f, &away_from_kinks(activation));
        }
    }
}

#[test]
fn activations_at_the_bounds() {
    let x = of(vec![0.0, -0.4, 0.7, -0.5, 0.8, 0.1, -0.0, f32::NAN], [1, 1, 2, 4]).require_grad();
    for (activation, wanted, slopes) in [
        (Activation::Relu, [0.0, 0.0, 0.7, 0.0, 0.8, 0.1, 0.0], [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]),
        (CLIP, [0.0, -0.4, 0.7, -0.4, 0.7, 0.1, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]),
    ] {
        let y = activate(x.clone(), activation);
        let got = values(&y);
        assert_eq!(got[..7], wanted);
        assert!(got[7].is_nan(), "what is not a number stays so");
        let gradient = |y: Tensor<4>| -> Vec<f32> {
            x.grad(&y.sum().backward()).unwrap().into_data().try_to_vec().unwrap()
        };
        assert_eq!(gradient(y)[..7], slopes);
        let score = Tensor::zeros([1], &x.device());
        assert_eq!(gradient(gate(x.clone(), score, activation, false))[..7], slopes);
        let ones = Tensor::ones([1, 1, 1, 1], &x.device());
        assert_eq!(gradient(mix(x.clone(), ones, activation))[..7], slopes);
    }
}

#[test]
fn an_activation_leaves_its_input() {
    let x = of(vec![-1.0, 2.0], [1, 1, 1, 2]);
    let y = activate(x.clone(), Activation::Relu);
    assert_eq!((values(&x), values(&y)), (vec![-1.0, 2.0], vec![0.0, 2.0]));
    let inner = x.inner();
    let y = activate(inner.clone() * 1.0, Activation::Relu);
    assert_eq!((values(&inner), values(&y)), (vec![-1.0, 2.0], vec![0.0, 2.0]));
}

/// a(x) + (x − a(x))·(c − sg(s) + s), as it is written.
#[test]
fn gates() {
    for activation in [Activation::Relu, CLIP] {
        for (shape, drop) in SHAPES.into_iter().flat_map(|shape| [(shape, false), (shape, true)]) {
            let what = format!("gate of {activation:?}, {shape:?}, dropped: {drop}");
            let case = [tensor(shape, 2), of(vec![0.3], [1, 1, 1, 1])];
            let f = |x: Inputs<'_>| gate(x[0].clone(), flat(&x[1]), activation, drop);
            let c = if drop { 1.0 } else { 0.0 };
            check_against(&what, &case, &f, &|x| {
                let a = stock_activate(x[0].clone(), activation);
                let s = x[1].clone();
                let choice = s.clone() - s.detach() + c;
                a.clone() + (x[0].clone() - a) * choice
            });
        }
    }
}

#[test]
fn a_gate_with_a_fixed_score() {
    for drop in [false, true] {
        let x = of(vec![-1.0, 2.0], [1, 1, 1, 2]).require_grad();
        let y = gate(x.clone(), of(vec![0.3], [1]), Activation::Relu, drop);
        let gradient: Vec<f32> = x.grad(&y.sum().backward()).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!(gradient, if drop { [1.0, 1.0] } else { [0.0, 1.0] });
    }
}

#[test]
fn mixtures() {
    for activation in [Activation::Relu, CLIP] {
        for [batch, channels, height, width] in SHAPES {
            for [rows, cols] in [[height, width], [1, 1]] {
                let what =
                    format!("mix of {activation:?}, {batch}x{channels}x{height}x{width}, {rows}x{cols}");
                let case =
                    [tensor([batch, channels, height, width], 3), tensor([1, channels, rows, cols], 4)];
                let f = |x: Inputs<'_>| mix(x[0].clone(), x[1].clone(), activation);
                check_against(&what, &case, &f, &|x| {
                    let [x, alpha] = [x[0].clone(), x[1].clone()];
                    stock_activate(x.clone(), activation) * alpha.clone() + x * (-alpha + 1.0)
                });
                check_differences(&what, &case, &f, &away_from_kinks(activation));
            }
        }
    }
}

#[test]
fn batch_norms() {
    for shape in SHAPES {
        let what = format!("batch norm of {shape:?}");
        let [batch, channels, height, width] = shape;
        let per_channel = [1, channels, 1, 1];
        let case = [tensor(shape, 5), tensor(per_channel, 6), tensor(per_channel, 7)];
        let f = |x: Inputs<'_>| batch_norm_train(x[0].clone(), flat(&x[1]), flat(&x[2]), 0.1).0;
        check_against(&what, &case, &f, &|x| {
            burn::tensor::module::batch_norm_train(x[0].clone(), flat(&x[1]), flat(&x[2]), 0.1).output
        });
        check_differences(&what, &case, &f, &|_| true);

        let (_, mean, variance) = batch_norm_train(case[0].clone(), flat(&case[1]), flat(&case[2]), 0.1);
        let (x, area) = (values(&case[0]), height * width);
        for c in 0..channels {
            let own =
                || (0..batch).flat_map(|n| &x[(n * channels + c) * area..][..area]).map(|&x| f64::from(x));
            let count = (batch * area) as f64;
            let wanted = own().sum::<f64>() / count;
            let squares = own().map(|x| (x - wanted).powi(2)).sum::<f64>() / count;
            close(&values(&mean)[c..=c], &[wanted as f32], 1e-6, &what);
            close(&values(&variance)[c..=c], &[squares as f32], 1e-6, &what);
        }
    }
}

/// A mean that is large against the deviation costs no more digits than the input has lost already.
#[test]
fn a_variance_far_from_zero() {
    let deviations: Vec<f32> = (0..4096).map(|i| if i % 2 == 0 { 0.25 } else { -0.25 }).collect();
    let x = of(deviations.iter().map(|d| 1000.0 + d).collect(), [4, 1, 32, 32]);
    let one = || of(vec![1.0], [1]);
    let (y, mean, variance) = batch_norm_train(x, one(), of(vec![0.0], [1]), 0.0);
    assert_eq!((values(&mean), values(&variance)), (vec![1000.0], vec![0.0625]));
    assert_eq!(values(&y), deviations.iter().map(|d| 4.0 * d).collect::<Vec<_>>());
}

#[test]
fn affines() {
    for shape in SHAPES {
        let what = format!("affine of {shape:?}");
        let per_channel = [1, shape[1], 1, 1];
        let case = [tensor(shape, 8), tensor(per_channel, 9), tensor(per_channel, 10)];
        let f = |x: Inputs<'_>| affine(x[0].clone(), flat(&x[1]), flat(&x[2]));
        check_against(&what, &case, &f, &|x| x[0].clone() * x[1].clone() + x[2].clone());
        check_differences(&what, &case, &f, &|_| true);
    }
}

/// A convolution to try: input, outputs, groups, kernel, stride, padding.
#[derive(Clone, Copy, Debug)]
struct Conv([usize; 4], usize, usize, [usize; 2], [usize; 2], [usize; 2]);

const CONVS: [Conv; 27] = [
    Conv([2, 3, 8, 8], 4, 1, [3, 3], [1, 1], [1, 1]),
    Conv([2, 3, 9, 7], 5, 1, [3, 3], [2, 2], [1, 1]),
    Conv([1, 2, 5, 5], 3, 1, [3, 3], [1, 1], [0, 0]),
    Conv([1, 2, 5, 5], 3, 1, [3, 3], [1, 1], [2, 2]),
    Conv([2, 1, 6, 6], 1, 1, [3, 3], [2, 2], [0, 0]),
    Conv([2, 5, 4, 4], 13, 1, [1, 1], [1, 1], [0, 0]),
    Conv([2, 13, 3, 5], 6, 1, [1, 1], [1, 1], [0, 0]),
    Conv([2, 4, 7, 7], 3, 1, [1, 1], [2, 2], [0, 0]),
    Conv([1, 2, 3, 3], 2, 1, [1, 1], [1, 1], [1, 2]),
    Conv([1, 2, 6, 6], 2, 1, [1, 1], [3, 2], [1, 1]),
    Conv([2, 6, 7, 5], 6, 6, [3, 3], [1, 1], [1, 1]),
    Conv([2, 6, 7, 5], 6, 6, [3, 3], [2, 2], [1, 1]),
    Conv([1, 3, 6, 6], 6, 3, [3, 3], [1, 1], [1, 1]),
    Conv([2, 4, 5, 5], 8, 2, [3, 3], [2, 1], [1, 0]),
    Conv([3, 3, 1, 1], 2, 1, [1, 1], [1, 1], [0, 0]),
    Conv([3, 3, 1, 1], 2, 1, [3, 3], [1, 1], [1, 1]),
    Conv([2, 3, 6, 1], 2, 1, [3, 1], [1, 1], [1, 0]),
    Conv([2, 2, 1, 6], 2, 1, [1, 3], [1, 2], [0, 1]),
    Conv([1, 2, 9, 9], 3, 1, [5, 5], [2, 2], [2, 2]),
    Conv([1, 2, 12, 12], 3, 1, [7, 7], [2, 2], [3, 3]),
    Conv([1, 2, 9, 8], 2, 1, [2, 4], [3, 3], [0, 2]),
    Conv([1, 1, 4, 4], 1, 1, [4, 4], [1, 1], [3, 3]),
    Conv([1, 16, 4, 4], 16, 1, [1, 1], [1, 1], [0, 0]),
    Conv([3, 17, 8, 8], 19, 1, [3, 3], [1, 1], [1, 1]),
    Conv([5, 8, 16, 16], 16, 1, [3, 3], [2, 2], [1, 1]),
    Conv([35, 2, 5, 5], 3, 1, [3, 3], [1, 1], [1, 1]),
    Conv([2, 8, 28, 28], 8, 8, [3, 3], [1, 1], [1, 1]),
];

#[test]
fn convolutions() {
    for conv in CONVS {
        let Conv(size, outputs, groups, kernel, stride, padding) = conv;
        let weight = tensor([outputs, size[1] / groups, kernel[0], kernel[1]], 12);
        for with_bias in [false, true] {
            let what = format!("{conv:?}, bias: {with_bias}");
            let mut case = vec![tensor(size, 11), weight.clone()];
            if with_bias {
                case.push(tensor([1, outputs, 1, 1], 13));
            }
            let f = |x: Inputs<'_>| {
                conv2d(x[0].clone(), x[1].clone(), x.get(2).map(flat), stride, padding, groups)
            };
            check_against(&what, &case, &f, &|x| {
                let options = ConvOptions::new(stride, padding, [1, 1], groups);
                burn_conv2d(x[0].clone(), x[1].clone(), x.get(2).map(flat), options)
            });
            check_differences(&what, &case, &f, &|_| true);
        }
    }
}

/// The outputs and gradients of all operations, with rayon's threads limited.
fn everything(threads: usize) -> Vec<Vec<f32>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let case = [
            tensor([19, 6, 13, 9], 1),
            tensor([6, 6, 3, 3], 2),
            tensor([1, 6, 1, 1], 3),
            tensor([1, 1, 1, 1], 4),
        ];
        let (y, gradients) = run(&case, &|x| {
            let y = conv2d(x[0].clone(), x[1].clone(), None, [1, 1], [1, 1], 1);
            let (y, ..) = batch_norm_train(y, flat(&x[2]), flat(&x[2]), 1e-5);
            let y = gate(mix(y, x[2].clone(), CLIP), flat(&x[3]), Activation::Relu, false);
            affine(y, flat(&x[2]), flat(&x[2]))
        });
        [vec![y], gradients].concat()
    })
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let one = everything(1);
    assert!(one.iter().flatten().all(|x| x.is_finite()));
    for threads in [2, 3, 5] {
        assert_eq!(everything(threads), one, "{threads} threads");
    }
}
