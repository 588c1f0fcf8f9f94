//! Sums of many AES-CTR streams over subsets of them: a VOLE over GF(2^k) from 2^k generators.

#[cfg(target_arch = "x86_64")]
mod vaes512;

use crate::Aes128;
use copriv_bits::Block;
use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
use self::vaes512::Vaes512Streams;

/// Blocks of a stream that lie together in the rows.
const LINE: usize = 4;

/// For each of several instances, 2^k streams r_x of AES-128-CTR, x in 0..2^k, of which only sums come out:
/// u = ⊕ r_x over all x, and for each j < k, v_j = ⊕ r_x over the x whose bit j is 1.
///
/// Who lacks r_Δ, and nothing else, numbers its streams y = x ⊕ Δ and has w_j = ⊕ r over the y whose bit j is 1. The two
/// are correlated: w_j = v_j ⊕ Δ_j·u.
///
/// The v of all instances are written as rows, row k·i + j that of v_j of instance i, in lines of [`Fold::LINE`] blocks:
/// first line 0 of every row, then line 1 of every row, and so on. Like [`Prg`](crate::Prg): AES-CTR, never the same block
/// twice, keys zeroized on drop.
pub struct Fold {
    k: usize,
    instances: usize,
    counter: u64,
    streams: Streams,
}

enum Streams {
    #[cfg(target_arch = "x86_64")]
    Vaes512(Vaes512Streams),
    Other(Vec<Aes128>),
}

impl Fold {
    /// Blocks of a stream that lie together in the rows.
    pub const LINE: usize = LINE;

    /// From the seeds of instance 0, 0..2^`k`, then those of instance 1, and so on.
    ///
    /// # Panics
    /// When k is not 1, 2, 4 or 8, or there are not 2^k seeds for each instance.
    pub fn new(k: usize, seeds: &[Block]) -> Self {
        check(k, seeds);
        #[cfg(target_arch = "x86_64")]
        if let Some(streams) = Vaes512Streams::new(k, seeds) {
            return Self::on(k, seeds.len(), Streams::Vaes512(streams));
        }
        Self::on(k, seeds.len(), Streams::Other(seeds.iter().map(|&seed| Aes128::new(seed)).collect()))
    }

    /// `seeds` on every backend this machine has, the portable one last: for tests and benches.
    #[doc(hidden)]
    pub fn backends(k: usize, seeds: &[Block]) -> Vec<(&'static str, Self)> {
        check(k, seeds);
        let portable = |seed: &Block| Aes128::backends(*seed).pop().map(|(_, aes)| aes);
        let portable = Streams::Other(seeds.iter().filter_map(portable).collect());
        #[cfg(target_arch = "x86_64")]
        let found = Vaes512Streams::new(k, seeds).map(|streams| ("vaes512", Streams::Vaes512(streams)));
        #[cfg(not(target_arch = "x86_64"))]
        let found: Option<(&'static str, Streams)> = None;
        let all = found.into_iter().chain([("portable", portable)]);
        all.map(|(name, streams)| (name, Self::on(k, seeds.len(), streams))).collect()
    }

    fn on(k: usize, seeds: usize, streams: Streams) -> Self {
        Self { k, instances: seeds >> k, counter: 0, streams }
    }

    /// The next `blocks` blocks: u ⊕ `mask` of each instance to `sums`, instance after instance, and v to `rows`. Both are
    /// computed in whole lines; what follows the last of `blocks` in them is not to be used.
    ///
    /// # Panics
    /// When `mask`, `sums` or `rows` does not have the blocks of 1, all instances or k times as many rows, in whole lines.
    pub fn all(&mut self, blocks: usize, mask: &[Block], sums: &mut [Block], rows: &mut [Block]) {
        let padded = self.check(blocks, rows);
        assert!(mask.len() == padded && sums.len() == padded * self.instances, "sums in whole lines");
        let first = self.take(blocks);
        match &self.streams {
            #[cfg(target_arch = "x86_64")]
            Streams::Vaes512(streams) => streams.all(self.k, first, mask, sums, rows),
            Streams::Other(aes) => {
                sums.chunks_mut(padded.max(1)).for_each(|sum| sum.copy_from_slice(mask));
                define(self.k, aes, first, Some(sums), rows);
            }
        }
    }

    /// The next `blocks` blocks of v, to `rows`; r_0 of each instance is not used.
    ///
    /// # Panics
    /// When `rows` does not have the blocks of k rows for each instance, in whole lines.
    pub fn halves(&mut self, blocks: usize, rows: &mut [Block]) {
        self.check(blocks, rows);
        let first = self.take(blocks);
        match &self.streams {
            #[cfg(target_arch = "x86_64")]
            Streams::Vaes512(streams) => streams.halves(self.k, first, rows),
            Streams::Other(aes) => define(self.k, aes, first, None, rows),
        }
    }

    /// Adds the correction d of each instance, laid out as the sums, to the rows where the bit of `delta` is 1:
    /// row k·i + j ⊕= `delta`_{k·i + j} · d_i.
    ///
    /// # Panics
    /// When there are not 128 rows of whole lines, or `corrections` does not have the blocks of each instance.
    pub fn correct(&self, delta: Block, corrections: &[Block], rows: &mut [Block]) {
        assert_eq!(self.instances * self.k, 128, "a bit of delta for each row");
        assert!(rows.len().is_multiple_of(128 * LINE), "rows in whole lines");
        assert_eq!(corrections.len() * self.k, rows.len(), "corrections for k rows each");
        match &self.streams {
            #[cfg(target_arch = "x86_64")]
            Streams::Vaes512(streams) => streams.correct(self.k, delta, corrections, rows),
            Streams::Other(_) => correct(self.k, delta, corrections, rows),
        }
    }

    fn check(&self, blocks: usize, rows: &[Block]) -> usize {
        let padded = blocks.next_multiple_of(LINE);
        assert_eq!(rows.len(), padded * self.instances * self.k, "rows in whole lines");
        padded
    }

    fn take(&mut self, blocks: usize) -> u64 {
        let first = self.counter;
        self.counter += blocks as u64;
        first
    }
}

impl Drop for Fold {
    fn drop(&mut self) {
        self.counter.zeroize();
    }
}

impl std::fmt::Debug for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fold(..)")
    }
}

