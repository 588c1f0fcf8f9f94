//! ONNX models in the words of the standard, their bytes, and damage.

use crate::draw::Draw;

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub opset: i64,
    pub input: Vec<i64>,
    pub nodes: Vec<Node>,
    pub tensors: Vec<Tensor>,
    pub outputs: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Node {
    pub op: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<Attribute>,
}

#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: String,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Text(String),
}

/// A constant: its elements are floats where there are any, else integers or bytes.
#[derive(Clone, Debug, Default)]
pub struct Tensor {
    pub name: String,
    pub dims: Vec<i64>,
    pub data_type: i64,
    pub floats: Vec<f32>,
    pub ints: Vec<i64>,
    pub raw: Vec<u8>,
    pub location: i64,
}

impl Attribute {
    pub fn int(name: &str, value: i64) -> Self {
        Self { name: name.to_owned(), value: Value::Int(value) }
    }

    pub fn float(name: &str, value: f32) -> Self {
        Self { name: name.to_owned(), value: Value::Float(value) }
    }

    pub fn ints(name: &str, values: &[i64]) -> Self {
        Self { name: name.to_owned(), value: Value::Ints(values.to_vec()) }
    }

    pub fn text(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), value: Value::Text(text.to_owned()) }
    }

    fn encode(&self) -> Vec<u8> {
        let name = field(1, self.name.as_bytes());
        let value = match &self.value {
            Value::Int(value) => varint(3, *value),
            Value::Float(value) => fixed(2, *value),
            Value::Ints(values) => values.iter().flat_map(|&v| varint(8, v)).collect(),
            Value::Floats(values) => values.iter().flat_map(|&v| fixed(7, v)).collect(),
            Value::Text(text) => field(4, text.as_bytes()),
        };
        [name, value].concat()
    }
}

impl Tensor {
    pub fn floats(name: &str, dims: &[usize], floats: Vec<f32>) -> Self {
        Self { floats, ..Self::new(name, dims, 1) }
    }

    pub fn ints(name: &str, ints: &[i64]) -> Self {
        Self { ints: ints.to_vec(), ..Self::new(name, &[ints.len()], 7) }
    }

    pub fn bools(name: &str, dims: &[usize], raw: Vec<u8>) -> Self {
        Self { raw, ..Self::new(name, dims, 9) }
    }

    fn new(name: &str, dims: &[usize], data_type: i64) -> Self {
        let dims = dims.iter().map(|&d| d as i64).collect();
        Self { name: name.to_owned(), dims, data_type, ..Self::default() }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.dims.iter().flat_map(|&d| varint(1, d)).collect();
        bytes.extend(varint(2, self.data_type));
        bytes.extend(field(8, self.name.as_bytes()));
        if !self.floats.is_empty() {
            bytes.extend(field(4, &self.floats.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>()));
        }
        bytes.extend(self.ints.iter().flat_map(|&v| varint(7, v)));
        if !self.raw.is_empty() {
            bytes.extend(field(9, &self.raw));
        }
        if self.location != 0 {
            bytes.extend(varint(14, self.location));
        }
        bytes
    }
}

impl Node {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.inputs.iter().for_each(|name| bytes.extend(field(1, name.as_bytes())));
        self.outputs.iter().for_each(|name| bytes.extend(field(2, name.as_bytes())));
        bytes.extend(field(4, self.op.as_bytes()));
        self.attributes.iter().for_each(|attribute| bytes.extend(field(5, &attribute.encode())));
        if !self.domain.is_empty() {
            bytes.extend(field(7, self.domain.as_bytes()));
        }
        bytes
    }
}

impl Model {
    /// With one input, called x.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(&["x".to_owned()])
    }

    /// With other inputs, whose dimensions are left open but for those of `x`.
    pub fn encode_with(&self, inputs: &[String]) -> Vec<u8> {
        let info = |name: &str, dims: &[i64]| {
            let dims: Vec<u8> = dims.iter().flat_map(|&d| field(1, &varint(1, d))).collect();
            let tensor = [varint(1, 1), field(2, &dims)].concat();
            [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
        };
        let mut graph: Vec<u8> = self.nodes.iter().flat_map(|node| field(1, &node.encode())).collect();
        self.tensors.iter().for_each(|tensor| graph.extend(field(5, &tensor.encode())));
        inputs.iter().for_each(|name| graph.extend(field(11, &info(name, &self.input))));
        self.outputs.iter().for_each(|name| graph.extend(field(12, &info(name, &[]))));
        [varint(1, 8), field(7, &graph), field(8, &varint(2, self.opset))].concat()
    }
}

fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn varint(tag: u64, value: i64) -> Vec<u8> {
    [number(tag << 3), number(value as u64)].concat()
}

fn fixed(tag: u64, value: f32) -> Vec<u8> {
    [number(tag << 3 | 5), value.to_le_bytes().to_vec()].concat()
}

fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [number(tag << 3 | 2), number(bytes.len() as u64), bytes.to_vec()].concat()
}

