//! Channels that are last, as TensorFlow has them.

use std::rc::Rc;

use copriv_ir::{GraphBuilder, Op};

use super::super::attributes::ints;
use super::super::proto::{NodeProto, TensorProto};
use super::{Importer, Tensor, Trouble, Value, natural, shown};

/// What a picture goes through on its way to the transposition and what leaves its axes where they are: shifts, scales and padding.
const KEEPING: &[&str] = &["Add", "Cast", "Div", "Identity", "Mul", "Neg", "Pad", "Sub"];
/// What computes each element by itself, and is no part of an activation that several operators make.
const EACH_ELEMENT: &[&str] = &["Add", "Clip", "Div", "Mul", "Relu", "Sub"];
/// From N,H,W,C to N,C,H,W.
const CHANNELS_FIRST: &[i64] = &[0, 3, 1, 2];

/// Whether the channels of the input are along its last axis: all that is computed of it comes by a transposition to N,C,H,W.
/// `order` is that of the nodes that the output needs.
pub(super) fn channels_last(nodes: &[NodeProto], order: &[usize], input: &str, output: &str) -> bool {
    let mut last = vec![input];
    let mut transposed = false;
    for node in order.iter().map(|&index| &nodes[index]) {
        if !node.input.iter().any(|value| last.contains(&value.as_str())) {
            continue;
        }
        match node.op_type() {
            "Transpose" if matches!(ints(node, "perm"), Ok(Some(CHANNELS_FIRST))) => transposed = true,
            "Shape" => {}
            op if KEEPING.contains(&op) && last.len() < 64 => {
                last.extend(node.output.iter().map(String::as_str).filter(|value| !value.is_empty()));
            }
            _ => return false,
        }
    }
    transposed && !last.contains(&output)
}

impl Importer {
    /// Makes the network's input C,H,W where the model's is N,H,W,C; before any node has been read.
    pub(super) fn take_channels_first(
        &mut self,
        file: &str,
        name: &str,
        input: &Tensor,
    ) -> Result<(), Trouble> {
        let [1, height, width, channels] = input.dims[..] else { return Ok(()) };
        let dims = vec![1, channels, height, width];
        self.builder = GraphBuilder::new(shown(file), natural(&dims)).map_err(|e| e.to_string())?;
        let input = Tensor { id: self.builder.input(), dims };
        // What the model sees; its own transposition takes it back, and then neither is left.
        let node = NodeProto { name: Some(shown(name)), ..NodeProto::default() };
        let seen = self.permuted(&node, "channels last", &input, &[0, 2, 3, 1])?;
        self.values.insert(name.to_owned(), Value::Tensor(seen));
        Ok(())
    }

    /// A node that computes each element by itself, of values that are maps with the channels moved last: computed of the maps, and moved
    /// after it. Between a move to the channels last and one back nothing is left that way; a constant along the channels is one for each
    /// map, and not one for each element.
    pub(super) fn with_channels_first(&mut self, node: &NodeProto) -> Result<Option<Value>, Trouble> {
        if !EACH_ELEMENT.contains(&node.op_type()) || node.input.len() > 3 {
            return Ok(None);
        }
        let mut dims: Option<Vec<usize>> = None;
        let mut maps = Vec::with_capacity(node.input.len());
        for (index, name) in node.input.iter().enumerate() {
            let map = match self.value(node, index)?.cloned() {
                Some(Value::Tensor(x)) if dims.as_ref().is_none_or(|dims| *dims == x.dims) => {
                    let Some(map) = self.map_of(&x)? else { return Ok(None) };
                    dims = Some(x.dims);
                    Value::Tensor(map)
                }
                Some(Value::Constant(tensor)) => Value::Constant(tensor),
                Some(_) => return Ok(None),
                None => continue,
            };
            maps.push((name, map));
        }
        let Some(&[_, _, _, channels]) = dims.as_deref() else { return Ok(None) };
        let (mut tensors, mut along) = (0, 0);
        for (_, map) in &mut maps {
            tensors += usize::from(matches!(map, Value::Tensor(_)));
            if let Value::Constant(tensor) = map {
                let (dims, count) = tensor.shape()?;
                let along_channels = count == channels && dims.last() == Some(&channels);
                if dims.len() > 4 || count != 1 && !along_channels {
                    return Ok(None);
                }
                if count != 1 {
                    along += 1;
                    let dims = vec![1, channels as i64, 1, 1];
                    *map = Value::Constant(Rc::new(TensorProto { dims, ..(**tensor).clone() }));
                }
            }
        }
        // Products of two, and one number for all, are of activations: those are found where they stand.
        let taken = match node.op_type() {
            "Relu" | "Clip" => true,
            "Add" | "Sub" if tensors == 2 => true,
            _ => along == 1,
        };
        if !taken {
            return Ok(None);
        }
        // The node is read with the maps in the place of what it reads, which then comes back.
        let mut seen = Vec::with_capacity(maps.len());
        for (name, map) in maps {
            seen.push((name, self.values.insert(name.clone(), map)));
        }
        self.node(node)?;
        for (name, value) in seen.into_iter().rev() {
            self.values.extend(value.map(|value| (name.clone(), value)));
        }
        match node.output.first().and_then(|output| self.values.get(output)).cloned() {
            Some(Value::Tensor(y)) => {
                self.permuted(node, "channels last", &y, &[0, 2, 3, 1]).map(|y| Some(Value::Tensor(y)))
            }
            other => Ok(other),
        }
    }

    /// The map that a value is with its channels moved last.
    fn map_of(&mut self, x: &Tensor) -> Result<Option<Tensor>, Trouble> {
        let (&Op::View(view), &[id]) = self.builder.node(x.id) else { return Ok(None) };
        let [1, height, width, channels] = x.dims[..] else { return Ok(None) };
        let dims = vec![1, channels, height, width];
        if self.builder.shape(id) != natural(&dims) {
            return Ok(None);
        }
        self.pay(x.len())?;
        let all: Vec<usize> = (0..x.len()).collect();
        let moved = view.apply(&all, usize::MAX);
        let last = |(element, &place): (usize, &usize)| {
            place == element % channels * (height * width) + element / channels
        };
        Ok(moved.iter().enumerate().all(last).then_some(Tensor { id, dims }))
    }
}
