//! Where the time goes: pads, sums and masks of one bit of a chunk's entries.

#[cfg(target_arch = "x86_64")]
mod x86;

use copriv_bits::Block;
use copriv_prg::expand;
use copriv_ring::Width;
use std::ops::Range;

/// Blocks of pads that are made at a time: they stay in the first-level cache.
const PAD_BLOCKS: usize = 512;

/// Elements of a row that are computed side by side.
const LANES: usize = 8;

/// Where the elements of a row are in its pad. The pad is cut into 64-bit words, the row into segments of as many
/// elements; element n of segment s is word n shifted right by s · `step`. Bits above the element's width are left in:
/// weighted with 2^i, i = l − width, they vanish mod 2^l.
#[derive(Clone, Copy)]
struct Layout {
    per: usize,
    words: usize,
    segments: usize,
    step: u32,
}

impl Layout {
    fn new(per: usize, width: Width) -> Self {
        // Segments shorter than the lanes would cost more than the AES they save.
        let most = (64 / width.bits()).min(4).min((per / LANES).max(1) as u32);
        let words = per.div_ceil(most as usize);
        Self { per, words, segments: per.div_ceil(words), step: 64 / most }
    }

    fn blocks(self) -> usize {
        self.words.div_ceil(2)
    }

    /// Entries whose pads are made at a time.
    fn entries(self) -> usize {
        (PAD_BLOCKS / self.blocks()).max(1)
    }

    /// Each segment's elements and the shift of their words.
    fn segments(self) -> impl Iterator<Item = (u32, Range<usize>)> {
        (0..self.segments).map(move |n| {
            let at = n * self.words;
            (n as u32 * self.step, at..self.per.min(at + self.words))
        })
    }
}

/// The operands of some entries, for a backend.
struct Mask<'a> {
    layout: Layout,
    width: Width,
    /// p0 and p1, [`Layout::blocks`] an entry.
    pads: [&'a [Block]; 2],
    /// Where in `rows` the row of each entry starts.
    starts: &'a [usize],
    rows: &'a [u64],
    masked: &'a mut [u64],
    share: &'a mut [u64],
}

/// The operands of some entries, for a backend.
struct Unmask<'a> {
    layout: Layout,
    pads: &'a [Block],
    choices: &'a [u64],
    masked: &'a [u64],
    share: &'a mut [u64],
}

/// The sender's steps 2 to 4 for one bit, entry by entry: `starts` says where in `rows` an entry's row starts.
#[expect(clippy::too_many_arguments, reason = "the operands of steps 2 to 4")]
pub(super) fn mask(
    q: &[Block],
    delta: Block,
    tweak: u64,
    per: usize,
    (rows, starts): (&[u64], &[usize]),
    width: Width,
    masked: &mut [u64],
    share: &mut [u64],
) {
    let layout = Layout::new(per, width);
    let (entries, blocks) = (layout.entries(), layout.blocks());
    let mut q1 = vec![Block::ZERO; entries.min(q.len())];
    let mut pads = [vec![Block::ZERO; q1.len() * blocks], vec![Block::ZERO; q1.len() * blocks]];
    let outputs = masked.chunks_mut(entries * per).zip(share.chunks_mut(entries * per));
    let parts = q.chunks(entries).zip(starts.chunks(entries)).zip(outputs);
    for (tweak, ((q, starts), (masked, share))) in (tweak..).step_by(entries).zip(parts) {
        let q1 = &mut q1[..q.len()];
        q1.iter_mut().zip(q).for_each(|(q1, q)| *q1 = *q ^ delta);
        let [p0, p1] = pads.each_mut().map(|pads| &mut pads[..q.len() * blocks]);
        expand(q, tweak, blocks, p0);
        expand(q1, tweak, blocks, p1);
        let operands = Mask { layout, width, pads: [p0, p1], starts, rows, masked, share };
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = x86::Avx512::detect() {
            token.mask(operands);
            continue;
        }
        mask_portable(operands);
    }
}

/// The receiver's steps 2 to 4 for one bit, entry by entry; a choice is 0 or 1.
pub(super) fn unmask(
    t: &[Block],
    tweak: u64,
    per: usize,
    choices: &[u64],
    width: Width,
    masked: &[u64],
    share: &mut [u64],
) {
    let layout = Layout::new(per, width);
    let (entries, blocks) = (layout.entries(), layout.blocks());
    let mut pads = vec![Block::ZERO; entries.min(t.len()) * blocks];
    let rows = masked.chunks(entries * per).zip(share.chunks_mut(entries * per));
    let parts = t.chunks(entries).zip(choices.chunks(entries)).zip(rows);
    for (tweak, ((t, choices), (masked, share))) in (tweak..).step_by(entries).zip(parts) {
        let pads = &mut pads[..t.len() * blocks];
        expand(t, tweak, blocks, pads);
        let operands = Unmask { layout, pads, choices, masked, share };
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = x86::Avx512::detect() {
            token.unmask(operands);
            continue;
        }
        unmask_portable(operands);
    }
}

/// −x in place, where `condition` (a public one) holds.
pub(super) fn negate_if(condition: bool, x: &mut [u64]) {
    if condition {
        x.iter_mut().for_each(|x| *x = x.wrapping_neg());
    }
}

