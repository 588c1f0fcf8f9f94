//! Products of two shared values, element by element.
//!
//! # Functionality
//! Both parties hold shares of x, `groups` groups of `cols` elements, and of y, one factor for each group. The outputs are
//! shares of x·y mod 2^l, each group times its factor. With `cols` 1 it is the product of two vectors.
//!
//! # Protocol
//! x·y = x0·y0 + x1·y1 + x1·y0 + x0·y1. Of the last two each party has one factor: the bits of the one of y choose.
//!
//! | step | P0 (x0, y0)                       | wire                          | P1 (x1, y1)                       |
//! |------|-----------------------------------|-------------------------------|-----------------------------------|
//! | 1    | `z0 = x0·y0`                      |                               | `z1 = x1·y1`                      |
//! | 2    | `z0 += share of y0·x1`            | ↔ [`product`](crate::product) | `z1 += share of y0·x1`            |
//! | 3    | `z0 += share of x0·y1`            | ↔ [`product`](crate::product) | `z1 += share of x0·y1`            |
//!
//! In two phases, steps 1 to 3 are done with uniform a and b in place of x and y. The differences are opened, and
//! x·y = a·b + (x − a)·b + (y − b)·a + (x − a)·(y − b):
//!
//! | step | P0 (x0, y0)                       | wire                          | P1 (x1, y1)                       |
//! |------|-----------------------------------|-------------------------------|-----------------------------------|
//! | 4    | uniform a0, b0; `c0` by 1 to 3    | ↔                             | uniform a1, b1; `c1` by 1 to 3    |
//! | 5    | `x0 − a0, y0 − b0`                | [`MaskedFactors`] ⇄           | `x1 − a1, y1 − b1`                |
//! | 6    | `z0 = c0 + d·b0 + e·a0 + d·e`     |                               | `z1 = c1 + d·b1 + e·a1`           |
//!
//! with d = x − a and e = y − b, of both parties.
//!
//! # Cost
//! [`Multiply::cost`]: each way l RCOTs a group and l (l + 1) / 2 bits an element. Step 5: [`Multiply::online_cost`], l bits each way for
//! every element and factor.
//!
//! # Security
//! That of the products. a and b are uniform and of one use: [`Triple`] is consumed by it.
//!
//! # Reference
//! Gilboa (CRYPTO 1999) for the products of both parties' factors; Beaver (CRYPTO 1991) for the two phases.
//!
//! # Deviations
//! One factor for a group: its bits choose once for all elements of the group, and it is opened once.

use crate::product::{self, Chooser, Product};
use copriv_channel::Cost;
use copriv_ot::RcotBackend;
use copriv_ring::{RingVec, Width};
use copriv_session::Session;
use copriv_share::Arithmetic;
use copriv_wire::{Error, Result, Role, messages, pack, packed_bytes, unpack};
use std::fmt;
use zeroize::Zeroizing;

messages! {
    /// x − a, then y − b: a party's shares of both factors under their masks.
    MaskedFactors: Ring = 0x0403;
}

/// A product of two shared values (an AGREEMENT parameter).
///
/// ```
/// use copriv_linear::Multiply;
/// use copriv_ring::Width;
/// use copriv_session::Params;
/// use copriv_share::Arithmetic;
/// let gate = Multiply { groups: 2, cols: 3, width: Width::of(41) };
/// let (x, y) = (Arithmetic::zeros(gate.width, 6), Arithmetic::zeros(gate.width, 2));
/// let out = copriv_testkit::run_pair(
///     Params::CRYPTFLOW2,
///     1,
///     |p0| gate.run(p0, &x.offset(p0.role(), 7), &y.offset(p0.role(), 6)),
///     |p1| gate.run(p1, &x, &y),
/// );
/// assert_eq!((&out.p0 + &out.p1).own().to_signed(), [42; 6]);
/// out.assert_cost(gate.cost(Params::CRYPTFLOW2.rcot));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Multiply {
    /// Factors of y.
    pub groups: usize,
    /// Elements of x that each of them multiplies.
    pub cols: usize,
    /// l.
    pub width: Width,
}

/// One party's half of what [`Multiply::prepare`] made for one use. `Debug` shows shapes.
#[derive(PartialEq, Eq)]
pub struct Triple {
    a: RingVec,
    b: RingVec,
    c: RingVec,
}

