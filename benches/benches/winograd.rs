//! Winograd: transforms, in words that are written, and whole convolutions against the direct one, in multiplications of
//! the definition. Each in one and in two threads.

use copriv_bits::Block;
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_winograd::{Axis, Plan, Ring, Tiling, direct};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const RING: Ring = Ring(Width::of(41));

fn words(n: usize) -> Vec<u64> {
    Prg::from_seed(Block::ONES).ring(RING.0, n).into_words()
}

/// Both dimensions alike: 3 taps, one zero around.
fn plan(size: usize, stride: usize, tiles: &[usize]) -> Plan {
    let axis = Axis { size, kernel: 3, stride, before: 1, after: 1 };
    let tiling = Tiling::new(axis, tiles).expect("standard sizes");
    Plan::new(tiling.clone(), tiling)
}

fn label(channels: usize, size: usize, stride: usize, tiles: &[usize]) -> String {
    let strided = if stride == 1 { String::new() } else { format!(", stride {stride}") };
    format!("{channels} of {size}x{size}, tiles {tiles:?}{strided}")
}

/// Channels, size of a map, stride, sizes of tiles.
const TRANSFORMS: [(usize, usize, usize, &[usize]); 9] = [
    (3, 32, 1, &[4]),
    (64, 32, 1, &[2]),
    (64, 32, 1, &[4]),
    (64, 32, 1, &[2, 4, 6]),
    (64, 32, 2, &[4]),
    (256, 8, 1, &[4]),
    (256, 8, 2, &[4]),
    (512, 4, 1, &[4]),
    (512, 1, 1, &[2]),
];

/// Measures `run` in one and in two threads.
fn with_threads<O: Send>(group: &mut BenchmarkGroup<WallTime>, name: &str, run: impl Fn() -> O + Sync) {
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        group.bench_function(BenchmarkId::new(name, threads), |bench| {
            pool.install(|| ()); // wakes it
            bench.iter(|| pool.install(&run));
        });
    }
}

fn transforms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("winograd/filters");
    group.sample_size(10);
    for (count, tiles) in [(64 * 64, &[4][..]), (512 * 512, &[4])] {
        let (plan, weights) = (plan(8, 1, tiles), words(count * 9));
        group.throughput(Throughput::Elements((count * plan.positions().len()) as u64));
        with_threads(&mut group, &format!("{count} pairs, tiles {tiles:?}"), || {
            plan.filters(&RING, count, black_box(&weights))
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("winograd/inputs");
    group.sample_size(20);
    for (channels, size, stride, tiles) in TRANSFORMS {
        let (plan, map) = (plan(size, stride, tiles), words(channels * size * size));
        group.throughput(Throughput::Elements((channels * plan.products()) as u64));
        with_threads(&mut group, &label(channels, size, stride, tiles), || {
            plan.inputs(&RING, channels, black_box(&map))
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("winograd/outputs");
    group.sample_size(20);
    for (filters, size, stride, tiles) in TRANSFORMS {
        let plan = plan(size, stride, tiles);
        let products = words(filters * plan.products());
        group.throughput(Throughput::Elements((filters * plan.products()) as u64));
        with_threads(&mut group, &label(filters, size, stride, tiles), || {
            plan.outputs(&RING, filters, black_box(&products))
        });
    }
    group.finish();
}

/// Channels and filters, size of a map, stride, sizes of tiles to compare.
const CONVOLUTIONS: [(usize, usize, usize, &[usize]); 6] = [
    (64, 32, 1, &[2, 4, 6]),
    (128, 16, 1, &[2, 4, 6]),
    (256, 8, 1, &[2, 4, 6]),
    (512, 4, 1, &[2, 4]),
    (64, 32, 2, &[2, 3, 4]),
    (256, 8, 2, &[2, 4]),
];

fn convolutions(criterion: &mut Criterion) {
    for (channels, size, stride, tiles) in CONVOLUTIONS {
        let (weights, map) = (words(channels * channels * 9), words(channels * size * size));
        let name = format!("winograd/convolution/{channels} of {size}x{size}, stride {stride}");
        let mut group = criterion.benchmark_group(name);
        let outputs = size.div_ceil(stride).pow(2);
        group.sample_size(10).throughput(Throughput::Elements((channels * channels * outputs * 9) as u64));
        let axes = [plan(size, stride, &tiles[..1]).rows().axis(); 2].into();
        with_threads(&mut group, "direct", || {
            direct::convolution(&RING, axes, (channels, channels), black_box(&weights), &map)
        });
        for &tile in tiles {
            let plan = plan(size, stride, &[tile]);
            with_threads(&mut group, &format!("F({tile}, 3)"), || {
                plan.convolve(&RING, channels, channels, black_box(&weights), &map)
            });
            // As of a network, whose filters are transformed once.
            let u = plan.filters(&RING, channels * channels, &weights);
            with_threads(&mut group, &format!("F({tile}, 3), filters transformed before"), || {
                let v = plan.inputs(&RING, channels, black_box(&map));
                plan.outputs(&RING, channels, &plan.multiply(&RING, (channels, channels), &u, &v))
            });
        }
        group.finish();
    }
}

criterion_group!(benches, transforms, convolutions);
criterion_main!(benches);
