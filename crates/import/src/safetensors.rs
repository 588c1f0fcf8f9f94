//! Weights in safetensors files, the format that PyTorch checkpoints are exchanged in.
//!
//! The tensors of a node are its name with a suffix: `.weight` and `.bias` for convolutions (out, in per group,
//! rows, columns) and linear layers (out, in); `.scale` and `.shift` for batch norms, or PyTorch's `.weight`,
//! `.bias`, `.running_mean` and `.running_var` (epsilon 1e-5). The nodes of the [`zoo`](crate::zoo) are named like the
//! modules of torchvision's networks, so its state dicts fit. 32-bit and 16-bit floats are read.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use copriv_ir::{Graph, Node, NodeId, Op, Shape};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::label;
use crate::half::{bf16, f16};
use crate::{Error, file};

/// PyTorch's default in batch norms, which checkpoints do not hold.
const EPSILON: f64 = 1e-5;
/// The longest header that is read: as it is parsed, a few bytes of it take up to sixteen times the memory.
const MAX_HEADER: u64 = 1 << 25;
/// How many tensors an error lists.
const LISTED: usize = 8;

/// Replaces all weights of `graph` by those in the file at `path`.
///
/// # Errors
/// [`Error::Weights`] with the tensors that are missing, left over, of another shape or not finite; then, as on every
/// error, `graph` is as it was.
pub fn load_weights(graph: &mut Graph, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    apply_named(graph, &file::read(path)?, &label(path))
}

/// Like [`load_weights`], from bytes in memory.
///
/// ```
/// use copriv_import::{safetensors, zoo};
///
/// let trained = zoo::build("resnet20-cifar10", 1)?;
/// let mut graph = zoo::build("resnet20-cifar10", 2)?;
/// safetensors::apply(&mut graph, &safetensors::write(&trained)?)?;
/// assert_eq!(graph, trained);
/// # Ok::<(), copriv_import::Error>(())
/// ```
///
/// # Errors
/// Those of [`load_weights`] but for [`Error::Io`] and [`Error::TooLarge`].
pub fn apply(graph: &mut Graph, bytes: &[u8]) -> Result<(), Error> {
    apply_named(graph, bytes, "the weight file")
}

/// Writes the weights of `graph` to a file at `path`.
///
/// # Errors
/// [`Error::Io`], and those of [`write()`].
pub fn save_weights(graph: &Graph, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    file::write(path, &write_named(graph, &label(path))?)
}

/// The weights of `graph` as a safetensors file.
///
/// # Errors
/// [`Error::Weights`] when two nodes with weights have the same name.
pub fn write(graph: &Graph) -> Result<Vec<u8>, Error> {
    write_named(graph, "the weight file")
}

/// The weights of one node, by reference: suffix, shape, values.
type Parameter<'a> = (&'static str, Vec<usize>, &'a [f32]);

/// The parameters of a node that reads something of shape `x`, in this crate's own form.
fn parameters(node: &Node, x: Shape) -> Vec<Parameter<'_>> {
    let y = node.shape;
    match &node.op {
        Op::Conv { window, groups, out_channels, weight, bias } => {
            let per_group = x.channels / (*groups).max(1);
            let dims = vec![*out_channels, per_group, window.kernel[0], window.kernel[1]];
            let map = if bias.len() == *out_channels { &[][..] } else { &[y.height, y.width] };
            vec![("weight", dims, weight), ("bias", [&[*out_channels], map].concat(), bias)]
        }
        Op::Linear { outputs, weight, bias } => {
            vec![("weight", vec![*outputs, x.channels], weight), ("bias", vec![*outputs], bias)]
        }
        Op::BatchNorm { scale, shift } => {
            vec![("scale", vec![scale.len()], scale), ("shift", vec![shift.len()], shift)]
        }
        _ => Vec::new(),
    }
}

/// The shape of what node `index` reads.
fn input_shape(graph: &Graph, index: usize) -> Shape {
    let first = graph.nodes[index].inputs.first();
    first.and_then(|&NodeId(i)| graph.nodes.get(i)).map_or(Shape::vector(0), |node| node.shape)
}

/// Node names with weights must differ, or tensors would have the same name.
fn check_names(graph: &Graph) -> Result<(), String> {
    let mut seen = HashSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if !parameters(node, input_shape(graph, index)).is_empty() && !seen.insert(&node.name) {
            return Err(format!("two nodes are called {}; rename one", node.name));
        }
    }
    Ok(())
}