impl Multiply {
    /// Elements of x, and of the result.
    pub const fn len(&self) -> usize {
        self.groups * self.cols
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The product of P0's share of y with P1's of x, and the other way round.
    fn products(&self) -> [Product; 2] {
        let &Self { groups, cols, width } = self;
        let product = |rows, cols, chooser| Product { groups, rows, inner: 1, cols, width, chooser };
        [product(1, cols, Chooser::Weights { bits: width.bits() }), product(cols, 1, Chooser::Activations)]
    }

    /// What [`run`](Self::run) and [`prepare`](Self::prepare) put on the wire.
    pub fn cost(&self, rcot: RcotBackend) -> Cost {
        self.products().iter().map(|product| product::cost(rcot, &[*product])).sum()
    }

    /// What [`run_prepared`](Self::run_prepared) puts on the wire.
    pub fn online_cost(&self) -> Cost {
        Cost::exchange(self.len() + self.groups, self.width.bits())
    }

    /// Shares of x·y, at once.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When x or y has another length or width.
    pub fn run(&self, s: &mut Session, x: &Arithmetic, y: &Arithmetic) -> Result<Arithmetic> {
        self.check(x, y);
        self.shares(s, x.own(), y.own()).map(Arithmetic::new)
    }

    /// What can be done before x and y are there.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn prepare(&self, s: &mut Session) -> Result<Triple> {
        let [a, b] = [self.len(), self.groups].map(|len| s.prg.ring(self.width, len)); // (4)
        let c = self.shares(s, &a, &b)?; // (4)
        Ok(Triple { a, b, c })
    }

    /// Shares of x·y, by what was prepared for it.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When x, y or the triple has another length or width.
    pub fn run_prepared(
        &self,
        s: &mut Session,
        triple: Triple,
        x: &Arithmetic,
        y: &Arithmetic,
    ) -> Result<Arithmetic> {
        self.check(x, y);
        let Triple { a, b, c } = triple;
        assert_eq!((c.width(), c.len(), b.len()), (self.width, self.len(), self.groups), "of this product");
        let masked = [(x.own() - &a).into_words(), (y.own() - &b).into_words()].concat();
        let masked = RingVec::from_words(self.width, masked);
        s.channel.send_ring::<MaskedFactors>(&masked)?; // (5)
        let opened = &masked + &s.channel.recv_ring::<MaskedFactors>(self.width, masked.len())?; // (5)
        let (d, e) = opened.words().split_at(self.len());
        // d·b + e·a + d·e = d·(b + e) + e·a, and the e that goes to b is P0's alone.
        let own = |g: usize| b.words()[g].wrapping_add(if s.role() == Role::P0 { e[g] } else { 0 });
        let mut z = c.into_words();
        for (i, z) in z.iter_mut().enumerate() {
            let g = i / self.cols;
            let terms = d[i].wrapping_mul(own(g)).wrapping_add(e[g].wrapping_mul(a.words()[i])); // (6)
            *z = z.wrapping_add(terms);
        }
        Ok(Arithmetic::new(RingVec::from_words(self.width, z)))
    }

    fn check(&self, x: &Arithmetic, y: &Arithmetic) {
        assert_eq!((x.width(), x.len()), (self.width, self.len()), "x has the agreed shape");
        assert_eq!((y.width(), y.len()), (self.width, self.groups), "y has the agreed shape");
    }

    /// This party's share of the product of both parties' x and y.
    fn shares(&self, s: &mut Session, x: &RingVec, y: &RingVec) -> Result<RingVec> {
        let (x, y) = (x.words(), y.words());
        let local = x.iter().enumerate().map(|(i, x)| x.wrapping_mul(y[i / self.cols])); // (1)
        let mut z = RingVec::from_words(self.width, local.collect());
        let role = s.role();
        let [first, second] = self.products();
        // Who gives its elements, and who its factors.
        let mut cross = |product: Product, elements: Role| {
            let own = |_: usize, group: usize, vector: &mut [u64]| match role == elements {
                true => vector.copy_from_slice(&x[group * self.cols..][..self.cols]),
                false => vector.copy_from_slice(&y[group..=group]),
            };
            let shares = product::outer_products(s, &[product], own)?;
            shares.iter().for_each(|share| z += share);
            Ok::<_, Error>(())
        };
        cross(first, Role::P1)?; // (2)
        cross(second, Role::P0)?; // (3)
        Ok(z)
    }
}

impl Triple {
    /// Packed to the bit, for a store: a, b, then c.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let parts = [&self.a, &self.b, &self.c].map(|v| Zeroizing::new(pack(v.words(), v.width().bits())));
        // Of the final length at once: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) wrote, of `product`.
    ///
    /// # Errors
    /// When the bytes are not of such a product.
    pub fn from_bytes(product: &Multiply, bytes: &[u8]) -> Result<Self> {
        let (n, groups, bits) = (product.len(), product.groups, product.width.bits());
        let [elements, factors] = [n, groups].map(|count| packed_bytes(count, bits));
        if bytes.len() != 2 * elements + factors {
            return Err(Error::peer("bytes of a triple", 2 * elements + factors, bytes.len()));
        }
        let ring = |bytes, n| Ok::<_, Error>(RingVec::from_words(product.width, unpack(bytes, n, bits)?));
        let (a, rest) = bytes.split_at(elements);
        let (b, c) = rest.split_at(factors);
        Ok(Self { a: ring(a, n)?, b: ring(b, groups)?, c: ring(c, n)? })
    }
}

impl fmt::Debug for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Triple({} products)", self.c.len())
    }
}
