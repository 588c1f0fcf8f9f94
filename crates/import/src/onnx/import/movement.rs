//! Operators that move elements: whatever they do, their result is elements of their input, and zeros.

use std::sync::Arc;

use copriv_ir::{NodeId, Op, Shape, View};

use super::super::attributes::{float, int, text};
use super::super::known::{Budget, Data, Known, decode, evaluate};
use super::super::proto::NodeProto;
use super::{Importer, Tensor, Trouble, Value, natural};

/// The most elements that one node moves: where each of them is takes some fifty bytes.
const MAX_MOVED: usize = 1 << 24;

/// Those that are evaluated on the places of their input's elements.
const MOVES: &[&str] = &[
    "DepthToSpace",
    "Expand",
    "Flatten",
    "Gather",
    "Pad",
    "Reshape",
    "Resize",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Upsample",
];

impl Importer {
    /// The outputs of a node that moves elements of what is computed.
    pub(super) fn moved(&mut self, node: &NodeProto) -> Result<Option<Vec<Tensor>>, Trouble> {
        if !MOVES.contains(&node.op_type()) || !matches!(self.value(node, 0)?, Some(Value::Tensor(_))) {
            return Ok(None);
        }
        let x = self.tensor(node, 0)?;
        let mut budget = Budget::new(self.moves.min(2 * MAX_MOVED), 0);
        let before = budget.left();
        budget.spend(x.len())?;
        // 0 is what a padding has.
        let places: Vec<f64> = (1..=x.len()).map(|place| place as f64).collect();
        let known = Known::new(x.dims.clone(), Data::F64(places)).ok_or("it has too many elements")?;
        let mut inputs = vec![Some(Arc::new(known))];
        for index in 1..node.input.len() {
            inputs.push(match self.constant(node, index)? {
                Some(tensor) => Some(Arc::new(decode::tensor(&tensor, &mut budget)?)),
                None => None,
            });
        }
        match node.op_type() {
            "Resize" | "Upsample" => {
                if text(node, "mode", "nearest")? != "nearest" {
                    return Err("only nearest neighbours are supported; use mode nearest, or a transposed convolution".into());
                }
                if text(node, "coordinate_transformation_mode", "")? == "tf_crop_and_resize"
                    && float(node, "extrapolation_value", 0.0)? != 0.0
                {
                    return Err("an extrapolation_value other than 0 is not supported".into());
                }
            }
            "Pad" => {
                let value = match inputs.get(2) {
                    Some(Some(value)) => match value.data() {
                        Data::F32(v) if v.len() == 1 => v[0],
                        other => {
                            let (name, count) = (other.name(), other.len());
                            return Err(format!("its constant is {count} {name}, not a 32-bit float").into());
                        }
                    },
                    _ => float(node, "value", 0.0)?,
                };
                if value != 0.0 && text(node, "mode", "constant")? == "constant" {
                    return Err(format!("it pads with {value}; zeros are supported").into());
                }
                if inputs.len() > 2 {
                    inputs[2] = None;
                }
            }
            _ => {}
        }
        let outputs = evaluate(node, &inputs, self.opset, &mut budget)?;
        drop(inputs);
        self.moves -= before - budget.left();
        let several = outputs.len() > 1;
        let mut values = Vec::with_capacity(outputs.len());
        for (index, output) in outputs.into_iter().enumerate() {
            let dims = output.dims().to_vec();
            if dims.contains(&0) {
                return Err("its result has no elements".into());
            }
            let Data::F64(places) = output.into_data() else { return Err("it moves no floats".into()) };
            let places: Vec<usize> = places.into_iter().map(|p| (p as usize).wrapping_sub(1)).collect();
            let part = if several { index.to_string() } else { String::new() };
            values.push(self.view(node, &part, &x, &places, dims)?);
        }
        Ok(Some(values))
    }

    /// Pays for a list of as many places.
    pub(super) fn pay(&mut self, count: usize) -> Result<(), Trouble> {
        let left = self.moves.checked_sub(count).filter(|_| count <= MAX_MOVED);
        self.moves = left.ok_or("it moves more elements than may be moved")?;
        Ok(())
    }

    /// The elements of `x` at the given places, and zeros for places that it has not, with the given dimensions.
    pub(super) fn view(
        &mut self,
        node: &NodeProto,
        part: &str,
        x: &Tensor,
        places: &[usize],
        dims: Vec<usize>,
    ) -> Result<Tensor, Trouble> {
        let shape = natural(&dims);
        if let Some(id) = self.view_of(node, part, x, places, shape)? {
            return Ok(Tensor { id, dims });
        }
        let y = self.by_axes(node, part, x, places, &dims)?;
        Ok(Tensor { id: self.shaped(node, part, y.id, shape)?, dims })
    }

