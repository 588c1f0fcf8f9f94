//! A fuzzer's bytes as choices.

/// Choices, one byte each; the first of all where there are no bytes left.
pub struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        let mut number = usize::from(self.byte());
        if bound > 256 {
            number = number << 8 | usize::from(self.byte());
        }
        number % bound.max(1)
    }

    /// Never without bytes.
    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == bound - 1
    }

    /// A number that may be extreme.
    pub fn int(&mut self) -> i64 {
        const EXTREMES: [i64; 20] = [
            -1,
            0,
            1,
            -2,
            2,
            3,
            7,
            1 << 8,
            1 << 12,
            1 << 16,
            (1 << 16) + 1,
            1 << 20,
            1 << 24,
            1 << 26,
            1 << 31,
            1 << 32,
            1 << 62,
            i64::MAX,
            i64::MIN,
            -(1 << 31),
        ];
        EXTREMES[self.below(EXTREMES.len())]
    }

    pub fn float(&mut self) -> f32 {
        const EXTREMES: [f32; 14] = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            1e-40,
            -0.0,
            0.0,
            1.0,
            -1.0,
            1e10,
            65536.0,
            0.5,
        ];
        EXTREMES[self.below(EXTREMES.len())]
    }
}
