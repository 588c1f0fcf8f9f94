use crate::Error;
use crate::kernel::{self, Scalar};
use copriv_ir::{Layer, LayerOp, LayerWeights, Lowered, Shape};
use copriv_ring::{RingVec, Width};

/// The output of every layer, the input first and the network's output last. `input` is in the order channel,
/// row, column, at scale `frac_bits` of the architecture.
///
/// ```
/// use copriv_ir::{GraphBuilder, LowerOptions, Shape, lower};
/// use copriv_ring::{RingVec, Width};
/// let mut net = GraphBuilder::new("tiny", Shape::vector(2))?;
/// let x = net.linear("fc", net.input(), vec![0.5, -1.0], vec![0.25])?;
/// let width = Width::of(32);
/// let lowered = lower(&net.finish(x)?, LowerOptions { width, frac_bits: 8 })?;
/// let layers = copriv_plain::evaluate(&lowered, &RingVec::from_signed(width, &[256, 100]))?;
/// assert_eq!(layers[1].to_signed(), [(128 - 100 + 64) << 8]); // fc, at scale 16
/// assert_eq!(layers[2].to_signed(), [92]); // fc/truncate
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error`] when the network is not valid or the input does not fit it.
pub fn evaluate(net: &Lowered, input: &RingVec) -> Result<Vec<RingVec>, Error> {
    check(net, input)?;
    let width = net.architecture.width;
    let values = run(&Ring(width), net, input.words().to_vec(), true, |_, _, _| {});
    Ok(values.into_iter().map(|words| RingVec::from_words(width, words)).collect())
}

/// The network's output only; every other value is dropped after its last use.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_output(net: &Lowered, input: &RingVec) -> Result<RingVec, Error> {
    check(net, input)?;
    let width = net.architecture.width;
    let mut values = run(&Ring(width), net, input.words().to_vec(), false, |_, _, _| {});
    // A valid network has a layer.
    Ok(RingVec::from_words(width, values.pop().unwrap_or_default()))
}

/// The index of the largest element, taken as signed, and the first of them; none without elements. Found by the
/// protocols' tournament: neighbours are compared by the sign of their difference in the ring, the last of an odd number goes
/// on as it is, and so again. Differences that do not fit the ring make it another element's.
///
/// ```
/// use copriv_ring::{RingVec, Width};
/// let logits = RingVec::from_signed(Width::of(8), &[-100, 3, -1, 3]);
/// assert_eq!(copriv_plain::argmax(&logits), Some(1));
/// ```
pub fn argmax(values: &RingVec) -> Option<usize> {
    let (width, x) = (values.width(), values.words());
    let mut left: Vec<usize> = (0..x.len()).collect();
    while left.len() > 1 {
        let winner = |pair: &[usize]| match *pair {
            [a, b] if width.msb(width.reduce(x[a].wrapping_sub(x[b]))) == 1 => b,
            _ => pair[0],
        };
        left = left.chunks(2).map(winner).collect();
    }
    left.first().copied()
}

pub(crate) fn check(net: &Lowered, input: &RingVec) -> Result<(), Error> {
    net.validate()?;
    let (expected, got) = (net.architecture.width, input.width());
    if expected != got {
        return Err(Error::InputWidth { expected, got });
    }
    let (expected, got) = (net.architecture.input_shape(), input.len());
    if expected.len() != got {
        return Err(Error::InputLength { expected, got });
    }
    Ok(())
}

/// What a lowered network is computed with: the ring, or integers that do not wrap.
pub(crate) trait Numbers: Sync {
    type T: Scalar;
    /// The integer `value`.
    fn constant(&self, value: i64) -> Self::T;
    /// a - b.
    fn sub(&self, a: Self::T, b: Self::T) -> Self::T;
    /// x * 2^bits.
    fn shift(&self, x: Self::T, bits: u32) -> Self::T;
    /// floor(x / 2^shift).
    fn floor_shift(&self, x: Self::T, shift: u32) -> Self::T;
    /// As [`LayerOp::ClipTruncate`] says.
    fn clip_truncate(&self, x: Self::T, high: i64, shift: u32) -> Self::T;
    /// x where it is not negative, otherwise 0.
    fn relu(&self, x: Self::T) -> Self::T;
    /// a + b.
    fn add(&self, a: Self::T, b: Self::T) -> Self::T;
    /// The number that the result of sums and products stands for.
    fn reduce(&self, x: Self::T) -> Self::T;
}

