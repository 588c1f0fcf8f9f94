use crate::{Error, Graph, Node, NodeId, Op, Shape, Window};

/// The same function without a batch norm: each is folded into the conv or linear layer it reads or, where it
/// reads something else or something that others read too, becomes a depthwise 1x1 conv. Depthwise 1x1 convs that scale and
/// shift what a conv or linear layer gives to them alone are folded into it too. Partial activations of all elements become whole
/// ones, and those of none are left out.
///
/// ```
/// use copriv_ir::{GraphBuilder, Op, Shape, fold_affine};
/// let mut net = GraphBuilder::new("tiny", Shape::vector(1))?;
/// let x = net.linear("fc", net.input(), vec![3.0], vec![1.0])?;
/// let x = net.batch_norm("bn", x, vec![2.0], vec![0.5])?;
/// let folded = fold_affine(&net.finish(x)?)?;
/// assert_eq!(folded.nodes[1].op, Op::Linear { outputs: 1, weight: vec![6.0], bias: vec![2.5] });
/// # Ok::<(), copriv_ir::Error>(())
/// ```
///
/// # Errors
/// [`Error`] when the graph is not valid, or a folded weight is too large for an `f32`.
pub fn fold_affine(graph: &Graph) -> Result<Graph, Error> {
    graph.validate()?;
    let folded = fold(graph);
    folded.validate()?;
    Ok(folded)
}

/// The same function with means taken before convolutions, not after, where that is the same: of a mean over windows without padding,
/// or over whole channels, that alone reads a 1x1 conv without stride and padding. The conv then has fewer products.
///
/// ```
/// use copriv_ir::{GraphBuilder, Op, Shape, Window, pool_first};
/// let mut net = GraphBuilder::new("transition", Shape::new(2, 4, 4))?;
/// let x = net.conv("conv", net.input(), Window::square(1, 1, 0), 1, vec![0.5; 6], vec![1.0; 3])?;
/// let x = net.avg_pool("pool", x, Window::square(2, 2, 0))?;
/// let first = pool_first(&net.finish(x)?)?;
/// assert_eq!(first.nodes[1].op, Op::AvgPool(Window::square(2, 2, 0)));
/// assert_eq!(first.nodes[2].shape, Shape::new(3, 2, 2));
/// # Ok::<(), copriv_ir::Error>(())
/// ```
///
/// # Errors
/// [`Error`] when the graph is not valid.
pub fn pool_first(graph: &Graph) -> Result<Graph, Error> {
    graph.validate()?;
    let mut net = graph.clone();
    let readers = net.readers();
    for index in 1..net.nodes.len() {
        let pool = &net.nodes[index];
        let whole = match &pool.op {
            Op::AvgPool(window) => window.padding == [0; 4],
            Op::GlobalAvgPool => true,
            _ => false,
        };
        let conv = pool.inputs[0].0;
        let Op::Conv { window, out_channels, ref bias, .. } = net.nodes[conv].op else { continue };
        let alone = readers[conv] == 1 && conv + 1 != net.nodes.len();
        if whole && alone && window == Window::square(1, 1, 0) && bias.len() == out_channels {
            // The pool takes the conv's place, and the conv the pool's.
            let shape = net.nodes[index].shape;
            let channels = net.nodes[net.nodes[conv].inputs[0].0].shape.channels;
            let before = net.nodes[conv].inputs.clone();
            net.nodes.swap(conv, index);
            net.nodes[conv].inputs = before;
            net.nodes[conv].shape = Shape { channels, ..shape };
            net.nodes[index].inputs = vec![NodeId(conv)];
            net.nodes[index].shape = shape;
        }
    }
    net.validate()?;
    Ok(net)
}

/// [`fold_affine`] of a graph that is valid but for its weights, which may be missing.
pub(crate) fn fold(graph: &Graph) -> Graph {
    let source = sources(graph);
    let mut readers = vec![0; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        if source[index] == index {
            node.inputs.iter().for_each(|input| readers[source[input.0]] += 1);
        }
    }
    // As the output it is not only what its readers make of it.
    let output = source[graph.nodes.len() - 1];
    readers[output] += 1;
    let mut folded = Graph { name: graph.name.clone(), nodes: Vec::with_capacity(graph.nodes.len()) };
    // Where the value of each old node is found.
    let mut new_id: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        if source[index] != index {
            new_id.push(new_id[source[index]]);
            continue;
        }
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| new_id[input.0]).collect();
        let affine = affine(&node.op, node.inputs.first().map_or(0, |id| graph.nodes[id.0].shape.channels));
        if let Some((scale, shift)) = affine
            && readers[source[node.inputs[0].0]] == 1
            && fold_into(&mut folded.nodes[inputs[0].0].op, scale, shift)
        {
            new_id.push(inputs[0]);
            continue;
        }
        let op = match (&node.op, affine) {
            (Op::BatchNorm { .. }, Some((scale, shift))) => {
                let (window, channels) = (Window::square(1, 1, 0), node.shape.channels);
                let (weight, bias) = (scale.to_vec(), shift.to_vec());
                Op::Conv { window, groups: channels, out_channels: channels, weight, bias }
            }
            (Op::Partial { activation, keep }, _) if keep.kept() == keep.len() => (*activation).into(),
            (op, _) => op.clone(),
        };
        new_id.push(NodeId(folded.nodes.len()));
        folded.nodes.push(Node { name: node.name.clone(), op, inputs, shape: node.shape });
    }
    folded.nodes.truncate(new_id[output].0 + 1);
    folded
}

/// For each node the one that gives its value: another where it is an activation of no element.
fn sources(graph: &Graph) -> Vec<usize> {
    let mut source: Vec<usize> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        source.push(match &node.op {
            Op::Partial { keep, .. } if keep.kept() == 0 => source[node.inputs[0].0],
            _ => index,
        });
    }
    source
}

/// The factor of each channel and what is added to it or to its elements, where that is all that `op` does with so many channels.
fn affine(op: &Op, channels: usize) -> Option<(&[f32], &[f32])> {
    match op {
        Op::BatchNorm { scale, shift } => Some((scale, shift)),
        Op::Conv { window, groups, out_channels, weight, bias }
            if *window == Window::square(1, 1, 0) && [*groups, *out_channels] == [channels; 2] =>
        {
            Some((weight, bias))
        }
        _ => None,
    }
}

/// Scales and shifts the output channels of a conv or linear layer; false for any other node.
fn fold_into(op: &mut Op, scale: &[f32], shift: &[f32]) -> bool {
    let (Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. }) = op else { return false };
    if scale.is_empty() {
        return true; // the weights are missing
    }
    let row = weight.len() / scale.len();
    for (row, &scale) in weight.chunks_mut(row).zip(scale) {
        row.iter_mut().for_each(|w| *w *= scale);
    }
    let len = bias.len().max(shift.len());
    let at = |values: &[f32], i: usize| f64::from(values[i / (len / values.len())]);
    *bias = (0..len).map(|i| (at(bias, i) * at(scale, i) + at(shift, i)) as f32).collect();
    true
}
