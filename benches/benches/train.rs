//! One training step of ResNet-32 on CIFAR's pictures, and the operations it is made of: as `copriv-train` has them, and
//! as burn has them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::module::{batch_norm_train as stock_norm, conv2d as stock_conv};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Int, Tensor};
use copriv_train::ops::{Activation, activate, batch_norm_train, conv2d};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const BATCH: usize = 64;
const CLASSES: usize = 100;
const EPSILON: f64 = 1e-5;

/// Where operations come from.
trait Source {
    const NAME: &str;
    fn conv(x: Tensor<4>, weight: Tensor<4>, stride: usize, groups: usize) -> Tensor<4>;
    fn norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<4>;
    fn relu(x: Tensor<4>) -> Tensor<4>;
    fn relu6(x: Tensor<4>) -> Tensor<4>;
}

struct Ours;

impl Source for Ours {
    const NAME: &str = "copriv";

    fn conv(x: Tensor<4>, weight: Tensor<4>, stride: usize, groups: usize) -> Tensor<4> {
        let pad = weight.dims()[2] / 2;
        conv2d(x, weight, None, [stride; 2], [pad; 2], groups)
    }

    fn norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<4> {
        batch_norm_train(x, gamma, beta, EPSILON).0
    }

    fn relu(x: Tensor<4>) -> Tensor<4> {
        activate(x, Activation::Relu)
    }

    fn relu6(x: Tensor<4>) -> Tensor<4> {
        activate(x, Activation::Clip { low: 0.0, high: 6.0 })
    }
}

struct Stock;

impl Source for Stock {
    const NAME: &str = "burn";

    fn conv(x: Tensor<4>, weight: Tensor<4>, stride: usize, groups: usize) -> Tensor<4> {
        let pad = weight.dims()[2] / 2;
        stock_conv(x, weight, None, ConvOptions::new([stride; 2], [pad; 2], [1, 1], groups))
    }

    fn norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<4> {
        stock_norm(x, gamma, beta, EPSILON).output
    }

    fn relu(x: Tensor<4>) -> Tensor<4> {
        relu(x)
    }

    fn relu6(x: Tensor<4>) -> Tensor<4> {
        x.clamp(0.0, 6.0)
    }
}

/// A parameter, and what momentum has gathered.
struct Parameter<const D: usize> {
    value: Tensor<D>,
    velocity: Tensor<D>,
}

impl<const D: usize> Parameter<D> {
    fn new(value: Tensor<D>) -> Self {
        Self { velocity: value.zeros_like().inner(), value: value.require_grad() }
    }

    fn random(shape: [usize; D], device: &Device) -> Self {
        let fan_in: usize = shape[1..].iter().product();
        let deviation = (2.0 / fan_in as f64).sqrt();
        Self::new(Tensor::random(shape, Distribution::Normal(0.0, deviation), device))
    }

    fn update(&mut self, gradients: &burn::tensor::Gradients) {
        let gradient = self.value.grad(gradients).unwrap_or_else(|| panic!("a parameter without gradient"));
        self.velocity = self.velocity.clone() * 0.9 + gradient;
        let value = self.value.clone().inner() - self.velocity.clone() * 0.01;
        self.value = Tensor::from_inner(value).require_grad();
    }
}

/// The network: 3x3 and projecting convolutions with their norms, in order, and the last layer.
struct Network {
    convs: Vec<(Parameter<4>, usize)>,
    norms: Vec<[Parameter<1>; 2]>,
    last: Parameter<2>,
    bias: Parameter<1>,
}

impl Network {
    fn new(device: &Device) -> Self {
        let mut convs = vec![(Parameter::random([16, 3, 3, 3], device), 1)];
        let mut inputs = 16;
        for (width, stride) in [(16, 1), (32, 2), (64, 2)] {
            for block in 0..5 {
                let stride = if block == 0 { stride } else { 1 };
                convs.push((Parameter::random([width, inputs, 3, 3], device), stride));
                convs.push((Parameter::random([width, width, 3, 3], device), 1));
                if inputs != width {
                    convs.push((Parameter::random([width, inputs, 1, 1], device), stride));
                }
                inputs = width;
            }
        }
        let norm = |(conv, _): &(Parameter<4>, usize)| {
            let channels = [conv.value.dims()[0]];
            [Parameter::new(Tensor::ones(channels, device)), Parameter::new(Tensor::zeros(channels, device))]
        };
        Self {
            norms: convs.iter().map(norm).collect(),
            convs,
            last: Parameter::random([64, CLASSES], device),
            bias: Parameter::new(Tensor::zeros([CLASSES], device)),
        }
    }

