use crate::Error;
use crate::kernel;
use crate::lowered::{Numbers, check, run};
use copriv_ir::{LayerOp, Lowered};
use copriv_ring::{RingVec, Width};
use std::fmt;

/// How near one layer came to overflow.
#[derive(Clone, PartialEq, Debug)]
pub struct Headroom {
    /// The layer's name.
    pub layer: String,
    /// [`LayerOp::kind`].
    pub kind: &'static str,
    /// The largest absolute value of an integer that the layer computes, had nothing wrapped: outputs, and
    /// what comes between: differences in a max pool or clip, products before an average is shifted. Exact up
    /// to 2^53.
    pub largest: f64,
    /// l.
    pub width: Width,
}

impl Headroom {
    /// Whether the largest value is below 2^{l-1}: nothing wrapped here.
    pub fn fits(&self) -> bool {
        self.largest < self.limit()
    }

    /// log2(2^{l-1} / largest): by how many bits the values could grow; negative where they wrapped, infinite
    /// where all were 0.
    pub fn spare_bits(&self) -> f64 {
        self.limit().log2() - self.largest.log2()
    }

    fn limit(&self) -> f64 {
        f64::from(self.width.bits() - 1).exp2()
    }
}

impl fmt::Display for Headroom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, kind, width, .. } = self;
        write!(f, "{layer} ({kind}): {:+.1} bits of {width} to spare", self.spare_bits())
    }
}

/// The headroom of every layer on one input, evaluated without wrapping. One input proves nothing about
/// others: use several, and leave a few bits.
///
/// ```
/// use copriv_ir::{GraphBuilder, LowerOptions, Shape, lower};
/// use copriv_ring::{RingVec, Width};
/// let mut net = GraphBuilder::new("tiny", Shape::vector(1))?;
/// let x = net.linear("fc", net.input(), vec![4.0], vec![0.0])?;
/// let width = Width::of(20);
/// let lowered = lower(&net.finish(x)?, LowerOptions { width, frac_bits: 8 })?;
/// let report = copriv_plain::headroom(&lowered, &RingVec::from_signed(width, &[3 << 8]))?;
/// assert!(report[0].fits()); // the input
/// assert_eq!(report[1].largest, 12.0 * 65536.0);
/// assert!(!report[1].fits()); // 12 at scale 16 needs 21 bits
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`evaluate`](crate::evaluate).
pub fn headroom(net: &Lowered, input: &RingVec) -> Result<Vec<Headroom>, Error> {
    check(net, input)?;
    let layers = &net.architecture.layers;
    let width = net.architecture.width;
    let input: Vec<f64> = input.to_signed().into_iter().map(|x| x as f64).collect();
    let mut largest_of = vec![largest(&input)];
    run(&Integers, net, input, false, |layer, operands, output| {
        let farthest = |distance: &dyn Fn(f64) -> f64| {
            let kept = operands[0].iter().enumerate().filter(|&(index, _)| layer.keeps(index));
            kept.map(|(_, &x)| distance(x)).fold(0.0, f64::max)
        };
        let between = match &layer.op {
            LayerOp::MaxPool(window) => {
                let shapes = (layers[layer.inputs[0]].shape, layer.shape);
                let least = kernel::pool(operands[0], shapes, window, f64::min);
                output.iter().zip(least).map(|(most, least)| most - least).fold(0.0, f64::max)
            }
            &LayerOp::AvgPool { ref window, multiplier, .. } => {
                let shapes = (layers[layer.inputs[0]].shape, layer.shape);
                largest(&kernel::pool(operands[0], shapes, window, |a, b| a + b)) * multiplier as f64
            }
            &LayerOp::ClipTruncate { high, .. } => farthest(&|x| x.abs().max((x - high as f64).abs())),
            &LayerOp::Clip { low, high } => {
                farthest(&|x| (x - low as f64).abs().max((x - high as f64).abs()))
            }
            &LayerOp::AvgPoolInside { ref window, shift } => {
                let shape = layers[layer.inputs[0]].shape;
                let sums = kernel::pool(operands[0], (shape, layer.shape), window, |a, b| a + b);
                let counts = window.inside(shape);
                let products = sums.iter().zip(counts.iter().cycle());
                let product =
                    |(sum, &count): (&f64, &usize)| sum.abs() * LayerOp::reciprocal(count, shift) as f64;
                products.map(product).fold(0.0, f64::max)
            }
            LayerOp::Smooth(function) => {
                let scale = layers[layer.inputs[0]].frac_bits;
                let pieces = function.pieces(width, scale).unwrap_or_default();
                let before = largest(output) * f64::from(pieces.shift).exp2();
                let knots = pieces.knots.iter();
                knots.map(|knot| farthest(&|x| (x - knot[0] as f64).abs())).fold(before, f64::max)
            }
            _ => 0.0,
        };
        largest_of.push(largest(output).max(between));
    });
    let report = |(layer, largest): (&copriv_ir::Layer, f64)| Headroom {
        layer: layer.name.clone(),
        kind: layer.op.kind(),
        largest,
        width,
    };
    Ok(layers.iter().zip(largest_of).map(report).collect())
}

/// The largest absolute value; infinite where a value grew beyond all numbers.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, x| if x.is_nan() { f64::INFINITY } else { x.abs().max(largest) })
}

/// Integers that do not wrap, rounded beyond 2^53.
struct Integers;

impl Numbers for Integers {
    type T = f64;
    fn constant(&self, value: i64) -> f64 {
        value as f64
    }
    fn sub(&self, a: f64, b: f64) -> f64 {
        a - b
    }
    fn shift(&self, x: f64, bits: u32) -> f64 {
        x * f64::from(bits).exp2()
    }
    fn floor_shift(&self, x: f64, shift: u32) -> f64 {
        (x / f64::from(shift).exp2()).floor()
    }
    fn clip_truncate(&self, x: f64, high: i64, shift: u32) -> f64 {
        self.floor_shift(x.clamp(0.0, high as f64), shift)
    }
    fn relu(&self, x: f64) -> f64 {
        x.max(0.0)
    }
    fn add(&self, a: f64, b: f64) -> f64 {
        a + b
    }
    fn reduce(&self, x: f64) -> f64 {
        x
    }
}
