//! Convolutions and fully connected layers on shares.
//!
//! # Functionality
//! P0 holds weights and bias, both hold shares of x. The outputs are shares of the layer's result mod 2^l.
//!
//! # Protocol
//! With W the kernels as a matrix of out_channels x (in_channels · kernel) per group and X(x) the matrix of the windows,
//! W·X(x) = W·X(x0) + W·X(x1):
//!
//! | step | P0                                | wire                    | P1                    |
//! |------|-----------------------------------|-------------------------|-----------------------|
//! | 1    | `y0 = share of W·X(x1)`           | ↔ [`product`](crate::product) | `y1 = share of W·X(x1)` |
//! | 2    | `y0 ← y0 + W·X(x0) + bias`        |                         |                       |
//!
//! [`Roles`] says whose bits choose in step 1: one party's, or each party's in a half of the inner dimension, one product
//! after the other.
//!
//! # Cost
//! [`conv2d_cost`].
//!
//! # Security
//! As [`product`](crate::product).
//!
//! # Reference
//! CrypTFlow2 (CCS 2020, section 5.1).
//!
//! # Deviations
//! X is never stored: its rows are made where they are used.

use crate::product::{self, Chooser, Product};
use copriv_channel::Cost;
use copriv_ot::RcotBackend;
use copriv_ring::{RingVec, Width};
use copriv_session::Session;
use copriv_share::Arithmetic;
use copriv_wire::{Result, Role};
use rayon::prelude::*;

/// Output channels of a group that are computed together in the clear.
const ROWS: usize = 16;

/// Whose bits choose in a layer (an AGREEMENT parameter).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Roles {
    /// One party's throughout.
    Fixed(Chooser),
    /// The weights' in the first half of the inner dimension (rounded down), the activations' in the rest: what the
    /// original implementation of CrypTFlow2 does with an even number of threads.
    Halves {
        /// The weights are signed integers of this many bits.
        bits: u32,
    },
}

impl From<Chooser> for Roles {
    fn from(chooser: Chooser) -> Self {
        Self::Fixed(chooser)
    }
}

/// Zeros around a map.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The same on all sides.
    pub const fn even(size: usize) -> Self {
        Self { top: size, left: size, bottom: size, right: size }
    }
}

/// The geometry of a convolution (an AGREEMENT parameter). Sizes are (vertical, horizontal); maps and kernels are
/// row-major with the channel first; output channels, then input channels of weights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Conv2d {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Divides both; `in_channels` of them make a depthwise convolution.
    pub groups: usize,
    /// Rows and columns of the input.
    pub input: (usize, usize),
    /// Rows and columns of a kernel.
    pub kernel: (usize, usize),
    /// Steps between outputs.
    pub stride: (usize, usize),
    /// Zeros around the input.
    pub padding: Padding,
}

impl Conv2d {
    /// The convolution that is a matrix of `outputs` x `inputs`: one kernel position, a map of one pixel.
    pub const fn fully_connected(inputs: usize, outputs: usize) -> Self {
        Self {
            in_channels: inputs,
            out_channels: outputs,
            groups: 1,
            input: (1, 1),
            kernel: (1, 1),
            stride: (1, 1),
            padding: Padding::even(0),
        }
    }

    /// Rows and columns of the output.
    ///
    /// # Panics
    /// When a size is zero, the kernel exceeds the padded input, or the groups do not divide the channels.
    pub fn output(&self) -> (usize, usize) {
        let Self { input, kernel, stride, padding, groups, .. } = *self;
        let sizes = [input.0, input.1, kernel.0, kernel.1, stride.0, stride.1, groups];
        assert!(sizes.iter().all(|&n| n > 0), "sizes are positive");
        assert!(
            self.in_channels.is_multiple_of(groups) && self.out_channels.is_multiple_of(groups),
            "the groups divide the channels"
        );
        let height = input.0 + padding.top + padding.bottom;
        let width = input.1 + padding.left + padding.right;
        assert!(kernel.0 <= height && kernel.1 <= width, "the kernel fits into the padded map");
        ((height - kernel.0) / stride.0 + 1, (width - kernel.1) / stride.1 + 1)
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.in_channels * self.input.0 * self.input.1
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        let (height, width) = self.output();
        self.out_channels * height * width
    }

