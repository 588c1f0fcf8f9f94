//! SoftSpoken OT extension: random correlated OTs for 128/k bits each, k = 2, 4 or 8.
//!
//! # Functionality
//! Sender: Δ and q_i. Receiver: t_i = q_i ⊕ c_i·Δ for bits c_i of its choice (or random ones).
//!
//! # Protocol
//! Base OTs the other way round: the receiver holds key pairs (k⁰_r, k¹_r), the sender k_r of its bit Δ_r,
//! r = 0..128. Instance i = 0..128/k has the OTs k·i.. and the k bits of Δ there, read as the number Δ_i. Set-up, for
//! all instances at once:
//!
//! | step | sender (Δ)                        | wire          | receiver                          |
//! |------|-----------------------------------|---------------|-----------------------------------|
//! | 1    |                                   |               | a tree of 2^k seeds over k¹, k⁰ of the first OT of i |
//! | 2    |                                   | ← [`Siblings`] | sums of the even and of the odd nodes of a level, each under a key |
//! | 3    | all seeds but that of leaf Δ_i    |               |                                   |
//!
//! Extension, in chunks, with G(s_x) the stream of leaf x, x_j its bit j:
//!
//! | step | sender                            | wire          | receiver (c)                      |
//! |------|-----------------------------------|---------------|-----------------------------------|
//! | 4    | `w_ij = ⊕ (x ⊕ Δ_i)_j · G(s_x)`   |               | `u_i = ⊕ G(s_x), v_ij = ⊕ x_j · G(s_x)` |
//! | 5    |                                   | ← [`SubspaceColumns`] | `d_i = u_i ⊕ c`           |
//! | 6    | `q_r = w_r ⊕ Δ_r·d_i`             |               | `t_r = v_r`                       |
//! | 7    | `q = transpose(q_r)`              |               | `t = transpose(t_r)`              |
//!
//! # Cost
//! [`cost`]: 128/k bits an OT from the receiver, n OTs in n/k blocks, no round of its own. [`setup_cost`]: 256·(1 − 1/k)
//! blocks from the receiver.
//!
//! # Security
//! Semi-honest, 128 bits, if AES and AES-CTR are PRGs: of each tree the sender has all leaves but one, and that one's stream
//! hides c in d_i. Outputs are to be hashed with a correlation-robust hash ([`copriv_prg::hash`] states its bound). No index
//! depends on Δ: the sender numbers nodes relative to the path that it does not know.
//!
//! # Reference
//! Roy: SoftSpokenOT: Quieter OT Extension from Small-Field Silent VOLE in the Minicrypt Model (CRYPTO 2022), sections 3
//! and 4, the semi-honest part: the subspace VOLE with the repetition code. The trees: Boyle, Gilboa, Ishai: Function Secret
//! Sharing (EUROCRYPT 2015).
//!
//! # Deviations
//! The receiver's choices are corrected in every column, the first included, so that real choices cost no more than random
//! ones. The wire form of the last, incomplete square of 128 OTs: 128/k bits for each.

use crate::chunk::{Buffers, CHUNK, choice_words, wire_blocks};
use crate::{RcotReceiver, RcotSender, rot};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_prg::{Fold, Prg};
use copriv_wire::{Result, Role, messages};
use zeroize::{Zeroize, Zeroizing};

messages! {
    /// d: 128/k bits of masked choices an OT.
    SubspaceColumns: Blocks = 0x0221;
    /// Of each level below the first of each tree: the sum of the odd nodes under k⁰, that of the even ones under k¹.
    Siblings: Blocks = 0x0222;
}

/// Base OTs needed.
pub const BASE_OTS: usize = 128;

/// The cost of `count` OTs sent by `sender`.
///
/// # Panics
/// When k is not 2, 4 or 8.
pub fn cost(k: usize, sender: Role, count: usize) -> Cost {
    check(k);
    let message =
        |n: usize| if n == 0 { Cost::ZERO } else { Cost::message(sender.peer(), wire_blocks(k, n), 128) };
    Cost::rcots(sender, count) + message(CHUNK).repeat(count / CHUNK) + message(count % CHUNK)
}

/// The cost of the set-up of a sender and its receiver, without the base OTs.
///
/// # Panics
/// When k is not 2, 4 or 8.
pub fn setup_cost(k: usize, sender: Role) -> Cost {
    Cost::message(sender.peer(), sibling_blocks(k), 128)
}

fn sibling_blocks(k: usize) -> usize {
    check(k);
    2 * (BASE_OTS - BASE_OTS / k)
}