fn check(k: usize, seeds: &[Block]) {
    assert!([1, 2, 4, 8].contains(&k), "2, 4, 16 or 256 streams an instance");
    assert!(seeds.len().is_multiple_of(1 << k), "2^k seeds for each instance");
}

/// The definition, stream by stream. `sums` holds the masks.
fn define(k: usize, aes: &[Aes128], first: u64, mut sums: Option<&mut [Block]>, rows: &mut [Block]) {
    let count = (aes.len() >> k) * k;
    rows.fill(Block::ZERO);
    let mut stream = vec![Block::ZERO; rows.len() / count.max(1)];
    for (n, aes) in aes.iter().enumerate() {
        let (i, x) = (n >> k, n % (1 << k));
        aes.counter(first.into(), &mut stream);
        for j in (0..k).filter(|j| x >> j & 1 == 1) {
            let lines = rows.chunks_exact_mut(LINE).skip(k * i + j).step_by(count);
            lines.zip(stream.chunks_exact(LINE)).for_each(|(row, r)| add(row, r));
        }
        if let Some(sums) = &mut sums {
            add(&mut sums[i * stream.len()..], &stream);
        }
    }
    stream.zeroize();
}

fn add(sum: &mut [Block], r: &[Block]) {
    sum.iter_mut().zip(r).for_each(|(sum, r)| *sum ^= *r);
}

