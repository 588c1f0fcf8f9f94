//! Networks before they run: views against copying, reading a model, and calibration.

use copriv_calibrate::{Bits, Ranges, scale};
use copriv_import::{onnx, zoo};
use copriv_ir::{Axis, Shape, View};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Depth to space by 2 of 256 channels of 56x56.
fn shuffle() -> View {
    let (c, side) = (64u32, 56u32);
    let plane = side * side;
    let axes = [
        Axis::whole(c, 4 * plane),
        Axis::whole(side, side),
        Axis::whole(2, 2 * plane),
        Axis::whole(side, 1),
        Axis::whole(2, plane),
    ];
    View::new(Shape::new(64, 112, 112), &axes).unwrap_or_else(|e| panic!("{e}"))
}

fn views(criterion: &mut Criterion) {
    let view = shuffle();
    let x: Vec<u64> = (0..view.shape.len() as u64).collect();
    let all: Vec<usize> = (0..x.len()).collect();
    let places = view.apply(&all, x.len());
    let mut group = criterion.benchmark_group("depth to space, 64x112x112");
    group.throughput(Throughput::Elements(x.len() as u64));
    group.bench_function("copy, for comparison", |b| b.iter(|| black_box(&x).clone()));
    group.bench_function("by places, for comparison", |b| {
        b.iter(|| places.iter().map(|&place| black_box(&x)[place]).collect::<Vec<u64>>());
    });
    group.bench_function("view", |b| b.iter(|| view.apply(black_box(&x), 0)));
    group.sample_size(10);
    group.bench_function("found", |b| b.iter(|| View::find(view.shape, black_box(&places), x.len())));
    group.finish();
}

fn networks(criterion: &mut Criterion) {
    let graph = zoo::build("resnet20-cifar10", 1).unwrap_or_else(|e| panic!("{e}"));
    let model = onnx::write(&graph);
    let mut group = criterion.benchmark_group("resnet20-cifar10");
    group.sample_size(10);
    group.bench_function("read", |b| b.iter(|| onnx::read(black_box(&model), "model")));
    let input: Vec<f32> = (0..graph.input_shape().len()).map(|i| (i % 255) as f32 / 255.0).collect();
    let inputs = [input];
    group
        .bench_function("ranges of one input", |b| b.iter(|| Ranges::new(&graph, black_box(&inputs), || ())));
    let ranges = Ranges::new(&graph, &inputs, || ()).unwrap_or_else(|e| panic!("{e}"));
    let bits = Bits { weights: 8, values: 12 };
    group.bench_function("scales", |b| b.iter(|| scale(&graph, black_box(&ranges), bits)));
    group.finish();
}

criterion_group!(benches, views, networks);
criterion_main!(benches);
