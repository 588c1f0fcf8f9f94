//! An ONNX model as a graph.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use copriv_ir::{Graph, GraphBuilder, NodeId, Op, Shape, View};
use prost::Message;

use super::Options;
use super::attributes::{int, ints};
use super::external::Beside;
use super::fold::{self, Folder};
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use super::scan;
use super::tensor::{FLOAT, INT64, MAX_RANK};
use crate::Error;

mod activation;
mod arithmetic;
mod dilated;
mod layout;
mod linear;
mod movement;
mod pool;
mod transposed;

/// The most weights of a model, counted as often as nodes use them.
const MAX_WEIGHTS: usize = 1 << 29;
/// The most of them that are made of smaller kernels, with zeros between their taps.
const MAX_MADE: usize = 1 << 26;
/// Before it, element-wise operators had an attribute for broadcasting.
const FIRST_OPSET: i64 = 7;

/// A name as it may be shown: short, and without what would steer a terminal.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn malformed(file: &str, why: String) -> Error {
    Error::Malformed { file: file.to_owned(), format: "ONNX", why }
}

/// The message that a file holds.
pub(super) fn decode(bytes: &[u8], file: &str) -> Result<ModelProto, Error> {
    scan::check(bytes).map_err(|why| malformed(file, why))?;
    ModelProto::decode(bytes).map_err(|e| malformed(file, e.to_string()))
}

/// The network of a model, at `path` where it is a file that others may lie beside.
pub(super) fn read(
    model: ModelProto,
    file: &str,
    options: &Options,
    path: Option<&Path>,
) -> Result<Graph, Error> {
    read_within(model, file, options, path, MAX_WEIGHTS)
}

/// Reads a model of at most `budget` weights.
pub(super) fn read_within(
    model: ModelProto,
    file: &str,
    options: &Options,
    path: Option<&Path>,
    budget: usize,
) -> Result<Graph, Error> {
    let wrong = |why: String| Error::Model { file: file.to_owned(), why };
    let opset = opset(&model).map_err(wrong)?;
    let graph = model.graph.ok_or_else(|| malformed(file, "it holds no graph".to_owned()))?;
    let (dims, input_name) = input(&graph, options.input.as_deref()).map_err(wrong)?;
    let output = match (&options.output, &graph.output[..]) {
        (Some(output), _) => output.clone(),
        (None, [output]) => output.name().to_owned(),
        (None, outputs) => {
            let names: Vec<String> = outputs.iter().take(8).map(|o| shown(o.name())).collect();
            return Err(wrong(format!(
                "it has {} outputs ({}); choose one, the logits, with --output, or export one",
                outputs.len(),
                names.join(", ")
            )));
        }
    };

    let mut values = HashMap::new();
    for tensor in graph.initializer {
        let name = tensor.name().to_owned();
        if values.insert(name.clone(), Value::Constant(Rc::new(tensor))).is_some() {
            return Err(wrong(format!("two initialisers are called {}", shown(&name))));
        }
    }
    let builder = GraphBuilder::new(shown(file), natural(&dims)).map_err(|e| wrong(e.to_string()))?;
    let input = Tensor { id: builder.input(), dims };
    values.insert(input_name.clone(), Value::Tensor(input.clone()));

    let mut nodes = graph.node;
    let order = order(&nodes, &values, std::slice::from_ref(&output)).map_err(|(node, why)| match node {
        Some(node) => Error::Node { file: file.to_owned(), node, why },
        None => wrong(why),
    })?;
    // Some exporters write an Identity at the end.
    let mut computed = output.clone();
    for node in order.iter().rev().map(|&index| &nodes[index]) {
        match (&node.output[..], &node.input[..]) {
            ([output], [input]) if *output == computed && node.op_type() == "Identity" => {
                computed.clone_from(input)
            }
            _ => break,
        }
    }
    let folder = Folder::new(opset);
    let beside = path.map(|path| RefCell::new(Beside::new(path)));
    let mut importer = Importer {
        builder,
        values,
        budget,
        made: MAX_MADE,
        folder,
        moves: MOVES,
        opset,
        output: computed,
        beside,
    };
    if layout::channels_last(&nodes, &order, &input_name, &output) {
        importer.take_channels_first(file, &input_name, &input).map_err(|why| wrong(why.to_string()))?;
    }
    for index in order {
        let node = std::mem::take(&mut nodes[index]);
        importer.node(&node).map_err(|trouble| {
            let (file, name) = (file.to_owned(), label(&node));
            match trouble {
                Trouble::Node(why) => Error::Node { file, node: name, why },
                Trouble::Operator => {
                    let operator = shown(&[node.domain(), node.op_type()].join("::"));
                    let operator = operator.trim_start_matches("::").to_owned();
                    Error::Operator { file, node: name, operator, hint: hint(node.op_type()) }
                }
            }
        })?;
    }
    match importer.values.get(&output) {
        Some(Value::Tensor(x)) => importer.builder.finish(x.id).map_err(|e| wrong(e.to_string())),
        _ => Err(wrong(format!("its output {} does not depend on its input", shown(&output)))),
    }
}

