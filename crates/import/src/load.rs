use std::path::Path;

use copriv_ir::{Graph, Preprocessing};

use crate::error::label;
use crate::{Error, Network, file, network, onnx, safetensors, zoo};

/// The seed of the weights that [`load`] gives networks of the zoo.
const SEED: u64 = 1;

/// The network that `spec` names: `zoo:NAME` (see [`zoo::names`]) or the path of an `.onnx` or `.copriv` file.
///
/// Networks of the zoo other than `digits` are untrained and have the same weights each time.
///
/// # Errors
/// [`Error`] when there is no such network or the file cannot be used.
pub fn load(spec: &str) -> Result<Graph, Error> {
    load_with_weights(spec, None)
}

/// Like [`load`], with all weights replaced by those in the safetensors file at `weights`, if there is one.
///
/// # Errors
/// Those of [`load`] and [`safetensors::load_weights`].
pub fn load_with_weights(spec: &str, weights: Option<&Path>) -> Result<Graph, Error> {
    Ok(load_network(spec, weights, &onnx::Options::default())?.graph)
}

/// Like [`load_with_weights`], with the fixed point that the network was calibrated to, and what an ONNX file leaves open. How
/// pictures are prepared [`preprocessing`] tells, of all files.
///
/// # Errors
/// Those of [`load_with_weights`]; [`Error::UnusedOptions`] when there are options for what is no ONNX file.
pub fn load_network(spec: &str, weights: Option<&Path>, options: &onnx::Options) -> Result<Network, Error> {
    let name = spec.strip_prefix("zoo:");
    let is_onnx = name.is_none() && ends_in(spec, "onnx");
    if !is_onnx && (options.input.is_some() || options.output.is_some()) {
        return Err(Error::UnusedOptions { spec: spec.to_owned() });
    }
    let mut network = match name {
        Some(name) => zoo::build(name, SEED)?.into(),
        None if is_onnx => onnx::load_with(spec, options)?.into(),
        None if ends_in(spec, network::ENDING) => Network::load(spec)?,
        None => return Err(Error::UnknownSpec { spec: spec.to_owned() }),
    };
    if let Some(weights) = weights {
        safetensors::load_weights(&mut network.graph, weights)?;
        // Its scales were those of other weights.
        network.fixed = None;
    }
    Ok(network)
}

/// How pictures become the input of the network that `spec` names, if its file says ([`onnx::preprocessing`], [`Network`]). Networks of
/// the zoo say nothing.
///
/// # Errors
/// [`Error`] when there is no such network or the file cannot be used.
pub fn preprocessing(spec: &str) -> Result<Option<Preprocessing>, Error> {
    match spec.strip_prefix("zoo:") {
        Some(name) if zoo::names().contains(&name) => Ok(None),
        Some(name) => Err(Error::UnknownNetwork { name: name.to_owned() }),
        None if ends_in(spec, "onnx") => {
            onnx::preprocessing(&file::read(spec.as_ref())?, &label(spec.as_ref()))
        }
        None if ends_in(spec, network::ENDING) => Ok(Network::load(spec)?.preprocessing),
        None => Err(Error::UnknownSpec { spec: spec.to_owned() }),
    }
}

fn ends_in(spec: &str, ending: &str) -> bool {
    let extension = Path::new(spec).extension().and_then(|e| e.to_str()).unwrap_or_default();
    extension.eq_ignore_ascii_case(ending)
}