    /// Elements of the weights.
    pub fn weights_len(&self) -> usize {
        self.out_channels * self.inner()
    }

    /// The matrix product that the convolution is.
    pub fn product(&self, width: Width, chooser: Chooser) -> Product {
        let (height, columns) = self.output();
        let (rows, inner) = (self.out_channels / self.groups, self.inner());
        Product { groups: self.groups, rows, inner, cols: height * columns, width, chooser }
    }

    /// The products that make the layer, each with where its part of the inner dimension starts.
    fn parts(&self, width: Width, roles: Roles) -> impl Iterator<Item = (Product, usize)> {
        let inner = self.inner();
        let parts = match roles {
            Roles::Fixed(chooser) => [(chooser, 0, inner), (chooser, 0, 0)],
            Roles::Halves { bits } => {
                let half = inner / 2;
                [(Chooser::Weights { bits }, 0, half), (Chooser::Activations, half, inner - half)]
            }
        };
        let whole =
            parts.map(|(chooser, start, inner)| (Product { inner, ..self.product(width, chooser) }, start));
        whole.into_iter().filter(|(product, _)| product.inner > 0)
    }

    /// Inputs of one output.
    fn inner(&self) -> usize {
        self.in_channels / self.groups * self.kernel.0 * self.kernel.1
    }

    /// Column c of group g's weight matrix, `pair` = g · inner + c.
    fn weight_column(&self, weights: &[u64], pair: usize, column: &mut [u64]) {
        let (inner, rows) = (self.inner(), self.out_channels / self.groups);
        let group = &weights[pair / inner * rows * inner..];
        column.iter_mut().enumerate().for_each(|(r, w)| *w = group[r * inner + pair % inner]);
    }

    /// Row c of group g's matrix of windows, `pair` = g · inner + c: what one kernel position sees at each output.
    fn window_row(&self, x: &[u64], pair: usize, row: &mut [u64]) {
        let Self { input: (height, width), kernel, stride, padding, .. } = *self;
        let area = kernel.0 * kernel.1;
        let (channel, (ky, kx)) = (pair / area, (pair % area / kernel.1, pair % kernel.1));
        let map = &x[channel * height * width..][..height * width];
        let (_, columns) = self.output();
        for (oy, out) in row.chunks_exact_mut(columns).enumerate() {
            out.fill(0);
            let Some(line) = (oy * stride.0 + ky).checked_sub(padding.top).filter(|&y| y < height) else {
                continue;
            };
            let line = &map[line * width..][..width];
            // The outputs whose column ox · stride + kx − left lies on the map.
            let start = padding.left.saturating_sub(kx).div_ceil(stride.1);
            let end = (width + padding.left).saturating_sub(kx).div_ceil(stride.1).min(columns);
            for (ox, out) in out.iter_mut().enumerate().take(end).skip(start) {
                *out = line[ox * stride.1 + kx - padding.left];
            }
        }
    }

    /// W·X(x) mod 2^64.
    fn local(&self, weights: &[u64], x: &[u64]) -> Vec<u64> {
        let (height, columns) = self.output();
        let (rows, cols, inner) = (self.out_channels / self.groups, height * columns, self.inner());
        let mut out = vec![0u64; self.output_len()];
        out.par_chunks_mut(rows * cols).zip(weights.par_chunks(rows * inner)).enumerate().for_each(
            |(group, (out, weights))| {
                let parts = out.par_chunks_mut(ROWS * cols).zip(weights.par_chunks(ROWS * inner));
                parts.for_each(|(out, weights)| {
                    let mut windows = vec![0; cols];
                    for c in 0..inner {
                        self.window_row(x, group * inner + c, &mut windows);
                        for (out, weights) in out.chunks_exact_mut(cols).zip(weights.chunks_exact(inner)) {
                            let w = weights[c];
                            out.iter_mut()
                                .zip(&windows)
                                .for_each(|(y, x)| *y = y.wrapping_add(w.wrapping_mul(*x)));
                        }
                    }
                });
            },
        );
        out
    }
}

