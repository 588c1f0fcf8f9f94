//! Packing against plain sequential code (throughput in elements), and what a channel carries (in wire bytes).

use copriv_wire::{pack_into, packed_bytes, unpack_into};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// The words of a second-level cache.
const COUNT: usize = 32 << 10;

/// One lane, byte by byte.
fn pack_plain(elements: &[u64], width: u32, out: &mut Vec<u8>) {
    let (mut buffer, mut filled) = (0u128, 0u32);
    for &element in elements {
        buffer |= u128::from(element) << filled;
        filled += width;
        while filled >= 8 {
            out.push(buffer as u8);
            buffer >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(buffer as u8);
    }
}

fn unpack_plain(bytes: &[u8], width: u32, out: &mut [u64]) {
    let mask = u128::from(u64::MAX >> (64 - width));
    let (mut buffer, mut filled, mut rest) = (0u128, 0u32, bytes.iter());
    for element in out {
        while filled < width {
            buffer |= u128::from(rest.next().copied().unwrap_or(0)) << filled;
            filled += 8;
        }
        *element = (buffer & mask) as u64;
        buffer >>= width;
        filled -= width;
    }
}

fn packing(c: &mut Criterion) {
    let mut group = c.benchmark_group("pack");
    group.throughput(Throughput::Elements(COUNT as u64));
    for width in [1, 3, 8, 21, 32, 41, 64] {
        let x: Vec<u64> =
            (0..COUNT as u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - width)).collect();
        let mut out = Vec::with_capacity(packed_bytes(COUNT, width));
        let mut back = vec![0; COUNT];
        for count in [COUNT, 511, 64] {
            group.throughput(Throughput::Elements(count as u64));
            let id = |name: &str| BenchmarkId::new(format!("{name}/{count}"), width);
            group.bench_function(id("pack"), |b| {
                b.iter(|| {
                    out.clear();
                    pack_into(&x[..count], width, &mut out);
                });
            });
            group.bench_function(id("unpack"), |b| {
                b.iter(|| unpack_into(&out, width, &mut back[..count]).is_ok());
            });
        }
        group.throughput(Throughput::Elements(COUNT as u64));
        group.bench_function(BenchmarkId::new("pack_plain", width), |b| {
            b.iter(|| {
                out.clear();
                pack_plain(&x, width, &mut out);
            });
        });
        group.bench_function(BenchmarkId::new("unpack_plain", width), |b| {
            b.iter(|| unpack_plain(&out, width, &mut back));
        });
    }
    group.finish();
}

criterion_group!(benches, packing);
criterion_main!(benches);
