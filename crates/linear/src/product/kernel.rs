//! Where the time goes: pads, sums and masks of one bit of a chunk's entries.

use copriv_bits::Block;
use copriv_prg::expand;
use copriv_ring::Width;

/// Blocks of pads that are made at a time.
const PAD_BLOCKS: usize = 512;

/// The sender's steps 2 to 4 for one bit: `row(n)` is the row of entry n.
#[expect(clippy::too_many_arguments, reason = "the operands of steps 2 to 4")]
pub(super) fn mask<'a>(
    q: &[Block],
    delta: Block,
    tweak: u64,
    per: usize,
    row: impl Fn(usize) -> &'a [u64],
    width: Width,
    masked: &mut [u64],
    share: &mut [u64],
) {
    let blocks = per.div_ceil(2);
    let entries = (PAD_BLOCKS / blocks).max(1);
    let mut q1 = vec![Block::ZERO; entries.min(q.len())];
    let mut pads = [vec![Block::ZERO; q1.len() * blocks], vec![Block::ZERO; q1.len() * blocks]];
    let outputs = masked.chunks_mut(entries * per).zip(share.chunks_mut(entries * per));
    for (part, (q, (masked, share))) in q.chunks(entries).zip(outputs).enumerate() {
        let first = part * entries;
        let q1 = &mut q1[..q.len()];
        q1.iter_mut().zip(q).for_each(|(q1, q)| *q1 = *q ^ delta);
        let [pads0, pads1] = pads.each_mut().map(|pads| &mut pads[..q.len() * blocks]);
        expand(q, tweak + first as u64, blocks, pads0);
        expand(q1, tweak + first as u64, blocks, pads1);
        let pads = pads0.chunks_exact(blocks).zip(pads1.chunks_exact(blocks));
        let outputs = masked.chunks_exact_mut(per).zip(share.chunks_exact_mut(per));
        for (n, ((p0, p1), (masked, share))) in (first..).zip(pads.zip(outputs)) {
            let outputs = masked.iter_mut().zip(share).zip(row(n));
            for (((m, s), d), (p0, p1)) in outputs.zip(words(p0).zip(words(p1))) {
                *m = width.reduce(p0.wrapping_sub(p1).wrapping_add(*d));
                *s = s.wrapping_add(*s).wrapping_sub(p0);
            }
        }
    }
}

/// The receiver's steps 2 to 4 for one bit: `choice(n)` is that of entry n.
pub(super) fn unmask(
    t: &[Block],
    tweak: u64,
    per: usize,
    choice: impl Fn(usize) -> u64,
    masked: &[u64],
    share: &mut [u64],
) {
    let blocks = per.div_ceil(2);
    let entries = (PAD_BLOCKS / blocks).max(1);
    let mut pads = vec![Block::ZERO; entries.min(t.len()) * blocks];
    let rows = masked.chunks(entries * per).zip(share.chunks_mut(entries * per));
    for (part, (t, (masked, share))) in t.chunks(entries).zip(rows).enumerate() {
        let first = part * entries;
        let pads = &mut pads[..t.len() * blocks];
        expand(t, tweak + first as u64, blocks, pads);
        let rows = masked.chunks_exact(per).zip(share.chunks_exact_mut(per));
        for (n, (p, (masked, share))) in (first..).zip(pads.chunks_exact(blocks).zip(rows)) {
            let chosen = 0u64.wrapping_sub(choice(n));
            for ((m, s), p) in masked.iter().zip(share).zip(words(p)) {
                *s = s.wrapping_add(*s).wrapping_add(p).wrapping_add(m & chosen);
            }
        }
    }
}

/// −x in place, where `condition` (a public one) holds.
pub(super) fn negate_if(condition: bool, x: &mut [u64]) {
    if condition {
        x.iter_mut().for_each(|x| *x = x.wrapping_neg());
    }
}

fn words(pad: &[Block]) -> impl Iterator<Item = u64> {
    pad.iter().flat_map(|b| b.words())
}
