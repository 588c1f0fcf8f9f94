use crate::error::Error;
use crate::format::count;
use crate::output;
use crate::progress::Bar;
use crate::table::Column::{Number, Words};
use crate::table::Table;
use clap::Args;
use copriv_import::zoo;
use copriv_ir::{Graph, Op, fold_affine};
use serde::Serialize;

/// List the networks that come with the program.
///
/// digits is trained and comes with pictures it has not seen (copriv demo shows it); the others have random weights
/// that are the same each time, and take trained ones from a file (--weights).
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  copriv zoo\n  copriv plan zoo:mobilenetv2-cifar100")]
pub struct Zoo {
    /// Print the list as JSON.
    #[arg(long)]
    json: bool,
}

/// A network in numbers.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Entry {
    name: String,
    input: String,
    classes: usize,
    /// Weights and biases, batch norms folded.
    parameters: u64,
    /// Multiplications of convolutions and linear layers.
    macs: u64,
    /// Elements that go through a ReLU or a clip.
    relus: u64,
}

impl Zoo {
    pub fn run(self) -> Result<(), Error> {
        let bar = Bar::spinner("building the networks");
        let entry = |name: &str| {
            bar.at(name);
            let graph = zoo::build(name, 1)?;
            Ok(Entry { name: format!("zoo:{name}"), ..numbers(&fold_affine(&graph)?) })
        };
        let entries = zoo::names().into_iter().map(entry).collect::<Result<Vec<_>, Error>>()?;
        drop(bar);
        if self.json {
            return output::json(&entries);
        }
        let mut table = Table::new(&[
            Words("network"),
            Words("input"),
            Number("classes"),
            Number("parameters"),
            Number("multiplications"),
            Number("ReLUs"),
        ]);
        for Entry { name, input, classes, parameters, macs, relus } in entries {
            table.row([name, input, classes.to_string(), count(parameters), count(macs), count(relus)]);
        }
        output::line(table)
    }
}

fn numbers(graph: &Graph) -> Entry {
    let mut entry = Entry {
        input: graph.input_shape().to_string(),
        classes: graph.output_shape().len(),
        ..Entry::default()
    };
    for node in &graph.nodes {
        match &node.op {
            Op::Conv { out_channels, weight, bias, .. } => {
                entry.parameters += (weight.len() + bias.len()) as u64;
                // Every weight of a channel is used once for each of its outputs.
                entry.macs += (weight.len() / out_channels * node.shape.len()) as u64;
            }
            Op::Linear { weight, bias, .. } => {
                entry.parameters += (weight.len() + bias.len()) as u64;
                entry.macs += weight.len() as u64;
            }
            Op::Relu | Op::Clip { .. } => entry.relus += node.shape.len() as u64,
            Op::Partial { keep, .. } => entry.relus += keep.kept() as u64,
            _ => {}
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use copriv_ir::{GraphBuilder, Shape, Window};

    #[test]
    fn counts() -> Result<(), copriv_ir::Error> {
        let mut net = GraphBuilder::new("tiny", Shape::new(2, 4, 4))?;
        let x = net.input();
        let x = net.conv("conv", x, Window::square(3, 1, 1), 1, vec![0.1; 5 * 2 * 9], vec![0.0; 5])?;
        let x = net.relu("relu", x)?;
        let x = net.flatten("flat", x)?;
        let x = net.linear("fc", x, vec![0.1; 3 * 80], vec![0.0; 3])?;
        let entry = numbers(&net.finish(x)?);
        let expected = Entry {
            input: "2x4x4".into(),
            classes: 3,
            parameters: 95 + 243,
            macs: 90 * 16 + 240,
            relus: 80,
            ..Entry::default()
        };
        assert_eq!(entry, expected);
        Ok(())
    }
}
