//! An ONNX model as a graph.

use std::collections::HashMap;
use std::rc::Rc;

use copriv_ir::{Activation, Graph, GraphBuilder, NodeId, Op, Shape, Window};
use prost::Message;

use super::attributes::{float, int, ints, rounding_up, window};
use super::fold::{self, Folder};
use super::proto::tensor_shape_proto::dimension;
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use super::scan;
use super::tensor::{FLOAT, INT64};
use crate::Error;

/// The most weights of a model, counted as often as nodes use them.
const MAX_WEIGHTS: usize = 1 << 28;
/// Before it, element-wise operators had an attribute for broadcasting.
const FIRST_OPSET: i64 = 7;

/// A name as it may be shown: short, and without what would steer a terminal.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

pub(super) fn read(bytes: &[u8], file: &str) -> Result<Graph, Error> {
    read_within(bytes, file, MAX_WEIGHTS)
}

/// Reads a model of at most `budget` weights.
pub(super) fn read_within(bytes: &[u8], file: &str, budget: usize) -> Result<Graph, Error> {
    let malformed = |why: String| Error::Malformed { file: file.to_owned(), format: "ONNX", why };
    let wrong = |why: String| Error::Model { file: file.to_owned(), why };

    scan::check(bytes).map_err(malformed)?;
    let model = ModelProto::decode(bytes).map_err(|e| malformed(e.to_string()))?;
    let opset = opset(&model).map_err(wrong)?;
    let graph = model.graph.ok_or_else(|| malformed("it holds no graph".to_owned()))?;
    let (input, is_map, input_name) = input(&graph).map_err(wrong)?;
    let [output] = &graph.output[..] else {
        let names: Vec<String> = graph.output.iter().take(8).map(|o| shown(o.name())).collect();
        let count = graph.output.len();
        return Err(wrong(format!("it has {count} outputs ({}); export one, the logits", names.join(", "))));
    };
    let output = output.name().to_owned();

    let mut values = HashMap::new();
    for tensor in graph.initializer {
        let name = tensor.name().to_owned();
        if values.insert(name.clone(), Value::Constant(Rc::new(tensor))).is_some() {
            return Err(wrong(format!("two initialisers are called {}", shown(&name))));
        }
    }
    let builder = GraphBuilder::new(shown(file), input).map_err(|e| wrong(e.to_string()))?;
    values.insert(input_name, Value::Tensor { id: builder.input(), is_map });

    let mut nodes = graph.node;
    let order = order(&nodes, &values, std::slice::from_ref(&output)).map_err(|(node, why)| match node {
        Some(node) => Error::Node { file: file.to_owned(), node, why },
        None => wrong(why),
    })?;
    let folder = Folder::new(opset);
    let mut importer = Importer { builder, values, budget, folder, output: output.clone() };
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
        Some(&Value::Tensor { id, .. }) => importer.builder.finish(id).map_err(|e| wrong(e.to_string())),
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

/// The one input that is not an initialiser: its shape, whether it is a map N,C,H,W, its name.
fn input(graph: &GraphProto) -> Result<(Shape, bool, String), String> {
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
    let mut fixed = Vec::new();
    for (axis, dim) in dims.iter().enumerate().take(5) {
        fixed.push(match &dim.value {
            Some(dimension::Value::DimValue(size)) if *size > 0 => usize::try_from(*size).unwrap_or(usize::MAX),
            // The batch: any size will do, so one will.
            _ if axis == 0 => 1,
            Some(dimension::Value::DimParam(symbol)) => {
                return Err(format!(
                    "input {name} has the dynamic dimension {} at axis {axis}; export it with a fixed size (in PyTorch: \
                     dynamic_axes for the batch only, or none)",
                    shown(symbol)
                ));
            }
            _ => {
                return Err(format!(
                    "input {name} has no fixed size at axis {axis}; export it with a fixed input shape"
                ));
            }
        });
    }
    let (shape, is_map) = match fixed[..] {
        [1, c, h, w] => (Shape::new(c, h, w), true),
        [1, n] => (Shape::vector(n), false),
        [batch, _] | [batch, _, _, _] => {
            return Err(format!("input {name} has batch size {batch}; export it with batch size 1"));
        }
        _ => return Err(format!("input {name} has {} axes; N,C,H,W and N,C are read", dims.len())),
    };
    Ok((shape, is_map, input.name().to_owned()))
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
        "Transpose" => "export the network in channels-first layout (N,C,H,W)",
        "Gather" | "Unsqueeze" | "Slice" | "Range" | "ConstantOfShape" | "If" | "Loop" => {
            "export with a fixed input shape and batch size 1 and constant folding, or run onnxsim, \
             so that no shape is computed"
        }
        "QuantizeLinear" | "DequantizeLinear" | "QLinearConv" | "ConvInteger" => "export the float model",
        "LeakyRelu" | "Sigmoid" | "Tanh" | "HardSwish" | "HardSigmoid" | "Elu" | "Gelu" => {
            "train with ReLU or ReLU6 in its place"
        }
        "Pad" => "give the padding to the convolution or pool that follows",
        _ => "use a supported one in its place",
    }
}

