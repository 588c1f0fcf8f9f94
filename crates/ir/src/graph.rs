use crate::limits::{MAX_NODES, Totals, Work, check_name};
use crate::shape::Rule;
use crate::weights::check_length;
use crate::{ConvGeometry, Error, Fault, Function, Mask, Shape, View, Window};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A network with float weights, batch 1. Serialised it is its [`outline`](Graph::outline): weights are left out, and empty when it is
/// read.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// For reports.
    pub name: String,
    /// In topological order; the first is the input, the last is the output.
    pub nodes: Vec<Node>,
}

/// One node of a [`Graph`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// For errors and reports.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The nodes it reads, all before it.
    pub inputs: Vec<NodeId>,
    /// The shape of its output.
    pub shape: Shape,
}

/// The index of a node in its graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId(pub usize);

/// What a node computes. `Debug` shows lengths, never weights.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// The client's input.
    Input,
    /// Convolution and bias.
    Conv {
        /// Kernel, stride, padding (with zeros).
        window: Window,
        /// Divides both channel counts.
        groups: usize,
        /// Output channels.
        out_channels: usize,
        /// Row-major: out_channels x (input channels / groups) x kernel height x kernel width.
        #[serde(skip)]
        weight: Vec<f32>,
        /// One per output channel, or one per element of the output (channel, row, column).
        #[serde(skip)]
        bias: Vec<f32>,
    },
    /// Matrix times vector and bias.
    Linear {
        /// Rows of the matrix.
        outputs: usize,
        /// Row-major: outputs x inputs.
        #[serde(skip)]
        weight: Vec<f32>,
        /// One per output.
        #[serde(skip)]
        bias: Vec<f32>,
    },
    /// x * scale + shift per channel: batch normalisation at inference.
    BatchNorm {
        /// gamma / sqrt(variance + epsilon).
        #[serde(skip)]
        scale: Vec<f32>,
        /// beta - mean * scale.
        #[serde(skip)]
        shift: Vec<f32>,
    },
    /// max(x, 0).
    Relu,
    /// min(max(x, low), high); ReLU6 is the clip from 0 to 6.
    Clip {
        /// Least result.
        low: f32,
        /// Largest result.
        high: f32,
    },
    /// An activation of some elements; the others stay as they are.
    Partial {
        /// Of the elements that keep it.
        activation: Activation,
        /// Which elements these are.
        keep: Mask,
    },
    /// Maximum over the positions of the window that lie in the map.
    MaxPool(Window),
    /// Mean over all positions of the window; padding counts, as zeros.
    AvgPool(Window),
    /// Mean over the positions of the window that lie in the map.
    AvgPoolInside(Window),
    /// Mean of each channel.
    GlobalAvgPool,
    /// A smooth activation.
    Smooth(Function),
    /// Sum of two operands of the same shape.
    Add,
    /// The first operand times the first factor and the second times the second, of the same shape. The factors are public.
    Combine {
        /// One for each operand.
        factors: [f32; 2],
    },
    /// The first operand times the second, which has the same shape or one element for each channel.
    Multiply,
    /// Operands one after the other, along the channels.
    Concat,
    /// The same elements as a vector.
    Flatten,
    /// Elements in other places, and zeros.
    View(View),
}

/// What [`Op::Partial`] does to the elements that keep their activation.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Activation {
    /// As [`Op::Relu`].
    Relu,
    /// As [`Op::Clip`].
    Clip {
        /// Least result.
        low: f32,
        /// Largest result.
        high: f32,
    },
}

impl From<Activation> for Op {
    /// The activation of all elements.
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Relu => Self::Relu,
            Activation::Clip { low, high } => Self::Clip { low, high },
        }
    }
}

impl Op {
    /// A batch norm in evaluation mode: γ (x - mean) / √(variance + ε) + β, of each channel. The lists have one value a channel; those of
    /// [`Op::BatchNorm`] are computed in 64 bits and rounded once.
    ///
    /// ```
    /// # use copriv_ir::Op;
    /// let norm = Op::batch_norm([&[2.0], &[1.0], &[3.0], &[4.0]], 0.0);
    /// assert_eq!(norm, Op::BatchNorm { scale: vec![1.0], shift: vec![-2.0] });
    /// ```
    pub fn batch_norm([gamma, beta, mean, variance]: [&[f32]; 4], epsilon: f64) -> Self {
        let scale: Vec<f64> = gamma
            .iter()
            .zip(variance)
            .map(|(&g, &v)| f64::from(g) / (f64::from(v) + epsilon).sqrt())
            .collect();
        let shift = scale
            .iter()
            .zip(beta.iter().zip(mean))
            .map(|(&s, (&b, &m))| (f64::from(b) - f64::from(m) * s) as f32)
            .collect();
        Self::BatchNorm { scale: scale.into_iter().map(|s| s as f32).collect(), shift }
    }

