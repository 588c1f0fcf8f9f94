use crate::limits::{MAX_NODES, Totals, Work, check_name};
use crate::shape::Rule;
use crate::{Error, Fault, Function, Mask, Shape, View, Window};
use copriv_ring::Width;
use serde::{Deserialize, Serialize};

/// The public half of a lowered network: everything both parties know.
///
/// What arrives from a peer or a file is hostile until [`validate`](Self::validate) has accepted it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// For reports.
    pub name: String,
    /// l, at least 2: all values live in Z_{2^l}.
    #[serde(with = "width_bits")]
    pub width: Width,
    /// f: the scale of the input.
    pub frac_bits: u32,
    /// Bits above their fraction, the sign included, that values must keep where a rewrite makes them larger than they were.
    #[serde(default = "usual_integer_bits", skip_serializing_if = "is_usual")]
    pub integer_bits: u32,
    /// In topological order; the first is the input, the last is the output.
    pub layers: Vec<Layer>,
}

/// [`Architecture::integer_bits`] of networks of which nothing is known.
pub const INTEGER_BITS: u32 = 8;

fn usual_integer_bits() -> u32 {
    INTEGER_BITS
}

fn is_usual(bits: &u32) -> bool {
    *bits == INTEGER_BITS
}

/// One layer of an [`Architecture`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// For reports.
    pub name: String,
    /// What it computes.
    pub op: LayerOp,
    /// Indices of the layers it reads, all smaller than its own.
    pub inputs: Vec<usize>,
    /// The shape of its output.
    pub shape: Shape,
    /// The scale of its output.
    pub frac_bits: u32,
    /// Of an activation, the elements that it is applied to, some and not all; none where it is applied to all. The others
    /// are only truncated where `op` does that too, and otherwise stay as they are. Left out of what is sent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Mask>,
}

impl Layer {
    /// To how many elements the operation is applied.
    pub fn kept(&self) -> usize {
        self.keep.as_ref().map_or(self.shape.len(), Mask::kept)
    }

    /// Whether element `index` is one of them.
    pub fn keeps(&self, index: usize) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep.as_slice()[index])
    }
}

/// What a layer computes, mod 2^l.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerOp {
    /// The client's input.
    Input,
    /// Convolution and bias; the scale grows by the weights' scale.
    Conv(ConvGeometry),
    /// Matrix times vector and bias; the scale grows by the weights' scale.
    Linear {
        /// Columns of the matrix.
        inputs: usize,
        /// Rows of the matrix.
        outputs: usize,
        /// Every entry of the matrix fits this many bits in two's complement, 1..=l. Public.
        weight_bits: u32,
    },
    /// floor(x / 2^shift) of the signed value.
    Truncate {
        /// At least 1; the scale shrinks by it.
        shift: u32,
    },
    /// x * 2^bits.
    Shift {
        /// 1..l; the scale grows by it.
        bits: u32,
    },
    /// x where x >= 0, otherwise 0.
    Relu,
    /// floor(relu(x) / 2^shift).
    ReluTruncate {
        /// At least 1; the scale shrinks by it.
        shift: u32,
    },
    /// low + relu(x - low) - relu(x - high).
    Clip {
        /// At the input's scale.
        low: i64,
        /// At the input's scale.
        high: i64,
    },
    /// floor(clip(x, 0, high) / 2^shift) as long as x - high does not wrap. In any case, with d = 1 where x >= 0, e = 1 where x - high >= 0
    /// and h = high / 2^shift, (d + e - 2 d e) floor(x / 2^shift) + e h mod 2^w, w of [`LayerOp::clip_ring`].
    ClipTruncate {
        /// At the input's scale: positive, a multiple of 2^shift.
        high: i64,
        /// At least 1; the scale shrinks by it.
        shift: u32,
    },
    /// Signed maximum over the positions of the window that lie in the map.
    MaxPool(Window),
    /// floor(sum * multiplier / 2^shift), the sum over the window with zeros for padding. Its scale is at least
    /// that of its input: a sum of 2^k elements is their mean at a scale greater by k.
    AvgPool {
        /// The window.
        window: Window,
        /// Positive; 1 for a window of a power of two of elements.
        multiplier: i64,
        /// May be 0: then nothing is shifted.
        shift: u32,
    },
    /// floor(sum * round(2^shift / n) / 2^shift), the sum over the n positions of the window that lie in the map.
    AvgPoolInside {
        /// The window.
        window: Window,
        /// 1..=62, and below l.
        shift: u32,
    },
    /// A smooth function as [`Function::pieces`] has it: floor((a x + sum of d_k relu(x - t_k) + c) / 2^s).
    Smooth(Function),
    /// Sum of two operands at the same scale.
    Add,
    /// The first operand times the first factor and the second times the second, both at the same scale; that of the result is greater by
    /// what the factors stand for.
    Combine {
        /// One for each operand.
        factors: [i64; 2],
    },
    /// The first operand times the second, which has the same shape or one element for each channel; the scale is the sum of theirs.
    Multiply,
    /// Operands at the same scale one after the other, along the channels.
    Concat,
    /// The same elements as a vector.
    Flatten,
    /// Elements in other places, and zeros.
    View(View),
}

