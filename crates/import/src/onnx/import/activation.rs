//! Activations.

use copriv_ir::{Activation, Function, Op};

use super::super::attributes::{float, text};
use super::super::known::broadcasting as places;
use super::super::proto::{NodeProto, TensorProto};
use super::{Importer, Tensor, Trouble, Value};

impl Importer {
    pub(super) fn clip(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        // Attributes until opset 10, inputs from then on.
        let stated = |name| node.attribute.iter().any(|attribute| attribute.name() == name);
        let (low, high) = if self.opset < 11 {
            if node.input.len() > 1 {
                return Err("its bounds are inputs, which they are from opset 11 on".into());
            }
            (float(node, "min", f32::MIN)?, float(node, "max", f32::MAX)?)
        } else if stated("min") || stated("max") {
            return Err("its bounds are attributes, which they were until opset 10".into());
        } else {
            let mut bound = |index, default: f32| match self.constant(node, index)? {
                Some(_) => Ok::<_, Trouble>(self.list(node, index, 1)?[0]),
                None => Ok(default),
            };
            (bound(1, f32::MIN)?, bound(2, f32::MAX)?)
        };
        let op = if low == 0.0 && high == f32::MAX { Op::Relu } else { Op::Clip { low, high } };
        self.elementwise(node, op)
    }

    /// Max and Min with a constant, where they make a ReLU or a clip.
    pub(super) fn bound(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let is_constant = |i| Ok::<_, Trouble>(matches!(self.value(node, i)?, Some(Value::Constant(_))));
        let (x, c) = match (node.input.len(), is_constant(0)?, is_constant(1)?) {
            (2, false, true) => (0, 1),
            (2, true, false) => (1, 0),
            _ => return Err("it is supported between a tensor and a constant; see Clip".into()),
        };
        let (mut x, tensor, c) = (self.tensor(node, x)?, self.required(node, c)?, self.list(node, c, 1)?[0]);
        x.grow(tensor.dims.len());
        let (op, inputs) = self.builder.node(x.id);
        let (op, input) = match (node.op_type(), op) {
            ("Max", &Op::Clip { low: f32::MIN, high }) if c <= high => (Op::Clip { low: c, high }, inputs[0]),
            ("Max", _) if c == 0.0 => (Op::Relu, x.id),
            ("Max", _) => (Op::Clip { low: c, high: f32::MAX }, x.id),
            (_, Op::Relu) if c >= 0.0 => (Op::Clip { low: 0.0, high: c }, inputs[0]),
            (_, &Op::Clip { low, high: f32::MAX }) if low <= c => (Op::Clip { low, high: c }, inputs[0]),
            _ => (Op::Clip { low: f32::MIN, high: c }, x.id),
        };
        let id = self.add(node, "", op, vec![input])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
    }

    /// slope * x + (1 - slope) * relu(x).
    pub(super) fn leaky_relu(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let slope = float(node, "alpha", 0.01)?;
        let relu = self.add(node, "relu", Op::Relu, vec![x.id])?;
        let id = self.add(node, "", Op::Combine { factors: [slope, 1.0 - slope] }, vec![x.id, relu])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
    }

    /// 2 relu(x) - x.
    pub(super) fn absolute(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let relu = self.add(node, "relu", Op::Relu, vec![x.id])?;
        let id = self.add(node, "", Op::Combine { factors: [2.0, -1.0] }, vec![relu, x.id])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
    }

    /// With slopes of 0 and 1 a ReLU of the elements whose slope is 0; with others relu(x) + slope * (x - relu(x)), the slopes being
    /// weights.
    pub(super) fn prelu(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let tensor = self.required(node, 1)?;
        let slopes = tensor.floats(&mut self.budget)?;
        let all = self.broadcast(&tensor, &slopes, &x)?;
        if all.iter().all(|&slope| slope == 0.0 || slope == 1.0) {
            let keep: Vec<bool> = all.iter().map(|&slope| slope == 0.0).collect();
            let op = Op::Partial { activation: Activation::Relu, keep: keep.into() };
            let id = self.add(node, "", op, vec![x.id])?;
            return Ok(Value::Tensor(Tensor { id, ..x }));
        }
        let relu = self.add(node, "relu", Op::Relu, vec![x.id])?;
        let below = Op::Combine { factors: [1.0, -1.0] };
        let below = Tensor { id: self.add(node, "below", below, vec![x.id, relu])?, ..x.clone() };
        let scaled = self.scaled(node, "slopes", &below, &tensor, &slopes, false)?;
        let relu = self.shaped(node, "relu", relu, self.builder.shape(scaled.id))?;
        let id = self.add(node, "", Op::Add, vec![relu, scaled.id])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
    }