fn write_named(graph: &Graph, file: &str) -> Result<Vec<u8>, Error> {
    let misfit = |why| Error::Weights { file: file.to_owned(), network: graph.name.clone(), why };
    check_names(graph).map_err(misfit)?;
    let mut tensors = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for (suffix, dims, values) in parameters(node, input_shape(graph, index)) {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((format!("{}.{suffix}", node.name), dims, bytes));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, dims, bytes)| Ok((name, TensorView::new(Dtype::F32, dims.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views.and_then(|views| safetensors::serialize(views, None)).map_err(|e| misfit(e.to_string()))
}

/// Refuses files whose header is too long, before it is parsed.
pub(crate) fn check_header(bytes: &[u8]) -> Result<(), String> {
    match bytes.first_chunk().map(|&length| u64::from_le_bytes(length)) {
        Some(length) if length > MAX_HEADER => {
            Err(format!("its header has {length} bytes, at most {MAX_HEADER} are read"))
        }
        _ => Ok(()),
    }
}

fn apply_named(graph: &mut Graph, bytes: &[u8], file: &str) -> Result<(), Error> {
    let network = graph.name.clone();
    let misfit = |why| Error::Weights { file: file.to_owned(), network: network.clone(), why };
    let read = check_header(bytes).and_then(|()| SafeTensors::deserialize(bytes).map_err(|e| e.to_string()));
    let tensors =
        read.map_err(|why| Error::Malformed { file: file.to_owned(), format: "safetensors", why })?;
    check_names(graph).map_err(misfit)?;

    let mut reader = Reader { tensors, unread: BTreeSet::new(), missing: Vec::new() };
    reader.unread = reader.tensors.names().into_iter().map(str::to_owned).collect();
    // PyTorch's counter of training steps.
    reader.unread.retain(|name| !name.ends_with(".num_batches_tracked"));
    let mut replaced = Vec::new();
    for index in 0..graph.nodes.len() {
        if let Some(op) = reader.op(graph, index).map_err(misfit)? {
            replaced.push((index, op));
        }
    }
    let mut faults = Vec::new();
    if !reader.missing.is_empty() {
        faults.push(format!("missing {}", list(&reader.missing)));
    }
    if !reader.unread.is_empty() {
        let unread: Vec<String> = reader.unread.into_iter().collect();
        faults.push(format!("left over {}", list(&unread)));
    }
    if !faults.is_empty() {
        return Err(misfit(faults.join("; ")));
    }
    for (index, op) in replaced {
        graph.nodes[index].op = op;
    }
    Ok(())
}

fn list(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    let rest = names.len().saturating_sub(LISTED);
    let text = shown.join(", ") + &if rest > 0 { format!(" and {rest} more") } else { String::new() };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

struct Reader<'a> {
    tensors: SafeTensors<'a>,
    unread: BTreeSet<String>,
    missing: Vec<String>,
}

impl Reader<'_> {
    /// Node `index` with the file's weights; `None` for one without weights or with some missing.
    fn op(&mut self, graph: &Graph, index: usize) -> Result<Option<Op>, String> {
        let node = &graph.nodes[index];
        let parameters = parameters(node, input_shape(graph, index));
        let [(first, first_dims, _), (_, second_dims, second)] = &parameters[..] else { return Ok(None) };
        let has = |suffix: &str| self.tensors.tensor(&format!("{}.{suffix}", node.name)).is_ok();
        if *first == "scale" && !has("scale") && has("running_var") {
            return self.torch_batch_norm(&node.name, first_dims);
        }
        let has_bias = has(parameters[1].0);
        let a = self.take(&node.name, first, first_dims)?;
        // Networks with batch norms have no biases, and their files no tensors for them.
        let b = if *first == "weight" && !has_bias && second.iter().all(|&v| v == 0.0) {
            Some(second.to_vec())
        } else {
            self.take(&node.name, parameters[1].0, second_dims)?
        };
        Ok(a.zip(b).map(|(a, b)| match node.op {
            Op::Conv { window, groups, out_channels, .. } => {
                Op::Conv { window, groups, out_channels, weight: a, bias: b }
            }
            Op::Linear { outputs, .. } => Op::Linear { outputs, weight: a, bias: b },
            _ => Op::BatchNorm { scale: a, shift: b },
        }))
    }

    fn torch_batch_norm(&mut self, name: &str, dims: &[usize]) -> Result<Option<Op>, String> {
        let mut take = |suffix| self.take(name, suffix, dims);
        let (gamma, beta) = (take("weight")?, take("bias")?);
        let (mean, variance) = (take("running_mean")?, take("running_var")?);
        let (Some(gamma), Some(beta), Some(mean), Some(variance)) = (gamma, beta, mean, variance) else {
            return Ok(None);
        };
        if let Some(v) = variance.iter().find(|&&v| v < 0.0) {
            return Err(format!("{name}.running_var has the negative element {v}"));
        }
        Ok(Some(Op::batch_norm([&gamma, &beta, &mean, &variance], EPSILON)))
    }

    /// The tensor `name.suffix` of shape `dims`; `None`, and noted, where the file does not have it.
    fn take(&mut self, name: &str, suffix: &str, dims: &[usize]) -> Result<Option<Vec<f32>>, String> {
        let name = format!("{name}.{suffix}");
        let Ok(tensor) = self.tensors.tensor(&name) else {
            self.missing.push(name);
            return Ok(None);
        };
        self.unread.remove(&name);
        if tensor.shape() != dims {
            return Err(format!("{name} has shape {:?}, the network takes {dims:?}", tensor.shape()));
        }
        let bytes = tensor.data();
        let values: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|&b| f16(u16::from_le_bytes(b))).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|&b| bf16(u16::from_le_bytes(b))).collect(),
            other => return Err(format!("{name} has elements of type {other:?}; save it as float32")),
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(format!("{name}: element {i} is {}, not a finite number", values[i])),
            None => Ok(Some(values)),
        }
    }
}
