//! ONNX models made of a fuzzer's bytes: every operator that is read, mostly as an exporter would write it, and then damaged.

use copriv_import::onnx::{self, Data, Known, Model, Options};
use copriv_ir::{Graph, Op, lower};

use crate::draw::Draw;
use crate::files::OPTIONS;
use crate::proto::{self, Attribute, Node, Tensor, Value};

/// Elements of all values of a network that is computed.
const SMALL: usize = 1 << 14;

/// Reads the model that `data` makes; whether it is taken.
pub fn run(data: &[u8]) -> bool {
    let (model, options) = built(data);
    check(&model.encode(), &options)
}

/// What holds of every model, whatever the bytes.
pub fn check(bytes: &[u8], options: &Options) -> bool {
    let graph = match onnx::read_with(bytes, "fuzz", options) {
        Ok(graph) => graph,
        Err(error) => {
            assert!(error.to_string().len() < 4096, "a message of {} bytes", error.to_string().len());
            return false;
        }
    };
    graph.validate().expect("what is read is valid");
    if let Ok(lowered) = lower(&graph, OPTIONS) {
        lowered.validate().expect("what is lowered is valid");
    }
    let elements: usize = graph.nodes.iter().map(|node| node.shape.len()).sum();
    let work: usize = graph.nodes.iter().map(|node| node.shape.len() * window(node).max(1)).sum();
    if elements > SMALL || work > 64 * SMALL || crate::files::parameters(&graph) > 4 * SMALL {
        return true;
    }
    let input: Vec<f32> =
        (0..graph.input_shape().len()).map(|i| ((i * 37 + 11) % 64) as f32 / 16.0 - 2.0).collect();
    let Some((expected, scale)) = computed(&graph, &input) else { return true };

    let again = onnx::read(&onnx::write(&graph), "fuzz").expect("what is written can be read");
    if let Some((got, _)) = computed(&again, &input) {
        same(&got, &expected, 1e-5 * scale, "written and read");
    }

    // The model itself, in its own words: without the softmax that is left out of the network.
    let left_out = |name: &[u8]| bytes.windows(name.len()).any(|part| part == name);
    if left_out(b"Softmax") {
        return true;
    }
    let Some(dims) = options.input.clone() else { return true };
    let Ok(model) = Model::parse(bytes, "fuzz") else { return true };
    if options.output.is_some() || model.inputs().len() != 1 {
        return true;
    }
    let whole = |input: Vec<f32>| {
        let outputs = model.evaluate(&[Known::new(dims.clone(), Data::F32(input))?]).ok()?;
        if let Data::F32(whole) = outputs[0].data() { Some(whole.clone()) } else { None }
    };
    // The network takes channels first what the model may take channels last; the shape says which it is, if not always.
    let shape = graph.input_shape();
    let shape = [shape.channels, shape.height, shape.width];
    let last = matches!(dims[..], [1, h, w, c] if [c, h, w] == shape).then(|| {
        let places = (0..input.len()).map(|i| i % shape[0] * (input.len() / shape[0]) + i / shape[0]);
        places.map(|place| input[place]).collect::<Vec<f32>>()
    });
    let first = dims.len() != 4 || dims[1..] == shape;
    let wholes = [first.then_some(input), last].map(|input| input.and_then(&whole));
    let near = |whole: &Vec<f32>| off(&expected, whole, 1e-4 * scale).is_none();
    if !wholes.iter().flatten().any(near)
        && let Some(whole) = wholes.iter().flatten().next()
    {
        same(&expected, whole, 1e-4 * scale, "the network and the model");
    }
    true
}

fn window(node: &copriv_ir::Node) -> usize {
    match &node.op {
        Op::MaxPool(w) | Op::AvgPool(w) | Op::AvgPoolInside(w) => w.area(),
        Op::Conv { weight, out_channels, .. } => weight.len() / out_channels.max(&1),
        _ => 1,
    }
}