    /// min(max(alpha * x + beta, 0), 1).
    pub(super) fn hard_sigmoid(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let (alpha, beta) = (float(node, "alpha", 0.2)?, float(node, "beta", 0.5)?);
        let channels = self.builder.shape(x.id).channels;
        let mut all = |value: f32| {
            let mut all = self.zeros(channels)?;
            all.fill(value);
            Ok::<_, Trouble>(all)
        };
        let (scale, shift) = (all(alpha)?, all(beta)?);
        let line = self.add(node, "line", Op::BatchNorm { scale, shift }, vec![x.id])?;
        let id = self.add(node, "", Op::Clip { low: 0.0, high: 1.0 }, vec![line])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
    }

    pub(super) fn smooth(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let function = match node.op_type() {
            "Sigmoid" => Function::Sigmoid,
            "Tanh" => Function::Tanh,
            "HardSwish" => Function::HardSwish,
            "Gelu" => match text(node, "approximate", "none")? {
                "none" => Function::Gelu,
                _ => {
                    return Err(
                        "its approximation by tanh is not supported; export it with approximate none".into(),
                    );
                }
            },
            _ => match float(node, "alpha", 1.0)? {
                1.0 => Function::Elu,
                alpha => return Err(format!("alpha {alpha} is not supported; 1 is").into()),
            },
        };
        self.elementwise(node, Op::Smooth(function))
    }

