//! Correlated GGM trees, four side by side: a node is a [`Quad`], whose block j belongs to tree j.
//!
//! Level 1 has two nodes whose sum is Δ; the children of x are l = H(x) and r = x ⊕ l. So the nodes of every level sum to Δ:
//! half the AES calls of a tree whose children are two hashes, and no correction of the leaves.
//!
//! A *punctured* tree lacks the nodes on the path to one leaf; the XOR of the nodes on the other side of each level
//! fills in the siblings of the path, as far as the leaves ([`Fix`]).
//!
//! # Security
//! H(x) = π(σ(x)) ⊕ σ(x), π AES-128 under a fixed public key of its own, is circular correlation robust in the
//! ideal-permutation model: H(x ⊕ Δ) ⊕ b·Δ looks random for secret Δ and distinct x, which is what a punctured correlated
//! tree needs (Guo, Yang, Wang, Zhang, Xie, Liu, Zhao: Half-Tree, EUROCRYPT 2023, sections 2 and 4). No tweak: the nodes
//! under one Δ are distinct but for collisions of random blocks. After Q nodes under a Δ and T evaluations of AES the
//! advantage is about (Q·T + Q²) / 2^128, so that many OTs cost security as many pads do ([`hash`](crate::hash())).

#[cfg(target_arch = "x86_64")]
mod aesni;
#[cfg(target_arch = "x86_64")]
pub(crate) mod vaes512;

use crate::aes128::Backend;
use crate::{Aes128, Quad};
use copriv_bits::Block;
use std::sync::LazyLock;

/// The public key of π: the first 16 bytes of SHA-256("copriv GGM trees").
const TREE_KEY: Block = Block::new(0x6E57_F650_6490_2BA4, 0xD7B6_142E_566F_7B99);

static TREES: LazyLock<Trees> = LazyLock::new(|| Trees::on(Aes128::new(TREE_KEY)));

/// What turns a level as a punctured tree expands it into the true one: node `path[j]` of tree j gets `point`, its sibling
/// `sibling`.
///
/// An expansion begins with zeros in place of the two nodes of level 1. It takes the node on the path for 0 on every level, so
/// that its children there are H(0) each: `point` removes that, and `sibling` is the sum of its side as received, less the
/// sum as expanded.
#[derive(Clone, Copy, Debug)]
pub struct Fix {
    /// The node on the path, of each tree.
    pub path: [u64; 4],
    /// What is added to it.
    pub point: Quad,
    /// What is added to its sibling.
    pub sibling: Quad,
}

impl Fix {
    /// Nothing is added anywhere.
    pub const NONE: Self = Self { path: [u64::MAX; 4], point: Quad::ZERO, sibling: Quad::ZERO };

    /// What is added to node `i`.
    #[inline]
    pub(crate) fn of(&self, i: u64) -> Quad {
        Quad::from_fn(|j| {
            let is = |k: u64| u64::from(k == self.path[j]);
            self.point.0[j].select(is(i)) ^ self.sibling.0[j].select(is(i ^ 1))
        })
    }
}

/// Replaces the nodes of a level, which begin `nodes`, by their children, which fill it: first adds `fix`, then expands.
/// Returns the sums of the left and of the right children.
///
/// # Panics
/// When there are not two quads of blocks for each node, or the number of nodes is no power of two.
pub fn expand_level(nodes: &mut [Block], fix: Option<&Fix>) -> [Quad; 2] {
    TREES.expand_level(nodes, fix)
}

/// H(0), four times.
pub fn hash_of_zero() -> Quad {
    TREES.zero
}

/// Trees on a backend.
#[doc(hidden)]
pub struct Trees {
    aes: Aes128,
    zero: Quad,
}

impl Trees {
    /// Every backend this machine has, the portable one last: for tests and benches.
    pub fn backends() -> Vec<(&'static str, Self)> {
        Aes128::backends(TREE_KEY).into_iter().map(|(name, aes)| (name, Self::on(aes))).collect()
    }

    fn on(aes: Aes128) -> Self {
        let mut zero = [Block::ZERO];
        aes.encrypt(&mut zero);
        Self { aes, zero: Quad([zero[0]; 4]) }
    }

