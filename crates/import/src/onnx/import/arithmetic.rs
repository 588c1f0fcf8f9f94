//! Sums, differences, products and quotients.

use copriv_ir::{Op, Shape, Window};

use super::super::proto::{NodeProto, TensorProto};
use super::{Importer, Tensor, Trouble, Value, natural};

impl Importer {
    pub(super) fn arithmetic(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        if let Some(value) = self.towards_gelu(node)? {
            return Ok(value);
        }
        let operator = node.op_type();
        let is_constant = |i| Ok::<_, Trouble>(matches!(self.value(node, i)?, Some(Value::Constant(_))));
        let (x, c) = match (is_constant(0)?, is_constant(1)?) {
            (false, true) => (0, 1),
            (true, false) => (1, 0),
            _ => {
                let (a, b) = (self.tensor(node, 0)?, self.tensor(node, 1)?);
                return self.of_tensors(node, a, b);
            }
        };
        let (first, mut x, tensor) = (x == 0, self.tensor(node, x)?, self.required(node, c)?);
        // A constant of more axes gives the result these, where they are of one element.
        x.grow(tensor.dims.len());
        let values = tensor.floats(&mut self.budget)?;
        let signed = |sign: f32| values.iter().map(|c| sign * c).collect::<Vec<_>>();
        Ok(Value::Tensor(match (operator, first) {
            ("Add", _) => self.shifted(node, &x, &tensor, &signed(1.0), 1.0)?,
            ("Sub", true) => self.shifted(node, &x, &tensor, &signed(-1.0), 1.0)?,
            ("Sub", false) => self.shifted(node, &x, &tensor, &signed(1.0), -1.0)?,
            ("Mul", _) => self.scaled(node, "", &x, &tensor, &values, true)?,
            ("Div", true) => {
                let inverse: Vec<f32> = values.iter().map(|c| 1.0 / c).collect();
                self.scaled(node, "", &x, &tensor, &inverse, true)?
            }
            _ => return Err("a constant divided by a tensor is not supported".into()),
        }))
    }

    pub(super) fn negate(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let channels = self.builder.shape(x.id).channels;
        let (mut scale, shift) = (self.zeros(channels)?, self.zeros(channels)?);
        scale.fill(-1.0);
        self.elementwise(node, Op::BatchNorm { scale, shift })
    }

    /// An operation of two computed values, of which either may have axes of 1 that stand for longer ones.
    fn of_tensors(&mut self, node: &NodeProto, a: Tensor, b: Tensor) -> Result<Value, Trouble> {
        let op = match node.op_type() {
            "Add" => Op::Add,
            "Sub" => Op::Combine { factors: [1.0, -1.0] },
            "Mul" => {
                let function = self.gated(&a, &b).map(|f| (f, &a)).or(self.gated(&b, &a).map(|f| (f, &b)));
                if let Some((function, x)) = function {
                    let id = self.add(node, "", Op::Smooth(function), vec![x.id])?;
                    return Ok(Value::Tensor(Tensor { id, dims: x.dims.clone() }));
                }
                return Err("a product of two computed tensors has no protocol, unless it is x * sigmoid(x) or x * hardsigmoid(x); \
                            leave out squeeze-and-excitation and attention, or multiply by constants"
                    .into());
            }
            _ => {
                return Err("a quotient of two computed tensors has no protocol; divide by a constant".into());
            }
        };
        let dims = broadcast_dims(&a.dims, &b.dims)
            .ok_or_else(|| format!("shapes {:?} and {:?} do not fit together", a.dims, b.dims))?;
        let a = self.expanded(node, "first", &a, &dims)?;
        let b = self.expanded(node, "second", &b, &dims)?;
        let b = self.shaped(node, "second", b.id, self.builder.shape(a.id))?;
        let id = self.add(node, "", op, vec![a.id, b])?;
        Ok(Value::Tensor(Tensor { id, dims }))
    }

    /// sign * x and a constant.
    fn shifted(
        &mut self,
        node: &NodeProto,
        x: &Tensor,
        tensor: &TensorProto,
        values: &[f32],
        sign: f32,
    ) -> Result<Tensor, Trouble> {
        if let Some((id, shift)) = self.per_channel(node, x, tensor, values)? {
            let mut scale = self.zeros(shift.len())?;
            scale.fill(sign);
            let id = self.add(node, "", Op::BatchNorm { scale, shift }, vec![id])?;
            return Ok(Tensor { id, dims: x.dims.clone() });
        }
        // Plus a map, as a convolution with the identity.
        let bias = self.broadcast(tensor, values, x)?;
        let channels = self.builder.shape(x.id).channels;
        let mut weight = self.zeros(channels)?;
        weight.fill(sign);
        let window = Window::square(1, 1, 0);
        let op = Op::Conv { window, groups: channels, out_channels: channels, weight, bias };
        let id = self.add(node, "", op, vec![x.id])?;
        Ok(Tensor { id, dims: x.dims.clone() })
    }

    /// x times a constant. The result has the shape that its dimensions have, where `natural`.
    pub(super) fn scaled(
        &mut self,
        node: &NodeProto,
        part: &str,
        x: &Tensor,
        tensor: &TensorProto,
        values: &[f32],
        natural_shape: bool,
    ) -> Result<Tensor, Trouble> {
        let dims = x.dims.clone();
        if let Some((id, scale)) = self.per_channel(node, x, tensor, values)? {
            let shift = self.zeros(scale.len())?;
            let id = self.add(node, part, Op::BatchNorm { scale, shift }, vec![id])?;
            return Ok(Tensor { id, dims });
        }
        // A factor for each element, as a vector of as many channels.
        let scale = self.broadcast(tensor, values, x)?;
        let shift = self.zeros(scale.len())?;
        let id = self.shaped(node, "elements", x.id, Shape::vector(scale.len()))?;
        let id = self.add(node, part, Op::BatchNorm { scale, shift }, vec![id])?;
        let id = if natural_shape { self.shaped(node, "map", id, natural(&dims))? } else { id };
        Ok(Tensor { id, dims })
    }

    /// The value with channels, and a constant of one value for each or for all of them.
    fn per_channel(
        &mut self,
        node: &NodeProto,
        x: &Tensor,
        tensor: &TensorProto,
        values: &[f32],
    ) -> Result<Option<(copriv_ir::NodeId, Vec<f32>)>, Trouble> {
        let (from, _) = tensor.shape()?;
        let rank = x.dims.len();
        if values.len() == 1 && from.len() <= rank {
            let mut same = self.zeros(self.builder.shape(x.id).channels)?;
            same.fill(values[0]);
            return Ok(Some((x.id, same)));
        }
        // Axes are aligned on the right; the channels are axis 1.
        let only_channels = from.iter().rev().enumerate().all(|(i, &d)| d == 1 || i + 2 == rank);
        if !x.has_channels() || !only_channels || values.len() != x.dims[1] {
            return Ok(None);
        }
        Ok(Some((self.channelwise(node, x)?, values.to_vec())))
    }
}

/// The dimensions of the result of two operands.
fn broadcast_dims(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (a, b) if a == b || b == 1 => Some(a),
            (1, b) => Some(b),
            _ => None,
        })
        .collect()
}
