//! Matrix products: by OT between two parties over memory, and in the clear. Throughput in multiplications.
//!
//! Each party computes in one thread, so that the two keep two cores busy.

use copriv_benches::Pair;
use copriv_bits::Block;
use copriv_linear::product::matmul;
use copriv_linear::{Chooser, Product};
use copriv_prg::Prg;
use copriv_ring::{RingMatrix, Width};
use copriv_session::Params;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Groups, rows, inner, columns: convolutions 3x3 of 16 and 64 channels, depthwise, and a fully connected layer.
const SHAPES: [(&str, [usize; 4]); 5] = [
    ("16 channels, 16x16", [1, 16, 144, 256]),
    ("64 channels, 8x8", [1, 64, 576, 64]),
    ("256 channels, 4x4", [1, 256, 256, 16]),
    ("64 channels depthwise, 16x16", [64, 1, 9, 256]),
    ("512 to 100", [1, 100, 512, 1]),
];

fn products(criterion: &mut Criterion) {
    let width = Width::of(41);
    for (name, [groups, rows, inner, cols]) in SHAPES {
        let mut group = criterion.benchmark_group(format!("linear/{name}"));
        group.sample_size(10).throughput(Throughput::Elements((groups * rows * inner * cols) as u64));
        let mut prg = Prg::from_seed(Block::ONES);
        let w = prg.ring(Width::of(7), groups * rows * inner);
        let x = prg.ring(width, groups * inner * cols);
        let choosers = [Chooser::Activations, Chooser::Weights { bits: 41 }, Chooser::Weights { bits: 8 }];
        for chooser in choosers {
            let product = Product { groups, rows, inner, cols, width, chooser };
            let mut pair = Pair::new(Params::CRYPTFLOW2);
            group.bench_function(BenchmarkId::from_parameter(format!("{chooser:?}")), |b| {
                b.iter_custom(|times| {
                    pair.time(
                        times,
                        |s| matmul(s, &product, w.words()).map(drop),
                        |s| matmul(s, &product, x.words()).map(drop),
                    )
                });
            });
        }
        if groups == 1 {
            let w = RingMatrix::new(rows, inner, w.resize(width));
            let x = RingMatrix::new(inner, cols, x);
            group.bench_function("in the clear", |b| b.iter(|| w.product(&x)));
        }
        group.finish();
    }
}

criterion_group!(benches, products);
criterion_main!(benches);
