use crate::Aes128;
use copriv_bits::Block;
use std::sync::LazyLock;

/// The public key of the fixed permutation π: the first 16 bytes of SHA-256("copriv fixed-key AES").
const FIXED_KEY: Block = Block::new(0xBE64_714B_3ED5_5251, 0xF775_2021_CC69_43B3);

static PERMUTATION: LazyLock<Aes128> = LazyLock::new(|| Aes128::new(FIXED_KEY));

/// Replaces `x[i]` by H(`x[i]`, `first` + i), the tweakable circular correlation-robust hash
/// H(x, t) = π(σ(x) ⊕ t) ⊕ σ(x) of Guo et al. 2020 (ePrint 2019/074, section 7.4), π fixed-key AES.
pub fn hash(x: &mut [Block], first: u64) {
    let mut out = [Block::ZERO; 64];
    let mut tweak = first;
    for chunk in x.chunks_mut(64) {
        expand(chunk, tweak, 1, &mut out[..chunk.len()]);
        chunk.copy_from_slice(&out[..chunk.len()]);
        tweak += chunk.len() as u64;
    }
}

/// `per` blocks of hash from each x: `out[i * per + j]` = H(`x[i]`, (`first` + i) ‖ j).
/// With `per` = 1 this is [`hash`].
///
/// # Panics
/// When `out` does not have `x.len() * per` blocks.
pub fn expand(x: &[Block], first: u64, per: usize, out: &mut [Block]) {
    assert_eq!(out.len(), x.len() * per, "one pad of `per` blocks for each x");
    if per == 0 {
        return;
    }
    for (i, (x, pads)) in x.iter().zip(out.chunks_exact_mut(per)).enumerate() {
        for (j, pad) in pads.iter_mut().enumerate() {
            *pad = x.sigma() ^ Block::new(j as u64, first + i as u64);
        }
    }
    PERMUTATION.encrypt(out);
    for (x, pads) in x.iter().zip(out.chunks_exact_mut(per)) {
        pads.iter_mut().for_each(|pad| *pad ^= x.sigma());
    }
}
