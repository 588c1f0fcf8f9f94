//! A look at the bytes of a model before they are decoded.
//!
//! A repeated field of two bytes can become a structure of three hundred, so a file of a gigabyte could ask
//! for far more memory than there is. This walk counts the fields of the messages that the reader keeps, without
//! allocating; weights are not counted, they take as many bytes in memory as in the file.

/// The most fields read in one model. A network of a thousand layers has some fifty thousand.
const MAX_FIELDS: usize = 1 << 18;

/// A message type, named after the one in `onnx.proto`.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    TensorShape,
    StringStringEntry,
}

/// What to do with a length-delimited field.
enum Inside {
    /// Walk it.
    Message(Message),
    /// A packed list of integers: up to one field per byte.
    Packed,
    /// Bytes, text, packed floats, or a field that is not decoded.
    Opaque,
}

impl Message {
    fn inside(self, field: u64) -> Inside {
        use Inside::{Message, Opaque, Packed};
        match (self, field) {
            (Self::Model, 7) => Message(Self::Graph),
            (Self::Model, 14) | (Self::Tensor, 13) => Message(Self::StringStringEntry),
            (Self::Graph, 1) => Message(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5) => Message(Self::Tensor),
            (Self::Graph, 11 | 12) => Message(Self::ValueInfo),
            (Self::Node, 5) => Message(Self::Attribute),
            (Self::ValueInfo, 2) => Message(Self::Type),
            (Self::Type, 1) => Message(Self::TensorType),
            (Self::TensorType, 2) => Message(Self::TensorShape),
            (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7) => Packed,
            _ => Opaque,
        }
    }
}

/// Whether the model in `bytes` stays within the limits. What is not even a sequence of fields passes: the
/// decoder says better what is wrong with it, and stops at the same place.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    check_message(bytes, Message::Model)
}

/// The same for a single tensor.
pub(super) fn check_tensor(bytes: &[u8]) -> Result<(), String> {
    check_message(bytes, Message::Tensor)
}

fn check_message(bytes: &[u8], message: Message) -> Result<(), String> {
    let mut fields = 0;
    walk(bytes, message, &mut fields);
    if fields <= MAX_FIELDS {
        Ok(())
    } else {
        Err(format!("more than {MAX_FIELDS} protobuf fields; a network has a few thousand"))
    }
}

/// Counts the fields of a message, as deep as the types nest; stops at the limit or at a malformed field.
fn walk(mut rest: &[u8], message: Message, fields: &mut usize) -> Option<()> {
    while !rest.is_empty() && *fields <= MAX_FIELDS {
        let key = varint(&mut rest)?;
        *fields += 1;
        match key & 7 {
            0 => drop(varint(&mut rest)?),
            1 => rest = rest.get(8..)?,
            5 => rest = rest.get(4..)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (inside, after) = rest.split_at_checked(length)?;
                rest = after;
                match message.inside(key >> 3) {
                    Inside::Message(kind) => walk(inside, kind, fields)?,
                    Inside::Packed => *fields += inside.len(),
                    Inside::Opaque => {}
                }
            }
            // Groups: no writer of ONNX uses them. The decoder skips unknown ones, so what lies in them
            // costs nothing, but what follows must be counted all the same: take the fields one by one.
            3 | 4 => {}
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_of_empty_nodes_is_refused() {
        let nodes = [0x0a, 0x00].repeat(MAX_FIELDS + 1);
        let mut model = vec![0x3a];
        prost::encoding::encode_varint(nodes.len() as u64, &mut model);
        model.extend(nodes);
        assert!(check(&model).is_err());
        assert!(check(&model[..model.len() / 2]).is_ok(), "a cut field is left to the decoder");
    }
}
