//! Pools and means.

use copriv_ir::{Op, Shape, Window};

use super::super::attributes::{Windows, int, ints, rounding_up, windows};
use super::super::proto::NodeProto;
use super::{Importer, Tensor, Trouble, Value};

impl Importer {
    pub(super) fn max_pool(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let (x, mut window, axes, shape) = self.pool(node)?;
        // Padding does not count in a maximum, so more of it below and on the right rounds the size up.
        let more = rounding_up(node, &window, shape)?;
        window.padding[2] += more[0];
        window.padding[3] += more[1];
        let id = self.add(node, "", Op::MaxPool(window), vec![x])?;
        Ok(self.of_map(id, axes))
    }

    pub(super) fn average_pool(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let (x, mut window, axes, shape) = self.pool(node)?;
        let more = rounding_up(node, &window, shape)?;
        let padded = window.padding != [0; 4];
        let counts = int(node, "count_include_pad", 0)? == 1;
        if more != [0, 0] && padded && counts {
            return Err("ceil_mode with padding that counts is not supported; export it with ceil_mode 0 or count_include_pad 0".into());
        }
        window.padding[2] += more[0];
        window.padding[3] += more[1];
        // What rounds the size up never counts.
        let whole = more == [0, 0] && (counts || !padded);
        let op = if whole { Op::AvgPool(window) } else { Op::AvgPoolInside(window) };
        let id = self.add(node, "", op, vec![x])?;
        Ok(self.of_map(id, axes))
    }

    fn pool(&mut self, node: &NodeProto) -> Result<(copriv_ir::NodeId, Window, usize, Shape), Trouble> {
        let (x, shape, axes) = self.map(node)?;
        let Windows { window, dilation } = windows(node, None, shape, axes)?;
        if dilation != [1, 1] {
            return Err(format!("dilations {dilation:?} are not supported; use dilation 1").into());
        }
        Ok((x, window, axes, shape))
    }

    /// The mean or the largest of each channel.
    pub(super) fn global_pool(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        if x.dims.len() < 3 {
            return Err(format!("its input has shape {:?}; it takes N,C,H,W", x.dims).into());
        }
        let id = self.channelwise(node, &x)?;
        let Shape { height, width, .. } = self.builder.shape(id);
        let op = match node.op_type() {
            "GlobalMaxPool" => {
                Op::MaxPool(Window { kernel: [height, width], stride: [1; 2], padding: [0; 4] })
            }
            _ => Op::GlobalAvgPool,
        };
        let id = self.add(node, "", op, vec![id])?;
        let mut dims = vec![1; x.dims.len()];
        dims[1] = x.dims[1];
        Ok(Value::Tensor(Tensor { id, dims }))
    }

    /// The mean over some axes: those come last, and are what a global pool takes the mean of.
    pub(super) fn reduce_mean(&mut self, node: &NodeProto) -> Result<Value, Trouble> {
        let x = self.tensor(node, 0)?;
        let rank = x.dims.len();
        let axes = match self.axes(node, rank as i64)? {
            Some(axes) => axes,
            None if int(node, "noop_with_empty_axes", 0)? != 0 => return Ok(Value::Tensor(x)),
            None => (0..rank).collect(),
        };
        let is_reduced = |axis: &usize| axes.contains(axis);
        let (kept, order): (Vec<usize>, Vec<usize>) = {
            let kept: Vec<usize> = (0..rank).filter(|axis| !is_reduced(axis)).collect();
            let order = kept.iter().copied().chain((0..rank).filter(is_reduced)).collect();
            (kept, order)
        };
        let count = |axes: &[usize]| axes.iter().map(|&axis| x.dims[axis]).product::<usize>();
        let (rows, columns) = (count(&kept), count(&order[kept.len()..]));
        let keep = int(node, "keepdims", 1)? != 0;
        let dims = match keep {
            true => (0..rank).map(|axis| if is_reduced(&axis) { 1 } else { x.dims[axis] }).collect(),
            false => kept.iter().map(|&axis| x.dims[axis]).collect(),
        };
        let sorted = self.permuted(node, "axes", &x, &order)?;
        let current = self.builder.shape(sorted.id);
        let id = if current.channels == rows {
            sorted.id
        } else {
            self.shaped(node, "axes", sorted.id, Shape::new(rows, 1, columns))?
        };
        let id = self.add(node, "", Op::GlobalAvgPool, vec![id])?;
        Ok(Value::Tensor(Tensor { id, dims }))
    }

    /// The axes of a reduction, an attribute or, in later opsets, an input.
    fn axes(&self, node: &NodeProto, rank: i64) -> Result<Option<Vec<usize>>, Trouble> {
        let axes = match self.constant(node, 1)? {
            Some(tensor) => Some(tensor.ints()?),
            None => ints(node, "axes")?.map(<[i64]>::to_vec),
        };
        let normal = |axis: i64| match axis {
            a if (0..rank).contains(&a) => Ok(a as usize),
            a if (-rank..0).contains(&a) => Ok((a + rank) as usize),
            a => Err(Trouble::from(format!("axis {a} is outside its input of {rank} axes"))),
        };
        axes.filter(|axes| !axes.is_empty()).map(|axes| axes.into_iter().map(normal).collect()).transpose()
    }
}
