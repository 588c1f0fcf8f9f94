//! Compares what a model computes, by its operators and as a network, with what another program computed:
//!
//! ```sh
//! cargo run --release -p copriv-import --example compare -- model.onnx input.npy logits.npy [OUTPUT [DIMS]]
//! ```
//!
//! The npy files have one input and its logits, or as many of both along their first axis. `OUTPUT` is the value that is the
//! network's output, `DIMS` the dimensions of the input, such as `1x3x224x224`, where the model leaves them open.
#![allow(clippy::print_stdout, reason = "a program")]

use std::time::Instant;

use copriv_import::onnx::{self, Data, Known, Model, Options};
use copriv_import::picture;
use copriv_ir::Shape;
use copriv_plain::float;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, input, logits, rest) = match &arguments[..] {
        [model, input, logits, rest @ ..] if rest.len() <= 2 => (model, input, logits, rest),
        _ => return Err("arguments: model.onnx input.npy logits.npy [OUTPUT [DIMS]]".into()),
    };
    let dims = rest.get(1).map(|dims| dims.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>());
    let options = Options { input: dims.transpose()?, output: rest.first().cloned() };
    let graph = onnx::load_with(model, &options)?;
    let shape = graph.input_shape();
    let inputs = several(input, shape)?;
    let all = several(logits, Shape::new(1, 1, graph.output_shape().len()))?;
    if all.len() != inputs.len() {
        return Err(format!("{} inputs, but logits for {}", inputs.len(), all.len()).into());
    }
    let largest = all.iter().flatten().fold(0.0f32, |most, x| most.max(x.abs()));

    let start = Instant::now();
    let (mut as_network, mut agree) = (0.0f32, 0);
    for (x, expected) in inputs.iter().zip(&all) {
        let got = float::evaluate(&graph, x)?;
        as_network = as_network.max(error(&got, expected));
        agree += usize::from(first_largest(&got) == first_largest(expected));
    }
    let network_seconds = start.elapsed().as_secs_f32();

    let bytes = std::fs::read(model)?;
    let start = Instant::now();
    let by_operators = match by_operators(&bytes, model, &options, shape, &inputs[0]) {
        Ok(got) => format!("{:.1e}", error(&got, &as_of(&got, &all[0]))),
        Err(e) => e.to_string(),
    };
    let seconds = start.elapsed().as_secs_f32();
    println!(
        "{model}: {} nodes, logits up to {largest:.3}; by its operators within {by_operators} ({seconds:.1} s), as a network \
         within {as_network:.1e} ({network_seconds:.1} s), {agree} of {} labels equal",
        graph.nodes.len(),
        inputs.len()
    );
    Ok(())
}

/// One array of the shape, or as many as there are.
fn several(path: &str, shape: Shape) -> Outcome<Vec<Vec<f32>>> {
    match picture::load(path, shape) {
        Ok(one) => Ok(vec![one]),
        Err(e) => picture::load_batch(path, shape).map_err(|_| e.into()),
    }
}

fn error(got: &[f32], expected: &[f32]) -> f32 {
    got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn first_largest(values: &[f32]) -> Option<usize> {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter().position(|&v| v == largest)
}

/// What the model's own operators make of the first input, where the output is one of the model's.
fn by_operators(bytes: &[u8], name: &str, options: &Options, shape: Shape, x: &[f32]) -> Outcome<Vec<f32>> {
    let model = Model::parse(bytes, name)?;
    let index = match &options.output {
        None => 0,
        Some(output) => model.outputs().iter().position(|o| o == output).ok_or("(no output of its own)")?,
    };
    // The dimensions that are given; else channels first, or last where the model takes them so.
    let channels_last = vec![1, shape.height, shape.width, shape.channels];
    let orders = match &options.input {
        Some(dims) => vec![dims.clone()],
        None => vec![vec![1, shape.channels, shape.height, shape.width], channels_last.clone()],
    };
    let mut trouble = String::new();
    for dims in orders {
        let x = if dims == channels_last && shape.area() > 1 {
            (0..x.len()).map(|i| x[i % shape.channels * shape.area() + i / shape.channels]).collect()
        } else {
            x.to_vec()
        };
        let known = Known::new(dims, Data::F32(x)).ok_or("an input of another shape")?;
        match model.evaluate(&[known]) {
            Ok(mut outputs) => match outputs.swap_remove(index).data() {
                Data::F32(output) => return Ok(output.clone()),
                other => return Err(format!("its output is {other:?}").into()),
            },
            Err(e) => trouble = e.to_string(),
        }
    }
    Err(trouble.into())
}

/// What a softmax makes of the logits, where that is what the model ends with: its output is probabilities.
fn as_of(output: &[f32], logits: &[f32]) -> Vec<f32> {
    let probabilities =
        output.iter().all(|p| (0.0..=1.0).contains(p)) && (output.iter().sum::<f32>() - 1.0).abs() < 1e-3;
    if !probabilities {
        return logits.to_vec();
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|l| (l - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|p| p / sum).collect()
}