/// A convolution without the size of its input.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvGeometry {
    /// Kernel, stride, padding (with zeros).
    pub window: Window,
    /// Divides both channel counts; equal to them for a depthwise convolution.
    pub groups: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Every weight fits this many bits in two's complement, 1..=l. Public.
    pub weight_bits: u32,
    /// h, below l: the result is 2^h times the convolution, plus the bias. It is what an exact Winograd
    /// transform leaves; the scale of the result counts it.
    pub headroom: u32,
}

impl ConvGeometry {
    /// Multiplications per output: in_channels / groups * kernel height * kernel width, the rows of the
    /// im2col matrix of one group.
    pub const fn taps(&self) -> usize {
        let per_group = match self.in_channels.checked_div(self.groups) {
            Some(channels) => channels,
            None => 0,
        };
        per_group.saturating_mul(self.window.area())
    }

    /// Whether each channel is convolved by itself.
    pub const fn is_depthwise(&self) -> bool {
        self.groups == self.in_channels && self.groups == self.out_channels && self.groups > 1
    }

    /// The shape of the result on `input`.
    ///
    /// # Errors
    /// [`Fault::Channels`], [`Fault::Groups`], or the window's faults.
    pub fn output_shape(&self, input: Shape) -> Result<Shape, Fault> {
        let &Self { groups, in_channels, out_channels, .. } = self;
        if in_channels != input.channels {
            return Err(Fault::Channels { expected: in_channels, got: input.channels });
        }
        if groups == 0 || in_channels % groups != 0 || out_channels % groups != 0 {
            return Err(Fault::Groups { groups, in_channels, out_channels });
        }
        let shape = Shape { channels: out_channels, ..self.window.output_shape(input)? };
        shape.check()?;
        Ok(shape)
    }
}