/// All operators that are read, and some that are not.
fn operator(draw: &mut Draw) -> String {
    let known = copriv_import::onnx::OPERATORS;
    match draw.below(known.len() + 4) {
        0 => "LSTM".to_owned(),
        1 => "Range".to_owned(),
        2 => "ConstantOfShape".to_owned(),
        3 => String::new(),
        at => known[at - 4].to_owned(),
    }
}

/// Changes one thing of a model.
pub fn damage(model: &mut Model, draw: &mut Draw) {
    let names: Vec<String> = ["x".to_owned(), String::new(), "nothing".to_owned()]
        .into_iter()
        .chain(model.nodes.iter().flat_map(|node| node.outputs.clone()))
        .chain(model.tensors.iter().map(|tensor| tensor.name.clone()))
        .collect();
    let name = names[draw.below(names.len())].clone();
    let kind = draw.below(12);
    if kind < 6 && !model.nodes.is_empty() {
        let at = draw.below(model.nodes.len());
        let node = &mut model.nodes[at];
        match kind {
            0 => {
                let at = draw.below(node.inputs.len() + 1);
                match node.inputs.get_mut(at) {
                    Some(input) => *input = name,
                    None => node.inputs.push(name),
                }
            }
            1 => {
                let at = draw.below(node.outputs.len() + 1);
                match node.outputs.get_mut(at) {
                    Some(output) => *output = name,
                    None => node.outputs.push(name),
                }
            }
            2 => node.op = operator(draw),
            3 => {
                let copy = node.clone();
                model.nodes.push(copy);
            }
            4 => drop(node.inputs.pop()),
            _ => attribute(node, draw),
        }
        return;
    }
    match kind {
        6 => model.opset = draw.int(),
        7 => {
            let (at, size) = (draw.below(model.input.len() + 1), draw.int());
            match model.input.get_mut(at) {
                Some(old) => *old = size,
                None => model.input.push(size),
            }
        }
        8 => model.outputs.push(name),
        9 => model.outputs = vec![name],
        10 => model.nodes.reverse(),
        _ if model.tensors.is_empty() => {}
        _ => {
            let at = draw.below(model.tensors.len());
            let tensor = &mut model.tensors[at];
            match draw.below(8) {
                0 | 1 => {
                    let (at, size) = (draw.below(tensor.dims.len() + 1), draw.int());
                    match tensor.dims.get_mut(at) {
                        Some(old) => *old = size,
                        None => tensor.dims.push(size),
                    }
                }
                2 => tensor.data_type = [1, 2, 3, 6, 7, 9, 10, 11, 16, 8, -1][draw.below(11)],
                3 => {
                    let (at, value) = (draw.below(tensor.floats.len().max(1)), draw.float());
                    tensor.floats.get_mut(at).into_iter().for_each(|old| *old = value);
                }
                4 | 5 => {
                    let (at, value) = (draw.below(tensor.ints.len().max(1)), draw.int());
                    tensor.ints.get_mut(at).into_iter().for_each(|old| *old = value);
                }
                6 => tensor.location = 1,
                _ => {
                    let copy = tensor.clone();
                    model.tensors.push(copy);
                }
            }
        }
    }
}

fn attribute(node: &mut Node, draw: &mut Draw) {
    const NAMES: [&str; 27] = [
        "axis",
        "axes",
        "perm",
        "pads",
        "strides",
        "dilations",
        "kernel_shape",
        "group",
        "auto_pad",
        "ceil_mode",
        "count_include_pad",
        "output_padding",
        "output_shape",
        "alpha",
        "beta",
        "epsilon",
        "min",
        "max",
        "transA",
        "transB",
        "keepdims",
        "blocksize",
        "split",
        "allowzero",
        "value",
        "to",
        "mode",
    ];
    let count = node.attributes.len();
    if count == 0 || draw.one_in(4) {
        let name = NAMES[draw.below(NAMES.len())].to_owned();
        let value = match draw.below(3) {
            0 => Value::Int(draw.int()),
            1 => Value::Float(draw.float()),
            _ => Value::Ints((0..draw.below(9)).map(|_| draw.int()).collect()),
        };
        node.attributes.push(Attribute { name, value });
        return;
    }
    let at = draw.below(count);
    if draw.one_in(6) {
        node.attributes.remove(at);
        return;
    }
    match &mut node.attributes[at].value {
        Value::Int(value) => *value = draw.int(),
        Value::Float(value) => *value = draw.float(),
        Value::Text(text) => {
            *text = ["", "wrap", "SAME_LOWER", "tf_crop_and_resize", "linear"][draw.below(5)].to_owned()
        }
        Value::Floats(list) => {
            let (at, value) = (draw.below(list.len() + 1), draw.float());
            match list.get_mut(at) {
                Some(old) => *old = value,
                None => list.push(value),
            }
        }
        Value::Ints(list) => {
            let (at, value) = (draw.below(list.len() + 1), draw.int());
            match list.get_mut(at) {
                Some(old) => *old = value,
                None => list.push(value),
            }
        }
    }
}
