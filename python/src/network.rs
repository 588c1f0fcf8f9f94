//! From a name or a file to a network in fixed point, and from arrays to the ring.

use crate::error::Fault;
use copriv_import::{Network, onnx};
use copriv_ir::{Architecture, Graph, Lowered, Shape};
use copriv_ring::{FixedPoint, RingVec, Width};
use copriv_runner::Settings;
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Which network, and how it is run.
#[derive(FromPyObject, Clone, Debug)]
#[pyo3(from_item_all)]
pub struct Options {
    /// zoo:NAME, an .onnx file or a .copriv file.
    pub model: String,
    weights: Option<PathBuf>,
    suite: String,
    ot: String,
    bits: Option<i64>,
    frac: Option<i64>,
    reveal: String,
    truncation: String,
    relu_drop_bits: i64,
}

/// `value` as a count of bits.
fn bits(name: &str, value: i64) -> Result<u32, Fault> {
    u32::try_from(value)
        .map_err(|_| Fault::Argument(format!("{name} is {value}, which is no number of bits")))
}

impl Options {
    /// The protocols.
    pub fn settings(&self) -> Result<Settings, Fault> {
        let settings = Settings {
            suite: self.suite.parse()?,
            ot: self.ot.parse()?,
            reveal: self.reveal.parse()?,
            truncation: self.truncation.parse()?,
            relu_drop_bits: bits("relu_drop_bits", self.relu_drop_bits)?,
        };
        let ring = self.ring()?.map_or(Ok(Width::of(Network::BITS)), Width::new)?;
        settings.validate(ring)?;
        Ok(settings)
    }

    fn ring(&self) -> Result<Option<u32>, Fault> {
        self.bits.map(|value| bits("bits", value)).transpose()
    }

    /// The network with float weights, and lowered.
    pub fn load(&self) -> Result<(Graph, Lowered), Fault> {
        let frac = self.frac.map(|value| bits("frac", value)).transpose()?;
        let network = network(&self.model, self.weights.clone())?;
        let lowered = network.lower(self.ring()?, frac)?;
        Ok((network.graph, lowered))
    }
}

/// The network as its file has it.
fn network(model: &str, weights: Option<PathBuf>) -> Result<Network, Fault> {
    Ok(copriv_import::load_network(model, weights.as_deref(), &onnx::Options::default())?)
}

/// The network with float weights.
pub fn graph(model: &str, weights: Option<PathBuf>) -> Result<Graph, Fault> {
    Ok(network(model, weights)?.graph)
}

/// An array of the caller's, copied: it may change while nobody holds the interpreter's lock.
pub struct Input {
    dims: Vec<usize>,
    values: Vec<f64>,
}

impl Input {
    /// The elements of a C-contiguous array.
    pub fn of(array: &PyReadonlyArrayDyn<'_, f64>) -> Result<Self, Fault> {
        let values = array.as_slice().map_err(Fault::argument)?.to_vec();
        Ok(Self { dims: array.shape().to_vec(), values })
    }

    /// Its elements, if they are finite and the array is (C, H, W), (1, C, H, W), or (C,) or (1, C) where H and W are 1.
    fn checked(&self, shape: Shape) -> Result<&[f64], Fault> {
        let Shape { channels, height, width } = shape;
        let whole = [1, channels, height, width];
        let vector = height == 1 && width == 1;
        let fits = self.dims == whole
            || self.dims == whole[1..]
            || vector && (self.dims == whole[..2] || self.dims == whole[1..2]);
        if !fits {
            let expected = format!("({channels}, {height}, {width})");
            let got = self.dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            return Err(Fault::Argument(format!(
                "the input has shape ({got}), the network takes {expected}"
            )));
        }
        match self.values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Fault::Argument(format!("the input's value number {at} is {}", self.values[at]))),
            None => Ok(&self.values),
        }
    }

    /// In fixed point, as the network takes it.
    pub fn encode(&self, architecture: &Architecture) -> Result<RingVec, Fault> {
        let fixed = FixedPoint { width: architecture.width, frac_bits: architecture.frac_bits };
        let word = |(index, &value): (usize, &f64)| {
            let refused =
                |e| Fault::Argument(format!("the input's value number {index}: {e}; scale the input"));
            fixed.encode(value).map_err(refused)
        };
        let values = self.checked(architecture.input_shape())?;
        let words = values.iter().enumerate().map(word).collect::<Result<_, _>>()?;
        Ok(RingVec::from_words(architecture.width, words))
    }

    /// In the precision of the float network.
    pub fn floats(&self, graph: &Graph) -> Result<Vec<f32>, Fault> {
        let floats: Vec<f32> = self.checked(graph.input_shape())?.iter().map(|&value| value as f32).collect();
        match floats.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                Err(Fault::Argument(format!("the input's value number {at} does not fit 32-bit floats")))
            }
            None => Ok(floats),
        }
    }
}
