//! Loops over lanes, compiled for the vectors of the processor at hand: the portable code itself, with more instructions
//! allowed.
//!
//! What is not inlined into a kernel is compiled for every processor, however hot. So its functions are `#[inline(always)]`,
//! it loops by `for` and `while`, not by `for_each` and the like, and it sums in single arrays, not in arrays of them. A
//! look at the instructions (perf annotate) tells.
#![expect(unsafe_code, reason = "calls of functions with target features, behind run-time detection")]

/// A computation whose `run` is `#[inline(always)]` down to its loops, so that each backend compiles its own.
pub(crate) trait Kernel {
    fn run(self);
}

/// The instructions a [`Kernel`] is compiled for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    /// Those of every processor of the target.
    Portable,
    /// AVX2, where it is.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 with 64-bit products, where it is.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Backend {
    /// The fastest here.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = Avx512::detect().map(Self::Avx512);
            if let Some(backend) = avx512.or_else(|| Avx2::detect().map(Self::Avx2)) {
                return backend;
            }
        }
        Self::Portable
    }

    /// All that run here.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx2::detect().map(Self::Avx2));
            all.extend(Avx512::detect().map(Self::Avx512));
        }
        all
    }

    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            Self::Portable => kernel.run(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.run(kernel),
        }
    }
}

/// Proof that the processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    fn run<K: Kernel>(self, kernel: K) {
        #[target_feature(enable = "avx2")]
        fn compiled<K: Kernel>(kernel: K) {
            kernel.run();
        }
        // SAFETY: the token proves the instructions.
        unsafe { compiled(kernel) }
    }
}

/// Proof that the processor has AVX-512 with 64-bit products.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq");
        (found && is_x86_feature_detected!("avx512vl")).then_some(Self(()))
    }

    fn run<K: Kernel>(self, kernel: K) {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
        fn compiled<K: Kernel>(kernel: K) {
            kernel.run();
        }
        // SAFETY: the token proves the instructions.
        unsafe { compiled(kernel) }
    }
}