impl LayerOp {
    /// The kind of layer: one of input, conv, linear, truncate, shift, relu, relu_truncate, relu6 (a clip from
    /// 0), relu6_truncate, clip, maxpool, avgpool, inner_avgpool, the name of a smooth function, add, combine, multiply, concat, flatten, view.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Conv(_) => "conv",
            Self::Linear { .. } => "linear",
            Self::Truncate { .. } => "truncate",
            Self::Shift { .. } => "shift",
            Self::Relu => "relu",
            Self::ReluTruncate { .. } => "relu_truncate",
            Self::Clip { low: 0, .. } => "relu6",
            Self::ClipTruncate { .. } => "relu6_truncate",
            Self::Clip { .. } => "clip",
            Self::MaxPool(_) => "maxpool",
            Self::AvgPool { .. } => "avgpool",
            Self::AvgPoolInside { .. } => "inner_avgpool",
            Self::Smooth(function) => function.name(),
            Self::Add => "add",
            Self::Combine { .. } => "combine",
            Self::Multiply => "multiply",
            Self::Concat => "concat",
            Self::Flatten => "flatten",
            Self::View(_) => "view",
        }
    }

    /// w, the ring of a [`LayerOp::ClipTruncate`]: the fewest bits with 4 h <= 2^w for h = `high` / 2^`shift`. None where it cannot be
    /// one in a ring of `width`: where `high` is not a positive multiple of 2^`shift`, or w not below l - `shift`.
    pub fn clip_ring(width: Width, high: i64, shift: u32) -> Option<Width> {
        let h = high.checked_shr(shift).filter(|&h| h > 0 && shift > 0 && h << shift == high)?;
        let bits = u64::BITS - (h as u64 - 1).leading_zeros() + 2;
        Width::new(bits).ok().filter(|ring| ring.bits() + shift < width.bits())
    }

    /// round(2^`shift` / `count`): what [`LayerOp::AvgPoolInside`] multiplies the sum of `count` elements by.
    ///
    /// # Panics
    /// When `count` is 0 or `shift` above 62.
    pub const fn reciprocal(count: usize, shift: u32) -> i64 {
        assert!(shift < 63, "2^shift is an i64");
        ((1u128 << shift) + count as u128 / 2).div_euclid(count as u128) as i64
    }

    /// Whether it may be applied to some elements alone: a ReLU or a clip, truncated or not.
    pub const fn is_activation(&self) -> bool {
        matches!(self, Self::Relu | Self::ReluTruncate { .. } | Self::Clip { .. } | Self::ClipTruncate { .. })
    }

    /// Of an activation, by how much it truncates.
    pub const fn truncates_by(&self) -> u32 {
        match *self {
            Self::ReluTruncate { shift } | Self::ClipTruncate { shift, .. } => shift,
            _ => 0,
        }
    }

    /// Rows and columns of the weight matrix: out_channels x taps, outputs x inputs; none without weights.
    pub const fn matrix_shape(&self) -> Option<[usize; 2]> {
        match self {
            Self::Conv(g) => Some([g.out_channels, g.taps()]),
            &Self::Linear { inputs, outputs, .. } => Some([outputs, inputs]),
            _ => None,
        }
    }

    /// The public bound on the weights' bits; none without weights.
    pub const fn weight_bits(&self) -> Option<u32> {
        match self {
            &Self::Conv(ConvGeometry { weight_bits, .. }) | &Self::Linear { weight_bits, .. } => {
                Some(weight_bits)
            }
            _ => None,
        }
    }

    fn rule(&self) -> Option<Rule<'_>> {
        Some(match self {
            Self::Input => return None,
            &Self::Conv(g) => Rule::Conv(g),
            &Self::Linear { inputs, outputs, .. } => Rule::Linear { inputs, outputs },
            Self::Truncate { .. }
            | Self::Shift { .. }
            | Self::Relu
            | Self::ReluTruncate { .. }
            | Self::Clip { .. }
            | Self::ClipTruncate { .. }
            | Self::Smooth(_) => Rule::Elementwise,
            Self::MaxPool(window) | Self::AvgPool { window, .. } | Self::AvgPoolInside { window, .. } => {
                Rule::Pool(window)
            }
            Self::Add | Self::Combine { .. } => Rule::Add,
            Self::Multiply => Rule::Multiply,
            Self::Concat => Rule::Concat,
            Self::Flatten => Rule::Flatten,
            Self::View(view) => Rule::View(view),
        })
    }
}

impl Architecture {
    /// Accepts a well-formed architecture: references, shapes, scales and sizes are all computed anew. Takes
    /// time and memory linear in the size of `self`, whatever numbers it holds.
    ///
    /// # Errors
    /// [`Error`] naming the first layer at fault.
    pub fn validate(&self) -> Result<(), Error> {
        check_name(&self.name).map_err(Error::Network)?;
        if self.layers.is_empty() {
            return Err(Error::Network(Fault::Empty));
        }
        if self.layers.len() > MAX_NODES {
            return Err(Error::Network(Fault::TooLarge { what: "layers", limit: MAX_NODES as u64 }));
        }
        let bits = self.width.bits().into();
        check_range("width of the ring", bits, 2, 64).map_err(Error::Network)?;
        check_range("number of fraction bits", self.frac_bits.into(), 0, bits - 1).map_err(Error::Network)?;
        check_range("number of integer bits", self.integer_bits.into(), 1, 64).map_err(Error::Network)?;
        let mut totals = Totals::default();
        for (index, layer) in self.layers.iter().enumerate() {
            totals = self.check_layer(index, layer, totals).map_err(|fault| fault.at(&layer.name))?;
        }
        Ok(())
    }

