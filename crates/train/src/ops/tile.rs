//! The two inner loops of convolution, on vectors as wide as the machine has.
//!
//! Both read rows of one buffer at given offsets, which is what makes them serve every kernel size, stride, padding and
//! number of groups: what a tap reads is a row of the same length that begins elsewhere ([`super::layout`]).

use pulp::{Arch, Simd, WithSimd};

/// Functions over slices that are compiled for each kind of vectors, and run with the widest that the machine has. All
/// lifetimes are `'a`. Closures would do, were they always inlined where they are called for one kind.
macro_rules! vectorised {
    ($($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty $body:block)*) => {$(
        $(#[$doc])*
        $vis fn $name<'a>($($arg: $type),*) -> $out {
            struct Loop<'a> {
                $($arg: $type),*
            }
            impl<'a> pulp::WithSimd for Loop<'a> {
                type Output = $out;
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> $out {
                    let Self { $($arg),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Loop { $($arg),* })
        }
    )*};
}
pub(super) use vectorised;

/// Floats read past the end of a row, at most.
pub const SLACK: usize = 16;

/// What the machine's vectors are.
#[derive(Clone, Copy)]
pub struct Machine {
    arch: Arch,
    /// Floats in a vector.
    pub lanes: usize,
    wide: bool,
}

impl Machine {
    /// Detects them.
    pub fn new() -> Self {
        struct Ask;
        impl WithSimd for Ask {
            type Output = (usize, bool);
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Self::Output {
                (S::F32_LANES, S::REGISTER_COUNT >= 32)
            }
        }
        let arch = Arch::new();
        let (lanes, wide) = arch.dispatch(Ask);
        assert!(lanes <= SLACK, "vectors of {lanes} floats");
        Self { arch, lanes, wide }
    }

    /// Rows of outputs that [`weighted_rows`](Self::weighted_rows) takes at once, the most first.
    pub fn blocks(self, rows: usize) -> impl Iterator<Item = (usize, usize)> {
        divide(rows, if self.wide { &[8, 4, 2, 1] } else { &[4, 2, 1] })
    }

    /// `out[m] = start[m] + Σ_r weights[r][m] · source[offsets[r]..]`, rows of `out` being whole vectors, as many as there
    /// are values in `start`: one of the sizes of [`blocks`](Self::blocks).
    pub fn weighted_rows(
        self,
        start: &[f32],
        weights: &[f32],
        offsets: &[usize],
        source: &[f32],
        out: &mut [f32],
    ) {
        match start.len() {
            8 => self.arch.dispatch(Weighted::<8, 3> { start, weights, offsets, source, out }),
            4 => self.arch.dispatch(Weighted::<4, 3> { start, weights, offsets, source, out }),
            2 => self.arch.dispatch(Weighted::<2, 5> { start, weights, offsets, source, out }),
            1 => self.arch.dispatch(Weighted::<1, 8> { start, weights, offsets, source, out }),
            rows => unreachable!("{rows} rows at once"),
        }
    }

    /// `out[m][r] += Σ_images ⟨left[lefts[m]..], right[rights[r]..]⟩` over `n` floats, a multiple of the vector. The images
    /// of `left` and of `right` lie `left_step` and `right_step` apart.
    pub fn products(self, n: usize, left: Rows<'_>, right: Rows<'_>, images: usize, out: &mut [f32]) {
        assert_eq!((n % self.lanes, out.len()), (0, left.offsets.len() * right.offsets.len()));
        let width = right.offsets.len();
        for (r, nr) in divide(width, if self.wide { &[6, 3, 2, 1] } else { &[2, 1] }) {
            for (m, nm) in divide(left.offsets.len(), &[4, 2, 1]) {
                let left = Rows { offsets: &left.offsets[m..m + nm], ..left };
                let right = Rows { offsets: &right.offsets[r..r + nr], ..right };
                let mut sums = [[0.0; 6]; 4];
                macro_rules! block {
                    ($($m:literal $r:literal),*) => {
                        match (nm, nr) {
                            $(($m, $r) => self.arch.dispatch(Products::<$m, $r> { n, left, right, images, sums: &mut sums }),)*
                            block => unreachable!("a block of {block:?}"),
                        }
                    };
                }
                block!(4 6, 4 3, 4 2, 4 1, 2 6, 2 3, 2 2, 2 1, 1 6, 1 3, 1 2, 1 1);
                for (i, sums) in sums.iter().enumerate().take(nm) {
                    let out = &mut out[(m + i) * width + r..][..nr];
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
                }
            }
        }
    }
}

/// Divides `0..n` into `(start, length)` of the given lengths, the first where it fits.
fn divide(n: usize, lengths: &'static [usize]) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let length = *lengths.iter().find(|&&length| start + length <= n)?;
        start += length;
        Some((start - length, length))
    })
}

