//! Criterion benchmarks, one file per layer.