fn check(k: usize) {
    assert!([2, 4, 8].contains(&k), "SoftSpoken OT has k = 2, 4 or 8");
}

/// The SoftSpoken sender: the *receiver* of the base OTs.
pub struct SoftspokenSender {
    k: usize,
    delta: Block,
    streams: Fold,
    tweak: u64,
    buffers: Buffers,
}

/// The SoftSpoken receiver: the *sender* of the base OTs.
pub struct SoftspokenReceiver {
    k: usize,
    streams: Fold,
    random: Prg,
    tweak: u64,
    buffers: Buffers,
}

impl SoftspokenSender {
    /// From the base OTs, received with the bits of `delta` as choices.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When k is not 2, 4 or 8, or there are not [`BASE_OTS`] keys.
    pub fn setup(channel: &mut Channel, k: usize, delta: Block, keys: &[Block]) -> Result<Self> {
        assert_eq!(keys.len(), BASE_OTS, "SoftSpoken OT starts from 128 base OTs");
        let mut siblings = vec![Block::ZERO; sibling_blocks(k)];
        channel.recv_blocks::<Siblings>(&mut siblings)?; // (2)
        let mut seeds = Zeroizing::new(Vec::with_capacity((BASE_OTS / k) << k));
        let instances = keys.chunks_exact(k).zip(siblings.chunks_exact(2 * (k - 1)));
        for (i, (keys, siblings)) in instances.enumerate() {
            let bits: Vec<u64> = (0..k).map(|j| u64::from(delta.bit(k * i + j))).collect();
            seeds.extend_from_slice(&punctured_tree(&bits, keys, siblings)); // (3)
        }
        Ok(Self { k, delta, streams: Fold::new(k, &seeds), tweak: 0, buffers: Buffers::default() })
    }
}

impl Drop for SoftspokenSender {
    fn drop(&mut self) {
        self.delta.zeroize();
    }
}

impl SoftspokenReceiver {
    /// From the base OTs it sent; `random` draws its random choices.
    ///
    /// # Errors
    /// When the connection fails.
    ///
    /// # Panics
    /// When k is not 2, 4 or 8, or there are not [`BASE_OTS`] key pairs.
    pub fn setup(channel: &mut Channel, k: usize, keys: &[[Block; 2]], random: Prg) -> Result<Self> {
        assert_eq!(keys.len(), BASE_OTS, "SoftSpoken OT starts from 128 base OTs");
        let mut siblings = Vec::with_capacity(sibling_blocks(k));
        let mut seeds = Zeroizing::new(Vec::with_capacity((BASE_OTS / k) << k));
        for keys in keys.chunks_exact(k) {
            seeds.extend_from_slice(&tree(keys, &mut siblings)); // (1)
        }
        channel.send_blocks::<Siblings>(&siblings)?; // (2)
        Ok(Self { k, streams: Fold::new(k, &seeds), random, tweak: 0, buffers: Buffers::default() })
    }
}

impl RcotSender for SoftspokenSender {
    fn delta(&self) -> Block {
        self.delta
    }

    fn extend(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        for out in q.chunks_mut(CHUNK) {
            let mut chunk = self.buffers.of(self.k, out.len());
            self.streams.halves(chunk.blocks, chunk.rows); // (4)
            chunk.receive::<SubspaceColumns>(channel, self.k, out.len())?; // (5)
            self.streams.correct(self.delta, chunk.columns, chunk.rows); // (6)
            chunk.transpose(out); // (7)
        }
        Ok(())
    }

    fn extend_chosen(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        self.extend(channel, q)
    }

    fn chosen_planes(
        &mut self,
        channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<[Vec<BitVec>; 2]> {
        self.random_planes(channel, count, planes)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        let first = self.tweak;
        self.tweak += count as u64;
        first
    }
}

impl RcotReceiver for SoftspokenReceiver {
    fn extend(&mut self, channel: &mut Channel, t: &mut [Block]) -> Result<BitVec> {
        let choices = self.random.bits(t.len());
        self.extend_chosen(channel, &choices, t)?;
        Ok(choices)
    }

    fn extend_chosen(&mut self, channel: &mut Channel, choices: &BitVec, t: &mut [Block]) -> Result<()> {
        assert_eq!(choices.len(), t.len(), "one choice an OT");
        for (out, words) in t.chunks_mut(CHUNK).zip(choice_words(choices)) {
            let mut chunk = self.buffers.of(self.k, out.len());
            chunk.choose(words);
            self.streams.all(chunk.blocks, chunk.choices, chunk.columns, chunk.rows); // (4) (6)
            chunk.send::<SubspaceColumns>(channel, self.k, out.len())?; // (5)
            chunk.transpose(out); // (7)
        }
        Ok(())
    }

