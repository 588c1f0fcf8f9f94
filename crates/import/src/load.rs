use std::path::Path;

use copriv_ir::Graph;

use crate::{Error, onnx, safetensors, zoo};

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
    let extension = Path::new(spec).extension().and_then(|e| e.to_str()).unwrap_or_default();
    if extension.eq_ignore_ascii_case("onnx") {
        onnx::load(spec)
    } else {
        Err(Error::UnknownSpec { spec: spec.to_owned() })
    }
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
