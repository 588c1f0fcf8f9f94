//! Oblivious transfer: both parties over memory, one thread each.

use copriv_benches::Pair;
use copriv_bits::Block;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ot::silent::{Schedule, SilentReceiver, SilentSender};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender, cot, rot};
use copriv_prg::ggm::Trees;
use copriv_prg::lpn::{Encoder, Table};
use copriv_prg::{Prg, Quad};
use copriv_ring::{RingVec, Width};
use copriv_session::Params;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Mutex;

const COUNT: usize = 1 << 18;
const IKNP: Params = Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };

fn ot(criterion: &mut Criterion) {
    let choices = Prg::from_seed(Block::ZERO).bits(COUNT);
    let digits: Vec<u8> = (0..COUNT).map(|i| (i % 16) as u8).collect();
    let d = RingVec::zeros(Width::of(41), COUNT);
    let mut group = criterion.benchmark_group("ot");
    group.sample_size(10).throughput(Throughput::Elements(COUNT as u64));

    let softspoken = |k| Params { rcot: RcotBackend::Softspoken { k }, ..IKNP };
    let backends = [
        ("rcot/iknp", IKNP),
        ("rcot/softspoken 2", softspoken(2)),
        ("rcot/softspoken 4", softspoken(4)),
        ("rcot/softspoken 8", softspoken(8)),
    ];
    for (name, params) in backends {
        let mut pair = Pair::new(params);
        group.bench_function(name, |b| {
            let (mut q, mut t) = (vec![Block::ZERO; COUNT], vec![Block::ZERO; COUNT]);
            let (q, t) = (std::sync::Mutex::new(&mut q), std::sync::Mutex::new(&mut t));
            b.iter_custom(|times| {
                pair.time(
                    times,
                    |s| {
                        s.rcot_sender
                            .extend_chosen(&mut s.channel, &mut q.lock().unwrap_or_else(|e| e.into_inner()))
                    },
                    |s| {
                        let mut t = t.lock().unwrap_or_else(|e| e.into_inner());
                        s.rcot_receiver.extend_chosen(&mut s.channel, &choices, &mut t)
                    },
                )
            });
        });
    }
    let mut pair = Pair::new(IKNP);
    group.bench_function("rot/iknp", |b| {
        b.iter_custom(|times| {
            pair.time(
                times,
                |s| rot::send(&mut s.channel, s.rcot_sender.as_mut(), COUNT).map(drop),
                |s| rot::receive(&mut s.channel, s.rcot_receiver.as_mut(), &choices).map(drop),
            )
        });
    });
    group.bench_function("cot 41 bits/iknp", |b| {
        b.iter_custom(|times| {
            pair.time(
                times,
                |s| cot::send(&mut s.channel, s.rcot_sender.as_mut(), 1, &d).map(drop),
                |s| cot::receive(&mut s.channel, s.rcot_receiver.as_mut(), d.width(), 1, &choices).map(drop),
            )
        });
    });
    for (name, params) in [("1-of-16/kk13", Params::CRYPTFLOW2), ("1-of-16/4 rcots", IKNP)] {
        let mut pair = Pair::new(params);
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                pair.time(
                    times,
                    |s| s.one_of_n_send(4, Width::of(2), COUNT, |_, table| table.fill(1)),
                    |s| s.one_of_n_receive(4, Width::of(2), &digits).map(drop),
                )
            });
        });
    }
    group.finish();

    criterion.bench_function("session set-up", |b| b.iter(|| Pair::new(Params::CRYPTFLOW2)));
}

/// RCOTs of silent OT in the steady state, by schedule; and what it is made of.
fn silent(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("silent");
    group.sample_size(10).throughput(Throughput::Elements(COUNT as u64));
    for (name, schedule) in [
        ("narrow 14", Schedule::SMALL),
        ("narrow 16", Schedule::MEDIUM),
        ("narrow 18", Schedule::LEAN),
        ("wide 16", Schedule::FAST),
        ("wide 17", Schedule::LARGE),
    ] {
        let mut pair = Pair::new(IKNP);
        let (mut sender, mut receiver) = pair.both(
            |s| {
                let prg = s.prg.child();
                SilentSender::new(&mut s.channel, s.rcot_sender.as_mut(), prg, schedule)
            },
            |s| SilentReceiver::new(&mut s.channel, s.rcot_receiver.as_mut(), schedule),
        );
        let [mut q, mut t] = [(); 2].map(|()| vec![Block::ZERO; COUNT]);
        let ends = (Mutex::new((&mut sender, &mut q)), Mutex::new((&mut receiver, &mut t)));
        let mut run = |times| {
            pair.time(
                times,
                |s| {
                    let (sender, q) = &mut *ends.0.lock().unwrap_or_else(|e| e.into_inner());
                    sender.extend(&mut s.channel, q)
                },
                |s| {
                    let (receiver, t) = &mut *ends.1.lock().unwrap_or_else(|e| e.into_inner());
                    receiver.extend(&mut s.channel, t).map(drop)
                },
            )
        };
        run(1);
        group.bench_function(BenchmarkId::new("rcot", name), |b| b.iter_custom(&mut run));
    }
    group.finish();

    let mut group = criterion.benchmark_group("ggm");
    for height in [8, 10, 11, 12] {
        let mut leaves = vec![Block::ZERO; 4 << height];
        group.throughput(Throughput::Elements(leaves.len() as u64));
        for (name, trees) in Trees::backends() {
            group.bench_function(BenchmarkId::new(name, height), |b| {
                b.iter(|| {
                    (1..height)
                        .fold(Quad::ZERO, |_, level| trees.expand_level(&mut leaves[..8 << level], None)[0])
                })
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("lpn");
    let mut out = vec![Block::ZERO; 1 << 15];
    group.throughput(Throughput::Elements(out.len() as u64));
    for log_entries in [12, 14, 16, 17, 18] {
        let mut table = vec![Quad::ZERO; 1 << log_entries];
        Prg::from_seed(Block::ONES).fill(Quad::as_blocks_mut(&mut table));
        for (name, encoder) in Encoder::backends() {
            for (shape, table) in
                [("wide", Table::Wide(&table)), ("narrow", Table::Narrow(&table[..table.len() / 4]))]
            {
                let (id, mut first) = (BenchmarkId::new(format!("{name}, {shape}"), log_entries), 0);
                group.bench_function(id, |b| {
                    b.iter(|| {
                        encoder.encode(1, first, table, None, &mut out);
                        first += out.len() / 4;
                    })
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, ot, silent);
criterion_main!(benches);