/// What the network computes and the largest value on the way, where floats can tell.
fn computed(graph: &Graph, input: &[f32]) -> Option<(Vec<f32>, f32)> {
    let mut all = copriv_plain::float::evaluate_all(graph, input).expect("a valid network");
    if !all.iter().flatten().all(|x| x.is_finite()) {
        return None;
    }
    let most = |values: &[f32]| values.iter().fold(1f32, |most, x| most.max(x.abs()));
    // Factors count too: their products with values may cancel.
    let factor = |op: &Op| match op {
        Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => most(weight).max(most(bias)),
        Op::BatchNorm { scale, shift } => most(scale).max(most(shift)),
        Op::Combine { factors } => most(factors),
        _ => 1.0,
    };
    let factors = graph.nodes.iter().map(|node| factor(&node.op)).fold(1.0, f32::max);
    let largest = all.iter().map(|values| most(values)).fold(1.0, f32::max);
    let squares = graph.nodes.iter().any(|node| node.op == Op::Multiply);
    let scale = factors * largest * if squares { largest } else { 1.0 };
    if scale < 1e6 { all.pop().map(|last| (last, scale)) } else { None }
}

#[track_caller]
fn same(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    if let Some(i) = off(got, expected, tolerance) {
        panic!("{what}: element {i} is {}, not {} ({tolerance})", got[i], expected[i]);
    }
}

/// The first element that is off by more than is tolerated.
#[track_caller]
fn off(got: &[f32], expected: &[f32], tolerance: f32) -> Option<usize> {
    assert_eq!(got.len(), expected.len(), "as many logits");
    let near = |i: &usize| (got[*i] - expected[*i]).abs() <= tolerance;
    (0..got.len()).find(|i| !near(i))
}

/// A model under construction, and what its values are.
struct Builder<'a> {
    draw: Draw<'a>,
    model: proto::Model,
    /// The values that are computed, by name.
    values: Vec<(String, Known)>,
    fresh: usize,
}

/// The model of some bytes. What follows the structure is what is damaged in it.
pub fn built(data: &[u8]) -> (proto::Model, Options) {
    let mut draw = Draw::new(data);
    let opset = [17, 13, 11, 9, 7, 18, 19, 20, 21, 10][draw.below(10)];
    let channels = 1 + draw.below(4);
    let dims = match draw.below(6) {
        0 => vec![1, 4 * channels],
        1 => vec![1, channels, 2 + draw.below(7)],
        2 => vec![1, channels, 2 + draw.below(3), 2, 1 + draw.below(3)],
        3 => vec![1 + draw.below(2), 2 + draw.below(5), channels],
        _ => vec![1, channels, 2 + draw.below(6), 2 + draw.below(6)],
    };
    let count = dims.iter().product();
    let x = (0..count).map(|i: usize| ((i * 37 + 11) % 64) as f32 / 16.0 - 2.0).collect();
    let known = Known::new(dims.clone(), Data::F32(x)).expect("few elements");
    let model =
        proto::Model { opset, input: dims.iter().map(|&d| d as i64).collect(), ..proto::Model::default() };
    let mut builder = Builder { draw, model, values: vec![("x".to_owned(), known)], fresh: 0 };
    for _ in 0..1 + builder.draw.below(8) {
        builder.step();
    }
    let last = builder.values.len() - 1;
    let output = if builder.draw.one_in(8) { builder.draw.below(last + 1) } else { last };
    builder.model.outputs = vec![builder.values[output].0.clone()];
    let Builder { mut draw, mut model, .. } = builder;
    let mut options = Options { input: Some(dims), output: None };
    for _ in 0..if draw.one_in(3) { 1 + draw.below(3) } else { 0 } {
        proto::damage(&mut model, &mut draw);
        options.input = if draw.one_in(2) { None } else { options.input };
    }
    (model, options)
}

