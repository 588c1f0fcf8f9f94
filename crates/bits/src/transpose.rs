use crate::Block;

/// Transposes a bit matrix of 128 rows and 128 * k columns: `rows` holds the rows one after the other
/// (k blocks each), and bit r of `out[c]` becomes bit c of row r.
///
/// # Panics
/// When `rows` and `out` differ in length or that is not a multiple of 128.
pub fn transpose(rows: &[Block], out: &mut [Block]) {
    assert!(rows.len() == out.len() && rows.len().is_multiple_of(128), "128 rows of whole blocks");
    let blocks = rows.len() / 128;
    for (block, columns) in out.chunks_exact_mut(128).enumerate() {
        let mut square: [u128; 128] = std::array::from_fn(|r| rows[r * blocks + block].into());
        transpose_square(&mut square);
        for (column, word) in columns.iter_mut().zip(square) {
            *column = word.into();
        }
    }
}

/// Hacker's Delight 7-3: swap the off-diagonal quarters at each power of two.
fn transpose_square(m: &mut [u128; 128]) {
    let mut mask = u128::MAX;
    for level in (0..7).rev() {
        let half = 1usize << level;
        mask ^= mask << half;
        for r in (0..128).filter(|r| r & half == 0) {
            let swap = (m[r] >> half ^ m[r + half]) & mask;
            m[r] ^= swap << half;
            m[r + half] ^= swap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_definition() {
        for blocks in [1, 2, 5] {
            let mut x = 1u128;
            let rows: Vec<Block> = (0..128 * blocks)
                .map(|_| {
                    x = x.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(3);
                    Block::from(x ^ x >> 64)
                })
                .collect();
            let mut out = vec![Block::ZERO; rows.len()];
            transpose(&rows, &mut out);
            for (c, column) in out.iter().enumerate() {
                for r in 0..128 {
                    assert_eq!(column.bit(r), rows[r * blocks + c / 128].bit(c % 128));
                }
            }
        }
    }
}
