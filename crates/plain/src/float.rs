//! The float network, before it is lowered.

use crate::{Error, kernel};
use copriv_ir::{Activation, Graph, Node, Op, Shape, Window};

/// The output of `graph` on `input` (channel, row, column), in `f32`.
///
/// ```
/// use copriv_ir::{GraphBuilder, Shape};
/// let mut net = GraphBuilder::new("tiny", Shape::vector(2))?;
/// let x = net.linear("fc", net.input(), vec![0.5, -1.0], vec![0.25])?;
/// assert_eq!(copriv_plain::float::evaluate(&net.finish(x)?, &[1.0, 0.5])?, [0.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error`] when the graph is not valid or the input has not its size.
pub fn evaluate(graph: &Graph, input: &[f32]) -> Result<Vec<f32>, Error> {
    let mut values = run(graph, input, false)?;
    // A valid graph has a node.
    Ok(values.pop().unwrap_or_default())
}

/// As [`evaluate`], the output of every node.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_all(graph: &Graph, input: &[f32]) -> Result<Vec<Vec<f32>>, Error> {
    run(graph, input, true)
}

fn run(graph: &Graph, input: &[f32], keep: bool) -> Result<Vec<Vec<f32>>, Error> {
    graph.validate()?;
    let expected = graph.input_shape();
    if input.len() != expected.len() {
        return Err(Error::InputLength { expected, got: input.len() });
    }
    let mut last_use = vec![0; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|input| last_use[input.0] = index);
    }
    let mut values = vec![input.to_vec()];
    for (index, node) in graph.nodes.iter().enumerate().skip(1) {
        let operands: Vec<&[f32]> = node.inputs.iter().map(|id| values[id.0].as_slice()).collect();
        let output = apply(node, graph.nodes[node.inputs[0].0].shape, &operands);
        values.push(output);
        if !keep {
            let done = node.inputs.iter().filter(|input| last_use[input.0] == index);
            done.for_each(|input| values[input.0] = Vec::new());
        }
    }
    Ok(values)
}

/// One node of a valid graph; `shape` is that of its first operand.
fn apply(node: &Node, shape: Shape, operands: &[&[f32]]) -> Vec<f32> {
    let x = operands[0];
    let map = |f: &dyn Fn(f32) -> f32| x.iter().map(|&x| f(x)).collect();
    let shapes = (shape, node.shape);
    let mean = |window: &Window| -> Vec<f32> {
        let sums = kernel::pool(x, shapes, window, |a, b| a + b);
        sums.into_iter().map(|sum| sum / window.area() as f32).collect()
    };
    match &node.op {
        Op::Conv { window, groups, weight, bias, .. } => {
            let of = node.shape.len() / bias.len();
            kernel::conv(x, shapes, window, *groups, |i| weight[i], |i| bias[i / of])
        }
        Op::Linear { outputs, weight, bias } => kernel::linear(x, *outputs, |i| weight[i], |o| bias[o]),
        Op::BatchNorm { scale, shift } => {
            let channels = x.chunks(shape.area()).zip(scale.iter().zip(shift));
            channels
                .flat_map(|(plane, (scale, shift))| plane.iter().map(move |x| x * scale + shift))
                .collect()
        }
        Op::Relu => map(&|x| x.max(0.0)),
        &Op::Clip { low, high } => map(&|x| x.clamp(low, high)),
        Op::Partial { activation, keep } => {
            let active = |x: f32| match *activation {
                Activation::Relu => x.max(0.0),
                Activation::Clip { low, high } => x.clamp(low, high),
            };
            let elements = x.iter().zip(keep.as_slice());
            elements.map(|(&x, &keep)| if keep { active(x) } else { x }).collect()
        }
        Op::MaxPool(window) => kernel::pool(x, shapes, window, f32::max),
        Op::AvgPool(window) => mean(window),
        Op::AvgPoolInside(window) => {
            let sums = kernel::pool(x, shapes, window, |a, b| a + b);
            let counts = window.inside(shape);
            sums.into_iter().zip(counts.iter().cycle()).map(|(sum, &n)| sum / n as f32).collect()
        }
        Op::GlobalAvgPool => {
            mean(&Window { kernel: [shape.height, shape.width], stride: [1; 2], padding: [0; 4] })
        }
        Op::Smooth(function) => map(&|x| function.value(x.into()) as f32),
        &Op::Combine { factors: [a, b] } => x.iter().zip(operands[1]).map(|(x, y)| a * x + b * y).collect(),
        Op::Multiply => {
            let group = x.len() / operands[1].len();
            x.iter().enumerate().map(|(i, x)| x * operands[1][i / group]).collect()
        }
        Op::View(view) => view.apply(x, 0.0),
        Op::Add => x.iter().zip(operands[1]).map(|(a, b)| a + b).collect(),
        Op::Concat => operands.concat(),
        // The input is never computed.
        Op::Flatten | Op::Input => x.to_vec(),
    }
}