    fn check_layer(&self, index: usize, layer: &Layer, totals: Totals) -> Result<Totals, Fault> {
        check_name(&layer.name)?;
        if (layer.op == LayerOp::Input) != (index == 0) {
            return Err(Fault::InputPlace);
        }
        if layer.inputs.len() > MAX_NODES {
            return Err(Fault::TooLarge { what: "operands", limit: MAX_NODES as u64 });
        }
        let Some(rule) = layer.op.rule() else {
            if !layer.inputs.is_empty() {
                return Err(Fault::Arity { kind: "input", expected: "no", got: layer.inputs.len() });
            }
            layer.shape.check()?;
            check_scale(self.frac_bits, layer.frac_bits)?;
            check_mask(layer)?;
            return totals.with(layer.shape.len(), 0, Work::Products(0));
        };
        let before = &self.layers[..index];
        let read = |&i: &usize| before.get(i).ok_or(Fault::Reference(i));
        let operands = layer.inputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<Shape> = operands.iter().map(|operand| operand.shape).collect();
        let inferred = rule.infer(layer.op.kind(), &shapes)?;
        if inferred.shape != layer.shape {
            return Err(Fault::ShapeMismatch { expected: inferred.shape, got: layer.shape });
        }
        self.check_numbers(layer, &operands)?;
        check_mask(layer)?;
        totals.with(layer.shape.len(), inferred.weights, inferred.work)
    }