    /// The kind of node, in words.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Conv { .. } => "conv",
            Self::Linear { .. } => "linear",
            Self::BatchNorm { .. } => "batch norm",
            Self::Relu => "relu",
            Self::Clip { .. } => "clip",
            Self::Partial { activation: Activation::Relu, .. } => "partial relu",
            Self::Partial { activation: Activation::Clip { .. }, .. } => "partial clip",
            Self::MaxPool(_) => "max pool",
            Self::AvgPool(_) => "average pool",
            Self::AvgPoolInside(_) => "inner average pool",
            Self::GlobalAvgPool => "global average pool",
            Self::Smooth(function) => function.name(),
            Self::Add => "add",
            Self::Combine { .. } => "combine",
            Self::Multiply => "multiply",
            Self::Concat => "concat",
            Self::Flatten => "flatten",
            Self::View(_) => "view",
        }
    }

    /// The rule for this node's shape when its first operand has shape `x`.
    fn rule(&self, x: Shape) -> Option<Rule<'_>> {
        Some(match self {
            Self::Input => return None,
            &Self::Conv { window, groups, out_channels, .. } => {
                // The float graph has no weight width; any will do for the shape.
                let in_channels = x.channels;
                Rule::Conv(ConvGeometry {
                    window,
                    groups,
                    in_channels,
                    out_channels,
                    weight_bits: 1,
                    headroom: 0,
                })
            }
            &Self::Linear { outputs, .. } => Rule::Linear { inputs: x.channels, outputs },
            Self::BatchNorm { .. }
            | Self::Relu
            | Self::Clip { .. }
            | Self::Partial { .. }
            | Self::Smooth(_) => Rule::Elementwise,
            Self::MaxPool(window) | Self::AvgPool(window) | Self::AvgPoolInside(window) => Rule::Pool(window),
            Self::GlobalAvgPool => Rule::GlobalPool,
            Self::Add | Self::Combine { .. } => Rule::Add,
            Self::Multiply => Rule::Multiply,
            Self::Concat => Rule::Concat,
            Self::Flatten => Rule::Flatten,
            Self::View(view) => Rule::View(view),
        })
    }

    /// Lengths and finiteness of the parameters; `x` is the first operand's shape, `y` the inferred result.
    fn check_parameters(&self, x: Shape, y: Shape) -> Result<(), Fault> {
        let check = |what, values: &[f32], expected| {
            check_length(what, expected, values.len())?;
            match values.iter().position(|v| !v.is_finite()) {
                Some(index) => Err(Fault::NotFinite { what, index }),
                None => Ok(()),
            }
        };
        match self {
            Self::Conv { window, groups, weight, bias, .. } => {
                // Inference bounded the number of weights: nothing overflows.
                check("weight", weight, y.channels * (x.channels / groups) * window.area())?;
                check("bias", bias, if bias.len() == y.len() { y.len() } else { y.channels })
            }
            Self::Linear { outputs, weight, bias } => {
                check("weight", weight, outputs * x.channels)?;
                check("bias", bias, *outputs)
            }
            Self::BatchNorm { scale, shift } => {
                check("scale", scale, x.channels)?;
                check("shift", shift, x.channels)
            }
            &Self::Clip { low, high } => {
                check("bounds", &[low, high], 2)?;
                if low <= high { Ok(()) } else { Err(Fault::EmptyClip) }
            }
            Self::Combine { factors } => check("factors", factors, 2),
            Self::Partial { activation, keep } => {
                keep.check(x.len())?;
                Self::from(*activation).check_parameters(x, y)
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv { window, groups, out_channels, .. } => {
                write!(f, "Conv({out_channels} channels, {groups} groups, {window:?})")
            }
            Self::Linear { outputs, .. } => write!(f, "Linear({outputs})"),
            Self::BatchNorm { scale, .. } => write!(f, "BatchNorm({})", scale.len()),
            Self::Clip { low, high } => write!(f, "Clip({low}, {high})"),
            Self::Partial { activation, keep } => write!(f, "Partial({activation:?}, {keep:?})"),
            Self::MaxPool(window) => write!(f, "MaxPool({window:?})"),
            Self::AvgPool(window) => write!(f, "AvgPool({window:?})"),
            Self::AvgPoolInside(window) => write!(f, "AvgPoolInside({window:?})"),
            Self::Combine { factors } => write!(f, "Combine({factors:?})"),
            Self::View(view) => write!(f, "{view:?}"),
            _ => f.write_str(self.kind()),
        }
    }
}

