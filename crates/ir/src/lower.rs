use crate::weights::{check_length, signed_bits};
use crate::{
    Activation, Architecture, ConvGeometry, Error, Fault, Graph, INTEGER_BITS, Layer, LayerOp, LayerWeights,
    Lowered, Node, Op, Weights, Window, fold_affine, passes::fold,
};
use copriv_ring::{FixedPoint, Width};

/// The fixed point that a graph is lowered to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LowerOptions {
    /// l.
    pub width: Width,
    /// f, of values and weights alike; products have 2f fraction bits before they are truncated.
    pub frac_bits: u32,
}

/// Bits of a product above its fraction: a sign and integers up to 7 are the least that is of any use.
const PRODUCT_INTEGER_BITS: u32 = 4;

/// Lowers a graph to fixed point.
///
/// Batch norms are folded, partial activations of all elements made whole ones, those of none left out. Weights are rounded to scale f, biases to scale 2f, ties away from zero. After
/// every conv and linear layer a [`LayerOp::Truncate`] called `<layer>/truncate` brings the result back to
/// scale f, so that all other layers work at scale f. So it does after a [`LayerOp::Multiply`], and after a [`LayerOp::Combine`] whose factors are no integers. A mean over n elements is a sum, shifted where n is a
/// power of two, and otherwise multiplied by round(2^s / n) and shifted by s;
/// so it always is where n is not the same for all windows. s is f, or as much more, up to l - f - 8, as it takes for 2^s / n to be 64.
///
/// ```
/// use copriv_ir::{GraphBuilder, LowerOptions, Shape, lower};
/// use copriv_ring::Width;
/// let mut net = GraphBuilder::new("tiny", Shape::vector(2))?;
/// let x = net.linear("fc", net.input(), vec![0.5, -1.0], vec![2.0])?;
/// let lowered = lower(&net.finish(x)?, LowerOptions { width: Width::of(32), frac_bits: 8 })?;
/// assert_eq!(lowered.architecture.layers.last().map(|layer| layer.name.as_str()), Some("fc/truncate"));
/// assert_eq!(lowered.weights.get(1).map(|weights| weights.matrix.as_slice()), Some(&[128, -256][..]));
/// # Ok::<(), copriv_ir::Error>(())
/// ```
///
/// # Errors
/// [`Error`] when the graph is not valid, the fraction bits leave no room in the width, or a weight, bias or
/// bound does not fit the width at its scale.
pub fn lower(graph: &Graph, options: LowerOptions) -> Result<Lowered, Error> {
    options.check()?;
    let lowered = lower_each(&fold_affine(graph)?, options, Given::Nothing)?;
    lowered.validate()?;
    Ok(lowered)
}

/// [`lower`] of a graph without batch norms, with so many fraction bits for the weights of each of its nodes; a conv or linear layer
/// without any is not truncated. Rewrites will leave values so many integer bits ([`Architecture::integer_bits`]). Means of n elements, where n is no power of two, are multiplied by round(2^s / n), s at least 12 and
/// so large that 2^s / n is 64.
///
/// # Errors
/// As [`lower`]; also [`Fault::Length`] where there are not as many numbers as nodes, and [`Fault::WeightsPlace`] for a batch norm.
pub fn lower_scaled(
    graph: &Graph,
    options: LowerOptions,
    weight_frac_bits: &[u32],
    integer_bits: u32,
) -> Result<Lowered, Error> {
    graph.validate()?;
    let expected = graph.nodes.len();
    check_length("list of fraction bits", expected, weight_frac_bits.len()).map_err(Error::Network)?;
    if weight_frac_bits.iter().any(|&bits| bits > 60) || !(1..=60).contains(&options.frac_bits) {
        let got = weight_frac_bits.iter().copied().max().unwrap_or(0).max(options.frac_bits);
        let what = "number of fraction bits";
        return Err(Error::Network(Fault::Range { what, got: got.into(), low: 1, high: 60 }));
    }
    let mut lowered = lower_each(graph, options, Given::FracBits(weight_frac_bits))?;
    lowered.architecture.integer_bits = integer_bits;
    lowered.validate()?;
    Ok(lowered)
}

/// The public half of what [`lower`] makes of a graph whose weights all need `weight_bits` bits; those that it has, if any
/// ([`Graph::outline`]), are not looked at.
///
/// # Errors
/// As [`lower`], but for weights.
pub fn lower_outline(graph: &Graph, options: LowerOptions, weight_bits: u32) -> Result<Architecture, Error> {
    options.check()?;
    let lowered = lower_each(&fold(graph), options, Given::Bits(weight_bits))?;
    lowered.architecture.validate()?;
    Ok(lowered.architecture)
}

