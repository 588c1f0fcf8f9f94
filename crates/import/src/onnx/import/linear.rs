//! Convolutions and products with matrices.

use std::rc::Rc;

use copriv_ir::{Op, Shape, Window};

use super::super::attributes::{Windows, float, int, ints, windows};
use super::super::proto::{NodeProto, TensorProto};
use super::dilated::{Parts, spread};
use super::{Importer, Tensor, Trouble, Value};

impl Importer {
    pub(super) fn conv(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let (x, shape, axes) = self.map(node)?;
        let kernels = self.kernels(node, axes)?;
        let [out_channels, per_group, ..] = kernels.dims;
        let Windows { window, dilation } = windows(node, Some(kernels.size()), shape, axes)?;
        let groups = groups(node)?;
        if per_group.checked_mul(groups) != Some(shape.channels) {
            return Err(format!(
                "{} with dimensions {:?} and {groups} groups does not fit {} input channels",
                kernels.label, kernels.dims, shape.channels
            )
            .into());
        }
        let bias = match self.value(node, 2)? {
            Some(_) => self.list(node, 2, out_channels)?,
            None => self.zeros(out_channels)?,
        };
        let weight = kernels.weight;
        let op = |window, weight| Op::Conv { window, groups, out_channels, weight, bias };
        let id = match dilation {
            [1, 1] => self.add(node, "", op(window, weight), vec![x])?,
            _ if window.stride == [1, 1] => {
                // The map taken apart into those of every so many rows and columns, side by side; then a convolution as others.
                let parts = Parts::new(&window, dilation, shape)?;
                let apart = self.parts(node, x, &parts)?;
                let inner = Window { padding: [0; 4], ..window };
                let y = self.add(node, "", op(inner, weight), vec![apart])?;
                self.together(node, y, &parts)?
            }
            _ => {
                let (window, weight) = spread(&window, dilation, &weight, |length| self.room(length))?;
                self.add(node, "", op(window, weight), vec![x])?
            }
        };
        Ok(self.of_map(id, axes))
    }

    /// Input 1, the kernels of a convolution; those of one row where windows have one axis.
    pub(super) fn kernels(&mut self, node: &NodeProto, axes: usize) -> Result<Kernels, Trouble> {
        let tensor = self.required(node, 1)?;
        let (dims, _) = tensor.shape()?;
        let dims = match dims[..] {
            [a, b, w] if axes == 1 => [a, b, 1, w],
            [a, b, h, w] if axes == 2 => [a, b, h, w],
            _ => {
                return Err(format!(
                    "{} has {} dimensions; convolutions of {axes} axes have {}",
                    tensor.label(),
                    dims.len(),
                    axes + 2
                )
                .into());
            }
        };
        Ok(Kernels { dims, label: tensor.label(), weight: tensor.floats(&mut self.budget)? })
    }

    pub(super) fn gemm(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        if int(node, "transA", 0)? != 0 {
            return Err("transA is not supported; the input is a vector".into());
        }
        let (alpha, beta) = (float(node, "alpha", 1.0)?, float(node, "beta", 1.0)?);
        let transposed = int(node, "transB", 0)? != 0;
        let (outputs, mut weight) = self.matrix(node, &x, transposed)?;
        if alpha != 1.0 {
            weight.iter_mut().for_each(|w| *w *= alpha);
        }
        let bias = match self.constant(node, 2)? {
            None => self.zeros(outputs)?,
            Some(tensor) => {
                let (dims, _) = tensor.shape()?;
                let mut bias = tensor.floats(&mut self.budget)?;
                if bias.len() == 1 {
                    let value = bias[0];
                    bias = self.zeros(outputs)?;
                    bias.fill(value);
                }
                if bias.len() != outputs || !matches!(dims[..], [] | [_] | [1, _]) {
                    return Err(format!(
                        "{} with dimensions {dims:?} is no bias of {outputs} outputs",
                        tensor.label()
                    )
                    .into());
                }
                if beta != 1.0 {
                    bias.iter_mut().for_each(|b| *b *= beta);
                }
                bias
            }
        };
        self.product(node, &x, outputs, weight, bias)
    }

    pub(super) fn mat_mul(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let (outputs, weight) = self.matrix(node, &x, false)?;
        let bias = self.zeros(outputs)?;
        self.product(node, &x, outputs, weight, bias)
    }

