//! A graph as an ONNX model.

use std::collections::HashSet;

use copriv_ir::{Activation, Function, Graph, Mask, Node, Op, Preprocessing, Shape, View, Window};
use prost::Message;

use super::metadata;
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};
use super::tensor::{BOOL, FLOAT, INT64};

const OPSET: i64 = 17;
/// The version of the format that goes with opset 17.
const IR_VERSION: i64 = 8;

pub(super) fn write(graph: &Graph, preprocessing: Option<&Preprocessing>) -> Vec<u8> {
    let mut writer = Writer::default();
    for node in &graph.nodes {
        writer.node(node, graph);
    }
    let last = graph.nodes.last().zip(writer.values.last().cloned());
    let output = last.map(|(node, value)| value_info(&value, node.shape));
    let graph = GraphProto {
        node: writer.nodes,
        name: Some(graph.name.clone()),
        initializer: writer.tensors,
        input: writer.input.into_iter().collect(),
        output: output.into_iter().collect(),
    };
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("copriv".to_owned()),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }],
        metadata_props: preprocessing.map(metadata::entry).into_iter().collect(),
    };
    model.encode_to_vec()
}

/// What a node of the graph became. ONNX tells the vector N,C from the map N,C,1,1; a graph does not.
#[derive(Clone, Debug)]
struct Value {
    name: String,
    is_map: bool,
}