    fn chosen_planes(&mut self, channel: &mut Channel, choices: &BitVec, planes: u32) -> Result<Vec<BitVec>> {
        rot::receiver_planes(channel, self, choices.len(), planes, |ot, channel, start, t| {
            ot.extend_chosen(channel, &choices.slice(start..start + t.len()), t)
        })
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        let first = self.tweak;
        self.tweak += count as u64;
        first
    }
}

/// The leaves of the tree whose nodes of the first level are the keys of OT 0, k¹ the even one. Bit j of a leaf's number is
/// its turn at level j. Appends the sums of each further level, masked by the keys of its OT.
fn tree(keys: &[[Block; 2]], siblings: &mut Vec<Block>) -> Zeroizing<Vec<Block>> {
    let mut nodes = Zeroizing::new(vec![keys[0][1], keys[0][0]]);
    for keys in &keys[1..] {
        let mut sums = [Block::ZERO; 2];
        let below: Vec<[Block; 2]> = nodes.iter().map(|&node| children(node)).collect();
        for children in &below {
            sums.iter_mut().zip(children).for_each(|(sum, child)| *sum ^= *child);
        }
        // Whoever has k^b learns the other side of the level.
        siblings.extend([sums[1] ^ pad(keys[0]), sums[0] ^ pad(keys[1])]);
        nodes = next_level(below);
    }
    nodes
}

/// The leaves of [`tree`] numbered relative to the path of `bits`: leaf y is leaf y ⊕ Δ_i there. Leaf 0 is unknown, and
/// anything.
fn punctured_tree(bits: &[u64], keys: &[Block], siblings: &[Block]) -> Zeroizing<Vec<Block>> {
    let mut nodes = Zeroizing::new(vec![Block::ZERO, keys[0]]);
    for ((&bit, &key), masked) in bits[1..].iter().zip(&keys[1..]).zip(siblings.as_chunks().0) {
        let [other, same]: [Block; 2] = *masked;
        // The sum of the side that the path does not take, child 1 relative to the path.
        let mut sibling = other ^ (other ^ same).select(bit) ^ pad(key);
        let mut below: Vec<[Block; 2]> = nodes.iter().map(|&node| swapped(children(node), bit)).collect();
        below[1..].iter().for_each(|children| sibling ^= children[1]);
        below[0] = [Block::ZERO, sibling];
        nodes = next_level(below);
    }
    nodes
}

/// The even children, then the odd ones: a child's turn is the highest bit of its number.
fn next_level(mut below: Vec<[Block; 2]>) -> Zeroizing<Vec<Block>> {
    let child = |side: usize| below.iter().map(move |children| children[side]);
    let nodes = Zeroizing::new(child(0).chain(child(1)).collect());
    below.iter_mut().for_each(|children| children.zeroize());
    nodes
}

fn children(node: Block) -> [Block; 2] {
    let mut out = [Block::ZERO; 2];
    Prg::from_seed(node).fill(&mut out);
    out
}

fn pad(key: Block) -> Block {
    Prg::from_seed(key).block()
}

/// The two in the other order if `bit` is 1.
fn swapped([a, b]: [Block; 2], bit: u64) -> [Block; 2] {
    let swap = (a ^ b).select(bit);
    [a ^ swap, b ^ swap]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_has_every_leaf_but_one() {
        let mut prg = Prg::from_seed(Block::new(1, 1));
        for k in [2, 4, 8] {
            for path in [0usize, 1, 2, (1 << k) - 1, 0x5A & ((1 << k) - 1)] {
                let keys: Vec<[Block; 2]> = (0..k).map(|_| [prg.block(), prg.block()]).collect();
                let bits: Vec<u64> = (0..k).map(|j| (path >> j & 1) as u64).collect();
                let own: Vec<Block> = keys.iter().zip(&bits).map(|(pair, &bit)| pair[bit as usize]).collect();
                let mut siblings = Vec::new();
                let all = tree(&keys, &mut siblings);
                let punctured = punctured_tree(&bits, &own, &siblings);
                assert_eq!((all.len(), punctured.len(), siblings.len()), (1 << k, 1 << k, 2 * (k - 1)));
                assert!((1..1 << k).all(|y| punctured[y] == all[y ^ path]));
                assert!(!punctured.contains(&all[path]));
            }
        }
    }
}
