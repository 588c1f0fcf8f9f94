//! Packing against plain sequential code (throughput in elements), and what a channel carries (in wire bytes).

use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Tcp, Transport, memory};
use copriv_ring::Width;
use copriv_wire::{Result, Role, messages, pack_into, packed_bytes, unpack_into};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

messages! {
    /// Bits.
    Flips: Bits = 0xFFB0;
    /// Ring elements.
    Masked: Ring = 0xFFB1;
    /// Blocks.
    Seeds: Blocks = 0xFFB2;
    /// The peer has had everything.
    Done: Bytes = 0xFFB3;
}

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

/// Payload bytes of a message.
const BYTES: usize = 1 << 20;

/// The time until the peer has had `iters` messages.
fn stream(
    ends: &mut (Channel, Channel),
    iters: u64,
    send: impl Fn(&mut Channel) -> Result<()>,
    mut recv: impl FnMut(&mut Channel) -> Result<()> + Send,
) -> Duration {
    let (p0, p1) = ends;
    thread::scope(|scope| {
        let peer = scope.spawn(move || {
            for i in 0..iters {
                recv(p1)?;
                if i % 8 == 7 || i + 1 == iters {
                    p1.send_bytes::<Done>(b"")?;
                }
            }
            Ok(())
        });
        let start = Instant::now();
        let all = (0..iters).try_for_each(|i| {
            send(p0)?;
            if i % 8 == 7 || i + 1 == iters { p0.recv_bytes::<Done>(0).map(drop) } else { Ok(()) }
        });
        let time = start.elapsed();
        let peer: Result<()> = peer.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
        all.and(peer).unwrap_or_else(|e| panic!("{e}"));
        time
    })
}

fn channel(c: &mut Criterion, name: &str, ends: (impl Transport + 'static, impl Transport + 'static)) {
    let mut ends = (Channel::new(Role::P0, ends.0), Channel::new(Role::P1, ends.1));
    let mut group = c.benchmark_group(format!("channel/{name}"));
    group.throughput(Throughput::Bytes(BYTES as u64));
    let bits = BitVec::from_fn(8 * BYTES, |i| i % 3 == 0);
    group.bench_function("bits", |b| {
        b.iter_custom(|n| {
            stream(
                &mut ends,
                n,
                |c| c.send_bits::<Flips>(&bits),
                |c| c.recv_bits::<Flips>(8 * BYTES).map(drop),
            )
        });
    });
    let (blocks, mut got) = (vec![Block::ONES; BYTES / 16], vec![Block::ZERO; BYTES / 16]);
    group.bench_function("blocks", |b| {
        b.iter_custom(|n| {
            stream(&mut ends, n, |c| c.send_blocks::<Seeds>(&blocks), |c| c.recv_blocks::<Seeds>(&mut got))
        });
    });
    let Ok(width) = Width::new(21) else { return };
    let words = vec![0x1_2345; 8 * BYTES / 21];
    let mut got = words.clone();
    group.bench_function("words of 21 bits", |b| {
        b.iter_custom(|n| {
            stream(
                &mut ends,
                n,
                |c| c.send_words::<Masked>(width, &words),
                |c| c.recv_words::<Masked>(width, &mut got),
            )
        });
    });
    group.finish();
}

fn channels(c: &mut Criterion) {
    channel(c, "memory", memory());
    let timeout = Duration::from_secs(60);
    let tcp = || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let there = TcpStream::connect(listener.local_addr()?)?;
        let (here, _) = listener.accept()?;
        std::io::Result::Ok((Tcp::new(here, timeout)?, Tcp::new(there, timeout)?))
    };
    channel(c, "tcp", tcp().unwrap_or_else(|e| panic!("loopback: {e}")));
}

criterion_group!(benches, packing, channels);
criterion_main!(benches);
