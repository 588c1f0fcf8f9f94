//! Sums, differences, products and quotients.

use copriv_ir::{Op, Shape, Window};

use super::super::known::{Budget, Data, decode};
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
                return self.multiplied(node, a, b).map(Value::Tensor);
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

    /// A product of two computed values. A factor that stands for several elements is one of theirs: they become a channel.
    fn multiplied(&mut self, node: &NodeProto, a: Tensor, b: Tensor) -> Result<Tensor, Trouble> {
        let dims = broadcast_dims(&a.dims, &b.dims)
            .ok_or_else(|| format!("shapes {:?} and {:?} do not fit together", a.dims, b.dims))?;
        let (mut x, y) = if a.len() < b.len() { (b, a) } else { (a, b) };
        x.grow(dims.len());
        if x.dims == dims
            && y.len() < x.len()
            && let Some(product) = self.gated_product(node, &x, &y)?
        {
            return Ok(product);
        }
        let x = self.expanded(node, "first", &x, &dims)?;
        let y = self.expanded(node, "second", &y, &dims)?;
        let y = self.shaped(node, "second", y.id, self.builder.shape(x.id))?;
        let id = self.add(node, "", Op::Multiply, vec![x.id, y])?;
        Ok(Tensor { id, dims })
    }

    /// Of `x` with factors that broadcast to it, fewer; `None` where no map has so many channels.
    fn gated_product(&mut self, node: &NodeProto, x: &Tensor, y: &Tensor) -> Result<Option<Tensor>, Trouble> {
        let dims = &x.dims;
        // Axes along which factors differ, then the others; those of one element come first, as that of the batch does.
        let missing = dims.len() - y.dims.len();
        let differ = |axis: &usize| *axis >= missing && y.dims[axis - missing] > 1;
        let (along, others): (Vec<usize>, Vec<usize>) = (0..dims.len()).partition(differ);
        let is_map = along == [1] && x.has_channels();
        let (ones, others): (Vec<usize>, Vec<usize>) = others.into_iter().partition(|&axis| dims[axis] == 1);
        let order = if is_map { (0..dims.len()).collect() } else { [ones, along, others].concat() };
        let sorted: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
        let last = sorted.last().copied().unwrap_or(1);
        let rest = x.len() / y.len();
        let flat = if rest.is_multiple_of(last) { [rest / last, last] } else { [rest, 1] };
        let shapes = [natural(&sorted), Shape::new(y.len(), flat[0], flat[1])];
        let fits = |shape: &Shape| shape.channels == y.len() && shape.check().is_ok();
        let Some(shape) = shapes.into_iter().find(fits) else { return Ok(None) };
        let sorted = self.permuted(node, "factors first", x, &order)?;
        let map = self.shaped(node, "first", sorted.id, shape)?;
        let factors = self.shaped(node, "second", y.id, Shape::vector(y.len()))?;
        let id = self.add(node, "", Op::Multiply, vec![map, factors])?;
        let id = self.shaped(node, "product", id, natural(&sorted.dims))?;
        let mut back = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &axis)| back[axis] = place);
        self.permuted(node, "back", &Tensor { id, dims: sorted.dims }, &back).map(Some)
    }

    /// Pow by 2; other powers have no protocol.
    pub(super) fn power(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let exponent = self.required(node, 1)?;
        if exponent.shape()?.1 != 1 {
            return Err(Trouble::Operator);
        }
        let exponent = decode::tensor(&exponent, &mut Budget::new(1, 0))?;
        let is_two = match exponent.data() {
            Data::F32(v) => v == &[2.0],
            Data::F64(v) => v == &[2.0],
            Data::I32(v) => v == &[2],
            Data::I64(v) => v == &[2],
            _ => false,
        };
        if !is_two || exponent.dims().len() > x.dims.len() {
            return Err(Trouble::Operator);
        }
        let id = self.add(node, "", Op::Multiply, vec![x.id, x.id])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
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
