//! Nonlinear layers: both parties over memory, one thread each; throughput in elements, with bytes an element.

use copriv_benches::Pair;
use copriv_bits::Block;
use copriv_ir::Function;
use copriv_nonlinear::{Sign, Windows, argmax, clip, maxpool, pieces, relu, relu_truncate, truncate};
use copriv_ot::RcotBackend;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::Result;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

const N: usize = 65_536;
const WIDTH: Width = Width::of(41);
const SHIFT: u32 = 12;
const SUITES: [(&str, Params); 2] = [
    ("cryptflow2", Params::CRYPTFLOW2),
    ("iknp", Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 }),
];

/// One protocol on `N` uniform elements; `elements` of them count.
fn row(
    group: &mut BenchmarkGroup<'_, WallTime>,
    pair: &mut Pair,
    name: &str,
    elements: usize,
    protocol: impl Fn(&mut Session, &Arithmetic) -> Result<()> + Sync,
) {
    let x = Arithmetic::new(Prg::from_seed(Block::ONES).ring(WIDTH, N));
    let run = |s: &mut Session| protocol(s, &x);
    let bytes = pair.bytes(run, run);
    eprintln!("{name}: {bytes} bytes, {:.1} an element", bytes as f64 / elements as f64);
    group.throughput(Throughput::Elements(elements as u64));
    group.bench_function(name, |b| b.iter_custom(|times| pair.time(times, run, run)));
}

/// ReLUs of a smooth function, so that all rows have as many.
const KNOTS: usize = Function::Sigmoid.knots();

fn nonlinear(criterion: &mut Criterion) {
    let pool = Windows::pool2d(64, [32, 32], [2, 2], [2, 2], [0; 4]);
    let rows = Windows::rows(N / 100, 100);
    let sigmoid = Function::Sigmoid.pieces(WIDTH, SHIFT).unwrap_or_default();
    for (suite, params) in SUITES {
        let mut pair = Pair::new(params);
        let mut group = criterion.benchmark_group(suite);
        group.sample_size(10);
        let mut row = |name, n, protocol: &(dyn Fn(&mut Session, &Arithmetic) -> Result<()> + Sync)| {
            row(&mut group, &mut pair, name, n, protocol);
        };
        row("relu", N, &|s, x| relu::relu(s, x).map(drop));
        row("clip", N, &|s, x| clip::clip(s, x, 0, 6 << SHIFT).map(drop));
        row("sigmoid in pieces", N / KNOTS, &|s, x| {
            pieces::sum_top(s, &x.slice(0..N / KNOTS), &sigmoid.knots, sigmoid.constant, 0).map(drop)
        });
        row("relu, then trunc_faithful", N, &|s, x| {
            let (y, _) = relu::relu(s, x)?;
            truncate::trunc_faithful(s, &y, SHIFT, Sign::NonNegative).map(drop)
        });
        row("relu_truncate", N, &|s, x| relu_truncate::relu_truncate(s, x, SHIFT).map(drop));
        row("trunc_faithful, sign unknown", N, &|s, x| {
            truncate::trunc_faithful(s, x, SHIFT, Sign::Unknown).map(drop)
        });
        row("trunc_faithful, not negative", N, &|s, x| {
            truncate::trunc_faithful(s, x, SHIFT, Sign::NonNegative).map(drop)
        });
        row("trunc_faithful_sirnn", N, &|s, x| truncate::trunc_faithful_sirnn(s, x, SHIFT).map(drop));
        row("trunc_one_bit, bounded", N, &|s, x| {
            truncate::trunc_one_bit(s, x, SHIFT, Sign::Bounded).map(drop)
        });
        row("maxpool 2x2", pool.len(), &|s, x| maxpool::maxpool(s, x, &pool).map(drop));
        let index = argmax::index_width(&rows);
        row("argmax of 100", rows.len(), &|s, x| argmax::argmax(s, x, &rows, index).map(drop));
        group.finish();
    }
}

criterion_group!(benches, nonlinear);
criterion_main!(benches);