/// A row's segment, of as many elements of each operand.
struct MaskSegment<'a> {
    shift: u32,
    p0: &'a [u64],
    p1: &'a [u64],
    d: &'a [u64],
    masked: &'a mut [u64],
    share: &'a mut [u64],
}

/// A row's segment, of as many elements of each operand.
struct UnmaskSegment<'a> {
    shift: u32,
    p: &'a [u64],
    masked: &'a [u64],
    share: &'a mut [u64],
}

/// Cuts the sender's rows into segments.
#[inline(always)]
fn mask_rows(operands: Mask, each: impl Fn(MaskSegment)) {
    let Mask { layout, pads: [p0, p1], starts, rows, masked, share, .. } = operands;
    let per = layout.per;
    let pads = p0.chunks_exact(layout.blocks()).zip(p1.chunks_exact(layout.blocks()));
    let outputs = masked.chunks_exact_mut(per).zip(share.chunks_exact_mut(per));
    for (&start, ((p0, p1), (masked, share))) in starts.iter().zip(pads.zip(outputs)) {
        let (p0, p1) = (Block::as_words(p0).as_flattened(), Block::as_words(p1).as_flattened());
        let row = &rows[start..][..per];
        for (shift, at) in layout.segments() {
            let (p0, p1, d) = (&p0[..at.len()], &p1[..at.len()], &row[at.clone()]);
            each(MaskSegment { shift, p0, p1, d, masked: &mut masked[at.clone()], share: &mut share[at] });
        }
    }
}

/// Cuts the receiver's rows into segments, each with its row's choice.
#[inline(always)]
fn unmask_rows(operands: Unmask, each: impl Fn(u64, UnmaskSegment)) {
    let Unmask { layout, pads, choices, masked, share } = operands;
    let per = layout.per;
    let rows = masked.chunks_exact(per).zip(share.chunks_exact_mut(per));
    let pads = pads.chunks_exact(layout.blocks());
    for (&choice, (pad, (masked, share))) in choices.iter().zip(pads.zip(rows)) {
        let pad = Block::as_words(pad).as_flattened();
        for (shift, at) in layout.segments() {
            let p = &pad[..at.len()];
            each(choice, UnmaskSegment { shift, p, masked: &masked[at.clone()], share: &mut share[at] });
        }
    }
}

/// m = p0 − p1 + d, s ← 2s − p0.
fn mask_portable(operands: Mask) {
    let width = operands.width;
    mask_rows(operands, |MaskSegment { shift, p0, p1, d, masked, share }| {
        for ((((m, s), d), p0), p1) in masked.iter_mut().zip(share).zip(d).zip(p0).zip(p1) {
            let (p0, p1) = (p0 >> shift, p1 >> shift);
            *m = width.reduce(p0.wrapping_sub(p1).wrapping_add(*d));
            *s = s.wrapping_add(*s).wrapping_sub(p0);
        }
    });
}

/// r ← 2r + p + c·m.
fn unmask_portable(operands: Unmask) {
    unmask_rows(operands, |choice, UnmaskSegment { shift, p, masked, share }| {
        let chosen = 0u64.wrapping_sub(choice);
        for ((r, m), p) in share.iter_mut().zip(masked).zip(p) {
            *r = r.wrapping_add(*r).wrapping_add(p >> shift).wrapping_add(m & chosen);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use copriv_prg::Prg;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn avx512_is_the_portable_definition() {
        let Some(token) = x86::Avx512::detect() else { return };
        let mut prg = Prg::from_seed(Block::ONES);
        for per in (1..40).chain([64, 100, 1000]) {
            for width in [1, 5, 16, 17, 21, 22, 32, 33, 41, 64].map(Width::of) {
                let layout = Layout::new(per, width);
                let mut pads = || {
                    let mut pads = vec![Block::ZERO; 3 * layout.blocks()];
                    prg.fill(&mut pads);
                    pads
                };
                let (p0, p1) = (pads(), pads());
                let (rows, share) = (prg.words(2 * per), prg.words(3 * per));
                let [sent, sent_512] =
                    [mask_portable, |o: Mask| x86::Avx512::detect().expect("detected").mask(o)].map(
                        |run: fn(Mask)| {
                            let (mut masked, mut share) = (vec![0; 3 * per], share.clone());
                            let (pads, starts, rows) = ([&p0[..], &p1[..]], &[0, per, per][..], &rows[..]);
                            run(Mask {
                                layout,
                                width,
                                pads,
                                starts,
                                rows,
                                masked: &mut masked,
                                share: &mut share,
                            });
                            (masked, share)
                        },
                    );
                assert!(sent == sent_512, "masking {per} elements of {width} bits");
                let [got, got_512] = [true, false].map(|portable| {
                    let mut share = share.clone();
                    let operands =
                        Unmask { layout, pads: &p0, choices: &[1, 0, 1], masked: &sent.0, share: &mut share };
                    if portable {
                        unmask_portable(operands)
                    } else {
                        token.unmask(operands)
                    }
                    share
                });
                assert!(got == got_512, "unmasking {per} elements of {width} bits");
            }
        }
    }
}
