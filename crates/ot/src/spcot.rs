//! Single-point correlated OT: a vector of blocks that differs by Δ at one place of the receiver's.
//!
//! # Functionality
//! Of each tree: sender: v_0 .. v_{n-1}, n = 2^h, for its Δ. Receiver: a random place α and w_i = v_i ⊕ \[i = α\]·Δ.
//!
//! # Protocol
//! From h RCOTs `t_l = q_l ⊕ b_l·Δ` a tree, on random choices: level l of the receiver's path goes right where b_l = 0. Four
//! trees grow side by side, and the messages of many are one.
//!
//! | step | sender (Δ, q)                             | wire         | receiver (b, t)                        |
//! |------|-------------------------------------------|--------------|----------------------------------------|
//! | 1    | root `k`, level 1 is `k, k ⊕ Δ`           |              |                                        |
//! | 2    | children of x: `H(x), x ⊕ H(x)`           |              |                                        |
//! | 3    | `m_l = q_l ⊕ (sum of left nodes of level l)` | [`Levels`] → |                                     |
//! | 4    |                                           |              | `t_l ⊕ m_l` is the sum of side b_l     |
//! | 5    |                                           |              | the sibling of the path from it, children as in 2 |
//! | 6    |                                           |              | w_α: the sum of all other leaves       |
//!
//! The nodes of a level sum to Δ, so the sum of side b_l is that of the left side plus b_l·Δ, and the other leaves
//! sum to v_α ⊕ Δ: nothing corrects the leaves.
//!
//! # Cost
//! [`cost`]: a block a level and tree, from the sender.
//!
//! # Security
//! Semi-honest. The messages are what the receiver computes from its t and the sums it may know. The nodes off its path
//! hide Δ and the rest if H is circular correlation robust ([`copriv_prg::ggm`]).
//!
//! # Reference
//! Guo, Yang, Wang, Zhang, Xie, Liu, Zhao: Half-Tree: Halving the Cost of Tree Expansion in COT and DPF (EUROCRYPT 2023),
//! section 4.
//!
//! # Deviations
//! None. The receiver's path shows in no branch and no address: [`Fix`] visits every node.

use copriv_bits::Block;
use copriv_channel::{Channel, Cost};
use copriv_prg::Quad;
use copriv_prg::ggm::{Fix, expand_level, hash_of_zero};
use copriv_wire::{Result, Role, messages};

messages! {
    /// m: a block a level of each tree, four trees side by side, level by level.
    Levels: Blocks = 0x0280;
}

/// The cost of `fours` times four trees of `height` levels.
pub fn cost(sender: Role, fours: usize, height: usize) -> Cost {
    Cost::message(sender, 4 * fours * height, 128)
}

/// The sender: fills `leaves` with those of four trees for each of `roots`, leaf by leaf of four trees; `q` are `height` quads
/// for each four trees, `wire` of the same length is scratch.
///
/// # Errors
/// When the connection fails.
///
/// # Panics
/// When lengths do not fit, or there are no levels.
pub fn send(
    channel: &mut Channel,
    delta: Block,
    roots: &[Quad],
    q: &[Quad],
    wire: &mut [Quad],
    leaves: &mut [Block],
) -> Result<()> {
    let height = height(roots.len(), q.len(), leaves.len());
    let trees = q.chunks_exact(height).zip(wire.chunks_exact_mut(height));
    for ((root, (q, wire)), leaves) in roots.iter().zip(trees).zip(leaves.chunks_exact_mut(4 << height)) {
        leaves[..4].copy_from_slice(&root.0); // (1)
        leaves[4..8].copy_from_slice(&(*root ^ Quad([delta; 4])).0); // (1)
        wire[0] = q[0] ^ *root; // (3)
        for (level, (q, wire)) in q.iter().zip(wire).enumerate().skip(1) {
            let [left, _] = expand_level(&mut leaves[..8 << level], None); // (2)
            *wire = *q ^ left; // (3)
        }
    }
    channel.send_blocks::<Levels>(Quad::as_blocks(wire)) // (3)
}

