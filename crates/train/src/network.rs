//! A graph as a network to train: its weights as parameters, its batch norms with statistics of their own.
//!
//! [`Network::new`] takes a graph apart and [`Network::graph`] puts it together again with what was learnt, so that
//! anything that is imported can be trained and anything that was trained can be run. What is searched, such as which
//! activations go, are [`Gates`] that lie over the graph while it is trained.

mod forward;
mod gates;
mod init;

pub use forward::{Forward, Mode};
pub use gates::{Blocks, Gates};
pub use init::Init;

use crate::Error;
use burn::tensor::{Device, Tensor, TensorData};
use copriv_ir::{Graph, Op};

/// The epsilon of batch norms, that of PyTorch's.
pub const EPSILON: f32 = 1e-5;

/// What a parameter is, which decides how it is trained: weights decay, others do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Of a convolution or a matrix.
    Weight,
    /// Of a convolution or a matrix.
    Bias,
    /// gamma or beta of a batch norm.
    Norm,
    /// Of a search: scores of blocks, or the parts of activations.
    Search,
}

/// Numbers that are learnt.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Of the node, and what it is there: `layer1.0.conv1.weight`.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// The numbers in a row, without gradient.
    pub value: Tensor<1>,
}

/// Mean and (biased) variance of each channel of what a batch norm reads, running over training.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Of each channel.
    pub mean: Tensor<1>,
    /// Of each channel.
    pub variance: Tensor<1>,
}

/// The parameters of a node, by their index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    None,
    /// Weight and bias.
    Layer([usize; 2]),
    /// Weight alone, of a convolution whose bias the batch norm after it would take out again.
    Weight(usize),
    /// gamma, beta, and the index of the statistics.
    Norm([usize; 2], usize),
}

/// A network to train.
#[derive(Clone)]
pub struct Network {
    graph: Graph,
    slots: Vec<Slot>,
    /// Those of the graph in its order, then those of the gates.
    parameters: Vec<Parameter>,
    statistics: Vec<Statistics>,
    gates: Gates,
    device: Device,
}

impl Network {
    /// The network of `graph`, on `device`. Batch norms keep what they compute: their statistics are such that gamma is the
    /// scale and beta the shift; [`calibrate`](Self::calibrate) finds the true ones.
    ///
    /// # Errors
    /// [`Error::Graph`] when the graph is not valid, which includes weights that are not numbers.
    pub fn new(graph: &Graph, device: &Device) -> Result<Self, Error> {
        graph.validate()?;
        let mut net = Self {
            graph: graph.clone(),
            slots: Vec::new(),
            parameters: Vec::new(),
            statistics: Vec::new(),
            gates: Gates::None,
            device: device.clone().inner(),
        };
        let readers = graph.readers();
        // What is added before a batch norm is taken out by it: those biases are in its mean.
        let mut biases: Vec<Option<&[f32]>> = vec![None; graph.nodes.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            let normalised = matches!(&node.op, Op::BatchNorm { .. }).then(|| node.inputs[0].0);
            if let Some(layer) = normalised.filter(|&layer| readers[layer] == 1)
                && let Op::Conv { bias, out_channels, .. } = &graph.nodes[layer].op
                && bias.len() == *out_channels
            {
                biases[layer] = Some(bias);
                biases[index] = Some(bias);
            }
        }
        for (index, node) in graph.nodes.iter().enumerate() {
            let slot = match &node.op {
                Op::Conv { weight, .. } if biases[index].is_some() => {
                    Slot::Weight(net.add(format!("{}.weight", node.name), Role::Weight, weight))
                }
                Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => Slot::Layer([
                    net.add(format!("{}.weight", node.name), Role::Weight, weight),
                    net.add(format!("{}.bias", node.name), Role::Bias, bias),
                ]),
                Op::BatchNorm { scale, shift } => {
                    let pair = [
                        net.add(format!("{}.gamma", node.name), Role::Norm, scale),
                        net.add(format!("{}.beta", node.name), Role::Norm, shift),
                    ];
                    net.statistics.push(Statistics {
                        mean: match biases[index] {
                            Some(bias) => net.tensor(&bias.iter().map(|b| -b).collect::<Vec<_>>()),
                            None => net.tensor(&vec![0.0; scale.len()]),
                        },
                        variance: net.tensor(&vec![1.0 - EPSILON; scale.len()]),
                    });
                    Slot::Norm(pair, net.statistics.len() - 1)
                }
                _ => Slot::None,
            };
            net.slots.push(slot);
        }
        Ok(net)
    }

    fn add(&mut self, name: String, role: Role, values: &[f32]) -> usize {
        let value = self.tensor(values);
        self.parameters.push(Parameter { name, role, value });
        self.parameters.len() - 1
    }

