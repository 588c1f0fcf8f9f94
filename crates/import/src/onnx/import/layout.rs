//! Inputs with the channels last, as TensorFlow has them.

use copriv_ir::GraphBuilder;

use super::super::attributes::ints;
use super::super::proto::NodeProto;
use super::{Importer, Tensor, Trouble, Value, natural, shown};

/// What a picture goes through on its way to the transposition and what leaves its axes where they are: shifts, scales and padding.
const KEEPING: &[&str] = &["Add", "Cast", "Div", "Identity", "Mul", "Neg", "Pad", "Sub"];
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
}