/// What an ONNX value is.
#[derive(Clone, Debug)]
enum Value {
    /// Computed. `is_map` tells N,C,H,W from N,C, which is the same where H = W = 1.
    Tensor { id: NodeId, is_map: bool },
    /// Known.
    Constant(Rc<TensorProto>),
    /// A known matrix, transposed.
    Transposed(Rc<TensorProto>),
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
    folder: Folder,
    /// The name of the output.
    output: String,
}

/// A computed operand.
#[derive(Clone, Copy)]
struct Tensor {
    id: NodeId,
    shape: Shape,
    is_map: bool,
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
        let value = match node.op_type() {
            "Conv" => self.conv(node)?,
            "Gemm" => self.gemm(node)?,
            "MatMul" => self.mat_mul(node)?,
            "BatchNormalization" => self.batch_norm(node)?,
            "Relu" => self.keep_rank(node, Op::Relu)?,
            "Clip" => self.clip(node)?,
            "PRelu" => self.prelu(node)?,
            "Where" => self.choice(node)?,
            "MaxPool" => self.max_pool(node)?,
            "AveragePool" => self.average_pool(node)?,
            "GlobalAveragePool" => {
                let x = self.map(node)?;
                self.push(node, Op::GlobalAvgPool, vec![x.id], true)?
            }
            "ReduceMean" => self.reduce_mean(node)?,
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node)?,
            "Concat" => self.concat(node)?,
            "Flatten" => self.flatten(node)?,
            "Reshape" => self.reshape(node)?,
            "Squeeze" => self.squeeze(node)?,
            "Identity" | "Dropout" => self.value(node, 0)?.ok_or("it has no input")?.clone(),
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

    fn push(
        &mut self,
        node: &NodeProto,
        op: Op,
        inputs: Vec<NodeId>,
        is_map: bool,
    ) -> Result<Value, Trouble> {
        let id = self.builder.push(name(node), op, inputs).map_err(|e| match e {
            copriv_ir::Error::Node { fault, .. } => fault.to_string(),
            network => network.to_string(),
        })?;
        Ok(Value::Tensor { id, is_map })
    }

    /// The outputs of a node that computes constants, of constants or of a shape.
    fn folded(&mut self, node: &NodeProto) -> Result<Option<Vec<Rc<TensorProto>>>, Trouble> {
        if matches!(node.op_type(), "Constant" | "Identity" | "Dropout") {
            return Ok(None);
        }
        if node.op_type() == "Shape"
            && let Some(Value::Tensor { .. }) = self.value(node, 0)?
        {
            return Ok(Some(vec![fold::shape(node, &dims(self.tensor(node, 0)?))?]));
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for index in 0..node.input.len() {
            inputs.push(match self.value(node, index)? {
                None => None,
                Some(Value::Constant(tensor)) => Some(tensor.clone()),
                Some(Value::Tensor { .. } | Value::Transposed(_)) => return Ok(None),
            });
        }
        // Matrices are transposed where they are used, and not copied.
        let matrix = |tensor: &Option<Rc<TensorProto>>| tensor.as_ref().is_some_and(|t| t.dims.len() == 2);
        if inputs.iter().all(Option::is_none) || node.op_type() == "Transpose" && inputs.iter().all(matrix) {
            return Ok(None);
        }
        self.folder.constants(node, &inputs)
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
            Some(&Value::Tensor { id, is_map }) => Ok(Tensor { id, shape: self.builder.shape(id), is_map }),
            Some(Value::Constant(_) | Value::Transposed(_)) => Err(format!(
                "input {index} is a constant where a computed tensor belongs; simplify the model first, for \
                 instance with onnxsim"
            )
            .into()),
            None => Err(format!("input {index} is missing").into()),
        }
    }

