use std::path::Path;

use copriv_ir::{Graph, Preprocessing};

use crate::error::label;
use crate::{Error, file, onnx, safetensors, zoo};

/// The seed of the weights that [`load`] gives networks of the zoo.
const SEED: u64 = 1;

/// The network that `spec` names: `zoo:NAME` (see [`zoo::names`]) or the path of an `.onnx` file.
///
/// Networks of the zoo other than `digits` are untrained and have the same weights each time.
///
/// # Errors
/// [`Error`] when there is no such network or the file cannot be used.
pub fn load(spec: &str) -> Result<Graph, Error> {
    if let Some(name) = spec.strip_prefix("zoo:") {
        return zoo::build(name, SEED);
    }
    if is_onnx(spec) { onnx::load(spec) } else { Err(Error::UnknownSpec { spec: spec.to_owned() }) }
}

/// Like [`load`], with all weights replaced by those in the safetensors file at `weights`, if there is one.
///
/// # Errors
/// Those of [`load`] and [`safetensors::load_weights`].
pub fn load_with_weights(spec: &str, weights: Option<&Path>) -> Result<Graph, Error> {
    let mut graph = load(spec)?;
    if let Some(weights) = weights {
        safetensors::load_weights(&mut graph, weights)?;
    }
    Ok(graph)
}

/// How pictures become the input of the network that `spec` names, if its file says ([`onnx::preprocessing`]). Networks of
/// the zoo say nothing.
///
/// # Errors
/// [`Error`] when there is no such network or the file cannot be used.
pub fn preprocessing(spec: &str) -> Result<Option<Preprocessing>, Error> {
    match spec.strip_prefix("zoo:") {
        Some(name) if zoo::names().contains(&name) => Ok(None),
        Some(name) => Err(Error::UnknownNetwork { name: name.to_owned() }),
        None if !is_onnx(spec) => Err(Error::UnknownSpec { spec: spec.to_owned() }),
        None => onnx::preprocessing(&file::read(spec.as_ref())?, &label(spec.as_ref())),
    }
}

fn is_onnx(spec: &str) -> bool {
    let extension = Path::new(spec).extension().and_then(|e| e.to_str()).unwrap_or_default();
    extension.eq_ignore_ascii_case("onnx")
}