    /// Scales and public constants.
    fn check_numbers(&self, layer: &Layer, operands: &[&Layer]) -> Result<(), Fault> {
        let bits = self.width.bits();
        let scale = operands.first().map_or(0, |operand| operand.frac_bits);
        let (low, high) = (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits));
        let most = i64::from(bits) - 1;
        let at_least =
            |least: u32| check_range("number of fraction bits", layer.frac_bits.into(), least.into(), most);
        match layer.op {
            LayerOp::Input => {}
            LayerOp::Conv(ConvGeometry { weight_bits, headroom, .. }) => {
                check_range("bit width of the weights", weight_bits.into(), 1, bits.into())?;
                check_range("headroom", headroom.into(), 0, most)?;
                at_least(scale + headroom)?;
            }
            LayerOp::Linear { weight_bits, .. } => {
                check_range("bit width of the weights", weight_bits.into(), 1, bits.into())?;
                at_least(scale)?;
            }
            LayerOp::Shift { bits } => {
                check_range("shift", bits.into(), 1, most)?;
                at_least(scale)?;
                check_scale(scale + bits, layer.frac_bits)?;
            }
            LayerOp::Truncate { shift } | LayerOp::ReluTruncate { shift } => {
                check_range("shift", shift.into(), 1, scale.into())?;
                check_scale(scale - shift, layer.frac_bits)?;
            }
            LayerOp::ClipTruncate { high, shift } => {
                check_range("shift", shift.into(), 1, scale.into())?;
                if LayerOp::clip_ring(self.width, high, shift).is_none() {
                    return Err(Fault::ClipRing { high, shift });
                }
                check_scale(scale - shift, layer.frac_bits)?;
            }
            LayerOp::Clip { low: least, high: most } => {
                check_range("lower bound of the clip", least, low, high)?;
                check_range("upper bound of the clip", most, low, high)?;
                if least > most {
                    return Err(Fault::EmptyClip);
                }
                check_scale(scale, layer.frac_bits)?;
            }
            LayerOp::AvgPool { multiplier, shift, .. } => {
                check_range("multiplier", multiplier, 1, high)?;
                check_range("shift", shift.into(), 0, most)?;
                at_least(scale)?;
            }
            LayerOp::Add | LayerOp::Concat => {
                for operand in operands {
                    check_scale(scale, operand.frac_bits)?;
                }
                check_scale(scale, layer.frac_bits)?;
            }
            LayerOp::AvgPoolInside { shift, .. } => {
                check_range("shift", shift.into(), 1, most.min(62))?;
                check_scale(scale, layer.frac_bits)?;
            }
            LayerOp::Combine { factors } => {
                factors.iter().try_for_each(|&factor| check_range("factor", factor, low, high))?;
                for operand in operands {
                    check_scale(scale, operand.frac_bits)?;
                }
                at_least(scale)?;
            }
            LayerOp::Multiply => {
                let sum = operands.iter().map(|operand| operand.frac_bits).sum();
                at_least(sum)?;
                check_scale(sum, layer.frac_bits)?;
            }
            LayerOp::Smooth(function) => {
                function.pieces(self.width, scale)?;
                check_scale(scale, layer.frac_bits)?;
            }
            LayerOp::Relu | LayerOp::MaxPool(_) | LayerOp::Flatten | LayerOp::View(_) => {
                check_scale(scale, layer.frac_bits)?;
            }
        }
        Ok(())
    }

    /// For each layer, the index of the last layer that reads its output; its own where none does, as for the
    /// output of the network. After it the value can be dropped.
    pub fn last_use(&self) -> Vec<usize> {
        let mut last: Vec<usize> = (0..self.layers.len()).collect();
        for (index, layer) in self.layers.iter().enumerate() {
            for &input in &layer.inputs {
                if let Some(last) = last.get_mut(input) {
                    *last = index;
                }
            }
        }
        last
    }

    /// For each layer, whether every element of its output is certainly in 0..2^{l-1}, whatever the input and
    /// the weights are and whatever wrapped before. Of a valid architecture.
    ///
    /// - A ReLU gives 0 or an element of that range, and shifting it down stays there. A clip with truncation ends in a narrower ring.
    ///   Applied to some elements, they leave others as they were.
    /// - The tournament of a max pool takes b + relu(a - b): of a and b in the range the difference is between
    ///   -2^{l-1} and 2^{l-1} and does not wrap, so the result is the larger of the two. Truncating, flattening
    ///   and concatenating keep the range as well.
    /// - A sum of elements of the range may be 2^{l-1} or more, and a shift up too. A clip wraps where x - low
    ///   or x - high does.
    ///
    /// ```
    /// use copriv_ir::{GraphBuilder, LowerOptions, Shape, lower};
    /// use copriv_ring::Width;
    /// let mut net = GraphBuilder::new("tiny", Shape::vector(1))?;
    /// let x = net.relu("relu", net.input())?;
    /// let x = net.add("add", x, x)?;
    /// let lowered = lower(&net.finish(x)?, LowerOptions { width: Width::of(32), frac_bits: 8 })?;
    /// assert_eq!(lowered.architecture.nonnegative(), [false, true, false]);
    /// # Ok::<(), copriv_ir::Error>(())
    /// ```
    pub fn nonnegative(&self) -> Vec<bool> {
        let mut known = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let kept = || layer.inputs.iter().all(|&input| known.get(input) == Some(&true));
            known.push(match layer.op {
                LayerOp::Relu | LayerOp::ReluTruncate { .. } | LayerOp::ClipTruncate { .. } => {
                    layer.keep.is_none() || kept()
                }
                LayerOp::MaxPool(_)
                | LayerOp::Flatten
                | LayerOp::View(_)
                | LayerOp::Truncate { .. }
                | LayerOp::Concat => kept(),
                LayerOp::Input
                | LayerOp::Conv(_)
                | LayerOp::Linear { .. }
                | LayerOp::Shift { .. }
                | LayerOp::Clip { .. }
                | LayerOp::AvgPool { .. }
                | LayerOp::AvgPoolInside { .. }
                | LayerOp::Smooth(_)
                | LayerOp::Add
                | LayerOp::Combine { .. }
                | LayerOp::Multiply => false,
            });
        }
        known
    }

    /// The shape of the client's input.
    ///
    /// # Panics
    /// When there is no layer, which [`validate`](Self::validate) refuses.
    pub fn input_shape(&self) -> Shape {
        self.layers[0].shape
    }

    /// The shape of the result.
    ///
    /// # Panics
    /// When there is no layer, which [`validate`](Self::validate) refuses.
    pub fn output_shape(&self) -> Shape {
        self.layers[self.layers.len() - 1].shape
    }
}

fn check_mask(layer: &Layer) -> Result<(), Fault> {
    let Some(keep) = &layer.keep else { return Ok(()) };
    if !layer.op.is_activation() {
        return Err(Fault::MaskPlace(layer.op.kind()));
    }
    keep.check(layer.shape.len())?;
    if (1..keep.len()).contains(&keep.kept()) { Ok(()) } else { Err(Fault::IdleMask) }
}

fn check_range(what: &'static str, got: i64, low: i64, high: i64) -> Result<(), Fault> {
    if (low..=high).contains(&got) { Ok(()) } else { Err(Fault::Range { what, got, low, high }) }
}

fn check_scale(expected: u32, got: u32) -> Result<(), Fault> {
    if expected == got { Ok(()) } else { Err(Fault::Scale { expected, got }) }
}

/// A width as its number of bits.
mod width_bits {
    use copriv_ring::Width;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(width: &Width, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(width.bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Width, D::Error> {
        Width::new(u32::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
