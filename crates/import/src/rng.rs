/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): weights that are the same on every machine.
///
/// Not for secrets. Weights are uniform, not normal, because the logarithm and the cosine differ between
/// platforms in their last bit; sums, products and square roots do not.
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [-bound, bound), in steps of bound/2^23.
    pub(crate) fn uniform(&mut self, bound: f32) -> f32 {
        // The 24 high bits, centred: exact in an f32.
        let centred = (self.next() >> 40) as i32 - (1 << 23);
        centred as f32 / (1 << 23) as f32 * bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference implementation, <https://prng.di.unimi.it/splitmix64.c>, from seed 1234567.
    #[test]
    fn known_answers() {
        let mut rng = SplitMix::new(1234567);
        let expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431];
        assert_eq!(expected.map(|_| rng.next()), expected);
    }

    #[test]
    fn uniform_fills_its_range() {
        let mut rng = SplitMix::new(1);
        let draws: Vec<f32> = (0..100_000).map(|_| rng.uniform(0.5)).collect();
        assert!(draws.iter().all(|x| (-0.5..0.5).contains(x)));
        let mean = draws.iter().sum::<f32>() / draws.len() as f32;
        let square = draws.iter().map(|x| x * x).sum::<f32>() / draws.len() as f32;
        assert!(mean.abs() < 0.005 && (square - 0.25 / 3.0).abs() < 0.001, "{mean} {square}");
    }
}