fn correct(k: usize, delta: Block, corrections: &[Block], rows: &mut [Block]) {
    let delta: [u64; 128] = std::array::from_fn(|r| u64::from(delta.bit(r)));
    let blocks = rows.len() / 128;
    for (line, rows) in rows.chunks_exact_mut(128 * LINE).enumerate() {
        let rows = rows.as_chunks_mut::<LINE>().0;
        for (i, (rows, delta)) in rows.chunks_exact_mut(k).zip(delta.chunks_exact(k)).enumerate() {
            let d = &corrections[i * blocks + line * LINE..][..LINE];
            for (row, &delta) in rows.iter_mut().zip(delta) {
                row.iter_mut().zip(d).for_each(|(row, d)| *row ^= d.select(delta));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Prg;

    fn prg(seed: u64) -> Prg {
        Prg::from_seed(Block::new(seed, 17))
    }

    fn blocks(len: usize, seed: u64) -> Vec<Block> {
        let mut out = vec![Block::ZERO; len];
        prg(seed).fill(&mut out);
        out
    }

    /// r_x of a stream of its own for each seed, summed up by the formula, bit by bit of x.
    fn by_the_formula(k: usize, seeds: &[Block], first: usize, padded: usize) -> [Vec<Vec<Block>>; 2] {
        let streams: Vec<Vec<Block>> = seeds
            .iter()
            .map(|&seed| {
                let mut all = vec![Block::ZERO; first + padded];
                Prg::from_seed(seed).fill(&mut all);
                all.split_off(first)
            })
            .collect();
        let sum = |i: usize, of: &dyn Fn(usize) -> bool| {
            let mut sum = vec![Block::ZERO; padded];
            (0..1 << k).filter(|&x| of(x)).for_each(|x| add(&mut sum, &streams[(i << k) + x]));
            sum
        };
        let instances = seeds.len() >> k;
        let u = (0..instances).map(|i| sum(i, &|_| true)).collect();
        let v = (0..instances * k).map(|r| sum(r / k, &|x| x >> (r % k) & 1 == 1)).collect();
        [u, v]
    }

    fn row(rows: &[Block], count: usize, r: usize) -> Vec<Block> {
        rows.chunks(LINE).skip(r).step_by(count).flatten().copied().collect()
    }

    #[test]
    fn every_backend_is_the_definition() {
        for (k, instances) in [(1, 3), (2, 3), (4, 2), (8, 2), (2, 0), (1, 128), (4, 32)] {
            let seeds = blocks(instances << k, k as u64);
            for (name, mut fold) in Fold::backends(k, &seeds) {
                let mut first = 0;
                for now in [1usize, 4, 0, 7, 8, 12, 13, 16, 29, 64] {
                    let padded = now.next_multiple_of(LINE);
                    let [u, v] = by_the_formula(k, &seeds, first, padded);
                    let mask = blocks(padded, 1 << 10 | now as u64);
                    let mut sums = vec![Block::ONES; instances * padded];
                    let mut rows = vec![Block::ONES; instances * k * padded];
                    if now % 2 == 0 {
                        fold.halves(now, &mut rows);
                    } else {
                        fold.all(now, &mask, &mut sums, &mut rows);
                        for (mut u, sum) in u.into_iter().zip(sums.chunks(padded)) {
                            add(&mut u, &mask);
                            assert!(u == sum, "{name}, k = {k}: sums of {now}");
                        }
                    }
                    for (r, v) in v.iter().enumerate().filter(|_| padded > 0) {
                        assert!(
                            &row(&rows, v_count(instances, k), r) == v,
                            "{name}, k = {k}: row {r} of {now}"
                        );
                    }
                    first += now;
                }
            }
        }
    }

    fn v_count(instances: usize, k: usize) -> usize {
        instances * k
    }

    #[test]
    fn corrections_go_where_delta_is_one() {
        for k in [1, 2, 4, 8] {
            let (instances, delta) = (128 / k, prg(9).block());
            for (name, fold) in Fold::backends(k, &blocks(instances << k, 1)) {
                for padded in [0, 4, 8, 20] {
                    let (corrections, before) = (blocks(instances * padded, 2), blocks(128 * padded, 3));
                    let mut rows = before.clone();
                    fold.correct(delta, &corrections, &mut rows);
                    for r in (0..128).filter(|_| padded > 0) {
                        let mut want = row(&before, 128, r);
                        if delta.bit(r) {
                            add(&mut want, &corrections[r / k * padded..][..padded]);
                        }
                        assert!(row(&rows, 128, r) == want, "{name}, k = {k}: row {r} of {padded}");
                    }
                }
            }
        }
    }

    /// Whoever lacks one stream of each instance ends with the other's sums, corrected.
    #[test]
    fn the_sums_are_correlated() {
        for k in [1, 2, 4, 8] {
            let (seeds, missing) = (blocks(3 << k, 5), [0, (1 << k) - 1, 1]);
            let renumbered = |n: usize| {
                let (i, y) = (n >> k, n % (1 << k));
                if y == 0 { Block::ZERO } else { seeds[(i << k) + (y ^ missing[i])] }
            };
            let other: Vec<Block> = (0..seeds.len()).map(renumbered).collect();
            let (mut sums, mut v) = (vec![Block::ZERO; 3 * 8], vec![Block::ZERO; 3 * k * 8]);
            let mut w = v.clone();
            Fold::new(k, &seeds).all(8, &[Block::ZERO; 8], &mut sums, &mut v);
            Fold::new(k, &other).halves(8, &mut w);
            for r in 0..3 * k {
                let mut want = row(&v, 3 * k, r);
                if missing[r / k] >> (r % k) & 1 == 1 {
                    add(&mut want, &sums[r / k * 8..][..8]);
                }
                assert_eq!(row(&w, 3 * k, r), want);
            }
        }
    }
}