/// Operator, inputs, attributes, and whether the result is a map.
type Written = (&'static str, Vec<String>, Vec<AttributeProto>, bool);

#[derive(Default)]
struct Writer {
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    input: Option<ValueInfoProto>,
    /// One per node of the graph.
    values: Vec<Value>,
    names: HashSet<String>,
}

impl Writer {
    fn node(&mut self, node: &Node, graph: &Graph) {
        let name = self.fresh(&node.name);
        let x = node.inputs.first().map(|id| (self.values[id.0].clone(), graph.nodes[id.0].shape));
        let Some((x, x_shape)) = x else {
            let value = Value { name, is_map: !node.shape.is_vector() };
            self.input = Some(value_info(&value, node.shape));
            self.values.push(value);
            return;
        };
        let parameter = |suffix: &str| format!("{name}.{suffix}");
        let (op_type, inputs, attributes, is_map) = match &node.op {
            Op::Conv { window, groups, out_channels, weight, bias } => {
                let taps = [*out_channels, x_shape.channels / groups, window.kernel[0], window.kernel[1]];
                let mut attributes = window_attributes(window);
                attributes.push(int("group", *groups as i64));
                let mut inputs =
                    vec![self.as_map(x, x_shape), self.floats(parameter("weight"), &taps, weight)];
                if bias.len() == *out_channels {
                    inputs.push(self.floats(parameter("bias"), &[*out_channels], bias));
                    ("Conv", inputs, attributes, true)
                } else {
                    // ONNX has one a channel: a map of them is added to the result.
                    let product = self.fresh(&parameter("product"));
                    self.push("Conv", &product, inputs, attributes);
                    let map = [*out_channels, node.shape.height, node.shape.width];
                    ("Add", vec![product, self.floats(parameter("bias"), &map, bias)], vec![], true)
                }
            }
            Op::Linear { outputs, weight, bias } => {
                let inputs = vec![
                    self.as_vector(x),
                    self.floats(parameter("weight"), &[*outputs, x_shape.channels], weight),
                    self.floats(parameter("bias"), &[*outputs], bias),
                ];
                ("Gemm", inputs, vec![int("transB", 1)], false)
            }
            Op::BatchNorm { scale, shift } => {
                // Mean 0, variance 1 and epsilon 0: scale and shift are then exactly gamma and beta.
                let channels = scale.len();
                let inputs = vec![
                    x.name,
                    self.floats(parameter("weight"), &[channels], scale),
                    self.floats(parameter("bias"), &[channels], shift),
                    self.floats(parameter("running_mean"), &[channels], &vec![0.0; channels]),
                    self.floats(parameter("running_var"), &[channels], &vec![1.0; channels]),
                ];
                ("BatchNormalization", inputs, vec![float("epsilon", 0.0)], x.is_map)
            }
            Op::Relu => ("Relu", vec![x.name], vec![], x.is_map),
            Op::Clip { low, high } => ("Clip", self.clip(&name, x.name, [*low, *high]), vec![], x.is_map),
            Op::Partial { activation: Activation::Relu, keep } => {
                // max(x, 0) + slope · min(x, 0).
                let slopes: Vec<f32> = keep.as_slice().iter().map(|&kept| f32::from(!kept)).collect();
                let slope = self.floats(parameter("slope"), &elements(x_shape, x.is_map), &slopes);
                ("PRelu", vec![x.name, slope], vec![], x.is_map)
            }
            Op::Partial { activation: Activation::Clip { low, high }, keep } => {
                let clipped = self.fresh(&parameter("clip"));
                let inputs = self.clip(&name, x.name.clone(), [*low, *high]);
                self.push("Clip", &clipped, inputs, vec![]);
                let mask = self.mask(parameter("mask"), &elements(x_shape, x.is_map), keep);
                ("Where", vec![mask, clipped, x.name], vec![], x.is_map)
            }
            Op::MaxPool(window) => {
                ("MaxPool", vec![self.as_map(x, x_shape)], window_attributes(window), true)
            }
            Op::AvgPool(window) => {
                let mut attributes = window_attributes(window);
                attributes.push(int("count_include_pad", 1));
                ("AveragePool", vec![self.as_map(x, x_shape)], attributes, true)
            }
            Op::AvgPoolInside(window) => {
                ("AveragePool", vec![self.as_map(x, x_shape)], window_attributes(window), true)
            }
            Op::GlobalAvgPool => ("GlobalAveragePool", vec![self.as_map(x, x_shape)], vec![], true),
            Op::Smooth(function) => self.smooth(&name, x, *function),
            Op::Combine { factors: [1.0, -1.0] } => {
                let y = (self.values[node.inputs[1].0].clone(), graph.nodes[node.inputs[1].0].shape);
                let is_map = x.is_map || y.0.is_map;
                let operands =
                    [(x, x_shape), y].map(|(v, shape)| if is_map { self.as_map(v, shape) } else { v.name });
                ("Sub", operands.to_vec(), vec![], is_map)
            }
            Op::Combine { factors: [slope, rest] }
                if *rest == 1.0 - slope
                    && graph.nodes[node.inputs[1].0].op == Op::Relu
                    && graph.nodes[node.inputs[1].0].inputs[0] == node.inputs[0] =>
            {
                ("LeakyRelu", vec![x.name], vec![float("alpha", *slope)], x.is_map)
            }
            Op::Combine { factors } => {
                let y = (self.values[node.inputs[1].0].clone(), graph.nodes[node.inputs[1].0].shape);
                let is_map = x.is_map || y.0.is_map;
                let operands =
                    [(x, x_shape), y].map(|(v, shape)| if is_map { self.as_map(v, shape) } else { v.name });
                let inputs = operands.into_iter().zip(factors).map(|(operand, &factor)| {
                    let constant = self.floats(parameter("factor"), &[], &[factor]);
                    let product = self.fresh(&parameter("product"));
                    self.push("Mul", &product, vec![operand, constant], vec![]);
                    product
                });
                ("Add", inputs.collect(), vec![], is_map)
            }
            Op::Multiply => {
                let y = (self.values[node.inputs[1].0].clone(), graph.nodes[node.inputs[1].0].shape);
                let is_map = x.is_map || y.0.is_map;
                let operands =
                    [(x, x_shape), y].map(|(v, shape)| if is_map { self.as_map(v, shape) } else { v.name });
                ("Mul", operands.to_vec(), vec![], is_map)
            }
            Op::View(view) => self.view(&name, x, view, x_shape.len()),
            Op::Add | Op::Concat => {
                let operands: Vec<Value> = node.inputs.iter().map(|id| self.values[id.0].clone()).collect();
                let is_map = operands.iter().any(|value| value.is_map);
                let inputs = operands
                    .into_iter()
                    .zip(&node.inputs)
                    .map(|(v, id)| if is_map { self.as_map(v, graph.nodes[id.0].shape) } else { v.name })
                    .collect();
                match node.op {
                    Op::Add => ("Add", inputs, vec![], is_map),
                    _ => ("Concat", inputs, vec![int("axis", 1)], is_map),
                }
            }
            // An input has no operand and was handled above.
            Op::Input | Op::Flatten => ("Flatten", vec![x.name], vec![int("axis", 1)], false),
        };
        self.push(op_type, &name, inputs, attributes);
        self.values.push(Value { name, is_map });
    }

    /// The function of `x`, for the node called `name`.
    fn smooth(&mut self, name: &str, x: Value, function: Function) -> Written {
        let unary = |op_type, x: Value| (op_type, vec![x.name], vec![], x.is_map);
        match function {
            Function::Sigmoid => unary("Sigmoid", x),
            Function::Tanh => unary("Tanh", x),
            Function::HardSwish => unary("HardSwish", x),
            Function::Elu => unary("Elu", x),
            Function::Silu => {
                let sigmoid = self.fresh(&format!("{name}.sigmoid"));
                self.push("Sigmoid", &sigmoid, vec![x.name.clone()], vec![]);
                ("Mul", vec![x.name, sigmoid], vec![], x.is_map)
            }
            Function::Gelu => {
                // x (1 + erf(x / sqrt 2)) / 2: an operator of its own since opset 20 only.
                let mut step = |op_type: &str, x: &str, constant: Option<f32>| {
                    let result = self.fresh(&format!("{name}.{}", op_type.to_lowercase()));
                    let constant = constant.map(|c| self.floats(format!("{result}.value"), &[], &[c]));
                    let inputs = std::iter::once(x.to_owned()).chain(constant).collect();
                    self.push(op_type, &result, inputs, vec![]);
                    result
                };
                let scaled = step("Div", &x.name, Some(std::f32::consts::SQRT_2));
                let erf = step("Erf", &scaled, None);
                let sum = step("Add", &erf, Some(1.0));
                let half = step("Mul", &x.name, Some(0.5));
                ("Mul", vec![half, sum], vec![], x.is_map)
            }
        }
    }

    /// The elements of `x`, and a zero after them where there is one in the view, by their places.
    fn view(&mut self, name: &str, x: Value, view: &View, elements: usize) -> Written {
        let places: Vec<usize> = (0..elements).collect();
        let places = view.apply(&places, elements);
        let dims = |dims: &[usize]| dims.iter().flat_map(|&d| (d as i64).to_le_bytes()).collect();
        let flat = self.raw(format!("{name}.flat"), &[1], INT64, dims(&[elements]));
        let pads = self.raw(format!("{name}.pads"), &[2], INT64, dims(&[0, 1]));
        let index = self.raw(format!("{name}.index"), &[places.len()], INT64, dims(&places));
        let Shape { channels, height, width } = view.shape;
        let shape = self.raw(format!("{name}.shape"), &[4], INT64, dims(&[1, channels, height, width]));
        let mut step = |op_type: &str, inputs: Vec<String>, attributes| {
            let result = self.fresh(&format!("{name}.{}", op_type.to_lowercase()));
            self.push(op_type, &result, inputs, attributes);
            result
        };
        let mut from = step("Reshape", vec![x.name, flat], vec![]);
        if places.contains(&elements) {
            from = step("Pad", vec![from, pads], vec![]);
        }
        let gathered = step("Gather", vec![from, index], vec![int("axis", 0)]);
        ("Reshape", vec![gathered, shape], vec![], true)
    }

    /// The inputs of a clip of `x`, for the node called `name`.
    fn clip(&mut self, name: &str, x: String, [low, high]: [f32; 2]) -> Vec<String> {
        let min = self.floats(format!("{name}.min"), &[], &[low]);
        vec![x, min, self.floats(format!("{name}.max"), &[], &[high])]
    }

    fn push(&mut self, op_type: &str, name: &str, input: Vec<String>, attribute: Vec<AttributeProto>) {
        self.nodes.push(NodeProto {
            input,
            output: vec![name.to_owned()],
            name: Some(name.to_owned()),
            op_type: Some(op_type.to_owned()),
            attribute,
            domain: None,
        });
    }

    /// The name of `x` as a map N,C,H,W.
    fn as_map(&mut self, x: Value, shape: Shape) -> String {
        if x.is_map {
            return x.name;
        }
        let name = self.fresh(&format!("{}.map", x.name));
        let dims = [1, shape.channels, 1, 1].map(|d| (d as i64).to_le_bytes()).concat();
        let target = self.raw(format!("{name}.shape"), &[4], INT64, dims);
        self.push("Reshape", &name, vec![x.name, target], vec![]);
        name
    }

    /// The name of `x` as a vector N,C.
    fn as_vector(&mut self, x: Value) -> String {
        if !x.is_map {
            return x.name;
        }
        let name = self.fresh(&format!("{}.flat", x.name));
        self.push("Flatten", &name, vec![x.name], vec![int("axis", 1)]);
        name
    }

    fn floats(&mut self, name: String, dims: &[usize], values: &[f32]) -> String {
        self.raw(name, dims, FLOAT, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn mask(&mut self, name: String, dims: &[usize], mask: &Mask) -> String {
        self.raw(name, dims, BOOL, mask.as_slice().iter().map(|&kept| u8::from(kept)).collect())
    }

    fn raw(&mut self, name: String, dims: &[usize], data_type: i32, bytes: Vec<u8>) -> String {
        let name = self.fresh(&name);
        self.tensors.push(TensorProto {
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: Some(data_type),
            name: Some(name.clone()),
            raw_data: Some(bytes),
            ..TensorProto::default()
        });
        name
    }

    /// `wanted`, or that with a number where it is taken; ONNX has no empty names.
    fn fresh(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "node" } else { wanted };
        let mut name = wanted.to_owned();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{wanted}#{count}");
        }
        name
    }
}

/// The dimensions of a constant with a value for each element.
fn elements(shape: Shape, is_map: bool) -> Vec<usize> {
    if is_map { vec![shape.channels, shape.height, shape.width] } else { vec![shape.channels] }
}

fn window_attributes(window: &Window) -> Vec<AttributeProto> {
    vec![ints("kernel_shape", &window.kernel), ints("strides", &window.stride), ints("pads", &window.padding)]
}

/// `AttributeProto.type` of each kind.
fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind), ..AttributeProto::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, 1) }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, 2) }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto { ints: values.iter().map(|&v| v as i64).collect(), ..attribute(name, 7) }
}

fn value_info(value: &Value, shape: Shape) -> ValueInfoProto {
    let dims = [1, shape.channels, shape.height, shape.width];
    let dims = if value.is_map { &dims[..] } else { &dims[..2] };
    let dim = |&d: &usize| Dimension { value: Some(dimension::Value::DimValue(d as i64)) };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(FLOAT), shape: Some(shape) };
    ValueInfoProto {
        name: Some(value.name.clone()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }),
    }
}
