//! Shares of W·X(r) by a Winograd transform: one matrix product for each tile position, all tiles together.
//!
//! # Functionality
//! That of a [`Producer`]: P0 gives W, P1 gives r, both get shares of 2^h·W·X(r) mod 2^l.
//!
//! # Protocol
//! With the transforms of a [`Plan`], whose result is 2^{h'}·W·X(r), h' ≤ h, in the ring of l' = l − (h − h') bits:
//!
//! | step | P0 (W)                               | wire                          | P1 (r)                               |
//! |------|--------------------------------------|-------------------------------|--------------------------------------|
//! | 1    | `U = filters(W)`                     |                               | `V = inputs(r)`                      |
//! | 2    | at each position a share of `U·V`    | ↔ [`product`](crate::product) | at each position a share of `U·V`    |
//! | 3    | `2^{h−h'}·outputs(shares)`           |                               | `2^{h−h'}·outputs(shares)`           |
//!
//! The transforms are linear and exact in the ring, so in step 3 each party transforms its own shares. Whose bits choose
//! in step 2 is decided for each position by the cost; those of one party go in one stream. U has at position p only the
//! bits of the weights and those by which the position's filter norm makes them grow, and the result depends on
//! the product there only mod 2^{l' − shift}: both are [`Position`](copriv_winograd::Position)'s public bounds.
//!
//! # Cost
//! That of the products, at most one round for each choosing party.
//!
//! # Security
//! As [`product`](crate::product); transforms are of each party's own values.
//!
//! # Reference
//! Zeng et al.: CoPriv (NeurIPS 2023), section 3.1; Winograd products on shares with tile aggregation. Transforms: see
//! [`copriv_winograd::transform`].
//!
//! # Deviations
//! The choice of roles is made for each tile position, and the products are as narrow as each position allows. The
//! factor that the transforms leave is the public h of the layer.

use crate::layer::{LinearLayer, Producer};
use crate::product::{self, Chooser, Product};
use copriv_channel::Cost;
use copriv_ot::RcotBackend;
use copriv_ring::{RingVec, Width};
use copriv_session::Session;
use copriv_winograd::{Plan, Ring};
use copriv_wire::{Result, Role};
use zeroize::Zeroizing;

/// The bits of weights that choose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Precision {
    /// All l, and products in the whole ring: what is done without bounds on the weights.
    Full,
    /// The weights are signed integers of this many bits; products are as narrow as that allows.
    Narrow {
        /// Of the weights before the transform.
        weight_bits: u32,
    },
}

/// One matrix product for each position of a plan.
#[derive(Clone, Debug)]
pub struct Winograd {
    layer: LinearLayer,
    plan: Plan,
    /// The product at each position.
    products: Vec<Product>,
}

impl Winograd {
    /// The cheapest roles on `plan`; none where the plan leaves a larger factor than the layer has, or the ring is too narrow.
    ///
    /// # Panics
    /// When the plan is of another geometry.
    pub fn new(layer: LinearLayer, plan: Plan, precision: Precision, rcot: RcotBackend) -> Option<Self> {
        let conv = &layer.conv;
        let axes = [plan.rows().axis(), plan.cols().axis()];
        assert_eq!(axes, conv.axes(), "the plan is of the layer's geometry");
        let spare = layer.headroom.checked_sub(plan.headroom())?;
        let ring = layer.width.bits() - spare;
        let (rows, inner) = (conv.out_channels / conv.groups, conv.in_channels / conv.groups);
        let product = |position: &copriv_winograd::Position| {
            let (width, bits) = match precision {
                Precision::Full => (ring, ring),
                Precision::Narrow { weight_bits } => {
                    let width = ring.saturating_sub(position.shift);
                    (width, position.filter_bits(weight_bits).min(width))
                }
            };
            let product = |chooser| {
                let width = Width::new(width).ok()?;
                Some(Product { groups: conv.groups, rows, inner, cols: position.tiles, width, chooser })
            };
            let choices = [product(Chooser::Weights { bits })?, product(Chooser::Activations)?];
            choices.into_iter().min_by_key(|p| product::cost(rcot, &[*p]).bytes())
        };
        let products = plan.positions().iter().map(product).collect::<Option<_>>()?;
        Some(Self { layer, plan, products })
    }

    /// The positions at which `sender` is the OT sender, and their products.
    fn stream(&self, sender: Role) -> (Vec<usize>, Vec<Product>) {
        let all = self.products.iter().copied().enumerate();
        all.filter(|(_, product)| product.sender() == sender).unzip()
    }
}

impl Producer for Winograd {
    fn layer(&self) -> &LinearLayer {
        &self.layer
    }

    fn headroom(&self) -> u32 {
        self.plan.headroom()
    }

    fn describe(&self) -> String {
        let tiles = |tiling: &copriv_winograd::Tiling| {
            let sizes = tiling.transforms().iter().map(|t| t.outputs().to_string());
            sizes.collect::<Vec<_>>().join("+")
        };
        let (rows, cols) = (tiles(self.plan.rows()), tiles(self.plan.cols()));
        let (kernel, all) = (self.layer.conv.kernel, self.products.len());
        let stride = match self.layer.conv.stride {
            (1, 1) => String::new(),
            (down, across) => format!(", stride {down}×{across}"),
        };
        let who = match self.stream(Role::P1).0.len() {
            0 => "activations choose".into(),
            n if n == all => "weights choose".into(),
            n => format!("weights choose at {n} of {all}"),
        };
        format!("F({rows}×{cols}, {}×{}{stride}), {who}", kernel.0, kernel.1)
    }

    fn cost(&self, rcot: RcotBackend) -> Cost {
        [Role::P1, Role::P0].map(|sender| product::cost(rcot, &self.stream(sender).1)).into_iter().sum()
    }

    fn produce(&self, s: &mut Session, own: &[u64]) -> Result<RingVec> {
        let LinearLayer { conv, width, headroom } = self.layer;
        let (role, plan) = (s.role(), &self.plan);
        let spare = headroom - plan.headroom();
        let ring = Ring(Width::of(width.bits() - spare));
        let (filters, channels, inner) =
            (conv.out_channels, conv.in_channels, conv.in_channels / conv.groups);
        let own = Zeroizing::new(match role {
            Role::P0 => plan.filters(&ring, filters * inner, own), // (1)
            Role::P1 => plan.inputs(&ring, channels, own),         // (1)
        });
        let mut products = Zeroizing::new(vec![0; plan.products() * filters]);
        for sender in [Role::P1, Role::P0] {
            let (positions, stream) = self.stream(sender);
            let shares = product::outer_products(s, &stream, |i, channel, vector| {
                let p = positions[i];
                match role {
                    Role::P0 => {
                        let matrix = &own[plan.filter_range(p, filters, inner)];
                        let group = &matrix[channel / inner * vector.len() * inner..];
                        vector
                            .iter_mut()
                            .zip(group[channel % inner..].iter().step_by(inner))
                            .for_each(|(v, u)| *v = *u);
                    }
                    Role::P1 => {
                        let matrix = &own[plan.input_range(p, channels)];
                        vector.copy_from_slice(&matrix[channel * vector.len()..][..vector.len()]);
                    }
                }
                let width = stream[i].width;
                vector.iter_mut().for_each(|v| *v = width.reduce(*v));
            })?; // (2)
            for (&p, share) in positions.iter().zip(&shares) {
                products[plan.output_range(p, filters)].copy_from_slice(share.words());
            }
        }
        let y = RingVec::from_words(ring.0, plan.outputs(&ring, filters, &products)); // (3)
        Ok(y.resize(width).shl(spare)) // (3)
    }
}