    /// [`expand_level`].
    pub fn expand_level(&self, nodes: &mut [Block], fix: Option<&Fix>) -> [Quad; 2] {
        let parents = nodes.len() / 8;
        assert!(nodes.len() == 8 * parents && parents.is_power_of_two(), "two quads for each node");
        match &self.aes.0 {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512(aes) => aes.expand_level(nodes, fix),
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi(aes) => aes.expand_level(nodes, fix),
            Backend::Portable(_) => self.define(nodes, fix),
        }
    }

    /// The definition, from the last node to the first, so that no parent is overwritten before it is read.
    fn define(&self, nodes: &mut [Block], fix: Option<&Fix>) -> [Quad; 2] {
        const GROUP: usize = 16;
        let mut sums = [Quad::ZERO; 2];
        let parents = nodes.len() / 8;
        let group = parents.min(GROUP);
        let (mut x, mut pads) = ([Quad::ZERO; GROUP], [Quad::ZERO; GROUP]);
        for first in (0..parents).step_by(group).rev() {
            let (x, pads) = (&mut x[..group], &mut pads[..group]);
            Quad::as_blocks_mut(x).copy_from_slice(&nodes[4 * first..][..4 * group]);
            if let Some(fix) = fix {
                x.iter_mut().enumerate().for_each(|(i, x)| *x ^= fix.of((first + i) as u64));
            }
            pads.copy_from_slice(x);
            let blocks = Quad::as_blocks_mut(pads);
            blocks.iter_mut().for_each(|x| *x = x.sigma());
            self.aes.encrypt(blocks);
            let children = nodes[8 * first..][..8 * group].chunks_exact_mut(8);
            for ((x, pad), children) in x.iter().zip(pads).zip(children) {
                let left = Quad::from_fn(|j| pad.0[j] ^ x.0[j].sigma());
                let right = left ^ *x;
                sums[0] ^= left;
                sums[1] ^= right;
                children[..4].copy_from_slice(&left.0);
                children[4..].copy_from_slice(&right.0);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn h(x: Block) -> Block {
        let mut y = [x.sigma()];
        Aes128::new(TREE_KEY).encrypt(&mut y);
        y[0] ^ x.sigma()
    }

    fn blocks(len: usize, seed: u64) -> Vec<Block> {
        let mut out = vec![Block::ZERO; len];
        Aes128::new(Block::new(seed, 7)).counter(0, &mut out);
        out
    }

    #[test]
    fn a_level_is_the_children_of_its_fixed_nodes() {
        for log in 0..8 {
            let parents = 1 << log;
            let x = blocks(4 * parents, log);
            let path = [0, 1, parents as u64 / 2, parents as u64 - 1].map(|p: u64| p.min(parents as u64 - 1));
            let fix = Fix { path, point: Quad([x[0]; 4]), sibling: Quad([x[3], x[2], x[1], x[0]]) };
            for fix in [None, Some(&fix)] {
                let (mut want, mut sums) = (vec![Block::ZERO; 8 * parents], [Quad::ZERO; 2]);
                for (i, j) in (0..parents).flat_map(|i| (0..4).map(move |j| (i, j))) {
                    let mut x = x[4 * i + j];
                    if let Some(fix) = fix {
                        x ^= fix.point.0[j].select(u64::from(fix.path[j] == i as u64));
                        x ^= fix.sibling.0[j].select(u64::from(fix.path[j] ^ 1 == i as u64));
                    }
                    let children = [h(x), x ^ h(x)];
                    for (side, child) in children.into_iter().enumerate() {
                        want[8 * i + 4 * side + j] = child;
                        sums[side].0[j] ^= child;
                    }
                }
                for (name, trees) in Trees::backends() {
                    let mut nodes = x.clone();
                    nodes.resize(8 * parents, Block::ONES);
                    assert!(trees.expand_level(&mut nodes, fix) == sums, "{name}: sums of 2^{log} nodes");
                    assert!(nodes == want, "{name}: children of 2^{log} nodes");
                }
            }
        }
    }

    #[test]
    fn zero_and_the_key() {
        assert!(hash_of_zero() == Quad([h(Block::ZERO); 4]));
        assert_eq!(Sha256::digest(b"copriv GGM trees")[..16], TREE_KEY.to_bytes());
    }
}