impl Builder<'_> {
    fn name(&mut self, what: &str) -> String {
        self.fresh += 1;
        format!("{what}{}", self.fresh)
    }

    /// A constant of small numbers.
    fn floats(&mut self, dims: &[usize]) -> String {
        let (name, seed) = (self.name("w"), self.draw.byte());
        let float = |i: usize| match seed {
            0..4 => [1.0, 0.0, 0.5, -1.0][usize::from(seed)],
            4..16 => [0.0, 1.0][(i * 7 + usize::from(seed)) / 3 % 2],
            _ => ((i * 29 + usize::from(seed) * 13) % 31) as f32 / 16.0 - 0.9375,
        };
        let floats = (0..dims.iter().product()).map(float).collect();
        self.model.tensors.push(Tensor::floats(&name, dims, floats));
        name
    }

    fn number(&mut self, value: f32, rank: usize) -> String {
        let name = self.name("c");
        self.model.tensors.push(Tensor::floats(&name, &vec![1; rank], vec![value]));
        name
    }

    fn ints(&mut self, values: &[i64]) -> String {
        let name = self.name("i");
        self.model.tensors.push(Tensor::ints(&name, values));
        name
    }

    /// Dimensions that broadcast to `dims`.
    fn spread(&mut self, dims: &[usize]) -> Vec<usize> {
        let from = self.draw.below(dims.len() + 1);
        match self.draw.below(4) {
            0 => vec![],
            // One a channel.
            1 if dims.len() > 1 => {
                dims[1..].iter().enumerate().map(|(i, &d)| if i == 0 { d } else { 1 }).collect()
            }
            _ => dims[from..].iter().map(|&d| if self.draw.one_in(3) { 1 } else { d }).collect(),
        }
    }

    /// One value that is there, mostly the last.
    fn pick(&mut self) -> (String, Vec<usize>) {
        let last = self.values.len() - 1;
        let at = if self.draw.one_in(4) { self.draw.below(last + 1) } else { last };
        (self.values[at].0.clone(), self.values[at].1.dims().to_vec())
    }

    /// A short list, as an input from that opset on and as an attribute before; or either where the bytes say so.
    fn list(&mut self, node: &mut Node, from: i64, name: &str, values: &[i64]) {
        if (self.model.opset >= from) != self.draw.one_in(64) {
            let input = self.ints(values);
            node.inputs.push(input);
        } else {
            node.attributes.push(Attribute::ints(name, values));
        }
    }

    /// Some nodes more, unless they compute nothing that is of use.
    fn step(&mut self) {
        let (x, dims) = self.pick();
        let before = (self.model.nodes.len(), self.model.tensors.len());
        let mut inputs = vec![x.clone()];
        self.nodes(&x, &dims);
        let nodes = self.model.nodes[before.0..].to_vec();
        if nodes.is_empty() {
            return;
        }
        // They are evaluated by themselves, on what they read.
        for node in &nodes {
            for input in &node.inputs {
                if self.values.iter().any(|(name, _)| name == input) && !inputs.contains(input) {
                    inputs.push(input.clone());
                }
            }
        }
        let last = &nodes[nodes.len() - 1];
        let part = proto::Model {
            nodes: nodes.clone(),
            tensors: self.model.tensors.clone(),
            outputs: last.outputs.clone(),
            opset: self.model.opset,
            ..proto::Model::default()
        };
        let known: Vec<Known> = inputs
            .iter()
            .filter_map(|input| self.values.iter().find(|(name, _)| name == input))
            .map(|(_, known)| known.clone())
            .collect();
        let outputs =
            Model::parse(&part.encode_with(&inputs), "part").and_then(|model| model.evaluate(&known));
        match outputs {
            Ok(outputs) if outputs.iter().all(|known| (1..SMALL / 4).contains(&known.data().len())) => {
                for (name, known) in last.outputs.iter().zip(outputs) {
                    if matches!(known.data(), Data::F32(_)) {
                        self.values.push((name.clone(), known));
                    }
                }
            }
            Err(_) if self.draw.one_in(16) => {
                let known = self.values[0].1.clone();
                self.values.push((last.outputs[0].clone(), known));
            }
            _ => {
                self.model.nodes.truncate(before.0);
                self.model.tensors.truncate(before.1);
            }
        }
    }

    fn push(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.add(Node { op: op.to_owned(), inputs, attributes, ..Node::default() })
    }

    fn add(&mut self, node: Node) -> String {
        let output = self.name("v");
        self.model.nodes.push(Node { outputs: vec![output.clone()], ..node });
        output
    }

    fn nodes(&mut self, x: &str, dims: &[usize]) {
        let (rank, opset) = (dims.len(), self.model.opset);
        let axis = self.draw.below(rank.max(1));
        let size = dims.get(axis).copied().unwrap_or(1);
        let signed = |draw: &mut Draw, axis: usize| {
            if draw.one_in(3) { axis as i64 - rank as i64 } else { axis as i64 }
        };
        let on = |op: &str| Node { op: op.to_owned(), inputs: vec![x.to_owned()], ..Node::default() };
        let (float, int, ints, text) = (Attribute::float, Attribute::int, Attribute::ints, Attribute::text);
        match self.draw.below(48) {
            kind @ 0..8 => {
                let op = ["Relu", "Sigmoid", "Tanh", "HardSwish", "Abs", "Neg", "Identity", "Relu"][kind];
                self.push(op, &[x], vec![]);
            }
            kind @ 8..11 => {
                let op = ["LeakyRelu", "HardSigmoid", "Elu"][kind - 8];
                let alpha = [0.25, 1.0, 0.0, -0.5, 2.0, 1.0 / 6.0][self.draw.below(6)];
                let attributes = if self.draw.one_in(3) { vec![] } else { vec![float("alpha", alpha)] };
                let y = self.push(op, &[x], attributes);
                if op == "HardSigmoid" && self.draw.one_in(2) {
                    self.push("Mul", &[x, &y], vec![]);
                }
            }
            11 => {
                let [low, high] = [self.draw.below(9), self.draw.below(9)].map(|n| n as f32 / 2.0 - 2.0);
                if opset < 11 {
                    self.push("Clip", &[x], vec![float("min", low), float("max", high)]);
                } else {
                    let [low, high] = [low, high].map(|bound| self.number(bound, 0));
                    let inputs = [[x, &low, &high], [x, "", &high], [x, &low, ""]][self.draw.below(3)];
                    self.push("Clip", &inputs, vec![]);
                }
            }
            12 => {
                let op = ["Max", "Min"][self.draw.below(2)];
                let bound = self.draw.below(9) as f32 / 2.0 - 2.0;
                let more = self.draw.below(rank + 2);
                let bound = self.number(bound, more);
                let inputs = if self.draw.one_in(2) { [x, &bound] } else { [&bound, x] };
                self.push(op, &inputs, vec![]);
            }
            13 | 14 => {
                let spread = self.spread(dims);
                let slopes = self.floats(&spread);
                self.push("PRelu", &[x, &slopes], vec![]);
            }
            15 => {
                let spread = self.spread(dims);
                let (name, count) = (self.name("m"), spread.iter().product());
                let mask = (0..count).map(|i: usize| u8::from(i % 3 == 0)).collect();
                self.model.tensors.push(Tensor::bools(&name, &spread, mask));
                let y = self.push("Relu", &[x], vec![]);
                let inputs =
                    if self.draw.one_in(2) { [name.as_str(), x, &y] } else { [name.as_str(), &y, x] };
                self.push("Where", &inputs, vec![]);
            }
            16..20 => {
                let op = ["Add", "Sub", "Mul", "Div"][self.draw.below(4)];
                let mut spread = self.spread(dims);
                if self.draw.one_in(6) {
                    spread.splice(0..0, vec![1; (rank + 1).saturating_sub(spread.len())]);
                }
                let constant = self.floats(&spread);
                let inputs = if self.draw.one_in(3) { [&constant, x] } else { [x, &constant] };
                self.push(op, &inputs, vec![]);
            }
            20 | 21 => {
                let other = self.pick().0;
                let op = ["Add", "Sub", "Mul"][self.draw.below(3)];
                self.push(op, &[x, &other], vec![]);
            }
            22 => {
                // The pieces of a GELU or SiLU, of x or of x with more axes.
                let mut again = x.to_owned();
                if self.draw.one_in(4) {
                    let mut node = on("Unsqueeze");
                    self.list(&mut node, 13, "axes", &[axis as i64]);
                    again = self.add(node);
                }
                if self.draw.one_in(3) {
                    let y = self.push("Sigmoid", &[x], vec![]);
                    self.push("Mul", &[&again, &y], vec![]);
                    return;
                }
                let ranks = [0, 0, 0, 1, rank, rank + 1];
                let mut constant = |value: f32| {
                    let rank = ranks[self.draw.below(6)];
                    self.number(value, rank)
                };
                let [root, one, half] = [std::f32::consts::SQRT_2, 1.0, 0.5].map(&mut constant);
                let scaled = self.push("Div", &[x, &root], vec![]);
                let erf = self.push("Erf", &[&scaled], vec![]);
                let sum = self.push("Add", &[&erf, &one], vec![]);
                if self.draw.one_in(2) {
                    let product = self.push("Mul", &[&again, &sum], vec![]);
                    self.push("Mul", &[&product, &half], vec![]);
                } else {
                    let halved = self.push("Mul", &[&again, &half], vec![]);
                    self.push("Mul", &[&halved, &sum], vec![]);
                }
            }
            23..28 if (3..5).contains(&rank) => self.window(x, dims),
            28 => {
                let op = ["GlobalAveragePool", "GlobalMaxPool"][self.draw.below(2)];
                self.push(op, &[x], vec![]);
            }
            29 => {
                let mut node = on("ReduceMean");
                let mut axes: Vec<i64> = (0..rank as i64).filter(|_| self.draw.one_in(2)).collect();
                axes.iter_mut().for_each(|axis| *axis = signed(&mut self.draw, *axis as usize));
                if self.draw.one_in(2) {
                    node.attributes.push(int("keepdims", 0));
                }
                if self.draw.one_in(8) {
                    node.attributes.push(int("noop_with_empty_axes", 1));
                }
                if !axes.is_empty() {
                    self.list(&mut node, 18, "axes", &axes);
                }
                self.add(node);
            }
            30 => {
                let channels = dims.get(1).copied().unwrap_or(1);
                let [a, b, c] = [0; 3].map(|_| self.floats(&[channels]));
                let d = self.name("w");
                let variance = (0..channels).map(|i| 0.5 + i as f32 / 4.0).collect();
                self.model.tensors.push(Tensor::floats(&d, &[channels], variance));
                self.push("BatchNormalization", &[x, &a, &b, &c, &d], vec![float("epsilon", 0.01)]);
            }
            31 | 32 => {
                let outputs = 1 + self.draw.below(4);
                let inputs = dims.last().copied().unwrap_or(1);
                let turned = self.draw.one_in(2);
                let mut weight = self.floats(&if turned { [outputs, inputs] } else { [inputs, outputs] });
                let by_node = self.draw.one_in(3);
                if by_node {
                    // A transposition that undoes the one of the file, or does nothing.
                    let perm: &[i64] = if turned { &[1, 0] } else { &[0, 1] };
                    weight = self.push("Transpose", &[&weight], vec![ints("perm", perm)]);
                }
                if rank == 2 && self.draw.one_in(2) {
                    let spread =
                        [vec![], vec![1], vec![outputs], vec![1, outputs], vec![1, 1], vec![dims[0], 1]];
                    let spread = spread[self.draw.below(6)].clone();
                    let bias = self.floats(&spread);
                    let mut attributes = vec![int("transB", i64::from(turned && !by_node))];
                    if self.draw.one_in(2) {
                        attributes.extend([float("alpha", 0.5), float("beta", -2.0)]);
                    }
                    let inputs = [x, &weight, &bias];
                    let count = 2 + self.draw.below(2);
                    self.push("Gemm", &inputs[..count], attributes);
                } else {
                    self.push("MatMul", &[x, &weight], vec![]);
                }
            }
            33 | 34 => {
                let mut inputs = vec![x.to_owned()];
                for _ in 0..self.draw.below(3) {
                    let other = self.pick();
                    inputs.push(if self.draw.one_in(2) { x.to_owned() } else { other.0 });
                }
                let axis = signed(&mut self.draw, axis);
                self.add(Node { inputs, attributes: vec![int("axis", axis)], ..on("Concat") });
            }
            35 => {
                let axis = if self.draw.one_in(4) { rank as i64 } else { signed(&mut self.draw, axis) };
                let attributes = if self.draw.one_in(3) { vec![] } else { vec![int("axis", axis)] };
                self.push("Flatten", &[x], attributes);
            }
            36 | 37 => self.reshape(x, dims, axis),
            38 => {
                let mut order: Vec<i64> = (0..rank as i64).collect();
                if rank > 0 {
                    order.rotate_left(axis);
                    let other = self.draw.below(rank);
                    order.swap(0, other);
                }
                let attributes = if self.draw.one_in(4) { vec![] } else { vec![ints("perm", &order)] };
                self.push("Transpose", &[x], attributes);
            }
            39 => {
                let mut node = on("Slice");
                let count = 1 + self.draw.below(2);
                let mut lists = [const { Vec::new() }; 4];
                for axis in (0..rank).cycle().skip(axis).take(count) {
                    let [start, end] = [self.draw.below(9), self.draw.below(12)].map(|n| n as i64 - 4);
                    let end =
                        if self.draw.one_in(3) { [i64::MAX, i64::MIN][self.draw.below(2)] } else { end };
                    let step = [1, 1, 2, -1, -2, 3][self.draw.below(6)];
                    let axis = signed(&mut self.draw, axis);
                    lists.iter_mut().zip([start, end, axis, step]).for_each(|(list, value)| list.push(value));
                }
                let steps = opset >= 10 && self.draw.one_in(2);
                for (name, list) in
                    ["starts", "ends", "axes", "steps"].iter().zip(&lists).take(3 + usize::from(steps))
                {
                    self.list(&mut node, 10, name, list);
                }
                self.add(node);
            }
            40 => {
                let parts = 1 + self.draw.below(3);
                let mut node =
                    Node { attributes: vec![int("axis", signed(&mut self.draw, axis))], ..on("Split") };
                if self.draw.one_in(2) && parts <= size {
                    let mut list = vec![1; parts];
                    list[parts - 1] = (size - parts + 1) as i64;
                    self.list(&mut node, 13, "split", &list);
                } else if opset >= 18 {
                    node.attributes.push(int("num_outputs", parts as i64));
                } else if !size.is_multiple_of(parts) {
                    return;
                }
                let outputs = (0..parts).map(|_| self.name("v")).collect();
                self.model.nodes.push(Node { outputs, ..node });
            }
            41 => {
                let count = 1 + self.draw.below(4);
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.draw.below(2 * size) as i64 - size as i64);
                }
                let mut indices = self.ints(&list);
                match self.draw.below(4) {
                    0 => {
                        self.model.tensors.pop();
                        indices = self.name("i");
                        let one = Tensor { dims: vec![], ..Tensor::ints(&indices, &list[..1]) };
                        self.model.tensors.push(one);
                    }
                    1 => {
                        if let Some(tensor) = self.model.tensors.last_mut() {
                            tensor.dims.insert(0, 1);
                        }
                    }
                    _ => {}
                }
                let axis = signed(&mut self.draw, axis);
                self.push("Gather", &[x, &indices], vec![int("axis", axis)]);
            }
            42 => {
                let op = ["Expand", "Tile"][self.draw.below(2)];
                let mut list: Vec<i64> = match op {
                    "Tile" => vec![1; rank],
                    _ => dims.iter().map(|&d| d as i64).collect(),
                };
                if let Some(one) = list.get_mut(axis)
                    && (op == "Tile" || *one == 1)
                {
                    *one = 1 + self.draw.below(3) as i64;
                }
                if op == "Expand" && self.draw.one_in(3) {
                    list.insert(0, 1 + self.draw.below(2) as i64);
                }
                let list = self.ints(&list);
                self.push(op, &[x, &list], vec![]);
            }
            43 => {
                let op = ["DepthToSpace", "SpaceToDepth"][self.draw.below(2)];
                let mut attributes = vec![int("blocksize", 1 + self.draw.below(3) as i64)];
                if op == "DepthToSpace" && self.draw.one_in(2) {
                    attributes.push(text("mode", ["CRD", "DCR"][self.draw.below(2)]));
                }
                self.push(op, &[x], attributes);
            }
            44 => {
                let mode = ["constant", "reflect", "edge", "wrap"][self.draw.below(4)];
                let mut pads = vec![0; 2 * rank];
                for _ in 0..2 {
                    let (at, pad) = (self.draw.below(2 * rank.max(1)), self.draw.below(5) as i64 - 1);
                    pads.get_mut(at).into_iter().for_each(|old| *old = pad);
                }
                let mut node = Node { attributes: vec![text("mode", mode)], ..on("Pad") };
                self.list(&mut node, 11, "pads", &pads);
                self.add(node);
            }
            45 | 46 => self.resize(x, rank),
            47 => match self.draw.below(5) {
                0 => {
                    self.push("Cast", &[x], vec![int("to", 1)]);
                }
                1 => {
                    self.push("Dropout", &[x], vec![]);
                }
                2 => {
                    self.push("Softmax", &[x], vec![]);
                }
                3 => {
                    self.push("Gelu", &[x], vec![]);
                }
                _ => {
                    // A constant of a node, and what is computed of it.
                    let value =
                        Attribute { name: "value_floats".to_owned(), value: Value::Floats(vec![0.5, -0.25]) };
                    let c = self.push("Constant", &[], vec![value]);
                    let c = self.push("Mul", &[&c, &c], vec![]);
                    let c = self.push("ReduceMean", &[&c], vec![int("keepdims", 0)]);
                    self.push("Add", &[x, &c], vec![]);
                }
            },
            _ => {}
        }
    }

    /// What slides over a map.
    fn window(&mut self, x: &str, dims: &[usize]) {
        let axes = dims.len() - 2;
        let (int, ints, text) = (Attribute::int, Attribute::ints, Attribute::text);
        let op = ["Conv", "ConvTranspose", "MaxPool", "AveragePool"][self.draw.below(4)];
        let mut list = |least: i64, most: usize| -> Vec<i64> {
            (0..axes).map(|_| least + self.draw.below(most) as i64).collect()
        };
        let (kernel, stride, dilation) = (list(1, 3), list(1, 3), list(1, 3));
        let (pads, more) = ([list(0, 3), list(0, 3)].concat(), list(0, 2));
        let mut attributes = Vec::new();
        if self.draw.one_in(2) {
            attributes.push(ints("strides", &stride));
        }
        if op.starts_with("Conv") && self.draw.one_in(2) || self.draw.one_in(16) {
            attributes.push(ints("dilations", &dilation));
        }
        match self.draw.below(6) {
            0 => attributes.push(text("auto_pad", "SAME_UPPER")),
            1 => attributes.push(text("auto_pad", "SAME_LOWER")),
            2 => attributes.push(text("auto_pad", "VALID")),
            3 => {}
            _ => attributes.push(ints("pads", &pads)),
        }
        if op.ends_with("Pool") {
            attributes.push(ints("kernel_shape", &kernel));
            if self.draw.one_in(2) && self.model.opset >= 10 {
                attributes.push(int("ceil_mode", 1));
            }
            if self.draw.one_in(2) && op == "AveragePool" {
                attributes.push(int("count_include_pad", 1));
            }
            self.push(op, &[x], attributes);
            return;
        }
        let groups = if dims[1].is_multiple_of(2) && self.draw.one_in(2) { 2 } else { 1 };
        attributes.push(int("group", groups as i64));
        let per_group = 1 + self.draw.below(2);
        let (channels, outputs) = (dims[1], groups * per_group);
        let mut weights =
            if op == "Conv" { vec![outputs, channels / groups] } else { vec![channels, per_group] };
        weights.extend(kernel.iter().map(|&k| k as usize));
        if op == "ConvTranspose" {
            match self.draw.below(4) {
                0 => attributes.push(ints("output_padding", &more)),
                1 => {
                    let sizes: Vec<i64> = dims[2..]
                        .iter()
                        .zip(&stride)
                        .zip(&more)
                        .map(|((&d, s), m)| d as i64 * s + m)
                        .collect();
                    attributes.push(ints("output_shape", &sizes));
                }
                _ => {}
            }
        }
        let weight = self.floats(&weights);
        let bias = self.floats(&[outputs]);
        let inputs = [x, &weight, &bias];
        let count = 2 + self.draw.below(2);
        self.push(op, &inputs[..count], attributes);
    }

    fn reshape(&mut self, x: &str, dims: &[usize], axis: usize) {
        let mut node = Node { inputs: vec![x.to_owned()], ..Node::default() };
        let (op, mut list): (_, Vec<i64>) = match self.draw.below(4) {
            0 => ("Unsqueeze", vec![axis as i64]),
            1 => {
                let ones: Vec<i64> = (0..dims.len()).filter(|&i| dims[i] == 1).map(|i| i as i64).collect();
                ("Squeeze", ones)
            }
            _ => {
                let mut dims: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
                match self.draw.below(5) {
                    0 => dims = vec![-1],
                    1 => dims = vec![1, -1],
                    2 if axis + 1 < dims.len() => {
                        let next = dims.remove(axis + 1);
                        dims[axis] *= next;
                    }
                    3 if axis < dims.len() && dims[axis] % 2 == 0 => {
                        dims[axis] /= 2;
                        dims.insert(axis, 2);
                    }
                    _ => dims.insert(axis.min(dims.len()), 1),
                }
                if self.draw.one_in(4) && axis < dims.len() {
                    dims[axis] = [-1, 0][self.draw.below(2)];
                }
                ("Reshape", dims)
            }
        };
        node.op = op.to_owned();
        if op == "Squeeze" && self.draw.one_in(4) {
            list.pop();
        }
        if op == "Reshape" {
            let list = self.ints(&list);
            node.inputs.push(list);
        } else if op == "Unsqueeze" || !self.draw.one_in(4) {
            self.list(&mut node, 13, "axes", &list);
        }
        self.add(node);
    }

    fn resize(&mut self, x: &str, rank: usize) {
        let old = self.model.opset < 10;
        let mut scales = vec![1.0; rank];
        for _ in 0..2 {
            let (at, scale) = (self.draw.below(rank.max(1)), [2.0, 0.5, 3.0, 1.5, 0.75][self.draw.below(5)]);
            scales.get_mut(at).into_iter().for_each(|old| *old = scale);
        }
        let mut attributes = vec![Attribute::text("mode", "nearest")];
        if self.model.opset < 9 {
            attributes.push(Attribute { name: "scales".to_owned(), value: Value::Floats(scales) });
            self.push("Upsample", &[x], attributes);
            return;
        }
        let name = self.name("s");
        self.model.tensors.push(Tensor::floats(&name, &[rank], scales));
        if old {
            self.push("Upsample", &[x, &name], attributes);
        } else if self.model.opset < 11 {
            self.push("Resize", &[x, &name], attributes);
        } else {
            let modes =
                ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"];
            attributes.push(Attribute::text("coordinate_transformation_mode", modes[self.draw.below(5)]));
            let nearest = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"][self.draw.below(4)];
            attributes.push(Attribute::text("nearest_mode", nearest));
            self.push("Resize", &[x, "", &name], attributes);
        }
    }
}

/// Bytes of which models are made that are taken.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let bytes = std::iter::repeat_with(|| (0..96).map(|_| byte()).collect::<Vec<_>>());
    bytes.filter(|bytes| run(bytes)).take(12).collect()
}