/// Rows of a buffer for each of several images.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub offsets: &'a [usize],
    /// From one image to the next.
    pub step: usize,
}

struct Weighted<'a, const M: usize, const N: usize> {
    start: &'a [f32],
    weights: &'a [f32],
    offsets: &'a [usize],
    source: &'a [f32],
    out: &'a mut [f32],
}

impl<const M: usize, const N: usize> WithSimd for Weighted<'_, M, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { start, weights, offsets, source, out } = self;
        let start: &[f32; M] = start.try_into().unwrap_or_else(|_| unreachable!("checked by the caller"));
        let (weights, _) = pulp::as_arrays::<M, f32>(weights);
        let vectors = out.len() / M / S::F32_LANES;
        let mut at = 0;
        while at + N <= vectors {
            tile::<S, M, N>(simd, start, weights, offsets, source, out, at, vectors);
            at += N;
        }
        // One shorter tile takes at most half of what is left, so that few are needed.
        if N > 4 && at + 4 <= vectors {
            tile::<S, M, 4>(simd, start, weights, offsets, source, out, at, vectors);
            at += 4;
        }
        if N > 2 && at + 2 <= vectors {
            tile::<S, M, 2>(simd, start, weights, offsets, source, out, at, vectors);
            at += 2;
        }
        while at < vectors {
            tile::<S, M, 1>(simd, start, weights, offsets, source, out, at, vectors);
            at += 1;
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a loop body that is inlined with different constants")]
fn tile<S: Simd, const M: usize, const N: usize>(
    simd: S,
    start: &[f32; M],
    weights: &[[f32; M]],
    offsets: &[usize],
    source: &[f32],
    out: &mut [f32],
    at: usize,
    vectors: usize,
) {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    for m in 0..M {
        sums[m] = [simd.splat_f32s(start[m]); N];
    }
    let source = &source[at * lanes..];
    for (weights, &offset) in weights.iter().zip(offsets) {
        let (row, _) = S::as_simd_f32s(&source[offset..][..N * lanes]);
        for m in 0..M {
            let weight = simd.splat_f32s(weights[m]);
            for v in 0..N {
                sums[m][v] = simd.mul_add_e_f32s(weight, row[v], sums[m][v]);
            }
        }
    }
    let (out, _) = S::as_mut_simd_f32s(out);
    for m in 0..M {
        out[m * vectors + at..][..N].copy_from_slice(&sums[m]);
    }
}

struct Products<'a, const M: usize, const R: usize> {
    n: usize,
    left: Rows<'a>,
    right: Rows<'a>,
    images: usize,
    sums: &'a mut [[f32; 6]; 4],
}

// Arrays are filled in loops: closures, as `array::from_fn` takes, are not always inlined, and then compiled for the least
// of machines.
impl<const M: usize, const R: usize> WithSimd for Products<'_, M, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { n, left, right, images, sums: out } = self;
        let vectors = n / S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); R]; M];
        for image in 0..images {
            let mut lefts = [&[] as &[S::f32s]; M];
            for (row, offset) in lefts.iter_mut().zip(left.offsets) {
                *row = &S::as_simd_f32s(&left.data[image * left.step + offset..][..n]).0[..vectors];
            }
            let mut rights = [&[] as &[S::f32s]; R];
            for (row, offset) in rights.iter_mut().zip(right.offsets) {
                *row = &S::as_simd_f32s(&right.data[image * right.step + offset..][..n]).0[..vectors];
            }
            for t in 0..vectors {
                let mut right = [simd.splat_f32s(0.0); R];
                for r in 0..R {
                    right[r] = rights[r][t];
                }
                for m in 0..M {
                    let left = lefts[m][t];
                    for r in 0..R {
                        sums[m][r] = simd.mul_add_e_f32s(left, right[r], sums[m][r]);
                    }
                }
            }
        }
        for m in 0..M {
            for r in 0..R {
                out[m][r] = simd.reduce_sum_f32s(sums[m][r]);
            }
        }
    }
}