    fn tensor(&self, values: &[f32]) -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &self.device)
    }

    /// The graph with the weights that were learnt: batch norms as scale and shift by their statistics. Gates are not
    /// in it.
    ///
    /// # Errors
    /// [`Error::Graph`] when a weight is no number.
    pub fn graph(&self) -> Result<Graph, Error> {
        let mut graph = self.graph.clone();
        for (node, slot) in graph.nodes.iter_mut().zip(&self.slots) {
            match (&mut node.op, *slot) {
                (
                    Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. },
                    Slot::Layer([weight_at, bias_at]),
                ) => {
                    *weight = floats(&self.parameters[weight_at].value)?;
                    *bias = floats(&self.parameters[bias_at].value)?;
                }
                (Op::Conv { weight, bias, .. }, Slot::Weight(at)) => {
                    *weight = floats(&self.parameters[at].value)?;
                    bias.fill(0.0);
                }
                (Op::BatchNorm { scale, shift }, Slot::Norm(pair, statistics)) => {
                    let [gamma, beta] = pair.map(|at| floats(&self.parameters[at].value));
                    let (gamma, beta) = (gamma?, beta?);
                    let Statistics { mean, variance } = &self.statistics[statistics];
                    let (mean, variance) = (floats(mean)?, floats(variance)?);
                    *scale = gamma.iter().zip(&variance).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
                    *shift = beta.iter().zip(&mean).zip(&*scale).map(|((b, m), s)| b - m * s).collect();
                }
                _ => {}
            }
        }
        graph.validate()?;
        Ok(graph)
    }

    /// Sets the statistics of batch norms to those found on `batches` of pictures, and gamma and beta so that the network
    /// computes what it did. Imported networks need this before they are trained: what a scale was made of is not known.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn calibrate(&mut self, batches: impl Iterator<Item = Tensor<4>>) -> Result<(), Error> {
        let mut sums: Vec<[Vec<f64>; 2]> = Vec::new();
        let mut count = 0.0;
        for batch in batches {
            let found = self.forward(batch, &self.leaves(), Mode::Measure).statistics;
            sums.resize_with(self.statistics.len(), Default::default);
            for (sum, found) in sums.iter_mut().zip(found) {
                let (mean, variance) = (floats(&found.mean)?, floats(&found.variance)?);
                let squares: Vec<f32> = mean.iter().zip(&variance).map(|(m, v)| v + m * m).collect();
                for (sum, values) in sum.iter_mut().zip([&mean, &squares]) {
                    sum.resize(values.len(), 0.0);
                    sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += f64::from(value));
                }
            }
            count += 1.0;
        }
        for slot in self.slots.clone() {
            let Slot::Norm([gamma_at, beta_at], at) = slot else { continue };
            let Some([means, squares]) = sums.get(at).filter(|_| count > 0.0) else { continue };
            let old = &self.statistics[at];
            let (old_mean, old_variance) = (floats(&old.mean)?, floats(&old.variance)?);
            let (mut gamma, mut beta) =
                (floats(&self.parameters[gamma_at].value)?, floats(&self.parameters[beta_at].value)?);
            let (mut mean, mut variance) = (Vec::new(), Vec::new());
            for c in 0..gamma.len() {
                let m = means[c] / count;
                let v = (squares[c] / count - m * m).max(0.0);
                let scale = f64::from(gamma[c]) / f64::from(old_variance[c] + EPSILON).sqrt();
                let shift = f64::from(beta[c]) - f64::from(old_mean[c]) * scale;
                gamma[c] = (scale * (v + f64::from(EPSILON)).sqrt()) as f32;
                beta[c] = (shift + scale * m) as f32;
                mean.push(m as f32);
                variance.push(v as f32);
            }
            self.parameters[gamma_at].value = self.tensor(&gamma);
            self.parameters[beta_at].value = self.tensor(&beta);
            self.statistics[at] = Statistics { mean: self.tensor(&mean), variance: self.tensor(&variance) };
        }
        Ok(())
    }

    /// Moves the running statistics towards `found` by `momentum`.
    pub fn observe(&mut self, found: Vec<Statistics>, momentum: f32) {
        for (old, found) in self.statistics.iter_mut().zip(found) {
            let blend = |old: &Tensor<1>, new: Tensor<1>| {
                old.clone().mul_scalar(1.0 - momentum) + new.mul_scalar(momentum)
            };
            old.mean = blend(&old.mean, found.mean);
            old.variance = blend(&old.variance, found.variance);
        }
    }

    /// All parameters as they are.
    pub fn leaves(&self) -> Vec<Tensor<1>> {
        self.parameters.iter().map(|p| p.value.clone()).collect()
    }

    /// All parameters with gradients to come.
    pub fn tracked(&self) -> Vec<Tensor<1>> {
        self.parameters.iter().map(|p| p.value.clone().autodiff().require_grad()).collect()
    }

    /// The parameters, those of the gates last.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Gives the parameters new values of the same lengths.
    ///
    /// # Panics
    /// When there are more or fewer.
    pub fn set(&mut self, values: Vec<Tensor<1>>) {
        assert_eq!(values.len(), self.parameters.len(), "a value for each parameter");
        self.parameters.iter_mut().zip(values).for_each(|(p, value)| p.value = value);
    }

    /// The running statistics of the batch norms.
    pub fn statistics(&self) -> &[Statistics] {
        &self.statistics
    }

    /// The running statistics, to be set.
    pub fn statistics_mut(&mut self) -> &mut [Statistics] {
        &mut self.statistics
    }

    /// The graph as it was given, with weights of old.
    pub fn structure(&self) -> &Graph {
        &self.graph
    }

    /// Where it is computed.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Pixels as a batch of pictures.
    ///
    /// # Panics
    /// When the pixels are no whole number of pictures.
    pub fn pictures(&self, pixels: Vec<f32>) -> Tensor<4> {
        let shape = self.graph.input_shape();
        let count = pixels.len() / shape.len();
        let data = TensorData::new(pixels, [count, shape.channels, shape.height, shape.width]);
        Tensor::from_data(data, &self.device)
    }
}

/// The numbers of a tensor.
///
/// # Errors
/// [`Error::Device`].
pub fn floats<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>, Error> {
    tensor.clone().into_data().try_into_vec().map_err(|e| Error::Device(format!("{e:?}")))
}
