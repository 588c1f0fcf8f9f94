use crate::Shape;
use thiserror::Error;

/// Why a graph, an architecture or its weights were refused, and where.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum Error {
    /// A node of a graph, or a layer of an architecture.
    #[error("`{node}`: {fault}")]
    Node {
        /// The name of the node or layer.
        node: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The network as a whole.
    #[error("the network: {0}")]
    Network(Fault),
}

/// What is wrong.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not enough nodes for a network.
    #[error("it has no node; it needs at least its input")]
    Empty,
    /// An input in the wrong place.
    #[error("the input must be the first node and only the first")]
    InputPlace,
    /// A forward or dangling reference.
    #[error("it reads node {0}, which does not come before it; list nodes in topological order")]
    Reference(usize),
    /// A wrong number of operands.
    #[error("a {kind} takes {expected} operand(s), not {got}")]
    Arity {
        /// The kind of node.
        kind: &'static str,
        /// How many it takes, in words.
        expected: &'static str,
        /// How many it was given.
        got: usize,
    },
    /// A limit of [`limits`](crate::limits).
    #[error("more than {limit} {what}; use a smaller network or input")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// A name that would disturb a terminal.
    #[error("its name has a control character; rename it")]
    ControlCharacter,
    /// A dimension of zero.
    #[error("the {0} is zero; it must be at least 1")]
    Zero(&'static str),
    /// A window that fits nowhere.
    #[error(
        "the kernel {kernel:?} is larger than the padded map {padded:?}; enlarge the input or the padding"
    )]
    KernelExceedsMap {
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// Height and width of the map with its padding.
        padded: [usize; 2],
    },
    /// A pooling window that could lie in the padding alone.
    #[error("the padding {padding:?} is not smaller than the pooling kernel {kernel:?}")]
    PoolPadding {
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// Top, left, bottom, right.
        padding: [usize; 4],
    },
    /// Groups that do not divide the channels.
    #[error("{groups} groups do not divide {in_channels} input and {out_channels} output channels")]
    Groups {
        /// The groups.
        groups: usize,
        /// Input channels.
        in_channels: usize,
        /// Output channels.
        out_channels: usize,
    },
    /// A parameter of the wrong length.
    #[error("the {what} has {got} elements where {expected} belong")]
    Length {
        /// Which parameter.
        what: &'static str,
        /// How many elements it should have.
        expected: usize,
        /// How many it has.
        got: usize,
    },
    /// A weight that is NaN or infinite.
    #[error("element {index} of the {what} is not a finite number; check how the model was exported")]
    NotFinite {
        /// Which parameter.
        what: &'static str,
        /// Where.
        index: usize,
    },
    /// A clip with truncation for which the ring has no place.
    #[error("a clip at {high} with truncation by {shift} does not fit the ring")]
    ClipRing {
        /// The upper bound.
        high: i64,
        /// The shift.
        shift: u32,
    },
    /// A view whose axes do not make its shape.
    #[error("its axes do not make its shape, or are more than {}", crate::view::MAX_AXES)]
    ViewAxes,
    /// A view that reaches beyond its operand.
    #[error("its axes reach beyond the {elements} elements of what it reads")]
    ViewRange {
        /// Elements of the operand.
        elements: usize,
    },
    /// A mask of a layer that is no activation.
    #[error("a {0} has no mask; only activations have one")]
    MaskPlace(&'static str),
    /// A mask that says what needs no mask.
    #[error("its mask keeps all elements or none; leave the mask or the layer out")]
    IdleMask,
    /// A clip with low above high.
    #[error("a clip needs low <= high")]
    EmptyClip,
    /// A linear layer on a map.
    #[error("a linear layer reads a vector, not a map of {0}; flatten first")]
    NotAVector(Shape),
    /// Operands, or a stored and a computed shape, that differ.
    #[error("the shape should be {expected} but is {got}")]
    ShapeMismatch {
        /// What it should be.
        expected: Shape,
        /// What it is.
        got: Shape,
    },
    /// Factors that are neither one for each element nor one for each channel.
    #[error(
        "{x} cannot be multiplied by {y}; the second has the same shape, or one element for each channel"
    )]
    Factors {
        /// The first operand.
        x: Shape,
        /// The second.
        y: Shape,
    },
    /// Channels that differ from those of the operand.
    #[error("it is made for {expected} input channels but reads {got}")]
    Channels {
        /// What the layer says.
        expected: usize,
        /// What its operand has.
        got: usize,
    },
    /// A scale that differs from the computed one, or operands at different scales.
    #[error("the scale should be {expected} fraction bits but is {got}")]
    Scale {
        /// What it should be.
        expected: u32,
        /// What it is.
        got: u32,
    },
    /// A public number outside what the ring can hold.
    #[error("the {what} is {got}, outside {low}..={high}")]
    Range {
        /// Which number.
        what: &'static str,
        /// What it is.
        got: i64,
        /// The least it may be.
        low: i64,
        /// The most it may be.
        high: i64,
    },
    /// Scales too large for the ring.
    #[error(
        "{frac_bits} fraction bits leave no room in {width} bits; a product has twice as many fraction bits: \
         choose a width of at least {least}, or fewer fraction bits"
    )]
    Headroom {
        /// l.
        width: u32,
        /// f.
        frac_bits: u32,
        /// The least width that would do.
        least: u32,
    },
    /// A weight that does not fit the ring at its scale.
    #[error(
        "element {index} of the {what} is {value}; it does not fit {width} bits with {frac_bits} fraction \
         bits: choose a larger width or fewer fraction bits"
    )]
    DoesNotFit {
        /// Which parameter.
        what: &'static str,
        /// Where.
        index: usize,
        /// The number.
        value: f64,
        /// l.
        width: u32,
        /// The scale.
        frac_bits: u32,
    },
    /// An average over so many elements that 1/n vanishes.
    #[error("an average of {window} elements vanishes at {frac_bits} fraction bits; use more fraction bits")]
    AverageVanishes {
        /// Elements of the window.
        window: u64,
        /// f.
        frac_bits: u32,
    },
    /// Weights where none belong, or none where some do.
    #[error("a {0} layer and its weights do not belong together; lower the graph again")]
    WeightsPlace(&'static str),
}

impl Fault {
    /// This fault of the node called `name`.
    pub(crate) fn at(self, name: &str) -> Error {
        Error::Node { node: crate::limits::display_name(name), fault: self }
    }
}