/// The opset of the standard operators, the first that is read where the model names none.
pub(super) fn opset(model: &ModelProto) -> Result<i64, String> {
    let standard = model.opset_import.iter().find(|set| is_standard(set.domain()));
    match standard.map_or(FIRST_OPSET, |set| set.version()) {
        version if version < FIRST_OPSET => Err(format!(
            "it is of opset {version}, {FIRST_OPSET} and later are read; convert it with onnx.version_converter or \
             export it again with opset_version=17"
        )),
        version => Ok(version),
    }
}

pub(super) fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The one input that is not an initialiser: its dimensions, as they are or as they are given, and its name.
fn input(graph: &GraphProto, given: Option<&[usize]>) -> Result<(Vec<usize>, String), String> {
    let initialisers: std::collections::HashSet<&str> = graph.initializer.iter().map(|t| t.name()).collect();
    let inputs: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|i| !initialisers.contains(i.name())).collect();
    let [input] = inputs[..] else {
        let names: Vec<String> = inputs.iter().take(8).map(|i| shown(i.name())).collect();
        return Err(format!("it has {} inputs ({}); a network has one", inputs.len(), names.join(", ")));
    };
    let name = shown(input.name());
    let tensor = match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor,
        None => return Err(format!("input {name} is not a tensor")),
    };
    if tensor.elem_type() != FLOAT {
        return Err(format!(
            "input {name} has element type {}; export a 32-bit float model",
            tensor.elem_type()
        ));
    }
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    if dims.len() > MAX_RANK {
        return Err(format!("input {name} has {} axes, at most {MAX_RANK} are read", dims.len()));
    }
    if let Some(given) = given {
        if (!dims.is_empty() && dims.len() != given.len()) || given.len() > MAX_RANK || given.contains(&0) {
            return Err(format!("input {name} has {} axes, not the shape {given:?}", dims.len()));
        }
        let other = |(stated, &given): (&Dimension, &usize)| match stated.value {
            Some(dimension::Value::DimValue(size)) => size > 0 && usize::try_from(size) != Ok(given),
            _ => false,
        };
        return match dims.iter().zip(given).position(other) {
            Some(axis) => Err(format!("input {name} has another size than {given:?} at axis {axis}")),
            None => Ok((given.to_vec(), input.name().to_owned())),
        };
    }
    let mut fixed = Vec::new();
    for (axis, dim) in dims.iter().enumerate() {
        fixed.push(match &dim.value {
            Some(dimension::Value::DimValue(size)) if *size > 0 => usize::try_from(*size).unwrap_or(usize::MAX),
            // The batch: any size will do, so one will.
            _ if axis == 0 => 1,
            Some(dimension::Value::DimParam(symbol)) => {
                return Err(format!(
                    "input {name} has the dynamic dimension {} at axis {axis}; say its size with --input-shape, or export it with a \
                     fixed size (in PyTorch: dynamic_axes for the batch only, or none)",
                    shown(symbol)
                ));
            }
            _ => {
                return Err(format!(
                    "input {name} has no fixed size at axis {axis}; say its size with --input-shape, or export it with a fixed \
                     input shape"
                ));
            }
        });
    }
    match fixed[..] {
        [] => Err(format!("input {name} has 0 axes; N,C,H,W, N,C,L and N,C are read")),
        [batch, _, ..] if batch != 1 => {
            Err(format!("input {name} has batch size {batch}; export it with batch size 1"))
        }
        _ => Ok((fixed, input.name().to_owned())),
    }
}