    /// The same as one view, where it is one.
    pub(super) fn view_of(
        &mut self,
        node: &NodeProto,
        part: &str,
        x: &Tensor,
        places: &[usize],
        shape: Shape,
    ) -> Result<Option<NodeId>, Trouble> {
        shape.check().map_err(|fault| fault.to_string())?;
        let identity = |len: usize| places.len() == len && places.iter().enumerate().all(|(i, &p)| i == p);
        if identity(x.len()) {
            return self.shaped(node, part, x.id, shape).map(Some);
        }
        // A view of a view is one of what that is of, where it can be one.
        let (mut id, mut places) = (x.id, places.to_vec());
        let mut found = View::find(shape, &places, x.len()).map(|view| (id, view));
        while let (Op::View(_) | Op::Flatten, &[before]) = self.builder.node(id) {
            let elements = self.builder.shape(before).len();
            if let (Op::View(view), _) = self.builder.node(id) {
                // One by one: the operand may be far larger than what is taken of it.
                places.iter_mut().for_each(|p| *p = view.place(*p).unwrap_or(usize::MAX));
            }
            id = before;
            if places.len() == elements && places.iter().enumerate().all(|(i, &p)| i == p) {
                return self.shaped(node, part, id, shape).map(Some);
            }
            match View::find(shape, &places, elements) {
                Some(view) => found = Some((id, view)),
                None => break,
            }
        }
        match found {
            Some((id, view)) => self.add(node, part, Op::View(view), vec![id]).map(Some),
            None => Ok(None),
        }
    }

    /// Of places that are a choice of coordinates along each axis by itself: one axis after the other, each in slices that are views.
    fn by_axes(
        &mut self,
        node: &NodeProto,
        part: &str,
        x: &Tensor,
        places: &[usize],
        dims: &[usize],
    ) -> Result<Tensor, Trouble> {
        let irregular = || {
            Trouble::from(format!(
                "it moves elements of {:?} to {dims:?} in too irregular a way; slices, transpositions, padding and repetition are \
                 supported",
                x.dims
            ))
        };
        if dims.len() != x.dims.len() || places.iter().any(|&place| place >= x.len()) {
            return Err(irregular());
        }
        self.pay(places.len())?;
        let (from, to) = (strides(&x.dims), strides(dims));
        let choices: Vec<Vec<usize>> = (0..dims.len())
            .map(|axis| (0..dims[axis]).map(|i| places[i * to[axis]] / from[axis] % x.dims[axis]).collect())
            .collect();
        let offsets =
            choices.iter().zip(&from).map(|(choice, stride)| choice.iter().map(|c| c * stride).collect());
        if places != sums(offsets) {
            return Err(irregular());
        }
        let mut x = x.clone();
        for (axis, choice) in choices.iter().enumerate() {
            if choice.len() == x.dims[axis] && choice.iter().enumerate().all(|(i, &c)| i == c) {
                continue;
            }
            x = self.taken(node, &format!("{part}{axis}"), &x, axis, choice)?.ok_or_else(irregular)?;
        }
        Ok(x)
    }

    /// The coordinates of one axis, in slices that are views; `None` where that takes many.
    fn taken(
        &mut self,
        node: &NodeProto,
        part: &str,
        x: &Tensor,
        axis: usize,
        choice: &[usize],
    ) -> Result<Option<Tensor>, Trouble> {
        const MOST: usize = 16;
        // The axis comes first, so that slices follow each other.
        let order: Vec<usize> =
            std::iter::once(axis).chain((0..x.dims.len()).filter(|&i| i != axis)).collect();
        let sorted: Vec<usize> = order.iter().map(|&i| x.dims[i]).collect();
        let from = strides(&x.dims);
        let size: usize = sorted[1..].iter().product();
        self.pay(size.saturating_mul(choice.len()))?;
        let along = from[axis];
        let inner = sums(order[1..].iter().map(|&i| steps(x.dims[i], from[i])));
        let mut joined = Vec::new();
        let mut rest = choice;
        while !rest.is_empty() {
            // Coordinates at equal distances.
            let step = rest.get(1).map_or(0, |&next| next as i64 - rest[0] as i64);
            let row = rest.windows(2).take_while(|pair| pair[1] as i64 - pair[0] as i64 == step).count() + 1;
            let slice = rest[..row].iter().flat_map(|&c| inner.iter().map(move |place| c * along + place));
            let places: Vec<usize> = slice.collect();
            let shape = Shape::vector(places.len());
            let view = self.view_of(node, &format!("{part}.{}", joined.len()), x, &places, shape)?;
            match view {
                Some(id) if joined.len() < MOST => joined.push(id),
                _ => return Ok(None),
            }
            rest = &rest[row..];
        }
        let mut dims = sorted;
        dims[0] = choice.len();
        let id = self.add(node, part, Op::Concat, joined)?;
        let mut back: Vec<usize> = (1..=axis).collect();
        back.push(0);
        back.extend(axis + 1..dims.len());
        self.permuted(node, &format!("{part}.back"), &Tensor { id, dims }, &back).map(Some)
    }

