//! Float evaluation of a whole model, as it is in the file.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;

use super::import::{Trouble, is_standard, label, opset, order, shown};
use super::known::{Budget, Known, decode, evaluate};
use super::proto::{ModelProto, NodeProto, TensorProto};
use super::scan;
use crate::Error;

/// The most elements that one evaluation makes, counting those of every node.
const MAX_ELEMENTS: usize = 1 << 28;
/// The most multiplications and comparisons in windows and matrix products of one evaluation.
const MAX_STEPS: usize = 1 << 36;

/// An ONNX model that can be evaluated as it is, in floats: its nodes are neither changed nor merged.
///
/// This is what all else can be compared with, so it is written for clearness and not for speed; it takes opset 7 and
/// later and many more operators than [`read`](super::read), on tensors of any rank.
pub struct Model {
    file: String,
    opset: i64,
    /// The nodes that the outputs need, each after what it reads.
    nodes: Vec<NodeProto>,
    constants: HashMap<String, Arc<Known>>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Model {
    /// The model in `bytes`; `file` stands for the file in errors.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the bytes are no ONNX model; [`Error::Node`] and [`Error::Model`] when a value is missing,
    /// made twice or needed for itself, or when a constant cannot be used.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, Error> {
        Self::parse_within(bytes, file, MAX_ELEMENTS)
    }

    pub(super) fn parse_within(bytes: &[u8], file: &str, elements: usize) -> Result<Self, Error> {
        let malformed = |why: String| Error::Malformed { file: file.to_owned(), format: "ONNX", why };
        let wrong = |why: String| Error::Model { file: file.to_owned(), why };
        scan::check(bytes).map_err(malformed)?;
        let model = ModelProto::decode(bytes).map_err(|e| malformed(e.to_string()))?;
        let opset = opset(&model).map_err(wrong)?;
        let graph = model.graph.ok_or_else(|| malformed("it holds no graph".to_owned()))?;

        let mut budget = Budget::new(elements, 0);
        let mut constants = HashMap::new();
        for tensor in &graph.initializer {
            let known = decode::tensor(tensor, &mut budget).map_err(|trouble| wrong(trouble.to_string()))?;
            if constants.insert(tensor.name().to_owned(), Arc::new(known)).is_some() {
                return Err(wrong(format!("two initialisers are called {}", shown(tensor.name()))));
            }
        }
        let mut given: HashMap<String, ()> = constants.keys().map(|name| (name.clone(), ())).collect();
        let mut inputs = Vec::new();
        for input in graph.input.iter().filter(|input| !constants.contains_key(input.name())) {
            if given.insert(input.name().to_owned(), ()).is_some() {
                return Err(wrong(format!("two inputs are called {}", shown(input.name()))));
            }
            inputs.push(input.name().to_owned());
        }
        let outputs: Vec<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
        let order = order(&graph.node, &given, &outputs).map_err(|(node, why)| match node {
            Some(node) => Error::Node { file: file.to_owned(), node, why },
            None => wrong(why),
        })?;
        let mut nodes = graph.node;
        let nodes = order.into_iter().map(|index| std::mem::take(&mut nodes[index])).collect();
        Ok(Self { file: file.to_owned(), opset, nodes, constants, inputs, outputs })
    }

