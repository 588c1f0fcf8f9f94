use copriv_ring::{RingVec, Width};
use copriv_wire::Role;
use std::ops::{Add, AddAssign, Neg, Range, Sub};

/// One party's additive shares over Z_{2^l}.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arithmetic(RingVec);

impl Arithmetic {
    /// This party's share.
    pub fn new(own: RingVec) -> Self {
        Self(own)
    }

    /// Shares of zero that are zero.
    pub fn zeros(width: Width, len: usize) -> Self {
        Self(RingVec::zeros(width, len))
    }

    /// Shares of the public `value`: P0 holds it.
    pub fn public(role: Role, value: &RingVec) -> Self {
        match role {
            Role::P0 => Self(value.clone()),
            Role::P1 => Self::zeros(value.width(), value.len()),
        }
    }

    /// This party's share.
    pub fn own(&self) -> &RingVec {
        &self.0
    }

    /// This party's share, owned.
    pub fn into_own(self) -> RingVec {
        self.0
    }

    /// l.
    pub fn width(&self) -> Width {
        self.0.width()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each element times a public constant.
    pub fn scale(&self, factor: u64) -> Self {
        Self(self.0.scale(factor))
    }

    /// Each element plus a public constant.
    pub fn offset(&self, role: Role, addend: u64) -> Self {
        Self(self.0.offset(role.only_p0(addend)))
    }

    /// The elements of `range`.
    ///
    /// # Panics
    /// When the range is outside.
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self(self.0.slice(range))
    }

    /// Element i of the result is element `index[i]`.
    ///
    /// # Panics
    /// When an index is outside.
    pub fn gather(&self, index: impl IntoIterator<Item = usize>) -> Self {
        Self(self.0.gather(index))
    }

    /// The concatenation with `other`.
    ///
    /// # Panics
    /// When the widths differ.
    pub fn concat(mut self, other: &Self) -> Self {
        self.0.extend(&other.0);
        self
    }
}

impl Add for &Arithmetic {
    type Output = Arithmetic;
    fn add(self, other: &Arithmetic) -> Arithmetic {
        Arithmetic(&self.0 + &other.0)
    }
}

impl Sub for &Arithmetic {
    type Output = Arithmetic;
    fn sub(self, other: &Arithmetic) -> Arithmetic {
        Arithmetic(&self.0 - &other.0)
    }
}

impl Neg for &Arithmetic {
    type Output = Arithmetic;
    fn neg(self) -> Arithmetic {
        Arithmetic(-&self.0)
    }
}

impl AddAssign<&Arithmetic> for Arithmetic {
    fn add_assign(&mut self, other: &Arithmetic) {
        self.0 += &other.0;
    }
}