impl Graph {
    /// Accepts a well-formed graph: references, shapes, parameters and sizes are all checked anew. What
    /// [`GraphBuilder`] finishes is well-formed.
    ///
    /// # Errors
    /// [`Error`] naming the first node at fault.
    pub fn validate(&self) -> Result<(), Error> {
        check_name(&self.name).map_err(Error::Network)?;
        if self.nodes.is_empty() {
            return Err(Error::Network(Fault::Empty));
        }
        let mut totals = Totals::default();
        for (index, node) in self.nodes.iter().enumerate() {
            let Node { name, op, inputs, shape } = node;
            let (expected, sum) = if index == 0 {
                check_input(op, inputs, *shape).map(|totals| (*shape, totals))
            } else {
                check_node(&self.nodes[..index], name, op, inputs, totals)
            }
            .map_err(|fault| fault.at(name))?;
            if expected != *shape {
                return Err(Fault::ShapeMismatch { expected, got: *shape }.at(name));
            }
            totals = sum;
        }
        Ok(())
    }

    /// The graph without its weights: the lists of convs, linear layers and batch norms are empty. It is not valid; it is what
    /// [`merge_outline`](crate::merge_outline) and [`lower_outline`](crate::lower_outline) take, who look at shapes alone and are
    /// the faster for it.
    #[must_use]
    pub fn outline(&self) -> Self {
        let nodes = self.nodes.iter().map(|node| {
            let none = Vec::new;
            let op = match &node.op {
                &Op::Conv { window, groups, out_channels, .. } => {
                    Op::Conv { window, groups, out_channels, weight: none(), bias: none() }
                }
                &Op::Linear { outputs, .. } => Op::Linear { outputs, weight: none(), bias: none() },
                Op::BatchNorm { .. } => Op::BatchNorm { scale: none(), shift: none() },
                op => op.clone(),
            };
            Node { name: node.name.clone(), op, inputs: node.inputs.clone(), shape: node.shape }
        });
        Self { name: self.name.clone(), nodes: nodes.collect() }
    }

