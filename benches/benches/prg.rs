//! AES-CTR, the key schedule and the fixed-key hash on every backend; throughput in blocks.

use copriv_bits::Block;
use copriv_prg::{Aes128, Fold, Hasher, Prg};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const DELTA: Block = Block::new(0x1234_5678, 0x9ABC_DEF0);

fn blocks(len: usize) -> Vec<Block> {
    let mut out = vec![Block::ZERO; len];
    Prg::from_seed(Block::ONES).fill(&mut out);
    out
}

fn counter(c: &mut Criterion) {
    let mut group = c.benchmark_group("counter");
    for len in [8, 16, 64, 1024] {
        group.throughput(Throughput::Elements(len as u64));
        for (name, aes) in Aes128::backends(Block::new(1, 2)) {
            let mut out = vec![Block::ZERO; len];
            group.bench_function(BenchmarkId::new(name, len), |b| b.iter(|| aes.counter(7, &mut out)));
        }
    }
    group.finish();
    c.bench_function("key schedule", |b| b.iter(|| Aes128::new(std::hint::black_box(DELTA))));
}

fn hash(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    for len in [8, 64, 1024] {
        group.throughput(Throughput::Elements(len as u64));
        for (name, hasher) in Hasher::backends() {
            let mut x = blocks(len);
            group.bench_function(BenchmarkId::new(name, len), |b| b.iter(|| hasher.hash(&mut x, 7)));
        }
    }
    group.finish();
}

fn expand(c: &mut Criterion) {
    let mut group = c.benchmark_group("expand");
    for per in [2usize, 3, 8, 37, 600] {
        let x = blocks(1024usize.div_ceil(per));
        let mut out = vec![Block::ZERO; x.len() * per];
        group.throughput(Throughput::Elements(out.len() as u64));
        for (name, hasher) in Hasher::backends() {
            let id = BenchmarkId::new(name, per);
            group.bench_function(id, |b| b.iter(|| hasher.expand(&x, 7, per, &mut out)));
        }
    }
    group.finish();
}

fn sender(c: &mut Criterion) {
    let q = blocks(512);
    let (mut out0, mut out1) = (q.clone(), q.clone());
    let mut group = c.benchmark_group("hash_pair");
    group.throughput(Throughput::Elements(2 * q.len() as u64));
    for (name, hasher) in Hasher::backends() {
        group.bench_function(name, |b| b.iter(|| hasher.hash_pair(&q, DELTA, 7, &mut out0, &mut out1)));
    }
    group.finish();

    let mut group = c.benchmark_group("hash_many");
    for n in [2usize, 16, 256] {
        let (x, offsets) = (blocks(1024 / n), blocks(n));
        let mut out = vec![Block::ZERO; x.len() * n];
        group.throughput(Throughput::Elements(out.len() as u64));
        for (name, hasher) in Hasher::backends() {
            let id = BenchmarkId::new(name, n);
            group.bench_function(id, |b| b.iter(|| hasher.hash_many(&x, &offsets, 7, &mut out)));
        }
    }
    group.finish();
}

/// What 8192 OTs take at the receiver and at the sender, without the transposition.
fn fold(c: &mut Criterion) {
    let mut group = c.benchmark_group("fold");
    group.throughput(Throughput::Elements(8192));
    for k in [1, 2, 4, 8] {
        let seeds = blocks((128 / k) << k);
        let (mask, mut sums, mut rows) = (blocks(64), blocks(128 / k * 64), blocks(8192));
        for (name, mut fold) in Fold::backends(k, &seeds) {
            let id = BenchmarkId::new(format!("{name}, all"), k);
            group.bench_function(id, |b| b.iter(|| fold.all(64, &mask, &mut sums, &mut rows)));
            let id = BenchmarkId::new(format!("{name}, halves"), k);
            group.bench_function(id, |b| b.iter(|| fold.halves(64, &mut rows)));
            let id = BenchmarkId::new(format!("{name}, correct"), k);
            group.bench_function(id, |b| b.iter(|| fold.correct(DELTA, &sums, &mut rows)));
        }
    }
    group.finish();
}

criterion_group!(benches, counter, hash, expand, sender, fold);
criterion_main!(benches);
