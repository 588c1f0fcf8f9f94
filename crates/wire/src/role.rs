/// Which of the two parties: P0 holds the weights, P1 the input.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The party with the weights.
    P0,
    /// The party with the input, which alone learns the output.
    P1,
}

impl Role {
    /// The other party.
    pub const fn peer(self) -> Self {
        match self {
            Self::P0 => Self::P1,
            Self::P1 => Self::P0,
        }
    }

    /// 0 or 1.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `x` for P0, 0 for P1: a public constant as a share.
    pub const fn only_p0(self, x: u64) -> u64 {
        match self {
            Self::P0 => x,
            Self::P1 => 0,
        }
    }
}
