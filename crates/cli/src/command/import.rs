use crate::args::{ModelArgs, PictureArgs};
use crate::error::Error;
use crate::format::{bytes, count};
use crate::progress::Bar;
use crate::{model, output};
use clap::Args;
use copriv_import::Network;
use copriv_ir::{Graph, Op};
use copriv_runner::{Reveal, Settings, Suite};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Read a network from an ONNX file, and write it to a file of this program's own.
///
/// Every command reads ONNX files as they are; this says what it makes of one, and keeps it: what depends on no input is folded,
/// batch norms are folded into the layers before them, layers that have nothing between them are made one where that costs less, and
/// what only moves elements costs nothing. How pictures become its input is kept too. The file is a safetensors file with the structure in its metadata.
///
/// The next step is copriv calibrate, which also reads ONNX files.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv import network.onnx -o network.copriv\n  \
    copriv import pnet.onnx --input-shape 1x3x12x12 --output prob -o pnet.copriv\n  \
    copriv import network.onnx --preprocess imagenet -o network.copriv")]
pub struct Import {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    pictures: PictureArgs,
    /// Write it here; what is there is overwritten.
    #[arg(short, long, value_name = "FILE.copriv", value_parser = file)]
    out: PathBuf,
    /// Print what was read as JSON.
    #[arg(long)]
    json: bool,
}

/// The file that a network goes to.
pub fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case(copriv_import::network::ENDING) => Ok(path),
        _ => Err(format!("{text:?} does not end in .copriv, by which it is told from other files")),
    }
}

/// A network in numbers.
#[derive(Serialize)]
struct Summary {
    file: String,
    bytes: u64,
    input: String,
    outputs: usize,
    parameters: usize,
    /// How many nodes there are of each kind.
    nodes: BTreeMap<&'static str, usize>,
    preprocessing: Option<String>,
}

impl Import {
    pub fn run(self) -> Result<(), Error> {
        let bar = Bar::spinner("reading the network");
        let mut network = model::load_network(&self.model)?;
        // The fixed point is that of the nodes as they are.
        if network.fixed.is_none() {
            let settings = Settings::new(Suite::default(), Reveal::default());
            network.graph = model::merged(&network.graph, settings)?;
        }
        network.preprocessing = model::declared(&self.model, &self.pictures, network.graph.input_shape())?;
        network.save(&self.out)?;
        drop(bar);
        let summary = summary(&network, &self.out)?;
        if self.json {
            return output::json(&summary);
        }
        let Summary { file, bytes: size, input, outputs, parameters, nodes, preprocessing } = summary;
        let nodes: Vec<String> = nodes.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        output::line(format_args!(
            "{}: {input} to {outputs} values, {} parameters\n{}",
            network.graph.name,
            count(parameters as u64),
            nodes.join(", ")
        ))?;
        if let Some(preprocessing) = preprocessing {
            output::line(format_args!("pictures: {preprocessing}"))?;
        }
        output::line(format_args!("written to {file} ({})", bytes(size)))
    }
}

fn summary(network: &Network, out: &std::path::Path) -> Result<Summary, Error> {
    let refused = |e| Error::other(format!("{}: {e}", out.display()));
    let mut nodes = BTreeMap::new();
    for node in network.graph.nodes.iter().skip(1) {
        *nodes.entry(node.op.kind()).or_insert(0) += 1;
    }
    Ok(Summary {
        file: out.display().to_string(),
        bytes: std::fs::metadata(out).map_err(refused)?.len(),
        input: network.graph.input_shape().to_string(),
        outputs: network.graph.output_shape().len(),
        parameters: parameters(&network.graph),
        nodes,
        preprocessing: network.preprocessing.as_ref().map(ToString::to_string),
    })
}

fn parameters(graph: &Graph) -> usize {
    let of = |op: &Op| match op {
        Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => weight.len() + bias.len(),
        Op::BatchNorm { scale, shift } => scale.len() + shift.len(),
        _ => 0,
    };
    graph.nodes.iter().map(|node| of(&node.op)).sum()
}
