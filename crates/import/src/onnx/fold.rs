//! What a model computes of constants and of shapes, before the network is built of the rest.

use std::rc::Rc;
use std::sync::Arc;

use super::attributes::int;
use super::import::Trouble;
use super::known::{Budget, Data, Known, decode, evaluate};
use super::proto::{NodeProto, TensorProto};
use super::tensor::{BOOL, DOUBLE, FLOAT, INT32, INT64};

/// What may be computed of a model's constants: elements, and steps of products.
const ELEMENTS: usize = 1 << 26;
const STEPS: usize = 1 << 30;

/// Folds nodes of one model.
pub(super) struct Folder {
    opset: i64,
    budget: Budget,
}

impl Folder {
    pub(super) fn new(opset: i64) -> Self {
        Self { opset, budget: Budget::new(ELEMENTS, STEPS) }
    }

    /// The outputs of a node all of whose inputs are constants, `None` where one is left out; none where its operator is not
    /// one that is evaluated.
    pub(super) fn constants(
        &mut self,
        node: &NodeProto,
        inputs: &[Option<Rc<TensorProto>>],
    ) -> Result<Option<Vec<Rc<TensorProto>>>, Trouble> {
        let mut known = Vec::with_capacity(inputs.len());
        for input in inputs {
            known.push(match input {
                Some(tensor) => Some(Arc::new(decode::tensor(tensor, &mut self.budget)?)),
                None => None,
            });
        }
        let outputs = match evaluate(node, &known, self.opset, &mut self.budget) {
            Ok(outputs) => outputs,
            Err(Trouble::Operator) => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        let named = outputs.iter().zip(&node.output);
        Ok(Some(named.map(|(known, name)| Rc::new(constant(known, name))).collect()))
    }

    /// A known matrix, transposed.
    pub(super) fn transposed(&mut self, matrix: &Rc<TensorProto>) -> Result<Rc<TensorProto>, Trouble> {
        let outputs = self.constants(&transposition(), &[Some(matrix.clone())])?;
        outputs.and_then(|outputs| outputs.into_iter().next()).ok_or(Trouble::Operator)
    }
}

/// The node that transposes a matrix.
fn transposition() -> NodeProto {
    let (input, output) = (vec!["matrix".to_owned()], vec!["transposed".to_owned()]);
    NodeProto { input, output, op_type: Some("Transpose".to_owned()), ..NodeProto::default() }
}

/// The part of the dimensions of a computed tensor that `Shape` gives.
pub(super) fn shape(node: &NodeProto, dims: &[usize]) -> Result<Rc<TensorProto>, Trouble> {
    let rank = dims.len() as i64;
    let bound =
        |value: i64| if value < 0 { value.saturating_add(rank) } else { value }.clamp(0, rank) as usize;
    let (start, end) = (bound(int(node, "start", 0)?), bound(int(node, "end", rank)?));
    let part = dims.get(start..end).unwrap_or_default();
    let name = node.output.first().cloned();
    Ok(Rc::new(TensorProto {
        name,
        dims: vec![part.len() as i64],
        data_type: Some(INT64),
        int64_data: part.iter().map(|&d| d as i64).collect(),
        ..TensorProto::default()
    }))
}

/// A known tensor as a constant of a model; integers other than of 64 bits as those of 32.
fn constant(known: &Known, name: &str) -> TensorProto {
    let dims = known.dims().iter().map(|&d| d as i64).collect();
    let mut tensor = TensorProto { name: Some(name.to_owned()), dims, ..TensorProto::default() };
    let mut small =
        |data_type, values: Vec<i32>| (tensor.data_type, tensor.int32_data) = (Some(data_type), values);
    match known.data() {
        Data::Bool(v) => small(BOOL, v.iter().map(|&x| x.into()).collect()),
        Data::I8(v) => small(INT32, v.iter().map(|&x| x.into()).collect()),
        Data::I16(v) => small(INT32, v.iter().map(|&x| x.into()).collect()),
        Data::I32(v) => small(INT32, v.clone()),
        Data::U8(v) => small(INT32, v.iter().map(|&x| x.into()).collect()),
        Data::U16(v) => small(INT32, v.iter().map(|&x| x.into()).collect()),
        Data::F32(v) => (tensor.data_type, tensor.float_data) = (Some(FLOAT), v.clone()),
        Data::F64(v) => (tensor.data_type, tensor.double_data) = (Some(DOUBLE), v.clone()),
        Data::I64(v) => (tensor.data_type, tensor.int64_data) = (Some(INT64), v.clone()),
        Data::U32(v) => {
            (tensor.data_type, tensor.int64_data) = (Some(INT64), v.iter().map(|&x| x.into()).collect());
        }
        Data::U64(v) => {
            (tensor.data_type, tensor.int64_data) = (Some(INT64), v.iter().map(|&x| x as i64).collect());
        }
    }
    tensor
}
