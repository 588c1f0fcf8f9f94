use crate::{Error, Headroom};
use copriv_ir::{Layer, LayerOp, LayerWeights, Lowered, Shape, Window};

/// The headroom of every layer for whatever inputs there are between the bounds, which are reals: where all layers fit, nothing
/// ever wraps. Bounds of each channel are carried from layer to layer, as if all values could take theirs at once; so they grow with
/// each layer, far above what data make of them.
///
/// ```
/// use copriv_ir::{GraphBuilder, LowerOptions, Shape, lower};
/// use copriv_ring::Width;
/// let mut net = GraphBuilder::new("tiny", Shape::vector(2))?;
/// let x = net.linear("fc", net.input(), vec![4.0, -2.0], vec![1.0])?;
/// let lowered = lower(&net.finish(x)?, LowerOptions { width: Width::of(20), frac_bits: 8 })?;
/// let report = copriv_plain::bounds(&lowered, [0.0, 1.0])?;
/// assert_eq!(report[1].largest, 5.0 * 65536.0); // 4 - 0 + 1, at scale 16
/// assert!(report[1].fits());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the network is not valid.
pub fn bounds(net: &Lowered, input: [f32; 2]) -> Result<Vec<Headroom>, Error> {
    net.validate()?;
    let width = net.architecture.width;
    let scale = f64::from(net.architecture.frac_bits).exp2();
    let [low, high] = [f64::from(input[0]) * scale, f64::from(input[1]) * scale];
    let [low, high] = [low.min(high).floor(), low.max(high).ceil()];
    let mut known: Vec<Vec<Interval>> = Vec::new();
    let mut report = Vec::new();
    for (index, layer) in net.architecture.layers.iter().enumerate() {
        let operands: Vec<(&[Interval], Shape)> = layer
            .inputs
            .iter()
            .map(|&input| (known[input].as_slice(), net.architecture.layers[input].shape))
            .collect();
        let (own, between) = match operands.first() {
            None => (vec![Interval { low, high }; layer.shape.channels], 0.0),
            Some(_) => one(net, layer, net.weights.get(index), &operands),
        };
        let largest = own.iter().fold(between, |most, x| x.size().max(most));
        report.push(Headroom { layer: layer.name.clone(), kind: layer.op.kind(), largest, width });
        known.push(own);
    }
    Ok(report)
}

/// The values that a channel can have.
#[derive(Clone, Copy, Debug)]
struct Interval {
    low: f64,
    high: f64,
}

impl Interval {
    const ZERO: Self = Self { low: 0.0, high: 0.0 };

    fn size(self) -> f64 {
        let size = self.low.abs().max(self.high.abs());
        if size.is_nan() { f64::INFINITY } else { size }
    }

    fn with_zero(self) -> Self {
        self.hull(Self::ZERO)
    }

    fn hull(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, high: self.high + other.high }
    }

    fn times(self, factor: f64) -> Self {
        let [a, b] = [self.low * factor, self.high * factor];
        Self { low: a.min(b), high: a.max(b) }
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { low: f(self.low), high: f(self.high) }
    }
}

