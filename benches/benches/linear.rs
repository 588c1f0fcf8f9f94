//! Matrix products and convolutions: by OT between two parties over memory, and in the clear. Throughput in multiplications
//! of the direct product, whatever way computes it.
//!
//! The two parties share the cores, but in the groups `alone`, where one runs against a recording of the other with one and
//! with two threads.

use copriv_benches::{Alone, Pair};
use copriv_bits::Block;
use copriv_linear::product::matmul;
use copriv_linear::{
    Chooser, Conv2d, Kernels, LinearLayer, Multiply, Padding, Precision, Product, candidates, conv2d,
};
use copriv_prg::Prg;
use copriv_ring::{RingMatrix, Width};
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::Role;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Groups, rows, inner, columns: convolutions 3x3 of 16 and 64 channels, depthwise, and a fully connected layer.
const SHAPES: [(&str, [usize; 4]); 5] = [
    ("16 channels, 16x16", [1, 16, 144, 256]),
    ("64 channels, 8x8", [1, 64, 576, 64]),
    ("256 channels, 4x4", [1, 256, 256, 16]),
    ("64 channels depthwise, 16x16", [64, 1, 9, 256]),
    ("512 to 100", [1, 100, 512, 1]),
];

fn products(criterion: &mut Criterion) {
    let width = Width::of(41);
    for (name, [groups, rows, inner, cols]) in SHAPES {
        let mut group = criterion.benchmark_group(format!("linear/{name}"));
        group.sample_size(10).throughput(Throughput::Elements((groups * rows * inner * cols) as u64));
        let mut prg = Prg::from_seed(Block::ONES);
        let w = prg.ring(Width::of(7), groups * rows * inner);
        let x = prg.ring(width, groups * inner * cols);
        let choosers = [Chooser::Activations, Chooser::Weights { bits: 41 }, Chooser::Weights { bits: 8 }];
        for chooser in choosers {
            let product = Product { groups, rows, inner, cols, width, chooser };
            let mut pair = Pair::new(Params::CRYPTFLOW2);
            group.bench_function(BenchmarkId::from_parameter(format!("{chooser:?}")), |b| {
                b.iter_custom(|times| {
                    pair.time(
                        times,
                        |s| matmul(s, &product, w.words()).map(drop),
                        |s| matmul(s, &product, x.words()).map(drop),
                    )
                });
            });
        }
        if groups == 1 {
            let w = RingMatrix::new(rows, inner, w.resize(width));
            let x = RingMatrix::new(inner, cols, x);
            group.bench_function("in the clear", |b| b.iter(|| w.product(&x)));
        }
        group.finish();
    }
}

/// One party with one and with two threads.
fn alone(criterion: &mut Criterion) {
    let (width, [rows, inner, cols]) = (Width::of(41), [64, 576, 256]);
    let mut prg = Prg::from_seed(Block::ONES);
    let own = [prg.ring(Width::of(12), rows * inner), prg.ring(width, inner * cols)];
    for chooser in [Chooser::Activations, Chooser::Weights { bits: 41 }, Chooser::Weights { bits: 13 }] {
        let product = Product { groups: 1, rows, inner, cols, width, chooser };
        let body = |s: &mut Session| matmul(s, &product, own[s.role().index()].words()).map(drop);
        let mut group = criterion.benchmark_group(format!("linear/alone/{chooser:?}"));
        group.sample_size(10).throughput(Throughput::Elements((rows * inner * cols) as u64));
        for (party, alone) in ["P0", "P1"].into_iter().zip(Alone::record(Params::CRYPTFLOW2, body)) {
            for threads in [1, 2] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let pool = pool.expect("threads can be started");
                let id = BenchmarkId::new(party, format!("{threads} threads"));
                group.bench_function(id, |b| b.iter_custom(|times| pool.install(|| alone.time(times, body))));
            }
        }
        group.finish();
    }
}

/// Products of two shared values: a factor for each element, and one for all of a channel; what two-phase ones do with the input is beside
/// them, and the product in the clear.
fn values(criterion: &mut Criterion) {
    let width = Width::of(41);
    for (name, groups, cols) in [("elements", 1 << 14, 1), ("channels of 16x16", 64, 256)] {
        let multiply = Multiply { groups, cols, width };
        let mut prg = Prg::from_seed(Block::ONES);
        let [x, y] = [multiply.len(), groups].map(|len| Arithmetic::new(prg.ring(width, len)));
        let mut group = criterion.benchmark_group(format!("linear/products of values/{name}"));
        group.sample_size(10).throughput(Throughput::Elements(multiply.len() as u64));
        let mut pair = Pair::new(Params::CRYPTFLOW2);
        let body = |s: &mut Session| multiply.run(s, &x, &y).map(drop);
        group.bench_function("at once", |b| b.iter_custom(|times| pair.time(times, body, body)));
        let mut pair = Pair::new(Params::CRYPTFLOW2);
        let body = |s: &mut Session| {
            let triple = multiply.prepare(s)?;
            multiply.run_prepared(s, triple, &x, &y).map(drop)
        };
        group.bench_function("in two phases", |b| b.iter_custom(|times| pair.time(times, body, body)));
        let clear = || -> Vec<u64> {
            let products = x.own().words().chunks(cols).zip(y.own().words());
            products.flat_map(|(x, y)| x.iter().map(move |x| width.reduce(x.wrapping_mul(*y)))).collect()
        };
        group.bench_function("in the clear", |b| b.iter(clear));
        group.finish();
    }
}

/// A convolution by every producer: direct products and tilings.
fn layers(criterion: &mut Criterion) {
    let width = Width::of(41);
    for (channels, size) in [(16, 32), (64, 16), (128, 8)] {
        let conv = Conv2d {
            in_channels: channels,
            out_channels: channels,
            groups: 1,
            input: (size, size),
            kernel: (3, 3),
            stride: (1, 1),
            padding: Padding::even(1),
        };
        let layer = LinearLayer { conv, width, headroom: 2 };
        let mut prg = Prg::from_seed(Block::ONES);
        let weights = prg.ring(Width::of(12), conv.weights_len()).into_words();
        let x = Arithmetic::new(prg.ring(width, conv.input_len()));
        let mut group = criterion.benchmark_group(format!("linear/{channels} channels, {size}x{size}, 3x3"));
        group.sample_size(10).throughput(Throughput::Elements((conv.weights_len() * size * size) as u64));
        let precision = Precision::Narrow { weight_bits: 13 };
        for producer in candidates(&layer, &[&[2], &[4]], precision, Params::CRYPTFLOW2.rcot) {
            let mut pair = Pair::new(Params::CRYPTFLOW2);
            let body = |s: &mut Session| {
                let kernels = Kernels { weights: &weights, bias: None };
                conv2d(s, producer.as_ref(), (s.role() == Role::P0).then_some(kernels), &x).map(drop)
            };
            let megabytes = producer.cost(Params::CRYPTFLOW2.rcot).bytes() / 1_000_000;
            group.bench_function(format!("{}, {megabytes} MB", producer.describe()), |b| {
                b.iter_custom(|times| pair.time(times, body, body));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, products, alone, values, layers);
criterion_main!(benches);