/// Z_{2^l} on canonical words.
struct Ring(Width);

impl Numbers for Ring {
    type T = u64;
    fn constant(&self, value: i64) -> u64 {
        self.0.from_signed(value)
    }
    fn sub(&self, a: u64, b: u64) -> u64 {
        self.0.reduce(a.wrapping_sub(b))
    }
    fn shift(&self, x: u64, bits: u32) -> u64 {
        self.0.reduce(x << bits)
    }
    fn floor_shift(&self, x: u64, shift: u32) -> u64 {
        self.0.from_signed(self.0.to_signed(x) >> shift)
    }
    fn clip_truncate(&self, x: u64, high: i64, shift: u32) -> u64 {
        let beyond = self.sub(x, self.constant(high));
        let [d, e] = [x, beyond].map(|x| u64::from(self.0.to_signed(x) >= 0));
        let value = (d ^ e)
            .wrapping_mul(self.floor_shift(x, shift))
            .wrapping_add(e.wrapping_mul((high >> shift) as u64));
        // A valid layer has its ring.
        LayerOp::clip_ring(self.0, high, shift).map_or(value, |ring| ring.reduce(value))
    }
    fn relu(&self, x: u64) -> u64 {
        if self.0.to_signed(x) >= 0 { x } else { 0 }
    }
    fn add(&self, a: u64, b: u64) -> u64 {
        self.0.reduce(a.wrapping_add(b))
    }
    fn reduce(&self, x: u64) -> u64 {
        self.0.reduce(x)
    }
}

/// Runs a valid network on an input of its size. `visit` sees each layer but the input, its operands and its
/// output. Unless all are kept, values are emptied after their last use.
pub(crate) fn run<N: Numbers>(
    numbers: &N,
    net: &Lowered,
    input: Vec<N::T>,
    keep: bool,
    mut visit: impl FnMut(&Layer, &[&[N::T]], &[N::T]),
) -> Vec<Vec<N::T>> {
    let layers = &net.architecture.layers;
    let last_use = net.architecture.last_use();
    let mut values = vec![input];
    for (index, layer) in layers.iter().enumerate().skip(1) {
        let operands: Vec<&[N::T]> = layer.inputs.iter().map(|&i| values[i].as_slice()).collect();
        let first = &layers[layer.inputs[0]];
        let of = (net.architecture.width, first.frac_bits, first.shape);
        let mut output = apply(numbers, layer, of, net.weights.get(index), &operands);
        if let Some(keep) = &layer.keep {
            let shift = layer.op.truncates_by();
            keep.indices(false).for_each(|i| output[i] = numbers.floor_shift(operands[0][i], shift));
        }
        visit(layer, &operands, &output);
        values.push(output);
        if !keep {
            let done = layer.inputs.iter().filter(|&&input| last_use[input] == index);
            done.for_each(|&input| values[input] = Vec::new());
        }
    }
    values
}