/// The intervals of a layer's channels, and the largest value between its operands and its result.
fn one(
    net: &Lowered,
    layer: &Layer,
    weights: Option<&LayerWeights>,
    operands: &[(&[Interval], Shape)],
) -> (Vec<Interval>, f64) {
    let (x, shape) = operands[0];
    let power = |bits: u32| f64::from(bits).exp2();
    let floor = |x: Interval, shift: u32| x.map(|x| (x / power(shift)).floor());
    let each = |f: &dyn Fn(Interval) -> Interval| x.iter().map(|&x| f(x)).collect::<Vec<_>>();
    let most = |f: &dyn Fn(Interval) -> f64| x.iter().map(|&x| f(x)).fold(0.0, f64::max);
    let relu = |x: Interval| x.map(|x| x.max(0.0));
    // Elements that an activation leaves as they are, and only truncates.
    let kept = |f: &dyn Fn(Interval) -> Interval, shift: u32| {
        let others = layer.keep.is_some();
        each(&|x| if others { f(x).hull(floor(x, shift)) } else { f(x) })
    };
    let padded = |window: &Window| window.padding != [0; 4];
    let sums = |window: &Window| {
        let area = window.area() as f64;
        each(&|x| if padded(window) { x.with_zero() } else { x }.times(area))
    };
    match layer.op {
        LayerOp::Conv(g) => {
            let (matrix, biases) = weights.map_or((&[][..], &[][..]), |w| (&w.matrix[..], &w.bias[..]));
            let area = g.window.area();
            let (per_group, outputs) = (g.in_channels / g.groups, g.out_channels / g.groups);
            let each_bias = biases.len() / g.out_channels;
            let row = |(o, row): (usize, &[i64])| {
                let product = |(i, &w): (usize, &i64)| {
                    let x = x[o / outputs * per_group + i / area];
                    if padded(&g.window) { x.with_zero() } else { x }.times(w as f64)
                };
                let sum = row.iter().enumerate().map(product).fold(Interval::ZERO, Interval::plus);
                let biases = biases[o * each_bias..][..each_bias].iter().map(|&b| b as f64);
                let low = biases.clone().fold(f64::INFINITY, f64::min);
                sum.times(power(g.headroom)).plus(Interval { low, high: biases.fold(low, f64::max) })
            };
            (matrix.chunks(per_group * area).enumerate().map(row).collect(), 0.0)
        }
        LayerOp::Linear { inputs, .. } => {
            let (matrix, biases) = weights.map_or((&[][..], &[][..]), |w| (&w.matrix[..], &w.bias[..]));
            let row = |(row, &bias): (&[i64], &i64)| {
                let products = row.iter().zip(x).map(|(&w, x)| x.times(w as f64));
                let bias = bias as f64;
                products.fold(Interval { low: bias, high: bias }, Interval::plus)
            };
            (matrix.chunks(inputs).zip(biases).map(row).collect(), 0.0)
        }
        LayerOp::Truncate { shift } => (each(&|x| floor(x, shift)), 0.0),
        LayerOp::Shift { bits } => (each(&|x| x.times(power(bits))), 0.0),
        LayerOp::Relu => (kept(&relu, 0), 0.0),
        LayerOp::ReluTruncate { shift } => (kept(&|x| floor(relu(x), shift), shift), 0.0),
        LayerOp::Clip { low, high } => {
            let (low, high) = (low as f64, high as f64);
            let between = most(&|x| x.map(|x| x - low).size().max(x.map(|x| x - high).size()));
            (kept(&|x| x.map(|x| x.clamp(low, high)), 0), between)
        }
        LayerOp::ClipTruncate { high, shift } => {
            let high = high as f64;
            let between = most(&|x| x.size().max(x.map(|x| x - high).size()));
            (kept(&|x| floor(x.map(|x| x.clamp(0.0, high)), shift), shift), between)
        }
        LayerOp::MaxPool(_) => (x.to_vec(), most(&|x| x.high - x.low)),
        LayerOp::AvgPool { window, multiplier, shift } => {
            let products: Vec<Interval> =
                sums(&window).into_iter().map(|x| x.times(multiplier as f64)).collect();
            let between = products.iter().fold(0.0, |most, x| x.size().max(most));
            (products.into_iter().map(|x| floor(x, shift)).collect(), between)
        }
        LayerOp::AvgPoolInside { window, shift } => {
            // The product of n elements with round(2^s / n) is off by half an element for each.
            let (unit, half) = (power(shift), window.area() as f64 / 2.0);
            let products = each(&|x| x.times(unit + half).hull(x.times(unit - half)));
            let between = products.iter().fold(0.0, |most, x| x.size().max(most));
            (products.into_iter().map(|x| floor(x, shift)).collect(), between)
        }
        LayerOp::Smooth(function) => {
            let scale = net.architecture.layers[layer.inputs[0]].frac_bits;
            let pieces = function.pieces(net.architecture.width, scale).unwrap_or_default();
            let knots = || pieces.knots.iter().map(|&[t, d]| (t as f64, d as f64));
            let sum = |x: f64| knots().fold(pieces.constant as f64, |sum, (t, d)| sum + d * (x - t).max(0.0));
            // Straight between knots: the ends and the knots have the largest and the least.
            let of = |x: Interval| {
                let inner = knots().map(|(t, _)| t).filter(|&t| (x.low..=x.high).contains(&t));
                let ends = [x.low, x.high].into_iter().chain(inner).map(sum);
                ends.fold(Interval { low: f64::INFINITY, high: f64::NEG_INFINITY }, |all, y| {
                    all.hull(Interval { low: y, high: y })
                })
            };
            let sums = each(&of);
            let differences = most(&|x| knots().map(|(t, _)| x.map(|x| x - t).size()).fold(0.0, f64::max));
            let own: Vec<Interval> = sums.into_iter().map(|x| floor(x, pieces.shift)).collect();
            // Rounded down, a negative sum is a little larger.
            let between = own.iter().fold(differences, |most, x| (x.size() * power(pieces.shift)).max(most));
            (own, between)
        }
        LayerOp::Add => (x.iter().zip(operands[1].0).map(|(a, b)| a.plus(*b)).collect(), 0.0),
        LayerOp::Combine { factors: [a, b] } => {
            let sum = |(x, y): (&Interval, &Interval)| x.times(a as f64).plus(y.times(b as f64));
            (x.iter().zip(operands[1].0).map(sum).collect(), 0.0)
        }
        LayerOp::Multiply => {
            let y = operands[1].0;
            (x.iter().zip(y).map(|(x, y)| x.times(y.low).hull(x.times(y.high))).collect(), 0.0)
        }
        LayerOp::Concat => (operands.iter().flat_map(|(x, _)| x.iter().copied()).collect(), 0.0),
        LayerOp::Flatten => (x.iter().flat_map(|&x| std::iter::repeat_n(x, shape.area())).collect(), 0.0),
        LayerOp::View(view) => {
            let channel: Vec<usize> = (0..shape.len()).map(|i| i / shape.area()).collect();
            let from = view.apply(&channel, usize::MAX);
            let of = |plane: &[usize]| {
                let all = plane.iter().map(|&channel| x.get(channel).copied().unwrap_or(Interval::ZERO));
                all.reduce(Interval::hull).unwrap_or(Interval::ZERO)
            };
            (from.chunks(layer.shape.area()).map(of).collect(), 0.0)
        }
        // It has no operand.
        LayerOp::Input => (Vec::new(), 0.0),
    }
}