    /// Without the nodes that the last, the output, does not need.
    pub(crate) fn pruned(self) -> Self {
        let Self { name, nodes } = self;
        let mut needed = vec![false; nodes.len()];
        needed[0] = true;
        needed[nodes.len() - 1] = true;
        for index in (1..nodes.len()).rev() {
            if needed[index] {
                nodes[index].inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        let mut kept = Vec::new();
        let mut new_id = vec![NodeId(0); nodes.len()];
        for (index, mut node) in nodes.into_iter().enumerate().filter(|&(index, _)| needed[index]) {
            node.inputs.iter_mut().for_each(|input| *input = new_id[input.0]);
            new_id[index] = NodeId(kept.len());
            kept.push(node);
        }
        Self { name, nodes: kept }
    }

    /// How many operands read each node.
    ///
    /// # Panics
    /// When a reference is to no node, which [`validate`](Self::validate) refuses.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.nodes.len()];
        self.nodes.iter().flat_map(|node| &node.inputs).for_each(|input| readers[input.0] += 1);
        readers
    }

    /// The shape of the input.
    ///
    /// # Panics
    /// When there is no node, which [`validate`](Self::validate) refuses.
    pub fn input_shape(&self) -> Shape {
        self.nodes[0].shape
    }

    /// The shape of the output.
    ///
    /// # Panics
    /// When there is no node, which [`validate`](Self::validate) refuses.
    pub fn output_shape(&self) -> Shape {
        self.nodes[self.nodes.len() - 1].shape
    }
}

fn check_input(op: &Op, inputs: &[NodeId], shape: Shape) -> Result<Totals, Fault> {
    if *op != Op::Input || !inputs.is_empty() {
        return Err(Fault::InputPlace);
    }
    shape.check()?;
    Totals::default().with(shape.len(), 0, Work::Products(0))
}

/// The shape of a node that follows `before`, and the totals with it.
fn check_node(
    before: &[Node],
    name: &str,
    op: &Op,
    inputs: &[NodeId],
    totals: Totals,
) -> Result<(Shape, Totals), Fault> {
    check_name(name)?;
    if before.len() >= MAX_NODES || inputs.len() > MAX_NODES {
        return Err(Fault::TooLarge { what: "nodes", limit: MAX_NODES as u64 });
    }
    let shape = |id: &NodeId| before.get(id.0).map(|node| node.shape).ok_or(Fault::Reference(id.0));
    let operands = inputs.iter().map(shape).collect::<Result<Vec<_>, _>>()?;
    let first = operands.first().copied().unwrap_or(Shape::vector(1));
    let inferred = op.rule(first).ok_or(Fault::InputPlace)?.infer(op.kind(), &operands)?;
    let totals = totals.with(inferred.shape.len(), inferred.weights, inferred.work)?;
    op.check_parameters(first, inferred.shape)?;
    Ok((inferred.shape, totals))
}

/// Builds a [`Graph`] node by node; every step infers the shape and checks all there is to check.
///
/// ```
/// use copriv_ir::{GraphBuilder, Shape, Window};
/// let mut net = GraphBuilder::new("tiny", Shape::new(1, 4, 4))?;
/// let x = net.input();
/// let x = net.conv("conv", x, Window::square(3, 1, 1), 1, vec![0.1; 2 * 9], vec![0.0; 2])?;
/// let x = net.relu("relu", x)?;
/// let x = net.global_avg_pool("pool", x)?;
/// let graph = net.finish(x)?;
/// assert_eq!(graph.output_shape(), Shape::vector(2));
/// # Ok::<(), copriv_ir::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    graph: Graph,
    totals: Totals,
}

impl GraphBuilder {
    /// A graph that has its input only, called `input`.
    ///
    /// # Errors
    /// [`Error`] when the name or the shape is outside [`limits`](crate::limits).
    pub fn new(name: impl Into<String>, input: Shape) -> Result<Self, Error> {
        let name = name.into();
        check_name(&name).map_err(Error::Network)?;
        let totals = check_input(&Op::Input, &[], input).map_err(|fault| fault.at("input"))?;
        let node = Node { name: "input".into(), op: Op::Input, inputs: Vec::new(), shape: input };
        Ok(Self { graph: Graph { name, nodes: vec![node] }, totals })
    }

    /// The input.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// The shape of a node.
    ///
    /// # Panics
    /// When `node` is not a node of this graph.
    pub fn shape(&self, node: NodeId) -> Shape {
        self.graph.nodes[node.0].shape
    }

    /// What a node computes, and from what.
    ///
    /// # Panics
    /// When `node` is not a node of this graph.
    pub fn node(&self, node: NodeId) -> (&Op, &[NodeId]) {
        let Node { op, inputs, .. } = &self.graph.nodes[node.0];
        (op, inputs)
    }

    /// Appends any node but an input.
    ///
    /// # Errors
    /// [`Error`] naming the node, and leaves the graph as it was.
    pub fn push(&mut self, name: impl Into<String>, op: Op, inputs: Vec<NodeId>) -> Result<NodeId, Error> {
        let name = name.into();
        let (shape, totals) = check_node(&self.graph.nodes, &name, &op, &inputs, self.totals)
            .map_err(|fault| fault.at(&name))?;
        self.totals = totals;
        self.graph.nodes.push(Node { name, op, inputs, shape });
        Ok(NodeId(self.graph.nodes.len() - 1))
    }

    /// A convolution with one output channel per bias; `weight` is out_channels x (input channels / groups) x
    /// kernel height x kernel width.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn conv(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        window: Window,
        groups: usize,
        weight: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<NodeId, Error> {
        let out_channels = bias.len();
        self.push(name, Op::Conv { window, groups, out_channels, weight, bias }, vec![input])
    }

