//! Networks in files of the program's own: weights and structure as they are, and the fixed point that they were calibrated to.
//!
//! Such a file is a safetensors file. Its metadata have the structure, as JSON, under [`KEY`]; the weights of node i are the tensors
//! `i.weight` and `i.bias`, or `i.scale` and `i.shift`, of 32-bit floats.

use std::collections::HashMap;
use std::path::Path;

use copriv_ir::{Fault, Graph, LowerOptions, Lowered, Op, Preprocessing, lower, lower_scaled};
use copriv_ring::Width;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::error::label;
use crate::safetensors::check_header;
use crate::{Error, file};

/// The metadata's key.
pub const KEY: &str = "copriv";
/// The ending of the files' names.
pub const ENDING: &str = "copriv";
const VERSION: u32 = 1;

/// A network, and the fixed point that it is made for, where it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Network {
    /// Float.
    pub graph: Graph,
    /// What calibration has found.
    pub fixed: Option<Fixed>,
    /// How pictures become its input, where that is known.
    pub preprocessing: Option<Preprocessing>,
}

/// The fixed point of a calibrated network, whose graph has the scales of its channels in its weights.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// l.
    pub bits: u32,
    /// f.
    pub frac_bits: u32,
    /// Bits above the fraction that values must keep when they are rewritten.
    pub integer_bits: u32,
    /// Of each node, the fraction bits of its weights.
    pub weight_frac_bits: Vec<u32>,
}

impl From<Graph> for Network {
    fn from(graph: Graph) -> Self {
        Self { graph, fixed: None, preprocessing: None }
    }
}

/// All but the weights.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Structure {
    version: u32,
    graph: Graph,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fixed: Option<Fixed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preprocessing: Option<Preprocessing>,
}

impl Network {
    /// The ring of networks that have not been calibrated.
    pub const BITS: u32 = 41;
    /// The fraction bits of their values and weights.
    pub const FRAC_BITS: u32 = 12;

    /// The network in fixed point: as it was calibrated, in another ring where `bits` are given; or, where it was not or `frac_bits`
    /// are given, with these for values and weights alike.
    ///
    /// # Errors
    /// When something does not fit the ring, or the ring is none.
    pub fn lower(&self, bits: Option<u32>, frac_bits: Option<u32>) -> Result<Lowered, copriv_ir::Error> {
        let calibrated = self.fixed.as_ref().filter(|_| frac_bits.is_none());
        let got = bits.or(calibrated.map(|fixed| fixed.bits)).unwrap_or(Self::BITS);
        let fault = Fault::Range { what: "width of the ring", got: got.into(), low: 2, high: 64 };
        let width = Width::new(got).map_err(|_| copriv_ir::Error::Network(fault))?;
        match calibrated {
            Some(Fixed { frac_bits, integer_bits, weight_frac_bits, .. }) => {
                let options = LowerOptions { width, frac_bits: *frac_bits };
                lower_scaled(&self.graph, options, weight_frac_bits, *integer_bits)
            }
            None => {
                let frac_bits = frac_bits.unwrap_or(Self::FRAC_BITS);
                lower(&self.graph, LowerOptions { width, frac_bits })
            }
        }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Those of [`decode`](Self::decode), [`Error::Io`] and [`Error::TooLarge`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::decode(&file::read(path)?, &label(path))
    }

    /// Writes it to `path`, over what is there.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Weights`] where it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        file::write(path, &self.encode(&label(path))?)
    }

    /// Reads a file in memory; `name` stands for it in errors.
    ///
    /// ```
    /// use copriv_import::{Network, zoo};
    /// let network = Network::from(zoo::build("resnet20-cifar10", 1)?);
    /// assert_eq!(Network::decode(&network.encode("a file")?, "a file")?, network);
    /// # Ok::<(), copriv_import::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Malformed`] when the bytes are no such file, [`Error::Model`] when what they hold is no network.
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, Error> {
        let malformed = |why: String| Error::Malformed { file: name.to_owned(), format: "copriv", why };
        check_header(bytes).map_err(malformed)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| malformed(e.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|all| all.get(KEY));
        let text = text.ok_or_else(|| malformed(format!("it has no metadata called {KEY}")))?;
        let clean =
            |e: serde_json::Error| e.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
        let structure: Structure = serde_json::from_str(text).map_err(|e| malformed(clean(e)))?;
        let Structure { version, mut graph, fixed, preprocessing } = structure;
        if version != VERSION {
            return Err(malformed(format!("it has version {version}, {VERSION} is read; write it again")));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| malformed(e.to_string()))?;
        let mut read = 0;
        for (index, node) in graph.nodes.iter_mut().enumerate() {
            for (suffix, values) in parameters_mut(&mut node.op) {
                let tensor = tensors.tensor(&format!("{index}.{suffix}"));
                let tensor = tensor.map_err(|_| malformed(format!("it lacks tensor {index}.{suffix}")))?;
                if tensor.dtype() != Dtype::F32 {
                    return Err(malformed(format!("tensor {index}.{suffix} is not of 32-bit floats")));
                }
                *values = tensor.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
                read += 1;
            }
        }
        if read != tensors.len() {
            return Err(malformed(format!("it has {} tensors, its nodes {read}", tensors.len())));
        }
        let wrong = |why: String| Error::Model { file: name.to_owned(), why };
        graph.validate().map_err(|e| wrong(e.to_string()))?;
        if fixed.as_ref().is_some_and(|fixed| fixed.weight_frac_bits.len() != graph.nodes.len()) {
            return Err(wrong("its fixed point is that of another network".to_owned()));
        }
        if let Some(preprocessing) = &preprocessing {
            preprocessing.validate().map_err(|e| wrong(e.to_string()))?;
        }
        Ok(Self { graph, fixed, preprocessing })
    }

    /// The bytes of its file, which is called `name` in errors.
    ///
    /// # Errors
    /// [`Error::Weights`] when the format has no place for it.
    pub fn encode(&self, name: &str) -> Result<Vec<u8>, Error> {
        let misfit =
            |why: String| Error::Weights { file: name.to_owned(), network: self.graph.name.clone(), why };
        let structure = Structure {
            version: VERSION,
            graph: self.graph.outline(),
            fixed: self.fixed.clone(),
            preprocessing: self.preprocessing.clone(),
        };
        let text = serde_json::to_string(&structure).map_err(|e| misfit(e.to_string()))?;
        let mut tensors = Vec::new();
        for (index, node) in self.graph.nodes.iter().enumerate() {
            for (suffix, values) in parameters(&node.op) {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                tensors.push((format!("{index}.{suffix}"), vec![values.len()], bytes));
            }
        }
        let views = tensors
            .iter()
            .map(|(name, dims, bytes)| Ok((name, TensorView::new(Dtype::F32, dims.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        views
            .and_then(|views| safetensors::serialize(views, Some(metadata)))
            .map_err(|e| misfit(e.to_string()))
    }
}

fn parameters(op: &Op) -> Vec<(&'static str, &Vec<f32>)> {
    match op {
        Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => {
            vec![("weight", weight), ("bias", bias)]
        }
        Op::BatchNorm { scale, shift } => vec![("scale", scale), ("shift", shift)],
        _ => Vec::new(),
    }
}

fn parameters_mut(op: &mut Op) -> Vec<(&'static str, &mut Vec<f32>)> {
    match op {
        Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => {
            vec![("weight", weight), ("bias", bias)]
        }
        Op::BatchNorm { scale, shift } => vec![("scale", scale), ("shift", shift)],
        _ => Vec::new(),
    }
}