/// The nodes that the outputs need, each after what it reads; otherwise the node at fault, where there is one, and why.
pub(super) fn order<V>(
    nodes: &[NodeProto],
    given: &HashMap<String, V>,
    outputs: &[String],
) -> Result<Vec<usize>, (Option<String>, String)> {
    let mut producers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for value in node.output.iter().filter(|name| !name.is_empty()) {
            if given.contains_key(value) || producers.insert(value, index).is_some() {
                return Err((Some(label(node)), format!("{} has been defined before", shown(value))));
            }
        }
    }
    let producer = |reader: Option<usize>, value: &str| match producers.get(value) {
        Some(&index) => Ok(Some(index)),
        None if value.is_empty() || given.contains_key(value) => Ok(None),
        None => Err((
            reader.map(|index| label(&nodes[index])),
            format!("no node, input or initialiser provides {}; is the model complete?", shown(value)),
        )),
    };

    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; nodes.len()];
    let mut order = Vec::new();
    let mut sorted = true;
    // A path of open nodes, each with the input it looks at next.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for output in outputs {
        if let Some(last) = producer(None, output)?
            && state[last] == State::New
        {
            state[last] = State::Open;
            path.push((last, 0));
        }
        while let Some((index, next)) = path.last_mut() {
            let index = *index;
            let Some(value) = nodes[index].input.get(*next) else {
                state[index] = State::Done;
                order.push(index);
                path.pop();
                continue;
            };
            *next += 1;
            let Some(source) = producer(Some(index), value)? else { continue };
            sorted &= source < index;
            match state[source] {
                State::Done => {}
                State::Open => {
                    return Err((
                        Some(label(&nodes[index])),
                        format!("it depends on itself, by {}", shown(value)),
                    ));
                }
                State::New => {
                    state[source] = State::Open;
                    path.push((source, 0));
                }
            }
        }
    }
    // The file's own order, where it is one: networks are then read as they were written.
    if sorted {
        order.sort_unstable();
    }
    Ok(order)
}

/// What a node is called: its name, or its output's.
fn name(node: &NodeProto) -> &str {
    match node.name() {
        "" => node.output.first().map_or("", |output| output),
        name => name,
    }
}

pub(super) fn label(node: &NodeProto) -> String {
    shown(name(node))
}

/// What to do about an operator that is not supported.
fn hint(operator: &str) -> &'static str {
    match operator {
        "ArgMax" => "export the logits; the class is found from them",
        "Range" | "If" | "Loop" | "NonZero" => {
            "export with a fixed input shape and batch size 1 and constant folding, or run onnxsim, \
             so that no shape is computed"
        }
        "QuantizeLinear" | "DequantizeLinear" | "QLinearConv" | "ConvInteger" => {
            "export a model whose activations are floats; weights may be quantised"
        }
        "InstanceNormalization" | "LayerNormalization" | "GroupNormalization" | "LRN" => {
            "train with batch normalisation in its place: what depends on the input's statistics has no protocol"
        }
        "Exp" | "Log" | "Sqrt" | "Selu" | "Celu" | "Softplus" | "Mish" | "Softsign" => {
            "train with ReLU, ReLU6, HardSwish, Sigmoid, Tanh, GELU or ELU in its place"
        }
        "Pow" => "multiply: powers other than 2 have no protocol",
        "LSTM" | "GRU" | "RNN" => "networks with state are not run; use convolutions",
        _ => "use a supported one in its place",
    }
}

/// Elements of tensors whose elements are moved, all together.
const MOVES: usize = 1 << 27;