    /// A linear layer with one output per bias; `weight` is outputs x inputs.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn linear(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        weight: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<NodeId, Error> {
        self.push(name, Op::Linear { outputs: bias.len(), weight, bias }, vec![input])
    }

    /// x * scale + shift per channel.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn batch_norm(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        scale: Vec<f32>,
        shift: Vec<f32>,
    ) -> Result<NodeId, Error> {
        self.push(name, Op::BatchNorm { scale, shift }, vec![input])
    }

    /// max(x, 0).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn relu(&mut self, name: impl Into<String>, input: NodeId) -> Result<NodeId, Error> {
        self.push(name, Op::Relu, vec![input])
    }

    /// min(max(x, low), high).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn clip(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        low: f32,
        high: f32,
    ) -> Result<NodeId, Error> {
        self.push(name, Op::Clip { low, high }, vec![input])
    }

    /// max(x, 0) where `keep` is true, x elsewhere; `keep` is in the order channel, row, column.
    ///
    /// ```
    /// use copriv_ir::{GraphBuilder, Shape};
    /// let mut net = GraphBuilder::new("tiny", Shape::vector(3))?;
    /// let x = net.partial_relu("relu", net.input(), vec![true, false, true])?;
    /// assert_eq!(net.shape(x), Shape::vector(3));
    /// assert!(net.partial_relu("short", x, vec![true]).is_err());
    /// # Ok::<(), copriv_ir::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn partial_relu(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        keep: impl Into<Mask>,
    ) -> Result<NodeId, Error> {
        self.partial(name, input, Activation::Relu, keep)
    }

    /// `activation` where `keep` is true, x elsewhere; `keep` is in the order channel, row, column.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn partial(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        activation: Activation,
        keep: impl Into<Mask>,
    ) -> Result<NodeId, Error> {
        self.push(name, Op::Partial { activation, keep: keep.into() }, vec![input])
    }

    /// The largest element of each window; padding does not count.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn max_pool(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        window: Window,
    ) -> Result<NodeId, Error> {
        self.push(name, Op::MaxPool(window), vec![input])
    }

    /// The mean of each window; padding counts, as zeros.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn avg_pool(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        window: Window,
    ) -> Result<NodeId, Error> {
        self.push(name, Op::AvgPool(window), vec![input])
    }

    /// The mean of each channel.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn global_avg_pool(&mut self, name: impl Into<String>, input: NodeId) -> Result<NodeId, Error> {
        self.push(name, Op::GlobalAvgPool, vec![input])
    }

    /// a + b, of the same shape.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn add(&mut self, name: impl Into<String>, a: NodeId, b: NodeId) -> Result<NodeId, Error> {
        self.push(name, Op::Add, vec![a, b])
    }

    /// a * b, of the same shape, or b of one element for each channel of a.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn multiply(&mut self, name: impl Into<String>, a: NodeId, b: NodeId) -> Result<NodeId, Error> {
        self.push(name, Op::Multiply, vec![a, b])
    }

    /// A smooth activation of every element.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn smooth(
        &mut self,
        name: impl Into<String>,
        input: NodeId,
        function: Function,
    ) -> Result<NodeId, Error> {
        self.push(name, Op::Smooth(function), vec![input])
    }

    /// `factors[0]` * a + `factors[1]` * b, of the same shape. The factors are public.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn combine(
        &mut self,
        name: impl Into<String>,
        factors: [f32; 2],
        a: NodeId,
        b: NodeId,
    ) -> Result<NodeId, Error> {
        self.push(name, Op::Combine { factors }, vec![a, b])
    }

    /// Elements of a node in other places, and zeros.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn view(&mut self, name: impl Into<String>, input: NodeId, view: View) -> Result<NodeId, Error> {
        self.push(name, Op::View(view), vec![input])
    }

    /// The operands one after the other, along the channels.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn concat(&mut self, name: impl Into<String>, inputs: Vec<NodeId>) -> Result<NodeId, Error> {
        self.push(name, Op::Concat, inputs)
    }

    /// The same elements as a vector, channel by channel.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn flatten(&mut self, name: impl Into<String>, input: NodeId) -> Result<NodeId, Error> {
        self.push(name, Op::Flatten, vec![input])
    }

    /// The graph that computes `output`; nodes that it does not need are left out.
    ///
    /// # Errors
    /// [`Fault::Reference`] when `output` is not a node of this graph.
    pub fn finish(self, output: NodeId) -> Result<Graph, Error> {
        let Graph { name, mut nodes } = self.graph;
        if output.0 >= nodes.len() {
            return Err(Error::Network(Fault::Reference(output.0)));
        }
        nodes.truncate(output.0 + 1);
        Ok(Graph { name, nodes }.pruned())
    }
}
