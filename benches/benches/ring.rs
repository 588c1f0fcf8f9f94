//! Vectors and matrices over Z_{2^l}.

use copriv_bits::Block;
use copriv_prg::Prg;
use copriv_ring::{FixedPoint, RingMatrix, RingVec, Width};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const LEN: usize = 1 << 14;

fn vectors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring/vector");
    group.throughput(Throughput::Elements(LEN as u64));
    for bits in [41, 64] {
        let width = Width::of(bits);
        let mut prg = Prg::from_seed(Block::ZERO);
        let (a, b) = (prg.ring(width, LEN), prg.ring(width, LEN));
        // The baseline: what moving the words costs.
        group.bench_function(BenchmarkId::new("clone", bits), |bench| bench.iter(|| black_box(&a).clone()));
        group.bench_function(BenchmarkId::new("add", bits), |bench| bench.iter(|| black_box(&a) + &b));
        group.bench_function(BenchmarkId::new("add in place", bits), |bench| {
            let mut sum = a.clone();
            bench.iter(|| sum += black_box(&b));
        });
        group.bench_function(BenchmarkId::new("shr", bits), |bench| {
            bench.iter(|| black_box(&a).shr(12, width))
        });
        let fixed = FixedPoint { width, frac_bits: 12 };
        group.bench_function(BenchmarkId::new("fixed point there and back", bits), |bench| {
            bench.iter(|| {
                let encode = |x: &u64| fixed.encode(black_box(*x % 1000) as f64).map(|x| fixed.decode(x));
                a.words().iter().flat_map(encode).sum::<f64>()
            });
        });
    }
    group.finish();
}

/// The definition, for comparison.
fn naive(a: &RingMatrix, b: &RingMatrix) -> RingVec {
    let dot = |r: usize, c: usize| {
        (0..a.cols()).fold(0u64, |s, i| s.wrapping_add(a.row(r)[i].wrapping_mul(b.row(i)[c])))
    };
    let all = (0..a.rows()).flat_map(|r| (0..b.cols()).map(move |c| (r, c)));
    RingVec::from_words(a.width(), all.map(|(r, c)| dot(r, c)).collect())
}

fn matrices(criterion: &mut Criterion) {
    let (rows, inner, cols) = (64, 576, 256);
    let mut prg = Prg::from_seed(Block::ONES);
    let mut matrix = |rows, cols| RingMatrix::new(rows, cols, prg.ring(Width::of(41), rows * cols));
    let (a, b) = (matrix(rows, inner), matrix(inner, cols));
    let mut group = criterion.benchmark_group("ring/matrix 64 x 576 x 256");
    group.sample_size(10).throughput(Throughput::Elements((rows * inner * cols) as u64));
    group.bench_function("definition", |bench| bench.iter(|| naive(black_box(&a), &b)));
    group.bench_function("product", |bench| bench.iter(|| black_box(&a).product(&b)));
    group.finish();
}

criterion_group!(benches, vectors, matrices);
criterion_main!(benches);