    fn loss<S: Source>(&self, x: Tensor<4>, labels: Tensor<1, Int>) -> Tensor<1> {
        let mut layers = self.convs.iter().zip(&self.norms);
        let mut layer = |x: Tensor<4>| {
            let Some(((weight, stride), [gamma, beta])) = layers.next() else {
                unreachable!("a layer for each")
            };
            let y = S::conv(x, weight.value.clone(), *stride, 1);
            S::norm(y, gamma.value.clone(), beta.value.clone())
        };
        let mut x = S::relu(layer(x));
        for block in 0..15 {
            let y = S::relu(layer(x.clone()));
            let y = layer(y);
            let shortcut = if block == 5 || block == 10 { layer(x) } else { x };
            x = S::relu(y + shortcut);
        }
        let [batch, channels, height, width] = x.dims();
        let pooled = x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels]);
        let logits = pooled.matmul(self.last.value.clone()) + self.bias.value.clone().unsqueeze();
        -log_softmax(logits, 1).gather(1, labels.reshape([batch, 1])).mean()
    }

    fn update(&mut self, gradients: &burn::tensor::Gradients) {
        self.convs.iter_mut().for_each(|(conv, _)| conv.update(gradients));
        self.norms.iter_mut().flatten().for_each(|norm| norm.update(gradients));
        self.last.update(gradients);
        self.bias.update(gradients);
    }
}

/// Forward, backward and update.
fn step<S: Source>(network: &mut Network, x: &Tensor<4>, labels: &Tensor<1, Int>) -> [Duration; 3] {
    let start = Instant::now();
    let loss = network.loss::<S>(x.clone(), labels.clone());
    let forward = start.elapsed();
    let gradients = loss.backward();
    let backward = start.elapsed() - forward;
    network.update(&gradients);
    [forward, backward, start.elapsed() - forward - backward]
}

fn steps(c: &mut Criterion) {
    fn of<S: Source>(c: &mut Criterion) {
        let device = Device::flex().autodiff();
        let x = Tensor::random([BATCH, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        let labels: Vec<i64> = (0..BATCH).map(|i| (i * 37 % CLASSES) as i64).collect();
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &device);
        let mut group = c.benchmark_group("ResNet-32 step");
        group.sample_size(10).throughput(Throughput::Elements(BATCH as u64));
        for (part, name) in ["forward", "backward", "update", "all"].into_iter().enumerate() {
            let mut network = Network::new(&device);
            group.bench_function(BenchmarkId::new(name, S::NAME), |b| {
                b.iter_custom(|times| {
                    (0..times)
                        .map(|_| {
                            let parts = step::<S>(&mut network, &x, &labels);
                            parts.get(part).copied().unwrap_or_else(|| parts.iter().sum())
                        })
                        .sum()
                });
            });
        }
    }
    of::<Ours>(c);
    of::<Stock>(c);
}

/// Forward and backward of one operation.
fn operations(c: &mut Criterion) {
    fn both(x: &Tensor<4>, f: impl Fn(Tensor<4>) -> Tensor<4>) {
        let x = x.clone().require_grad();
        black_box(f(x).sum().backward());
    }
    fn of<S: Source>(c: &mut Criterion) {
        let device = Device::flex().autodiff();
        let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let mut group = c.benchmark_group("convolution");
        group.sample_size(10);
        for (inputs, outputs, kernel, stride, groups, side) in [
            (96, 96, 3, 1, 96, 28),
            (96, 96, 3, 2, 96, 28),
            (96, 16, 1, 1, 1, 28),
            (16, 96, 1, 1, 1, 28),
            (16, 16, 3, 1, 1, 32),
            (16, 32, 3, 2, 1, 32),
            (32, 32, 3, 1, 1, 16),
            (64, 64, 3, 1, 1, 8),
        ] {
            let x = random([BATCH, inputs, side, side]);
            let weight = random([outputs, inputs / groups, kernel, kernel]).require_grad();
            let name =
                format!("{inputs} to {outputs}, {kernel}x{kernel}/{stride}, {groups} groups, {side}x{side}");
            group.bench_function(BenchmarkId::new(name, S::NAME), |b| {
                b.iter(|| both(&x, |x| S::conv(x, weight.clone(), stride, groups)));
            });
        }
        group.finish();
        let mut group = c.benchmark_group("96x28x28");
        group.sample_size(10);
        let x = random([BATCH, 96, 28, 28]);
        let vector = || Tensor::<1>::ones([96], &device).require_grad();
        let (gamma, beta) = (vector(), vector());
        group.bench_function(BenchmarkId::new("batch norm", S::NAME), |b| {
            b.iter(|| both(&x, |x| S::norm(x, gamma.clone(), beta.clone())));
        });
        group.bench_function(BenchmarkId::new("relu", S::NAME), |b| b.iter(|| both(&x, S::relu)));
        group.bench_function(BenchmarkId::new("relu6", S::NAME), |b| b.iter(|| both(&x, S::relu6)));
    }
    of::<Ours>(c);
    of::<Stock>(c);
}

criterion_group!(benches, steps, operations);
criterion_main!(benches);