    /// The error function of x / sqrt 2, which is part of a GELU.
    pub(super) fn erf(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        match self.builder.node(x.id) {
            (Op::BatchNorm { scale, shift }, &[before])
                if scale.iter().all(|s| (s - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-5)
                    && shift.iter().all(|&s| s == 0.0) =>
            {
                Ok(Value::Erf { x: before, dims: x.dims, plus_one: false })
            }
            _ => Err(Trouble::Operator),
        }
    }

    /// The factor of all elements and what is added, where that is what the node does to what it reads, which is given too.
    fn line(&self, id: copriv_ir::NodeId) -> Option<([f32; 2], copriv_ir::NodeId)> {
        let (Op::BatchNorm { scale, shift }, &[x]) = self.builder.node(id) else { return None };
        let same = |list: &[f32]| list.iter().all(|value| *value == list[0]);
        (same(scale) && same(shift)).then(|| ([scale[0], shift[0]], x))
    }

    /// Which function of x the product x * y is, if it is one.
    pub(super) fn gated(&self, x: &Tensor, y: &Tensor) -> Option<Function> {
        if x.dims != y.dims {
            return None;
        }
        let near = |a: f32, b: f32| (a - b).abs() < 1e-5;
        let (op, inputs) = self.builder.node(y.id);
        match op {
            Op::Smooth(Function::Sigmoid) if inputs == [x.id] => Some(Function::Silu),
            // min(max(x / 6 + 1 / 2, 0), 1).
            Op::Clip { low: 0.0, high: 1.0 } => {
                let ([scale, shift], before) = self.line(inputs[0])?;
                let is = before == x.id && near(scale, 1.0 / 6.0) && near(shift, 0.5);
                is.then_some(Function::HardSwish)
            }
            // min(max(x + 3, 0), 6) / 6.
            Op::BatchNorm { .. } => {
                let ([sixth, 0.0], clip) = self.line(y.id)? else { return None };
                let (Op::Clip { low: 0.0, high: 6.0 }, &[sum]) = self.builder.node(clip) else { return None };
                let ([scale, shift], before) = self.line(sum)?;
                let is = before == x.id && near(sixth, 1.0 / 6.0) && scale == 1.0 && shift == 3.0;
                is.then_some(Function::HardSwish)
            }
            _ => None,
        }
    }

    /// The next step to a GELU, where the node is one: 1 + erf, the product with x, a half of it.
    pub(super) fn towards_gelu(&mut self, node: &NodeProto) -> Result<Option<Value>, Trouble> {
        for (one, other) in [(0, 1), (1, 0)] {
            let step = match self.value(node, one)? {
                Some(step @ (Value::Erf { .. } | Value::TwiceGelu { .. })) => step.clone(),
                _ => continue,
            };
            let (Value::Erf { dims, .. } | Value::TwiceGelu { dims, .. }) = &step else { continue };
            let (same, rank) = (dims.clone(), dims.len());
            let number = match self.value(node, other)? {
                Some(Value::Constant(tensor)) if tensor.shape()?.1 == 1 && tensor.dims.len() <= rank => {
                    let tensor = self.here(tensor)?;
                    Some(tensor.floats(&mut self.budget)?[0])
                }
                _ => None,
            };
            match (node.op_type(), step) {
                ("Add", Value::Erf { x, dims, plus_one: false }) if number == Some(1.0) => {
                    return Ok(Some(Value::Erf { x, dims, plus_one: true }));
                }
                ("Mul", Value::TwiceGelu { x, dims }) if number == Some(0.5) => {
                    let id = self.add(node, "", Op::Smooth(Function::Gelu), vec![x])?;
                    return Ok(Some(Value::Tensor(Tensor { id, dims })));
                }
                ("Mul", Value::Erf { x, dims, plus_one: true }) if number.is_none() => {
                    let factor = self.tensor(node, other)?;
                    if factor.dims != same {
                        continue;
                    }
                    if factor.id == x {
                        return Ok(Some(Value::TwiceGelu { x, dims }));
                    }
                    if self.line(factor.id) == Some(([0.5, 0.0], x)) {
                        let id = self.add(node, "", Op::Smooth(Function::Gelu), vec![x])?;
                        return Ok(Some(Value::Tensor(Tensor { id, dims })));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// A choice between an activation and what it reads, by a constant mask.
    pub(super) fn choice(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let tensor = self.required(node, 0)?;
        let [a, b] = [self.tensor(node, 1)?, self.tensor(node, 2)?];
        let (x, activation, kept) = match [(&a, &b), (&b, &a)].map(|(y, x)| self.activation_of(y, x)) {
            [Some(activation), _] => (b, activation, true),
            [None, Some(activation)] => (a, activation, false),
            [None, None] => {
                return Err("it chooses between other things than a Relu or Clip and what that reads".into());
            }
        };
        let mask = tensor.bools(&mut self.budget)?;
        let keep: Vec<bool> =
            self.broadcast(&tensor, &mask, &x)?.iter().map(|&chosen| chosen == kept).collect();
        let id = self.add(node, "", Op::Partial { activation, keep: keep.into() }, vec![x.id])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
    }

    /// What `y` is, where it is an activation of all of `x`.
    fn activation_of(&self, y: &Tensor, x: &Tensor) -> Option<Activation> {
        let (mut from, mut to) = (x.id, y.id);
        // Both may have been moved in the same way since.
        while let ((Op::View(first), [before]), (Op::View(second), [after])) =
            (self.builder.node(from), self.builder.node(to))
            && first == second
        {
            (from, to) = (*before, *after);
        }
        let (op, inputs) = self.builder.node(to);
        match op {
            _ if inputs != [from] || x.dims != y.dims => None,
            Op::Relu => Some(Activation::Relu),
            &Op::Clip { low, high } => Some(Activation::Clip { low, high }),
            _ => None,
        }
    }

    /// The values of a constant, one for each element of `x`.
    pub(super) fn broadcast<T: Copy>(
        &mut self,
        tensor: &TensorProto,
        values: &[T],
        x: &Tensor,
    ) -> Result<Vec<T>, Trouble> {
        let ((from, _), to) = (tensor.shape()?, &x.dims);
        // Axes are aligned on the right.
        let fits = from.len() <= to.len()
            && from.iter().rev().zip(to.iter().rev()).all(|(&from, &to)| from == 1 || from == to);
        if !fits || values.is_empty() {
            return Err(format!("{} with dimensions {from:?} does not fit {to:?}", tensor.label()).into());
        }
        self.budget = self.budget.checked_sub(x.len()).ok_or("it has too many elements")?;
        Ok(places(&from, to).map(|place| values[place]).collect())
    }
}