impl LowerOptions {
    fn check(self) -> Result<(), Error> {
        let Self { width, frac_bits } = self;
        let least = frac_bits.saturating_mul(2).saturating_add(PRODUCT_INTEGER_BITS);
        if frac_bits == 0 {
            return Err(Error::Network(Fault::Zero("number of fraction bits")));
        }
        if least > width.bits() {
            return Err(Error::Network(Fault::Headroom { width: width.bits(), frac_bits, least }));
        }
        Ok(())
    }
}

/// What is known of the weights.
#[derive(Clone, Copy)]
enum Given<'a> {
    /// They are there, and get f fraction bits.
    Nothing,
    /// They are missing, and would all need so many bits.
    Bits(u32),
    /// They are there, and those of each node get so many fraction bits.
    FracBits(&'a [u32]),
}

fn lower_each(graph: &Graph, options: LowerOptions, given: Given<'_>) -> Result<Lowered, Error> {
    let LowerOptions { width, frac_bits } = options;
    let (name, layers) = (graph.name.clone(), Vec::new());
    let architecture = Architecture { name, width, frac_bits, integer_bits: INTEGER_BITS, layers };
    let lowered = Lowered { architecture, weights: Weights { layers: Vec::new() } };
    let mut lowering = Lowering { lowered, value_of: Vec::new(), given };
    for node in &graph.nodes {
        lowering.node(node).map_err(|fault| fault.at(&node.name))?;
    }
    Ok(lowering.lowered)
}

/// Fraction bits of the reciprocals of numbers of elements, at least, where weights have fraction bits of their own.
const MEAN_BITS: u32 = 12;

/// Bits of such a reciprocal without the leading zeros, as far as there is room.
const MEAN_MULTIPLIER_BITS: u32 = 6;

struct Lowering<'a> {
    lowered: Lowered,
    /// The layer that holds the value of each node so far.
    value_of: Vec<usize>,
    given: Given<'a>,
}