/// What an ONNX value is.
#[derive(Clone, Debug)]
enum Value {
    /// Computed.
    Tensor(Tensor),
    /// Known.
    Constant(Rc<TensorProto>),
    /// A known matrix, transposed.
    Transposed(Rc<TensorProto>),
    /// erf(x / sqrt 2), or with 1 added to it: half way to a GELU of x, and of no other use.
    Erf { x: NodeId, dims: Vec<usize>, plus_one: bool },
    /// Twice the GELU of x.
    TwiceGelu { x: NodeId, dims: Vec<usize> },
}

/// A computed value: the elements of the node, in their order, as an array of the dimensions that ONNX gives it.
#[derive(Clone, Debug)]
struct Tensor {
    id: NodeId,
    dims: Vec<usize>,
}

impl Tensor {
    fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Gives it as many axes, the first ones of 1, where it has fewer.
    fn grow(&mut self, rank: usize) {
        let more = rank.saturating_sub(self.dims.len());
        self.dims.splice(0..0, std::iter::repeat_n(1, more));
    }

    /// Whether there is an axis of channels, after a batch of one.
    fn has_channels(&self) -> bool {
        self.dims.len() >= 2 && self.dims[0] == 1
    }
}

/// The shape of a network's value that has these dimensions: axis 1 has the channels, where the batch is 1.
fn natural(dims: &[usize]) -> Shape {
    let len = |dims: &[usize]| dims.iter().fold(1usize, |n, &d| n.saturating_mul(d));
    match *dims {
        [1, c] => Shape::vector(c),
        [1, c, w] => Shape::new(c, 1, w),
        [1, c, h, w] => Shape::new(c, h, w),
        [1, c, ref rest @ ..] => Shape::new(c, 1, len(rest)),
        _ => Shape::vector(len(dims)),
    }
}

/// Why a node was not taken.
pub(super) enum Trouble {
    Node(String),
    Operator,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node(why) => f.write_str(why),
            Self::Operator => f.write_str("the operator is not supported"),
        }
    }
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Node(why)
    }
}

impl From<&str> for Trouble {
    fn from(why: &str) -> Self {
        Self::Node(why.to_owned())
    }
}

struct Importer {
    builder: GraphBuilder,
    values: HashMap<String, Value>,
    /// Weights that may still be read.
    budget: usize,
    /// Weights that may still be made.
    made: usize,
    folder: Folder,
    /// Elements that may still be moved.
    moves: usize,
    opset: i64,
    /// The name of the output, that of no Identity.
    output: String,
    /// Where the model's other files are.
    beside: Option<RefCell<Beside>>,
}

