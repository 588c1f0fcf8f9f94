use crate::Block;

/// The product in GF(2^128) = GF(2)[x] / (x^128 + x^7 + x^2 + x + 1), bit i the coefficient of x^i.
/// Constant time.
pub fn gf128_mul(a: Block, b: Block) -> Block {
    let (b, mut acc, mut shifted) = (u128::from(b), 0u128, u128::from(a));
    for i in 0..128 {
        acc ^= shifted & 0u128.wrapping_sub(b >> i & 1);
        shifted = shifted << 1 ^ (0x87 & 0u128.wrapping_sub(shifted >> 127));
    }
    acc.into()
}
