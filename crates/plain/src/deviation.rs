use crate::Error;
use copriv_ir::{LayerOp, Lowered};

/// What protocols may leave out for fewer bytes, so that their result is only near that of [`evaluate`](crate::evaluate).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Slack {
    /// Truncations may give the integer below the floor.
    pub one_bit: bool,
    /// d: a ReLU, alone or in a clip, may make 0 of values below 2^d. With a truncation by at least d in the same step it does
    /// not.
    pub drop_bits: u32,
}

/// By how much, at most, an output can differ from [`evaluate_output`](crate::evaluate_output), as an integer, whatever the input,
/// as long as no value leaves the half of the ring about 0. Infinite where that is beyond all numbers: it is a bound for the worst
/// case, in which every weight adds to the error, and grows with each layer; what happens is far less.
///
/// ```
/// use copriv_ir::{GraphBuilder, LowerOptions, Shape, lower};
/// use copriv_plain::{Slack, deviation};
/// use copriv_ring::Width;
/// let mut net = GraphBuilder::new("tiny", Shape::vector(2))?;
/// let x = net.linear("fc", net.input(), vec![0.5, -1.0], vec![0.25])?;
/// let lowered = lower(&net.finish(x)?, LowerOptions { width: Width::of(32), frac_bits: 8 })?;
/// assert_eq!(deviation(&lowered, Slack::default())?, 0.0);
/// assert_eq!(deviation(&lowered, Slack { one_bit: true, drop_bits: 0 })?, 1.0); // one truncation
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the network is not valid.
pub fn deviation(net: &Lowered, slack: Slack) -> Result<f64, Error> {
    net.validate()?;
    let layers = &net.architecture.layers;
    let last_bit = |shift: u32| if slack.one_bit && shift > 0 { 1.0 } else { 0.0 };
    let power = |bits: u32| f64::from(bits).exp2();
    let dropped = power(slack.drop_bits) - 1.0;
    // floor(x / 2^s) of integers that differ by e differs by e / 2^s, rounded up.
    let truncated = |e: f64, shift: u32| (e / power(shift)).ceil() + last_bit(shift);
    let mut known: Vec<f64> = Vec::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let of = |operand: usize| layer.inputs.get(operand).map_or(0.0, |&input| known[input]);
        let e = of(0);
        let growth = || {
            let (rows, columns) = layer.op.matrix_shape().map_or((1, 0), |[rows, columns]| (rows, columns));
            let matrix = net.weights.get(index).map_or(&[][..], |w| &w.matrix);
            let sums = matrix.chunks(columns.max(1)).take(rows);
            sums.map(|row| row.iter().map(|w| w.unsigned_abs() as f64).sum::<f64>()).fold(0.0, f64::max)
        };
        known.push(match &layer.op {
            LayerOp::Input => 0.0,
            LayerOp::Conv(g) => e * growth() * power(g.headroom),
            LayerOp::Linear { .. } => e * growth(),
            &LayerOp::Truncate { shift } => truncated(e, shift),
            &LayerOp::Shift { bits } => e * power(bits),
            LayerOp::Relu | LayerOp::Clip { .. } => e + dropped,
            &LayerOp::ReluTruncate { shift } | &LayerOp::ClipTruncate { shift, .. } => {
                truncated(if slack.drop_bits > shift { e + dropped } else { e }, shift)
            }
            LayerOp::MaxPool(_) | LayerOp::Flatten | LayerOp::View(_) => e,
            // n values times round(2^s / n): no more than 2^s + n / 2.
            &LayerOp::AvgPoolInside { ref window, shift } => {
                truncated(e * (power(shift) + window.area() as f64 / 2.0), shift)
            }
            LayerOp::Smooth(function) => {
                let scale = layer.inputs.first().map_or(0, |&input| layers[input].frac_bits);
                let pieces = function.pieces(net.architecture.width, scale).unwrap_or_default();
                let slopes: f64 = pieces.knots.iter().map(|[_, d]| d.unsigned_abs() as f64).sum();
                truncated((e + dropped) * slopes, pieces.shift)
            }
            LayerOp::Combine { factors: [a, b] } => {
                e * a.unsigned_abs() as f64 + of(1) * b.unsigned_abs() as f64
            }
            // Neither factor, nor the product, is outside the ring's half about 0.
            LayerOp::Multiply => {
                let half = power(net.architecture.width.bits() - 1);
                ((e + of(1)) * half + e * of(1)).min(2.0 * half)
            }
            &LayerOp::AvgPool { ref window, multiplier, shift } => {
                truncated(e * window.area() as f64 * multiplier as f64, shift)
            }
            LayerOp::Add => e + of(1),
            LayerOp::Concat => (0..layer.inputs.len()).map(of).fold(0.0, f64::max),
        });
    }
    let last = known.pop().unwrap_or(0.0);
    Ok(if last.is_nan() { f64::INFINITY } else { last })
}