impl Importer {
    fn node(&mut self, node: &NodeProto) -> Result<(), Trouble> {
        if !is_standard(node.domain()) {
            return Err(Trouble::Operator);
        }
        if let Some(values) = self.folded(node)? {
            self.values.extend(node.output.iter().cloned().zip(values.into_iter().map(Value::Constant)));
            return Ok(());
        }
        if let Some(values) = self.moved(node)? {
            self.values.extend(node.output.iter().cloned().zip(values.into_iter().map(Value::Tensor)));
            return Ok(());
        }
        if let Some(value) = self.with_channels_first(node)? {
            self.values.extend(node.output.first().map(|output| (output.clone(), value)));
            return Ok(());
        }
        let value = match node.op_type() {
            "Conv" => self.conv(node)?,
            "ConvTranspose" => self.conv_transpose(node)?,
            "Gemm" => self.gemm(node)?,
            "MatMul" => self.mat_mul(node)?,
            "BatchNormalization" => self.batch_norm(node)?,
            "Relu" => self.elementwise(node, Op::Relu)?,
            "Clip" => self.clip(node)?,
            "Max" | "Min" => self.bound(node)?,
            "LeakyRelu" => self.leaky_relu(node)?,
            "PRelu" => self.prelu(node)?,
            "HardSigmoid" => self.hard_sigmoid(node)?,
            "Sigmoid" | "Tanh" | "HardSwish" | "Elu" | "Gelu" => self.smooth(node)?,
            "Erf" => self.erf(node)?,
            "Where" => self.choice(node)?,
            "MaxPool" => self.max_pool(node)?,
            "AveragePool" => self.average_pool(node)?,
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(node)?,
            "ReduceMean" => self.reduce_mean(node)?,
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node)?,
            "Pow" => self.power(node)?,
            "Neg" => self.negate(node)?,
            "Concat" => self.concat(node)?,
            "Identity" => self.value(node, 0)?.ok_or("it has no input")?.clone(),
            "Dropout" => self.dropout(node)?,
            "Abs" => self.absolute(node)?,
            "Constant" => constant(node)?,
            "Transpose" => self.transpose(node)?,
            "Cast" => self.cast(node)?,
            "Softmax" | "LogSoftmax" => self.softmax(node)?,
            _ => return Err(Trouble::Operator),
        };
        let output = node.output.first().ok_or("it has no output")?;
        self.values.insert(output.clone(), value);
        Ok(())
    }

    // The network. ---------------------------------------------------------------------------------------

    /// Appends a node named after that of the model, and `part` where it is not all of it.
    fn add(&mut self, node: &NodeProto, part: &str, op: Op, inputs: Vec<NodeId>) -> Result<NodeId, Trouble> {
        let name = match part {
            "" => name(node).to_owned(),
            part => format!("{}/{part}", name(node)),
        };
        let id = self.builder.push(name, op, inputs).map_err(|e| match e {
            copriv_ir::Error::Node { fault, .. } => fault.to_string(),
            network => network.to_string(),
        })?;
        Ok(id)
    }

    /// The elements of a value in the same order, as another shape.
    fn shaped(
        &mut self,
        node: &NodeProto,
        part: &str,
        mut x: NodeId,
        shape: Shape,
    ) -> Result<NodeId, Trouble> {
        // Shapes between are none of what comes of them.
        while self.builder.shape(x) != shape
            && let (op, &[before]) = self.builder.node(x)
            && let true = match op {
                Op::Flatten => true,
                Op::View(view) => view.is_identity(self.builder.shape(before).len()),
                _ => false,
            }
        {
            x = before;
        }
        if self.builder.shape(x) == shape {
            return Ok(x);
        }
        let op = if shape.is_vector() {
            Op::Flatten
        } else {
            Op::View(View::reshape(shape).map_err(|fault| fault.to_string())?)
        };
        self.add(node, part, op, vec![x])
    }

    /// The value as a map: its channels along axis 1, and all that follows.
    fn channelwise(&mut self, node: &NodeProto, x: &Tensor) -> Result<NodeId, Trouble> {
        if !x.has_channels() {
            return Err(format!("its input has shape {:?}; channels are along axis 1", x.dims).into());
        }
        if self.builder.shape(x.id).channels == x.dims[1] {
            return Ok(x.id);
        }
        self.shaped(node, "channels", x.id, natural(&x.dims))
    }

    /// The first input as what windows slide over: N,C,H,W, or N,C,L as a map of one row. Also how many axes windows have.
    fn map(&mut self, node: &NodeProto) -> Result<(NodeId, Shape, usize), Trouble> {
        let x = self.tensor(node, 0)?;
        if !matches!(x.dims[..], [1, _, _] | [1, _, _, _]) {
            return Err(
                format!("its input has shape {:?}; it takes N,C,H,W or N,C,L with N = 1", x.dims).into()
            );
        }
        let shape = natural(&x.dims);
        let id = self.shaped(node, "map", x.id, shape)?;
        Ok((id, shape, x.dims.len() - 2))
    }

    /// The value of a node that windows have slid over on `axes` axes.
    fn of_map(&self, id: NodeId, axes: usize) -> Value {
        let Shape { channels, height, width } = self.builder.shape(id);
        let dims = if axes == 1 { vec![1, channels, width] } else { vec![1, channels, height, width] };
        Value::Tensor(Tensor { id, dims })
    }

    /// An operation that changes each element by itself, or with others of its channel.
    fn elementwise(&mut self, node: &NodeProto, op: Op) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let id = self.add(node, "", op, vec![x.id])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
    }

    /// The outputs of a node that computes constants, of constants or of a shape.
    fn folded(&mut self, node: &NodeProto) -> Result<Option<Vec<Rc<TensorProto>>>, Trouble> {
        if matches!(node.op_type(), "Constant" | "Identity" | "Dropout") {
            return Ok(None);
        }
        if node.op_type() == "Shape"
            && let Some(Value::Tensor(x)) = self.value(node, 0)?
        {
            return Ok(Some(vec![fold::shape(node, &x.dims)?]));
        }
        let (mut inputs, mut turned) = (Vec::with_capacity(node.input.len()), Vec::new());
        for index in 0..node.input.len() {
            inputs.push(match self.value(node, index)? {
                None => None,
                Some(Value::Constant(tensor)) => Some(tensor.clone()),
                Some(Value::Transposed(tensor)) if node.op_type() != "Transpose" => {
                    turned.push(index);
                    Some(tensor.clone())
                }
                Some(_) => return Ok(None),
            });
        }
        // All are known, so this is no product of the network with a matrix, which would not need it.
        for index in turned {
            if let Some(matrix) = &inputs[index] {
                let matrix = self.here(matrix)?;
                inputs[index] = Some(self.folder.transposed(&matrix)?);
            }
        }
        // Matrices are transposed where they are used, and not copied.
        let turns = node.op_type() == "Transpose" && matches!(ints(node, "perm")?, None | Some([1, 0]));
        let matrix = |tensor: &Option<Rc<TensorProto>>| tensor.as_ref().is_some_and(|t| t.dims.len() == 2);
        if inputs.iter().all(Option::is_none) || turns && inputs.iter().all(matrix) {
            return Ok(None);
        }
        for tensor in inputs.iter_mut().flatten() {
            *tensor = self.here(tensor)?;
        }
        self.folder.constants(node, &inputs)
    }

    /// A constant with its elements, which may lie in another file: they are read as often as they are used, and not kept.
    fn here(&self, tensor: &Rc<TensorProto>) -> Result<Rc<TensorProto>, Trouble> {
        match &self.beside {
            Some(beside) if tensor.is_external() => Ok(Rc::new(beside.borrow_mut().read(tensor)?)),
            // Without a folder it will be said where they are missing.
            _ => Ok(tensor.clone()),
        }
    }

    // Operands. ------------------------------------------------------------------------------------------

    /// Input `index`; `None` where an optional one is left out.
    fn value(&self, node: &NodeProto, index: usize) -> Result<Option<&Value>, Trouble> {
        match node.input.get(index).map(String::as_str) {
            None | Some("") => Ok(None),
            // An output other than the first of a node is not computed.
            Some(name) => match self.values.get(name) {
                Some(value) => Ok(Some(value)),
                None => {
                    Err(format!("input {} is a second output, which is not supported", shown(name)).into())
                }
            },
        }
    }

    fn tensor(&self, node: &NodeProto, index: usize) -> Result<Tensor, Trouble> {
        match self.value(node, index)? {
            Some(Value::Tensor(x)) => Ok(x.clone()),
            Some(Value::Constant(_) | Value::Transposed(_)) => Err(format!(
                "input {index} is a constant where a computed tensor belongs; simplify the model first, for \
                 instance with onnxsim"
            )
            .into()),
            Some(Value::Erf { .. } | Value::TwiceGelu { .. }) => {
                Err(format!("input {index} is of an Erf that is not part of a GELU; {}", hint("Erf")).into())
            }
            None => Err(format!("input {index} is missing").into()),
        }
    }

    fn constant(&self, node: &NodeProto, index: usize) -> Result<Option<Rc<TensorProto>>, Trouble> {
        match self.value(node, index)? {
            None => Ok(None),
            Some(Value::Constant(tensor)) => Ok(Some(self.here(tensor)?)),
            Some(Value::Transposed(_)) => {
                Err(format!("input {index} is a transposed constant; only matrix products take one").into())
            }
            Some(_) => {
                Err(format!("input {index} is computed; it must be a constant or an initialiser").into())
            }
        }
    }

    fn required(&self, node: &NodeProto, index: usize) -> Result<Rc<TensorProto>, Trouble> {
        self.constant(node, index)?.ok_or_else(|| format!("input {index} is missing").into())
    }

    /// Constant `index` as a list of `length`.
    fn list(&mut self, node: &NodeProto, index: usize, length: usize) -> Result<Vec<f32>, Trouble> {
        let tensor = self.required(node, index)?;
        let values = tensor.floats(&mut self.budget)?;
        if values.len() == length {
            Ok(values)
        } else {
            Err(format!("{} has {} elements where {length} belong", tensor.label(), values.len()).into())
        }
    }

    fn zeros(&mut self, length: usize) -> Result<Vec<f32>, Trouble> {
        self.budget = self.budget.checked_sub(length).ok_or("it has too many outputs")?;
        Ok(vec![0.0; length])
    }

    /// Room for the weights of a kernel that is larger than the one in the file.
    fn room(&mut self, length: usize) -> Result<Vec<f32>, Trouble> {
        let left = self.made.checked_sub(length).zip(self.budget.checked_sub(length));
        (self.made, self.budget) = left.ok_or("its kernel, with zeros between its taps, is too large")?;
        Ok(Vec::with_capacity(length))
    }

    fn dropout(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        if let Some(training) = self.constant(node, 2)?
            && training.bools(&mut self.budget)?.contains(&true)
        {
            return Err("it is in training mode; export the network in evaluation mode".into());
        }
        Ok(self.value(node, 0)?.ok_or("it has no input")?.clone())
    }

    /// A cast of what is computed, all of which are floats, to floats.
    fn cast(&self, node: &NodeProto) -> Result<Value, Trouble> {
        let to = int(node, "to", 0)?;
        if to != i64::from(FLOAT) {
            return Err(format!(
                "it casts the network's values to element type {to}; they are 32-bit floats"
            )
            .into());
        }
        Ok(self.value(node, 0)?.ok_or("it has no input")?.clone())
    }

    /// The softmax over the classes at the end of a network is left out: it changes neither which class wins nor by how much the
    /// logits differ.
    fn softmax(&self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let rank = x.dims.len() as i64;
        let axis = int(node, "axis", if self.opset < 13 { 1 } else { -1 })?;
        let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
        let after = usize::try_from(axis).ok().and_then(|axis| x.dims.get(axis..)).unwrap_or_default();
        // It was over all axes from that one on.
        let over = if self.opset < 13 { after.iter().product() } else { after.first().copied().unwrap_or(0) };
        if over != x.len() || node.output.first() != Some(&self.output) {
            return Err(
                "over the classes and as the last of the network it is left out; export the network without others".into()
            );
        }
        Ok(Value::Tensor(x))
    }
}