    /// The first input, of shape N,C,H,W.
    fn map(&self, node: &NodeProto) -> Result<Tensor, Trouble> {
        let x = self.tensor(node, 0)?;
        if x.is_map { Ok(x) } else { Err("its input has shape N,C; it takes N,C,H,W".into()) }
    }

    /// The first input, of shape N,C.
    fn vector(&self, node: &NodeProto) -> Result<Tensor, Trouble> {
        let x = self.tensor(node, 0)?;
        if !x.is_map { Ok(x) } else { Err("its input has shape N,C,H,W; flatten it first".into()) }
    }

    fn constant(&self, node: &NodeProto, index: usize) -> Result<Option<Rc<TensorProto>>, Trouble> {
        match self.value(node, index)? {
            None => Ok(None),
            Some(Value::Constant(tensor)) => Ok(Some(tensor.clone())),
            Some(Value::Transposed(_)) => {
                Err(format!("input {index} is a transposed constant; only matrix products take one").into())
            }
            Some(Value::Tensor { .. }) => {
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

    // Operators. -----------------------------------------------------------------------------------------

    fn keep_rank(&mut self, node: &NodeProto, op: Op) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        self.push(node, op, vec![x.id], x.is_map)
    }

    fn conv(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.map(node)?;
        let tensor = self.required(node, 1)?;
        let (dims, _) = tensor.shape()?;
        let [out_channels, per_group, kernel_h, kernel_w] = dims[..] else {
            return Err(format!(
                "{} has {} dimensions; two-dimensional convolutions have 4",
                tensor.label(),
                dims.len()
            )
            .into());
        };
        let window = window(node, Some([kernel_h, kernel_w]), x.shape)?;
        let groups = int(node, "group", 1)?;
        let groups = usize::try_from(groups).map_err(|_| format!("group {groups} is negative"))?;
        if per_group.checked_mul(groups) != Some(x.shape.channels) {
            return Err(format!(
                "{} with dimensions {dims:?} and {groups} groups does not fit {} input channels",
                tensor.label(),
                x.shape.channels
            )
            .into());
        }
        let weight = tensor.floats(&mut self.budget)?;
        let bias = match self.value(node, 2)? {
            Some(_) => self.list(node, 2, out_channels)?,
            None => self.zeros(out_channels)?,
        };
        self.push(node, Op::Conv { window, groups, out_channels, weight, bias }, vec![x.id], true)
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
        let axis = int(node, "axis", -1)?;
        let classes = x.shape.is_vector() && (axis == 1 || !x.is_map && axis == -1);
        if !classes || node.output.first() != Some(&self.output) {
            return Err("over the classes and as the last of the network it is left out; export the network without others".into());
        }
        Ok(Value::Tensor { id: x.id, is_map: x.is_map })
    }

    fn zeros(&mut self, length: usize) -> Result<Vec<f32>, Trouble> {
        self.budget = self.budget.checked_sub(length).ok_or("it has too many outputs")?;
        Ok(vec![0.0; length])
    }

    fn gemm(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.vector(node)?;
        if int(node, "transA", 0)? != 0 {
            return Err("transA is not supported; the input is a vector".into());
        }
        let (alpha, beta) = (float(node, "alpha", 1.0)?, float(node, "beta", 1.0)?);
        let transposed = int(node, "transB", 0)? != 0;
        let (outputs, mut weight) = self.matrix(node, x, transposed)?;
        if alpha != 1.0 {
            weight.iter_mut().for_each(|w| *w *= alpha);
        }
        let bias = match self.constant(node, 2)? {
            None => self.zeros(outputs)?,
            Some(tensor) => {
                let (dims, _) = tensor.shape()?;
                let mut bias = tensor.floats(&mut self.budget)?;
                if bias.len() == 1 {
                    let value = bias[0];
                    bias = self.zeros(outputs)?;
                    bias.fill(value);
                }
                if bias.len() != outputs || !matches!(dims[..], [] | [_] | [1, _]) {
                    return Err(format!(
                        "{} with dimensions {dims:?} is no bias of {outputs} outputs",
                        tensor.label()
                    )
                    .into());
                }
                if beta != 1.0 {
                    bias.iter_mut().for_each(|b| *b *= beta);
                }
                bias
            }
        };
        self.push(node, Op::Linear { outputs, weight, bias }, vec![x.id], false)
    }

    fn mat_mul(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.vector(node)?;
        let (outputs, weight) = self.matrix(node, x, false)?;
        let bias = self.zeros(outputs)?;
        self.push(node, Op::Linear { outputs, weight, bias }, vec![x.id], false)
    }

    /// A matrix of weights as the exporters of PyTorch store it; layouts of pictures are not changed.
    fn transpose(&self, node: &NodeProto) -> Result<Value, Trouble> {
        let value = self.value(node, 0)?.ok_or("it has no input")?;
        let (Value::Constant(tensor) | Value::Transposed(tensor)) = value else {
            return Err(Trouble::Operator);
        };
        let (dims, _) = tensor.shape()?;
        if dims.len() != 2 || !matches!(ints(node, "perm")?.unwrap_or(&[1, 0]), [1, 0]) {
            return Err(format!(
                "it permutes {} with dimensions {dims:?}; matrices are transposed",
                tensor.label()
            )
            .into());
        }
        Ok(match value {
            Value::Constant(_) => Value::Transposed(tensor.clone()),
            _ => Value::Constant(tensor.clone()),
        })
    }

    /// Input 1 as a matrix of outputs x inputs; it is given so where `transposed`, else inputs x outputs.
    fn matrix(
        &mut self,
        node: &NodeProto,
        x: Tensor,
        transposed: bool,
    ) -> Result<(usize, Vec<f32>), Trouble> {
        let (tensor, transposed) = match self.value(node, 1)? {
            Some(Value::Transposed(tensor)) => (tensor.clone(), !transposed),
            _ => (self.required(node, 1)?, transposed),
        };
        let (dims, _) = tensor.shape()?;
        let inputs = x.shape.channels;
        let outputs = match dims[..] {
            [outputs, n] if transposed && n == inputs => outputs,
            [n, outputs] if !transposed && n == inputs => outputs,
            _ => {
                return Err(format!(
                    "{} with dimensions {dims:?} does not fit {inputs} inputs",
                    tensor.label()
                )
                .into());
            }
        };
        let stored = tensor.floats(&mut self.budget)?;
        if transposed {
            return Ok((outputs, stored));
        }
        let weight = (0..outputs).flat_map(|o| stored.iter().skip(o).step_by(outputs).copied()).collect();
        Ok((outputs, weight))
    }

    fn batch_norm(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        if int(node, "training_mode", 0)? != 0 {
            return Err("it is in training mode; export the network in evaluation mode".into());
        }
        if int(node, "spatial", 1)? != 1 {
            return Err("spatial 0 is not supported; export with a later opset".into());
        }
        let epsilon = f64::from(float(node, "epsilon", 1e-5)?);
        let channels = x.shape.channels;
        let mut list = |index| self.list(node, index, channels);
        let (gamma, beta, mean, variance) = (list(1)?, list(2)?, list(3)?, list(4)?);
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(&g, &v)| f64::from(g) / (f64::from(v) + epsilon).sqrt())
            .collect();
        let shift = scale
            .iter()
            .zip(beta.iter().zip(&mean))
            .map(|(&s, (&b, &m))| (f64::from(b) - f64::from(m) * s) as f32)
            .collect();
        let scale = scale.into_iter().map(|s| s as f32).collect();
        self.push(node, Op::BatchNorm { scale, shift }, vec![x.id], x.is_map)
    }

    fn clip(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let mut bound = |index, attribute, default: f32| match self.constant(node, index)? {
            Some(_) => Ok(self.list(node, index, 1)?[0]),
            None => float(node, attribute, default),
        };
        let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
        let op = if low == 0.0 && high == f32::MAX { Op::Relu } else { Op::Clip { low, high } };
        self.keep_rank(node, op)
    }

    /// A ReLU of the elements whose slope is 0; those whose slope is 1 have none.
    fn prelu(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let tensor = self.required(node, 1)?;
        let slopes = tensor.floats(&mut self.budget)?;
        if let Some(index) = slopes.iter().position(|&slope| slope != 0.0 && slope != 1.0) {
            return Err(format!(
                "{}: slope {index} is {}; slopes are 0 (a ReLU) or 1 (none): train with ReLU, or with a mask of ReLUs",
                tensor.label(),
                slopes[index]
            )
            .into());
        }
        let keep: Vec<bool> =
            self.broadcast(&tensor, &slopes, x)?.iter().map(|&slope| slope == 0.0).collect();
        let op = Op::Partial { activation: Activation::Relu, keep: keep.into() };
        self.push(node, op, vec![x.id], x.is_map)
    }

    /// A choice between an activation and what it reads, by a constant mask.
    fn choice(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let tensor = self.required(node, 0)?;
        let [a, b] = [self.tensor(node, 1)?, self.tensor(node, 2)?];
        let (x, activation, kept) = match [(a, b), (b, a)].map(|(y, x)| self.activation_of(y, x)) {
            [Some(activation), _] => (b, activation, true),
            [None, Some(activation)] => (a, activation, false),
            [None, None] => {
                return Err("it chooses between other things than a Relu or Clip and what that reads".into());
            }
        };
        let mask = tensor.bools(&mut self.budget)?;
        let keep: Vec<bool> =
            self.broadcast(&tensor, &mask, x)?.iter().map(|&chosen| chosen == kept).collect();
        self.push(node, Op::Partial { activation, keep: keep.into() }, vec![x.id], x.is_map)
    }

    /// What `y` is, where it is an activation of all of `x`.
    fn activation_of(&self, y: Tensor, x: Tensor) -> Option<Activation> {
        let (op, inputs) = self.builder.node(y.id);
        match op {
            _ if inputs != [x.id] || x.is_map != y.is_map => None,
            Op::Relu => Some(Activation::Relu),
            &Op::Clip { low, high } => Some(Activation::Clip { low, high }),
            _ => None,
        }
    }

    /// The values of a constant, one for each element of `x`.
    fn broadcast<T: Copy>(
        &mut self,
        tensor: &TensorProto,
        values: &[T],
        x: Tensor,
    ) -> Result<Vec<T>, Trouble> {
        let ((from, _), to) = (tensor.shape()?, dims(x));
        // Axes are aligned on the right.
        let fits = from.len() <= to.len()
            && from.iter().rev().zip(to.iter().rev()).all(|(&from, &to)| from == 1 || from == to);
        if !fits || values.is_empty() {
            return Err(format!("{} with dimensions {from:?} does not fit {to:?}", tensor.label()).into());
        }
        self.budget = self.budget.checked_sub(x.shape.len()).ok_or("it has too many elements")?;
        // Where an element's value is: the axes of 1 do not count.
        let value = |element: usize| {
            let (mut rest, mut step, mut at) = (element, 1, 0);
            for (axis, &size) in to.iter().rev().enumerate() {
                if let Some(&own) = from.iter().rev().nth(axis).filter(|&&own| own > 1) {
                    at += rest % size * step;
                    step *= own;
                }
                rest /= size;
            }
            values[at]
        };
        Ok((0..x.shape.len()).map(value).collect())
    }

    fn max_pool(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.map(node)?;
        let mut window = window(node, None, x.shape)?;
        // Padding does not count in a maximum, so more of it below and on the right rounds the size up.
        let more = rounding_up(node, &window, x.shape)?;
        window.padding[2] += more[0];
        window.padding[3] += more[1];
        self.push(node, Op::MaxPool(window), vec![x.id], true)
    }

    fn average_pool(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.map(node)?;
        let window = window(node, None, x.shape)?;
        if rounding_up(node, &window, x.shape)? != [0, 0] {
            return Err(
                "ceil_mode averages over fewer elements at the border; export with ceil_mode 0".into()
            );
        }
        if window.padding != [0; 4] && int(node, "count_include_pad", 0)? != 1 {
            return Err("it averages without its padding; use no padding or count_include_pad=1".into());
        }
        self.push(node, Op::AvgPool(window), vec![x.id], true)
    }

    fn reduce_mean(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.map(node)?;
        let mut axes = self.axes(node, 4)?.ok_or("it takes the mean of everything; give axes 2 and 3")?;
        axes.sort_unstable();
        if axes != [2, 3] {
            return Err(format!("it takes the mean over axes {axes:?}; axes 2 and 3 are supported").into());
        }
        let is_map = int(node, "keepdims", 1)? != 0;
        self.push(node, Op::GlobalAvgPool, vec![x.id], is_map)
    }

    /// The axes of a reduction, an attribute or, in later opsets, an input.
    fn axes(&self, node: &NodeProto, rank: i64) -> Result<Option<Vec<i64>>, Trouble> {
        let axes = match self.constant(node, 1)? {
            Some(tensor) => Some(tensor.ints()?),
            None => ints(node, "axes")?.map(<[i64]>::to_vec),
        };
        let normal = |axis: i64| match axis {
            a if (0..rank).contains(&a) => Ok(a),
            a if (-rank..0).contains(&a) => Ok(a + rank),
            a => Err(Trouble::from(format!("axis {a} is outside its input of {rank} axes"))),
        };
        axes.filter(|axes| !axes.is_empty()).map(|axes| axes.into_iter().map(normal).collect()).transpose()
    }

    fn arithmetic(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let operator = node.op_type();
        let is_constant = |i| Ok::<_, Trouble>(matches!(self.value(node, i)?, Some(Value::Constant(_))));
        let (x_index, c_index) = match (is_constant(0)?, is_constant(1)?) {
            (false, true) => (0, 1),
            (true, false) => (1, 0),
            _ if operator == "Add" => {
                let (a, b) = (self.tensor(node, 0)?, self.tensor(node, 1)?);
                if a.is_map != b.is_map {
                    return Err("it adds N,C to N,C,H,W; make the shapes equal".into());
                }
                return self.push(node, Op::Add, vec![a.id, b.id], a.is_map);
            }
            _ => return Err(format!("{operator} is supported with one constant operand").into()),
        };
        let x = self.tensor(node, x_index)?;
        if let Some(map) = self.per_element(node, c_index, x)? {
            // x plus a map, as a convolution with the identity.
            let all = |value: f32| vec![value; x.shape.channels];
            let (weight, bias) = match (operator, x_index) {
                ("Add", _) => (all(1.0), map),
                ("Sub", 0) => (all(1.0), map.iter().map(|c| -c).collect()),
                ("Sub", _) => (all(-1.0), map),
                _ => return Err(format!("{operator} by a map of constants is not supported").into()),
            };
            let (window, groups, out_channels) =
                (Window::square(1, 1, 0), x.shape.channels, x.shape.channels);
            return self.push(
                node,
                Op::Conv { window, groups, out_channels, weight, bias },
                vec![x.id],
                true,
            );
        }
        let constant = self.per_channel(node, c_index, x)?;
        let all = |value: f32| vec![value; constant.len()];
        let (scale, shift) = match (operator, x_index) {
            ("Add", _) => (all(1.0), constant),
            ("Mul", _) => (constant.clone(), all(0.0)),
            ("Sub", 0) => (all(1.0), constant.iter().map(|c| -c).collect()),
            ("Sub", _) => (all(-1.0), constant),
            ("Div", 0) => (constant.iter().map(|c| 1.0 / c).collect(), all(0.0)),
            _ => return Err("a constant divided by a tensor is not supported".into()),
        };
        self.push(node, Op::BatchNorm { scale, shift }, vec![x.id], x.is_map)
    }

    /// Constant `index` where it has one value for each element of the map `x`.
    fn per_element(
        &mut self,
        node: &NodeProto,
        index: usize,
        x: Tensor,
    ) -> Result<Option<Vec<f32>>, Trouble> {
        let tensor = self.required(node, index)?;
        let (dims, _) = tensor.shape()?;
        let Shape { channels, height, width } = x.shape;
        let map = [1, channels, height, width];
        if !x.is_map || height * width == 1 || !(3..=4).contains(&dims.len()) || !map.ends_with(&dims[..]) {
            return Ok(None);
        }
        Ok(Some(tensor.floats(&mut self.budget)?))
    }

    /// Constant `index`, broadcast to one value per channel of `x`.
    fn per_channel(&mut self, node: &NodeProto, index: usize, x: Tensor) -> Result<Vec<f32>, Trouble> {
        let tensor = self.required(node, index)?;
        let (dims, count) = tensor.shape()?;
        let (rank, channels) = (if x.is_map { 4 } else { 2 }, x.shape.channels);
        // Axes are aligned on the right; the channels are axis 1.
        let only_channels = dims.iter().rev().enumerate().all(|(i, &d)| d == 1 || i + 2 == rank);
        if dims.len() > rank || !only_channels || (count != 1 && count != channels) {
            return Err(format!(
                "{} with dimensions {dims:?} is not one value or one per channel ({channels})",
                tensor.label()
            )
            .into());
        }
        let values = tensor.floats(&mut self.budget)?;
        if values.len() == channels {
            return Ok(values);
        }
        let mut same = self.zeros(channels)?;
        same.fill(values[0]);
        Ok(same)
    }

    fn concat(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let operands: Vec<Tensor> =
            (0..node.input.len()).map(|i| self.tensor(node, i)).collect::<Result<_, _>>()?;
        let is_map = operands.first().ok_or("it has no input")?.is_map;
        if operands.iter().any(|x| x.is_map != is_map) {
            return Err("it joins N,C to N,C,H,W; make the ranks equal".into());
        }
        let rank = if is_map { 4 } else { 2 };
        let axis = int(node, "axis", 1)?;
        if axis != 1 && axis != 1 - rank {
            return Err(format!("it joins along axis {axis}; axis 1, the channels, is supported").into());
        }
        self.push(node, Op::Concat, operands.iter().map(|x| x.id).collect(), is_map)
    }

    /// `x` as a vector: flattened where it is not one.
    fn as_vector(&mut self, node: &NodeProto, x: Tensor, is_map: bool) -> Result<Value, Trouble> {
        if x.shape.is_vector() {
            Ok(Value::Tensor { id: x.id, is_map })
        } else {
            self.push(node, Op::Flatten, vec![x.id], is_map)
        }
    }

    fn flatten(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let dims = dims(x);
        let axis = int(node, "axis", 1)?;
        let axis = if axis < 0 { axis.saturating_add(dims.len() as i64) } else { axis };
        let before = usize::try_from(axis).ok().and_then(|axis| dims.get(..axis));
        match before {
            Some(before) if before.iter().all(|&d| d == 1) => self.as_vector(node, x, false),
            _ => Err(format!("it flattens {dims:?} at axis {axis}; axis 1 is supported").into()),
        }
    }

    fn reshape(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let from = dims(x);
        let wanted = match self.constant(node, 1)? {
            Some(tensor) => tensor.ints()?,
            None => ints(node, "shape")?.ok_or("it has no shape")?.to_vec(),
        };
        let keep_zero = int(node, "allowzero", 0)? == 0;
        let wrong = || {
            Trouble::from(format!(
                "it reshapes {from:?} to {wanted:?}; only flattening to a vector is supported"
            ))
        };
        let mut to = Vec::new();
        for (axis, &size) in wanted.iter().enumerate() {
            to.push(match size {
                0 if keep_zero => *from.get(axis).ok_or_else(wrong)?,
                // Found below, from the others.
                -1 => 1,
                size => usize::try_from(size).map_err(|_| wrong())?,
            });
        }
        let total = x.shape.len();
        let known = to.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(wrong)?;
        if let Some(axis) = wanted.iter().position(|&size| size == -1) {
            to[axis] = total.checked_div(known).ok_or_else(wrong)?;
        }
        if to.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(total) {
            return Err(wrong());
        }
        match to[..] {
            _ if to == from => Ok(Value::Tensor { id: x.id, is_map: x.is_map }),
            [_] | [1, _] => self.as_vector(node, x, false),
            [1, _, 1, 1] => self.as_vector(node, x, true),
            _ => Err(wrong()),
        }
    }

    fn squeeze(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let from = dims(x);
        let axes = self.axes(node, from.len() as i64)?;
        let removed = |axis: usize| match &axes {
            Some(axes) => axes.contains(&(axis as i64)),
            None => from[axis] == 1,
        };
        if let Some(axis) = (0..from.len()).find(|&axis| removed(axis) && from[axis] != 1) {
            return Err(format!("it removes axis {axis} of {from:?}, which is not 1").into());
        }
        let kept: Vec<usize> = (0..from.len()).filter(|&axis| !removed(axis)).collect();
        match kept[..] {
            _ if kept.len() == from.len() => Ok(Value::Tensor { id: x.id, is_map: x.is_map }),
            [0, 1] | [1] => self.as_vector(node, x, false),
            _ => Err(format!("it makes axes {kept:?} of {from:?}; only a vector is supported").into()),
        }
    }
}

/// The dimensions that ONNX gives a tensor.
fn dims(x: Tensor) -> Vec<usize> {
    let Shape { channels, height, width } = x.shape;
    if x.is_map { vec![1, channels, height, width] } else { vec![1, channels] }
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
