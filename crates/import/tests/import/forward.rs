//! The definition: what a float graph computes.

use copriv_ir::{Activation, Graph, Node, Op, Shape, Window};

/// The outputs of all nodes.
pub fn all(graph: &Graph, input: &[f32]) -> Vec<Vec<f32>> {
    let mut values: Vec<Vec<f32>> = Vec::new();
    for node in &graph.nodes {
        let value = one(graph, node, &values, input);
        assert_eq!(value.len(), node.shape.len(), "{}", node.name);
        values.push(value);
    }
    values
}

/// The output of the network.
pub fn logits(graph: &Graph, input: &[f32]) -> Vec<f32> {
    all(graph, input).pop().unwrap()
}

fn one(graph: &Graph, node: &Node, values: &[Vec<f32>], input: &[f32]) -> Vec<f32> {
    let Some(&first) = node.inputs.first() else { return input.to_vec() };
    let (x, shape) = (&values[first.0], graph.nodes[first.0].shape);
    let y = node.shape;
    match &node.op {
        Op::Input => unreachable!(),
        Op::Conv { window, groups, weight, bias, .. } => {
            let each = y.len() / bias.len();
            let mut out: Vec<f32> = bias.iter().flat_map(|&b| vec![b; each]).collect();
            let (x, padded) = pad(x, shape, window, 0.0);
            let (per_group, outputs) = (shape.channels / groups, y.channels / groups);
            for o in 0..y.channels {
                let out = &mut out[o * y.area()..][..y.area()];
                for c in 0..per_group {
                    let plane = &x[(o / outputs * per_group + c) * padded.area()..][..padded.area()];
                    for ky in 0..window.kernel[0] {
                        for kx in 0..window.kernel[1] {
                            let w =
                                weight[((o * per_group + c) * window.kernel[0] + ky) * window.kernel[1] + kx];
                            for (row, out) in out.chunks_mut(y.width).enumerate() {
                                let from = &plane[(row * window.stride[0] + ky) * padded.width + kx..];
                                match window.stride[1] {
                                    1 => out.iter_mut().zip(from).for_each(|(o, x)| *o += w * x),
                                    s => out
                                        .iter_mut()
                                        .zip(from.iter().step_by(s))
                                        .for_each(|(o, x)| *o += w * x),
                                }
                            }
                        }
                    }
                }
            }
            out
        }
        Op::Linear { weight, bias, .. } => weight
            .chunks(x.len())
            .zip(bias)
            .map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b)
            .collect(),
        Op::BatchNorm { scale, shift } => {
            x.iter().enumerate().map(|(i, x)| x * scale[i / y.area()] + shift[i / y.area()]).collect()
        }
        Op::Relu => x.iter().map(|x| x.max(0.0)).collect(),
        Op::Clip { low, high } => x.iter().map(|x| x.clamp(*low, *high)).collect(),
        Op::Partial { activation, keep } => {
            let active = |x: f32| match *activation {
                Activation::Relu => x.max(0.0),
                Activation::Clip { low, high } => x.clamp(low, high),
            };
            x.iter().zip(keep.as_slice()).map(|(&x, &kept)| if kept { active(x) } else { x }).collect()
        }
        Op::MaxPool(window) => {
            pool(x, shape, y, window, f32::NEG_INFINITY, |a| a.into_iter().fold(f32::NEG_INFINITY, f32::max))
        }
        Op::AvgPool(window) => {
            pool(x, shape, y, window, 0.0, |a| a.iter().sum::<f32>() / window.area() as f32)
        }
        Op::AvgPoolInside(window) => pool(x, shape, y, window, f32::NAN, |a| {
            let inside: Vec<f32> = a.into_iter().filter(|x| !x.is_nan()).collect();
            inside.iter().sum::<f32>() / inside.len() as f32
        }),
        Op::Smooth(function) => x.iter().map(|&x| function.value(x.into()) as f32).collect(),
        Op::Combine { factors: [a, b] } => {
            x.iter().zip(&values[node.inputs[1].0]).map(|(x, y)| a * x + b * y).collect()
        }
        Op::Multiply => {
            let factors = &values[node.inputs[1].0];
            x.chunks(x.len() / factors.len())
                .zip(factors)
                .flat_map(|(x, y)| x.iter().map(move |x| x * y))
                .collect()
        }
        Op::View(view) => view.apply(x, 0.0),
        Op::GlobalAvgPool => x.chunks(shape.area()).map(|c| c.iter().sum::<f32>() / c.len() as f32).collect(),
        Op::Add => x.iter().zip(&values[node.inputs[1].0]).map(|(a, b)| a + b).collect(),
        Op::Concat => node.inputs.iter().flat_map(|id| values[id.0].clone()).collect(),
        Op::Flatten => x.clone(),
    }
}

fn pad(x: &[f32], shape: Shape, window: &Window, value: f32) -> (Vec<f32>, Shape) {
    let [top, left, bottom, right] = window.padding;
    let padded = Shape::new(shape.channels, shape.height + top + bottom, shape.width + left + right);
    let mut out = vec![value; padded.len()];
    for (index, row) in x.chunks(shape.width).enumerate() {
        let (c, y) = (index / shape.height, index % shape.height);
        out[c * padded.area() + (y + top) * padded.width + left..][..shape.width].copy_from_slice(row);
    }
    (out, padded)
}

fn pool(
    x: &[f32],
    shape: Shape,
    y: Shape,
    window: &Window,
    padding: f32,
    reduce: impl Fn(Vec<f32>) -> f32,
) -> Vec<f32> {
    let (x, padded) = pad(x, shape, window, padding);
    let mut out = Vec::new();
    for c in 0..y.channels {
        for row in 0..y.height {
            for column in 0..y.width {
                let at = |ky: usize, kx: usize| {
                    let (h, w) = (row * window.stride[0] + ky, column * window.stride[1] + kx);
                    x[c * padded.area() + h * padded.width + w]
                };
                let [kh, kw] = window.kernel;
                out.push(reduce((0..kh * kw).map(|i| at(i / kw, i % kw)).collect()));
            }
        }
    }
    out
}

/// The same pixels on every run: a smooth pattern in [0, 1].
pub fn pattern(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + i / 7 * 11) % 256) as f32 / 255.0).collect()
}

/// Asserts that two lists agree to `tolerance`.
pub fn assert_close(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * e.abs().max(1.0), "{what}: element {i} is {g}, not {e}");
    }
}