    /// A matrix of rows x columns, transposed.
    pub(super) fn turned(
        &mut self,
        node: &NodeProto,
        part: &str,
        x: &Tensor,
        [rows, columns]: [usize; 2],
        dims: Vec<usize>,
    ) -> Result<Tensor, Trouble> {
        self.pay(x.len())?;
        let places: Vec<usize> = (0..columns).flat_map(|c| (0..rows).map(move |r| r * columns + c)).collect();
        self.view(node, part, x, &places, dims)
    }

    /// The axes in another order.
    pub(super) fn permuted(
        &mut self,
        node: &NodeProto,
        part: &str,
        x: &Tensor,
        order: &[usize],
    ) -> Result<Tensor, Trouble> {
        if order.iter().enumerate().all(|(i, &axis)| i == axis) {
            return Ok(x.clone());
        }
        self.pay(x.len())?;
        let strides = strides(&x.dims);
        let dims: Vec<usize> = order.iter().map(|&axis| x.dims[axis]).collect();
        let places = sums(order.iter().map(|&axis| steps(x.dims[axis], strides[axis])));
        self.view(node, part, x, &places, dims)
    }

    /// Axes of 1 repeated, so that the dimensions are `dims`.
    pub(super) fn expanded(
        &mut self,
        node: &NodeProto,
        part: &str,
        x: &Tensor,
        dims: &[usize],
    ) -> Result<Tensor, Trouble> {
        let count =
            dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or("its result is too large")?;
        if count == x.len() {
            return Ok(Tensor { id: x.id, dims: dims.to_vec() });
        }
        self.pay(count)?;
        // Axes are aligned on the right; one of 1 does not count.
        let more = dims.len() - x.dims.len();
        let mut strides = vec![0; dims.len()];
        let mut step = 1;
        for axis in (0..x.dims.len()).rev() {
            if x.dims[axis] > 1 {
                strides[axis + more] = step;
                step *= x.dims[axis];
            }
        }
        let places = sums(dims.iter().zip(strides).map(|(&size, stride)| steps(size, stride)));
        self.view(node, part, x, &places, dims.to_vec())
    }

    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let operands: Vec<Tensor> =
            (0..node.input.len()).map(|i| self.tensor(node, i)).collect::<Result<_, _>>()?;
        let first = operands.first().ok_or("it has no input")?;
        let rank = first.dims.len() as i64;
        let axis = int(node, "axis", 1)?;
        let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
        let axis = usize::try_from(axis).ok().filter(|&axis| axis < rank as usize);
        let axis =
            axis.ok_or_else(|| format!("axis {} is outside {rank} axes", int(node, "axis", 1).unwrap_or(1)))?;
        let mut dims = first.dims.clone();
        dims[axis] = 0;
        for x in &operands {
            let fits = x.dims.len() == dims.len()
                && x.dims.iter().zip(&first.dims).enumerate().all(|(i, (a, b))| i == axis || a == b);
            if !fits {
                return Err(format!(
                    "it joins {:?} to {:?} along axis {axis}; make the others equal",
                    x.dims, first.dims
                )
                .into());
            }
            dims[axis] = x.dims[axis].checked_add(dims[axis]).ok_or("it is too long")?;
        }
        let outer: usize = dims[..axis].iter().product();
        if axis == 1 && outer == 1 {
            // As maps, which is what most networks have.
            let mut ids = Vec::new();
            for x in &operands {
                ids.push(self.shaped(node, "map", x.id, natural(&x.dims))?);
            }
            let id = self.add(node, "", Op::Concat, ids)?;
            return Ok(Value::Tensor(Tensor { id, dims }));
        }
        // The axis comes first; there, one after the other is what a concatenation makes.
        let order: Vec<usize> = std::iter::once(axis).chain((0..dims.len()).filter(|&i| i != axis)).collect();
        let mut ids = Vec::new();
        for (index, x) in operands.iter().enumerate() {
            let x = if outer == 1 { x.clone() } else { self.permuted(node, &index.to_string(), x, &order)? };
            ids.push(self.shaped(node, &index.to_string(), x.id, Shape::vector(x.len()))?);
        }
        let id = self.add(node, "", Op::Concat, ids)?;
        if outer == 1 {
            let id = self.shaped(node, "map", id, natural(&dims))?;
            return Ok(Value::Tensor(Tensor { id, dims }));
        }
        let joined = Tensor { id, dims: order.iter().map(|&i| dims[i]).collect() };
        // Back to where it was.
        let mut back: Vec<usize> = (1..=axis).collect();
        back.push(0);
        back.extend(axis + 1..dims.len());
        self.permuted(node, "axis", &joined, &back).map(Value::Tensor)
    }
}

/// How far apart neighbours are along each axis.
fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

/// 0, `stride`, …: as many as `size`.
fn steps(size: usize, stride: usize) -> Vec<usize> {
    (0..size).map(|i| i * stride).collect()
}

/// The sums of one number from each list, those of the last list next to each other.
fn sums(lists: impl Iterator<Item = Vec<usize>>) -> Vec<usize> {
    lists.fold(vec![0], |sums, list| sums.iter().flat_map(|sum| list.iter().map(move |x| sum + x)).collect())
}
