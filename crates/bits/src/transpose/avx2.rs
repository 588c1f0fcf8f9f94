//! The portable transposition compiled for AVX2.
#![expect(unsafe_code, reason = "a call behind run-time detection")]

use crate::Block;

/// Proof that the machine has AVX2.
pub(super) struct Avx2(());

impl Avx2 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn transpose(self, rows: &[Block], out: &mut [Block]) {
        #[target_feature(enable = "avx2")]
        fn inner(rows: &[Block], out: &mut [Block]) {
            super::portable(rows, out);
        }
        // SAFETY: `self` exists only where AVX2 was detected.
        unsafe { inner(rows, out) }
    }
}