/// One layer of a valid network, applied to all elements: the ring, and scale and shape of its first operand.
fn apply<N: Numbers>(
    n: &N,
    layer: &Layer,
    (width, scale, shape): (Width, u32, Shape),
    weights: Option<&LayerWeights>,
    operands: &[&[N::T]],
) -> Vec<N::T> {
    let x = operands[0];
    let one = n.constant(1);
    let map = |f: &dyn Fn(N::T) -> N::T| x.iter().map(|&x| f(x)).collect();
    let relu = |x| n.relu(x);
    let (matrix, biases) = weights.map_or((&[][..], &[][..]), |w| (&w.matrix[..], &w.bias[..]));
    let (weight, bias) = (|i: usize| n.constant(matrix[i]), |o: usize| n.constant(biases[o]));
    let shapes = (shape, layer.shape);
    let reduced = |values: Vec<N::T>| values.into_iter().map(|x| n.reduce(x)).collect();
    match &layer.op {
        LayerOp::Conv(g) => {
            let weight = |i| n.shift(weight(i), g.headroom);
            let of = layer.shape.len() / biases.len().max(1);
            reduced(kernel::conv(x, shapes, &g.window, g.groups, weight, |i| bias(i / of)))
        }
        LayerOp::Linear { outputs, .. } => reduced(kernel::linear(x, *outputs, weight, bias)),
        &LayerOp::Truncate { shift } => map(&|x| n.floor_shift(x, shift)),
        &LayerOp::Shift { bits } => map(&|x| n.shift(x, bits)),
        LayerOp::Relu => map(&relu),
        &LayerOp::ReluTruncate { shift } => map(&|x| n.floor_shift(relu(x), shift)),
        &LayerOp::Clip { low, high } => {
            let (low, high) = (n.constant(low), n.constant(high));
            map(&|x| n.sub(low.mul_add(one, relu(n.sub(x, low))), relu(n.sub(x, high))))
        }
        &LayerOp::ClipTruncate { high, shift } => map(&|x| n.clip_truncate(x, high, shift)),
        LayerOp::MaxPool(window) => kernel::tournament(x, shapes, window, |a, b| n.add(b, relu(n.sub(a, b)))),
        &LayerOp::AvgPool { ref window, multiplier, shift } => {
            let sums = kernel::pool(x, shapes, window, |a, b| a.mul_add(one, b));
            let multiplier = n.constant(multiplier);
            let mean = |sum| n.floor_shift(n.reduce(N::T::ZERO.mul_add(multiplier, sum)), shift);
            sums.into_iter().map(mean).collect()
        }
        &LayerOp::AvgPoolInside { ref window, shift } => {
            let sums = kernel::pool(x, shapes, window, |a, b| a.mul_add(one, b));
            let multipliers: Vec<N::T> = window
                .inside(shape)
                .into_iter()
                .map(|count| n.constant(LayerOp::reciprocal(count, shift)))
                .collect();
            let mean = |(sum, &m): (N::T, &N::T)| n.floor_shift(n.reduce(N::T::ZERO.mul_add(m, sum)), shift);
            sums.into_iter().zip(multipliers.iter().cycle()).map(mean).collect()
        }
        LayerOp::Smooth(function) => {
            let pieces = function.pieces(width, scale).unwrap_or_default();
            let knots: Vec<[N::T; 2]> = pieces.knots.iter().map(|knot| knot.map(|k| n.constant(k))).collect();
            let constant = n.constant(pieces.constant);
            let sum = |x| {
                let add = |sum: N::T, &[t, d]: &[N::T; 2]| sum.mul_add(d, relu(n.sub(x, t)));
                n.floor_shift(n.reduce(knots.iter().fold(constant, add)), pieces.shift)
            };
            map(&sum)
        }
        &LayerOp::Combine { factors } => {
            let [a, b] = factors.map(|factor| n.constant(factor));
            let sum = |(&x, &y): (&N::T, &N::T)| n.reduce(N::T::ZERO.mul_add(a, x).mul_add(b, y));
            x.iter().zip(operands[1]).map(sum).collect()
        }
        LayerOp::Multiply => {
            let group = x.len() / operands[1].len();
            let product = |(i, &x): (usize, &N::T)| n.reduce(N::T::ZERO.mul_add(x, operands[1][i / group]));
            x.iter().enumerate().map(product).collect()
        }
        LayerOp::View(view) => view.apply(x, N::T::ZERO),
        LayerOp::Add => x.iter().zip(operands[1]).map(|(&a, &b)| n.reduce(a.mul_add(one, b))).collect(),
        LayerOp::Concat => operands.concat(),
        // The input is never computed.
        LayerOp::Flatten | LayerOp::Input => x.to_vec(),
    }
}
