//! Transposition and GF(2^128) on every backend; throughput in output blocks. Bit vectors, in bits.

use copriv_bits::{BitVec, Block, gf128_backends, transpose_backends};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn blocks(len: usize) -> Vec<Block> {
    let word = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..len).map(|i| Block::new(word(2 * i), word(2 * i + 1))).collect()
}

fn transpose(c: &mut Criterion) {
    let mut group = c.benchmark_group("transpose");
    for k in [1, 8, 64] {
        let rows = blocks(128 * k);
        let mut out = rows.clone();
        group.throughput(Throughput::Elements(rows.len() as u64));
        for (name, transpose) in transpose_backends() {
            let id = BenchmarkId::new(name, format!("128x{k}"));
            group.bench_function(id, |b| b.iter(|| transpose(black_box(&rows), &mut out)));
        }
    }
    group.finish();
}

fn gf128(c: &mut Criterion) {
    let mut group = c.benchmark_group("gf128_mul_slice");
    let mut xs = blocks(1024);
    group.throughput(Throughput::Elements(xs.len() as u64));
    for (name, mul_slice) in gf128_backends() {
        group.bench_function(name, |b| b.iter(|| mul_slice(black_box(&mut xs), Block::new(3, 5))));
    }
    group.finish();
}

fn bitvec(c: &mut Criterion) {
    let values: Vec<u64> = blocks(1 << 15).iter().flat_map(|block| block.words()).collect();
    let bits = BitVec::from_lsb(&values);
    let mut group = c.benchmark_group("bitvec");
    group.throughput(Throughput::Elements(bits.len() as u64));
    group.bench_function("from_lsb", |b| b.iter(|| BitVec::from_lsb(black_box(&values))));
    group.bench_function("to_lsb", |b| b.iter(|| black_box(&bits).to_lsb()));
    group.bench_function("slice", |b| b.iter(|| black_box(&bits).slice(5..bits.len())));
    let head = bits.slice(0..5);
    group.bench_function("concat", |b| b.iter(|| BitVec::concat([&head, black_box(&bits)])));
    group.finish();
}

criterion_group!(benches, transpose, gf128, bitvec);
criterion_main!(benches);
