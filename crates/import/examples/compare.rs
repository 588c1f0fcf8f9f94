//! Compares what a model computes, by its operators and as a network, with what another program computed:
//!
//! ```sh
//! cargo run --release -p copriv-import --example compare -- model.onnx input.npy logits.npy
//! ```
#![allow(clippy::print_stdout, reason = "a program")]

use std::time::Instant;

use copriv_import::onnx::{self, Data, Known, Model};
use copriv_import::picture;
use copriv_ir::Shape;
use copriv_plain::float;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, input, logits] = &arguments[..] else {
        return Err("arguments: model.onnx input.npy logits.npy".into());
    };
    let graph = onnx::load(model)?;
    let shape = graph.input_shape();
    let x = picture::load(input, shape)?;
    let expected = picture::load(logits, Shape::new(1, 1, graph.output_shape().len()))?;
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let error = |got: &[f32]| {
        let errors = got.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        errors.fold(0.0f32, f32::max)
    };

    let start = Instant::now();
    let as_network = error(&float::evaluate(&graph, &x)?);
    let network_seconds = start.elapsed().as_secs_f32();
    let bytes = std::fs::read(model)?;
    let dims = vec![1, shape.channels, shape.height, shape.width];
    let known = Known::new(dims, Data::F32(x)).ok_or("an input of another shape")?;
    let start = Instant::now();
    let by_operators = match Model::parse(&bytes, model).and_then(|model| model.evaluate(&[known])) {
        Ok(outputs) => match outputs[0].data() {
            Data::F32(logits) => format!("{:.1e}", error(logits)),
            other => return Err(format!("its output is {other:?}").into()),
        },
        Err(e) => e.to_string(),
    };
    let seconds = start.elapsed().as_secs_f32();
    println!(
        "{model}: {} nodes, logits up to {largest:.3}; by its operators within {by_operators} ({seconds:.1} s), as a network \
         within {as_network:.1e} ({network_seconds:.1} s)",
        graph.nodes.len()
    );
    Ok(())
}
