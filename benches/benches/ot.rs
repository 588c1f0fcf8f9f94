//! Oblivious transfer: both parties over memory, one thread each.

use copriv_benches::Pair;
use copriv_bits::Block;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ot::{RcotBackend, cot, rot};
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_session::Params;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

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

criterion_group!(benches, ot);
criterion_main!(benches);