    /// The names of the inputs, in order; those for which the model has an initialiser are none.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// The names of the outputs, in order.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// The outputs for the given inputs, both in order. Inputs may have any dimensions with which the nodes go on.
    ///
    /// # Errors
    /// [`Error::Model`] where the number of inputs is another; [`Error::Node`] where a node has an operator, an attribute
    /// or an input that is not supported, or where it would cost more than an evaluation may: 2^28 elements in all, or
    /// 2^36 multiplications.
    ///
    /// ```
    /// use copriv_import::onnx::{self, Data, Known, Model};
    /// use copriv_ir::{GraphBuilder, Shape};
    ///
    /// let mut net = GraphBuilder::new("tiny", Shape::vector(3))?;
    /// let x = net.relu("relu", net.input())?;
    /// let model = Model::parse(&onnx::write(&net.finish(x)?), "tiny")?;
    /// let x = Known::new(vec![1, 3], Data::F32(vec![-1.0, 0.0, 2.0])).ok_or("no tensor")?;
    /// let y = model.evaluate(&[x])?;
    /// assert_eq!(y[0].data(), &Data::F32(vec![0.0, 0.0, 2.0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evaluate(&self, inputs: &[Known]) -> Result<Vec<Known>, Error> {
        self.evaluate_within(inputs, &mut Budget::new(MAX_ELEMENTS, MAX_STEPS))
    }

    pub(super) fn evaluate_within(&self, inputs: &[Known], budget: &mut Budget) -> Result<Vec<Known>, Error> {
        let wrong = |why: String| Error::Model { file: self.file.clone(), why };
        if inputs.len() != self.inputs.len() {
            return Err(wrong(format!("{} inputs are given, it has {}", inputs.len(), self.inputs.len())));
        }
        // How often each value is still read; after that it is let go.
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for name in self.nodes.iter().flat_map(|node| &node.input).chain(&self.outputs) {
            *uses.entry(name).or_default() += 1;
        }
        let mut values: HashMap<&str, Arc<Known>> = HashMap::new();
        for (name, known) in self.inputs.iter().zip(inputs) {
            values.insert(name, Arc::new(known.clone()));
        }
        let get = |values: &HashMap<&str, Arc<Known>>, name: &str| {
            values.get(name).or_else(|| self.constants.get(name)).cloned()
        };
        for node in &self.nodes {
            let fault = |why: String| Error::Node { file: self.file.clone(), node: label(node), why };
            if !is_standard(node.domain()) {
                return Err(fault(unsupported(node)));
            }
            let read: Vec<Option<Arc<Known>>> = node.input.iter().map(|name| get(&values, name)).collect();
            if let Some(missing) =
                node.input.iter().zip(&read).find(|(name, value)| !name.is_empty() && value.is_none())
            {
                return Err(fault(format!("{} is an output that is not computed", shown(missing.0))));
            }
            let results = evaluate(node, &read, self.opset, budget).map_err(|trouble| match trouble {
                Trouble::Node(why) => fault(why),
                Trouble::Operator => fault(unsupported(node)),
            })?;
            for name in &node.input {
                if let Some(left) = uses.get_mut(name.as_str()) {
                    *left -= 1;
                    if *left == 0 {
                        values.remove(name.as_str());
                    }
                }
            }
            for (name, known) in node.output.iter().zip(results) {
                if uses.contains_key(name.as_str()) {
                    values.insert(name, Arc::new(known));
                }
            }
        }
        let output = |name: &String| {
            let known =
                get(&values, name).ok_or_else(|| wrong(format!("output {} is not computed", shown(name))))?;
            budget.spend(known.data().len()).map_err(|trouble| wrong(trouble.to_string()))?;
            Ok(Known::clone(&known))
        };
        self.outputs.iter().map(output).collect()
    }
}

fn unsupported(node: &NodeProto) -> String {
    let operator = shown(&[node.domain(), node.op_type()].join("::"));
    format!("operator {} cannot be evaluated", operator.trim_start_matches("::"))
}

impl Known {
    /// The tensor in `bytes`, a `TensorProto` as the test vectors of ONNX are; `file` stands for the file in errors.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let malformed = |why: String| Error::Malformed { file: file.to_owned(), format: "ONNX tensor", why };
        scan::check_tensor(bytes).map_err(malformed)?;
        let tensor = TensorProto::decode(bytes).map_err(|e| malformed(e.to_string()))?;
        decode::tensor(&tensor, &mut Budget::new(MAX_ELEMENTS, 0))
            .map_err(|trouble| malformed(trouble.to_string()))
    }
}