impl Lowering<'_> {
    fn node(&mut self, node: &Node) -> Result<(), Fault> {
        let inputs: Vec<usize> = node.inputs.iter().map(|id| self.value_of[id.0]).collect();
        let x = inputs.first().map_or(node.shape, |&i| self.lowered.architecture.layers[i].shape);
        let frac_bits = self.lowered.architecture.frac_bits;
        let (weight_frac_bits, mean_bits) = match self.given {
            Given::FracBits(list) => {
                (list.get(self.value_of.len()).copied().unwrap_or(frac_bits), frac_bits.max(MEAN_BITS))
            }
            Given::Nothing | Given::Bits(_) => (frac_bits, frac_bits),
        };
        let mean_bits = |window: &Window| {
            // 64 n is at most 2^bits.
            let bits = MEAN_MULTIPLIER_BITS + (window.area() as u64).next_power_of_two().trailing_zeros();
            let room = match self.given {
                Given::FracBits(_) => 62,
                // Where nobody looks for a ring that has room for it.
                Given::Nothing | Given::Bits(_) => {
                    self.lowered.architecture.width.bits().saturating_sub(frac_bits + INTEGER_BITS)
                }
            };
            mean_bits.max(bits.min(room))
        };
        let (op, weights) = match &node.op {
            Op::Conv { window, groups, out_channels, weight, bias } => {
                let (weights, weight_bits) = self.weights(weight, bias, weight_frac_bits)?;
                let geometry = ConvGeometry {
                    window: *window,
                    groups: *groups,
                    in_channels: x.channels,
                    out_channels: *out_channels,
                    weight_bits,
                    headroom: 0,
                };
                (LayerOp::Conv(geometry), Some(weights))
            }
            Op::Linear { outputs, weight, bias } => {
                let (weights, weight_bits) = self.weights(weight, bias, weight_frac_bits)?;
                (LayerOp::Linear { inputs: x.channels, outputs: *outputs, weight_bits }, Some(weights))
            }
            Op::Input => (LayerOp::Input, None),
            Op::Relu | Op::Partial { activation: Activation::Relu, .. } => (LayerOp::Relu, None),
            Op::Clip { low, high } | Op::Partial { activation: Activation::Clip { low, high }, .. } => {
                let bounds = self.encode("bounds", &[*low, *high], frac_bits)?;
                (LayerOp::Clip { low: bounds[0], high: bounds[1] }, None)
            }
            Op::MaxPool(window) => (LayerOp::MaxPool(*window), None),
            Op::AvgPool(window) => (average(*window, mean_bits(window))?, None),
            Op::AvgPoolInside(window) => {
                let shift = mean_bits(window);
                average(*window, shift)?;
                (LayerOp::AvgPoolInside { window: *window, shift }, None)
            }
            Op::GlobalAvgPool => {
                let window = Window { kernel: [x.height, x.width], stride: [1; 2], padding: [0; 4] };
                (average(window, mean_bits(&window))?, None)
            }
            Op::Smooth(function) => (LayerOp::Smooth(*function), None),
            Op::Combine { factors } => return self.combine(node, inputs, *factors),
            Op::Multiply => {
                self.long(node, LayerOp::Multiply, inputs, frac_bits);
                return Ok(());
            }
            Op::Add => (LayerOp::Add, None),
            Op::Concat => (LayerOp::Concat, None),
            Op::Flatten => (LayerOp::Flatten, None),
            Op::View(view) => (LayerOp::View(*view), None),
            // Folded before; an error rather than a panic should that ever change.
            Op::BatchNorm { .. } => return Err(Fault::WeightsPlace("batch norm")),
        };
        let keep = match &node.op {
            Op::Partial { keep, .. } => Some(keep.clone()),
            _ => None,
        };
        let layer = Layer { name: node.name.clone(), op, inputs, shape: node.shape, frac_bits, keep };
        let value = if weights.is_some() && weight_frac_bits > 0 {
            let (name, op) =
                (format!("{}/truncate", node.name), LayerOp::Truncate { shift: weight_frac_bits });
            let truncate = Layer { name, op, ..layer.clone() };
            let product = self.emit(Layer { frac_bits: frac_bits + weight_frac_bits, ..layer }, weights);
            self.emit(Layer { inputs: vec![product], ..truncate }, None)
        } else {
            self.emit(layer, weights)
        };
        self.value_of.push(value);
        Ok(())
    }

    /// A sum with factors that need as many fraction bits as it takes, and f at most.
    fn combine(&mut self, node: &Node, inputs: Vec<usize>, factors: [f32; 2]) -> Result<(), Fault> {
        let frac_bits = self.lowered.architecture.frac_bits;
        let whole =
            |bits: u32| factors.iter().all(|f| (f64::from(*f) * f64::from(bits).exp2()).fract() == 0.0);
        let bits = (0..frac_bits).find(|&bits| whole(bits)).unwrap_or(frac_bits);
        let encoded = self.encode("factors", &factors, bits)?;
        self.long(node, LayerOp::Combine { factors: [encoded[0], encoded[1]] }, inputs, bits);
        Ok(())
    }

    /// A layer whose result has so many fraction bits more than others, and the truncation of them.
    fn long(&mut self, node: &Node, op: LayerOp, inputs: Vec<usize>, bits: u32) {
        let frac_bits = self.lowered.architecture.frac_bits;
        let (name, shape) = (node.name.clone(), node.shape);
        let long = Layer { name, op, inputs, shape, frac_bits: frac_bits + bits, keep: None };
        let short = Layer {
            name: format!("{}/truncate", node.name),
            op: LayerOp::Truncate { shift: bits },
            frac_bits,
            ..long.clone()
        };
        let mut value = self.emit(long, None);
        if bits > 0 {
            value = self.emit(Layer { inputs: vec![value], ..short }, None);
        }
        self.value_of.push(value);
    }

    /// Appends a layer and returns its index.
    fn emit(&mut self, layer: Layer, weights: Option<LayerWeights>) -> usize {
        self.lowered.architecture.layers.push(layer);
        self.lowered.weights.layers.push(weights);
        self.lowered.architecture.layers.len() - 1
    }

    /// Weights with their fraction bits, biases with as many more as values have, and the bits that the weights need.
    fn weights(&self, weight: &[f32], bias: &[f32], frac_bits: u32) -> Result<(LayerWeights, u32), Fault> {
        if let Given::Bits(bits) = self.given {
            return Ok((LayerWeights { matrix: Vec::new(), bias: Vec::new() }, bits));
        }
        let matrix = self.encode("weight", weight, frac_bits)?;
        let bias = self.encode("bias", bias, self.lowered.architecture.frac_bits + frac_bits)?;
        let bits = matrix.iter().map(|&w| signed_bits(w)).max().unwrap_or(1);
        Ok((LayerWeights { matrix, bias }, bits))
    }

    fn encode(&self, what: &'static str, values: &[f32], frac_bits: u32) -> Result<Vec<i64>, Fault> {
        let width = self.lowered.architecture.width;
        let fixed = FixedPoint { width, frac_bits };
        let encode = |(index, &value): (usize, &f32)| match fixed.encode(value.into()) {
            Ok(word) => Ok(width.to_signed(word)),
            Err(_) => {
                Err(Fault::DoesNotFit { what, index, value: value.into(), width: width.bits(), frac_bits })
            }
        };
        values.iter().enumerate().map(encode).collect()
    }
}

/// The mean over `window` at scale f.
fn average(window: Window, frac_bits: u32) -> Result<LayerOp, Fault> {
    let n = window.area() as u64;
    if n.is_power_of_two() {
        return Ok(LayerOp::AvgPool { window, multiplier: 1, shift: n.trailing_zeros() });
    }
    // n is no power of two, so 2^f / n is never halfway between integers. f ≤ 62: nothing overflows.
    let multiplier = ((1u64 << frac_bits) + n / 2) / n;
    if multiplier == 0 {
        return Err(Fault::AverageVanishes { window: n, frac_bits });
    }
    Ok(LayerOp::AvgPool { window, multiplier: multiplier as i64, shift: frac_bits })
}
