//! The state of a training in a file: written whole or not at all, read back bit for bit.
//!
//! A checkpoint is a safetensors file. Its tensors are the parameters, what the optimiser remembers of each, the statistics of
//! batch norms and the average of weights; its metadata has one key, `state`, with the rest as JSON. Bits are kept: a training
//! that goes on from a checkpoint is the one that was not interrupted.

use crate::Error;
use crate::network::{Network, Parameter, Statistics, floats};
use crate::optimizer::{Memory, Optimizer};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;

/// The version that is written and read.
const FORMAT: u64 = 1;
const STATE: &str = "state";
/// Bytes that a state and the names of tensors may take.
const STATE_LIMIT: u64 = 1 << 26;

/// Where a training is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of the file.
    pub format: u64,
    /// What must be the same to go on: recipe, network and data, as text.
    pub run: String,
    /// Steps of the optimiser so far.
    pub step: u64,
    /// Steps that the optimiser counts.
    pub optimizer_steps: u64,
    /// Loss, right answers and pictures since the last record of the metrics.
    pub window: [f64; 3],
    /// Bytes of the metrics that belong to it.
    pub metrics: u64,
    /// The last validation accuracy.
    pub validation: Option<f64>,
    /// Seconds spent.
    pub seconds: f64,
    /// What the method of a search keeps.
    pub method: serde_json::Value,
}

impl State {
    /// The beginning of `run`.
    pub fn begin(run: String) -> Self {
        Self {
            format: FORMAT,
            run,
            step: 0,
            optimizer_steps: 0,
            window: [0.0; 3],
            metrics: 0,
            validation: None,
            seconds: 0.0,
            method: serde_json::Value::Null,
        }
    }
}

/// Writes the state of a training over what is at `path`.
///
/// # Errors
/// [`Error::Write`], and [`Error::Diverged`] where a number is none, which no training goes on from; the file that was there is
/// whole then.
pub fn save(
    path: &Path,
    state: &State,
    network: &Network,
    optimizer: &Optimizer,
    average: Option<&[Tensor<1>]>,
) -> Result<(), Error> {
    let mut tensors: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: String, tensor: &Tensor<1>| -> Result<(), Error> {
        let values = floats(tensor)?;
        if let Some(&loss) = values.iter().find(|v| !v.is_finite()) {
            return Err(Error::Diverged { step: state.step, loss });
        }
        tensors.push((name, values.iter().flat_map(|v| v.to_le_bytes()).collect()));
        Ok(())
    };
    for (index, p) in network.parameters().iter().enumerate() {
        add(format!("parameter.{index}"), &p.value)?;
        for (part, memory) in optimizer.memory().0[index].iter().enumerate() {
            add(format!("memory.{index}.{part}"), memory)?;
        }
        if let Some(average) = average {
            add(format!("average.{index}"), &average[index])?;
        }
    }
    for (index, Statistics { mean, variance }) in network.statistics().iter().enumerate() {
        add(format!("mean.{index}"), mean)?;
        add(format!("variance.{index}"), variance)?;
    }
    let state = State { optimizer_steps: optimizer.memory().1, ..state.clone() };
    let text = serde_json::to_string(&state).map_err(|e| fault(path, &e))?;
    let views = tensors.iter().map(|(name, bytes)| {
        TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| fault(path, &e))?;
    let metadata = HashMap::from([(STATE.to_owned(), text)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| fault(path, &e))?;
    replace(path, &bytes)
}

/// Reads what [`save`] wrote into a network and an optimiser of the same form, and returns the state and the average, which is
/// there if it is `averaged`.
///
/// # Errors
/// [`Error::Read`] and [`Error::Checkpoint`]; `run` is what the state must be of. Neither network nor optimiser has changed then.
pub fn load(
    path: &Path,
    run: &str,
    network: &mut Network,
    optimizer: &mut Optimizer,
    averaged: bool,
) -> Result<(State, Option<Vec<Tensor<1>>>), Error> {
    let read = |e| Error::Read(path.to_owned(), e);
    // Two moments and an average for each parameter, at most; names and state besides.
    let numbers = |net: &Network| -> usize {
        let parameters = net.parameters().iter().map(|p| 4 * p.value.dims()[0]);
        parameters.chain(net.statistics().iter().map(|s| 2 * s.mean.dims()[0])).sum()
    };
    let most = 4 * numbers(network) as u64 + STATE_LIMIT;
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(read)?;
    if bytes.len() as u64 > most {
        return Err(fault(path, &"larger than a checkpoint of this network; train anew"));
    }
    let damaged =
        |e: &dyn std::fmt::Display| fault(path, &format!("no checkpoint, or damaged: {e}; train anew"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(&e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&e))?;
    let text = header.metadata().as_ref().and_then(|m| m.get(STATE));
    let text = text.ok_or_else(|| damaged(&"it has no state"))?;
    let state: State = serde_json::from_str(text).map_err(|e| damaged(&e))?;
    if state.format != FORMAT {
        return Err(fault(path, &format!("of format {}, and this program reads {FORMAT}", state.format)));
    }
    if state.run != run {
        let why =
            "of a run with other settings, data or network: give those of then, or choose another --out";
        return Err(fault(path, &why));
    }
    let device: Device = network.device().clone();
    let get = |name: String, like: &Tensor<1>| -> Result<Tensor<1>, Error> {
        let view = file.tensor(&name).map_err(|e| damaged(&e))?;
        let count = like.dims()[0];
        if view.dtype() != Dtype::F32 || view.shape() != [count] {
            return Err(damaged(&format!("{name} has another form")));
        }
        let (numbers, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = numbers.iter().map(|&b| f32::from_le_bytes(b)).collect();
        Ok(Tensor::from_data(TensorData::new(values, [count]), &device))
    };
    let parameters = network.parameters();
    let values: Vec<Tensor<1>> = parameters
        .iter()
        .enumerate()
        .map(|(i, p)| get(format!("parameter.{i}"), &p.value))
        .collect::<Result<_, _>>()?;
    let part = |i: usize, part: usize, like| get(format!("memory.{i}.{part}"), like);
    let memory: Vec<Memory> = optimizer
        .memory()
        .0
        .iter()
        .enumerate()
        .map(|(i, parts)| parts.iter().enumerate().map(|(p, like)| part(i, p, like)).collect())
        .collect::<Result<_, _>>()?;
    let average = |(i, p): (usize, &Parameter)| get(format!("average.{i}"), &p.value);
    let average = averaged.then(|| parameters.iter().enumerate().map(average).collect::<Result<Vec<_>, _>>());
    let average = average.transpose()?;
    let mut statistics = Vec::new();
    for (i, old) in network.statistics().iter().enumerate() {
        let mean = get(format!("mean.{i}"), &old.mean)?;
        let variance = get(format!("variance.{i}"), &old.variance)?;
        statistics.push(Statistics { mean, variance });
    }
    network.set(values);
    network.statistics_mut().clone_from_slice(&statistics);
    optimizer.remember(memory, state.optimizer_steps);
    Ok((state, average))
}

fn fault(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Checkpoint { path: path.to_owned(), why: why.to_string() }
}

/// Writes `bytes` over what is at `path`, whole or not at all, so that they are there after a loss of power.
///
/// # Errors
/// [`Error::Write`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        std::fs::File::open(folder)?.sync_all()
    });
    written.map_err(|e| Error::Write(path.to_owned(), e))
}