    /// The rows of the last axis times a matrix of outputs x inputs: a vector, or a convolution over all rows.
    fn product(
        &mut self,
        node: &NodeProto,
        x: &Tensor,
        outputs: usize,
        weight: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Value, Trouble> {
        let (&inputs, rows) = x.dims.split_last().ok_or("its input is a scalar")?;
        let (rows, mut dims) = (rows.iter().product::<usize>(), x.dims.clone());
        dims.pop();
        dims.push(outputs);
        if rows == 1 {
            let x = self.shaped(node, "flatten", x.id, Shape::vector(inputs))?;
            let id = self.add(node, "", Op::Linear { outputs, weight, bias }, vec![x])?;
            return Ok(Value::Tensor(Tensor { id, dims }));
        }
        let columns = self.turned(node, "columns", x, [rows, inputs], vec![1, inputs, rows])?;
        let columns = self.shaped(node, "columns", columns.id, Shape::new(inputs, 1, rows))?;
        let op = Op::Conv { window: Window::square(1, 1, 0), groups: 1, out_channels: outputs, weight, bias };
        let id = self.add(node, "", op, vec![columns])?;
        let y = Tensor { id, dims: vec![1, outputs, rows] };
        self.turned(node, "rows", &y, [outputs, rows], dims).map(Value::Tensor)
    }

    /// A matrix of weights as the exporters of PyTorch store it.
    pub(super) fn transpose(&self, node: &NodeProto) -> Result<Value, Trouble> {
        let value = self.value(node, 0)?.ok_or("it has no input")?;
        match ints(node, "perm")? {
            None | Some([1, 0]) => {}
            Some([0, 1]) => return Ok(value.clone()),
            Some(_) => return Err("its perm is not one of a matrix".into()),
        }
        // Others have been folded or moved.
        Ok(match value {
            Value::Constant(tensor) => Value::Transposed(tensor.clone()),
            Value::Transposed(tensor) => Value::Constant(tensor.clone()),
            _ => return Err(Trouble::Operator),
        })
    }

    /// Input 1 as a matrix of outputs x inputs; it is given so where `transposed`, else inputs x outputs.
    fn matrix(
        &mut self,
        node: &NodeProto,
        x: &Tensor,
        transposed: bool,
    ) -> Result<(usize, Vec<f32>), Trouble> {
        let (tensor, transposed): (Rc<TensorProto>, bool) = match self.value(node, 1)? {
            Some(Value::Transposed(tensor)) => (self.here(tensor)?, !transposed),
            _ => (self.required(node, 1)?, transposed),
        };
        let (dims, _) = tensor.shape()?;
        let &inputs = x.dims.last().ok_or("its input is a scalar")?;
        let outputs = match dims[..] {
            [outputs, n] if transposed && n == inputs => outputs,
            [n, outputs] if !transposed && n == inputs => outputs,
            _ => {
                return Err(format!(
                    "{} with dimensions {dims:?} does not fit {inputs} inputs",
                    tensor.label()
                )
                .into());
            }
        };
        let stored = tensor.floats(&mut self.budget)?;
        if transposed {
            return Ok((outputs, stored));
        }
        let weight = (0..outputs).flat_map(|o| stored.iter().skip(o).step_by(outputs).copied()).collect();
        Ok((outputs, weight))
    }

    pub(super) fn batch_norm(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        if int(node, "training_mode", 0)? != 0 {
            return Err("it is in training mode; export the network in evaluation mode".into());
        }
        if int(node, "spatial", 1)? != 1 {
            return Err("spatial 0 is not supported; export with a later opset".into());
        }
        let epsilon = f64::from(float(node, "epsilon", 1e-5)?);
        let id = self.channelwise(node, &x)?;
        let channels = x.dims[1];
        let mut list = |index| self.list(node, index, channels);
        let (gamma, beta, mean, variance) = (list(1)?, list(2)?, list(3)?, list(4)?);
        let norm = Op::batch_norm([&gamma, &beta, &mean, &variance], epsilon);
        let id = self.add(node, "", norm, vec![id])?;
        Ok(Value::Tensor(Tensor { id, ..x }))
    }
}

/// The kernels of a convolution: two numbers of channels, height and width.
pub(super) struct Kernels {
    pub(super) dims: [usize; 4],
    pub(super) label: String,
    pub(super) weight: Vec<f32>,
}

impl Kernels {
    /// Height and width.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.dims[2], self.dims[3]]
    }
}

pub(super) fn groups(node: &NodeProto) -> Result<usize, Trouble> {
    let groups = int(node, "group", 1)?;
    usize::try_from(groups).map_err(|_| format!("group {groups} is negative").into())
}