/// The cost of [`conv2d`].
pub fn conv2d_cost(rcot: RcotBackend, conv: &Conv2d, width: Width, roles: impl Into<Roles>) -> Cost {
    conv.parts(width, roles.into()).map(|(product, _)| product::cost(rcot, &[product])).sum()
}

/// A convolution of the shared `x`. P0 gives the weights and, where the layer has one, the bias: one canonical word for each
/// output channel, at the scale of the result.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the geometry is impossible ([`Conv2d::output`]), P0 gives no weights, P1 gives some, a length is another than the
/// geometry's, or a weight has more bits than `roles` says.
pub fn conv2d(
    s: &mut Session,
    conv: &Conv2d,
    roles: impl Into<Roles>,
    weights: Option<&[u64]>,
    bias: Option<&[u64]>,
    x: &Arithmetic,
) -> Result<Arithmetic> {
    assert_eq!(x.len(), conv.input_len(), "the input has the geometry's length");
    let width = x.width();
    let x = x.own().words();
    let (weights, bias) = match (s.role(), weights, bias) {
        (Role::P0, Some(weights), bias) => {
            assert_eq!(weights.len(), conv.weights_len(), "the weights have the geometry's length");
            assert!(bias.is_none_or(|b| b.len() == conv.out_channels), "a bias for each output channel");
            (weights, bias)
        }
        (Role::P1, None, None) => (&[][..], None),
        _ => panic!("P0 gives the weights and the bias"),
    };
    let role = s.role();
    let mut share = RingVec::zeros(width, conv.output_len());
    for (product, start) in conv.parts(width, roles.into()) {
        let whole = |pair: usize| pair / product.inner * conv.inner() + start + pair % product.inner;
        let shares = product::outer_products(s, &[product], |_, pair, vector| match role {
            Role::P0 => conv.weight_column(weights, whole(pair), vector), // (1)
            Role::P1 => conv.window_row(x, whole(pair), vector),          // (1)
        })?;
        shares.iter().for_each(|part| share += part);
    }
    if role == Role::P1 {
        return Ok(Arithmetic::new(share));
    }
    let mut own = conv.local(weights, x); // (2)
    if let Some(bias) = bias {
        let maps = own.chunks_exact_mut(conv.output_len() / conv.out_channels).zip(bias);
        maps.for_each(|(map, b)| map.iter_mut().for_each(|y| *y = y.wrapping_add(*b))); // (2)
    }
    Ok(Arithmetic::new(&share + &RingVec::from_words(width, own)))
}

/// The cost of [`fully_connected`].
pub fn fully_connected_cost(
    rcot: RcotBackend,
    inputs: usize,
    outputs: usize,
    width: Width,
    roles: impl Into<Roles>,
) -> Cost {
    conv2d_cost(rcot, &Conv2d::fully_connected(inputs, outputs), width, roles)
}

/// The product of P0's matrix (`outputs` x the length of `x`) with the shared `x`, plus P0's bias.
///
/// # Errors
/// As [`conv2d`].
///
/// # Panics
/// As [`conv2d`].
pub fn fully_connected(
    s: &mut Session,
    outputs: usize,
    roles: impl Into<Roles>,
    weights: Option<&[u64]>,
    bias: Option<&[u64]>,
    x: &Arithmetic,
) -> Result<Arithmetic> {
    conv2d(s, &Conv2d::fully_connected(x.len(), outputs), roles, weights, bias, x)
}