/// The receiver: expands `fours` times four trees into `leaves` and calls `take(i, leaves, fix)` with each four: the leaves are
/// true once `fix` is applied, whose path is α. The choices of `t` are in the lowest bits; `wire` of the same
/// length is scratch.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// As [`send`].
pub fn receive(
    channel: &mut Channel,
    fours: usize,
    t: &[Quad],
    wire: &mut [Quad],
    leaves: &mut [Block],
    mut take: impl FnMut(usize, &mut [Block], &Fix),
) -> Result<()> {
    let height = height(fours, t.len(), leaves.len());
    channel.recv_blocks::<Levels>(Quad::as_blocks_mut(wire))?; // (3)
    let trees = t.chunks_exact(height).zip(wire.chunks_exact(height));
    for (i, ((t, wire), leaves)) in trees.zip(leaves.chunks_exact_mut(4 << height)).enumerate() {
        leaves[..8].fill(Block::ZERO);
        let mut fix = Fix { path: [0; 4], ..Fix::NONE };
        for (level, (t, m)) in t.iter().zip(wire).enumerate() {
            let sums = match level {
                0 => [Quad::ZERO; 2],
                _ => expand_level(&mut leaves[..8 << level], Some(&fix)), // (5)
            };
            let known = *t ^ *m; // (4)
            let side = t.0.map(|t| t.low() & 1);
            let of = |sums: [Quad; 2], side: [u64; 4]| {
                Quad::from_fn(|j| sums[0].0[j] ^ (sums[0].0[j] ^ sums[1].0[j]).select(side[j]))
            };
            fix = Fix {
                path: std::array::from_fn(|j| fix.path[j] << 1 | (side[j] ^ 1)),
                sibling: known ^ of(sums, side), // (5)
                point: match level {
                    _ if level + 1 == height => known ^ of(sums, side.map(|side| side ^ 1)), // (6)
                    0 => Quad::ZERO,
                    _ => hash_of_zero(),
                },
            };
        }
        take(i, leaves, &fix);
    }
    Ok(())
}

/// The levels of trees with so many RCOTs and leaves.
fn height(fours: usize, rcots: usize, leaves: usize) -> usize {
    let height = rcots / fours.max(1);
    assert!(height > 0 || fours == 0, "a tree has a level");
    assert!(rcots == fours * height && leaves == fours * (4 << height), "as many RCOTs and leaves as trees");
    height.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use copriv_prg::Prg;
    use copriv_testkit::run_channels;
    use copriv_wire::Role;

    /// Leaf by leaf, by the definition.
    #[test]
    fn vectors_differ_by_delta_at_the_point() {
        for (height, fours) in [(1, 1), (2, 3), (3, 1), (5, 2), (8, 1), (9, 3)] {
            let mut prg = Prg::from_seed(Block::new(height as u64, 5));
            let delta = Block::new(prg.block().low() | 1, prg.block().high());
            let mut quads = |n: usize| -> Vec<Quad> {
                (0..n)
                    .map(|_| Quad::from_fn(|_| Block::new(prg.block().low() & !1, prg.block().low())))
                    .collect()
            };
            let (roots, q, bits) = (quads(fours), quads(fours * height), quads(fours * height));
            let choice = |i: usize, j: usize| bits[i].0[j].high() & 1;
            let t: Vec<Quad> = q
                .iter()
                .enumerate()
                .map(|(i, q)| Quad::from_fn(|j| q.0[j] ^ delta.select(choice(i, j))))
                .collect();
            let scratch = || (vec![Quad::ZERO; fours * height], vec![Block::ZERO; fours * (4 << height)]);
            let out = run_channels(
                copriv_channel::memory(),
                |channel| {
                    let (mut wire, mut v) = scratch();
                    send(channel, delta, &roots, &q, &mut wire, &mut v).map(|()| v)
                },
                |channel| {
                    let ((mut wire, mut leaves), mut w) = (scratch(), vec![]);
                    let take = |tree: usize, leaves: &mut [Block], fix: &Fix| {
                        for (j, &path) in fix.path.iter().enumerate() {
                            let bit = |level: usize| choice(tree * height + level, j) ^ 1;
                            assert_eq!(path, (0..height).fold(0, |path, level| path << 1 | bit(level)));
                        }
                        for (i, leaf) in leaves.iter().enumerate() {
                            let ([j, i], mut leaf) = ([i % 4, i / 4], *leaf);
                            leaf ^= fix.point.0[j].select(u64::from(fix.path[j] == i as u64));
                            leaf ^= fix.sibling.0[j].select(u64::from(fix.path[j] ^ 1 == i as u64));
                            w.push((leaf, fix.path[j] == i as u64));
                        }
                    };
                    receive(channel, fours, &t, &mut wire, &mut leaves, take).map(|()| w)
                },
            );
            out.assert_cost(cost(Role::P0, fours, height));
            let (v, w) = (out.p0.unwrap(), out.p1.unwrap());
            assert!(v.iter().zip(&w).all(|(v, (w, point))| *w == *v ^ delta.select(u64::from(*point))));
            assert_eq!(w.iter().filter(|(_, point)| *point).count(), 4 * fours);
            assert!((1..v.len()).all(|i| !v[..i].contains(&v[i])), "leaves are distinct");
        }
    }
}