/// The value of a `Constant` node.
fn constant(node: &NodeProto) -> Result<Value, Trouble> {
    let [attribute] = &node.attribute[..] else {
        return Err("a Constant has one attribute".into());
    };
    let name = node.output.first().cloned();
    let tensor = match attribute.name() {
        "value" => match &attribute.t {
            Some(tensor) => (**tensor).clone(),
            None => return Err("its value is no tensor".into()),
        },
        "value_float" => float_list(vec![], vec![attribute.f()]),
        "value_floats" => float_list(vec![attribute.floats.len() as i64], attribute.floats.clone()),
        "value_int" => int_list(vec![], vec![attribute.i()]),
        "value_ints" => int_list(vec![attribute.ints.len() as i64], attribute.ints.clone()),
        other => return Err(format!("a Constant with {} is not supported", shown(other)).into()),
    };
    Ok(Value::Constant(Rc::new(TensorProto { name, ..tensor })))
}

fn float_list(dims: Vec<i64>, float_data: Vec<f32>) -> TensorProto {
    TensorProto { dims, data_type: Some(FLOAT), float_data, ..TensorProto::default() }
}

fn int_list(dims: Vec<i64>, int64_data: Vec<i64>) -> TensorProto {
    TensorProto { dims, data_type: Some(INT64), int64_data, ..TensorProto::default() }
}
