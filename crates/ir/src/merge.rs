use crate::passes::fold;
use crate::{Error, Graph, Node, NodeId, Op, Shape, Window, fold_affine};

/// The longest chain of layers that is merged: far longer than networks have.
const MAX_CHAIN: usize = 16;

/// Weights of a layer that is made: more are not worth trying.
const MAX_MERGED: usize = 1 << 26;

/// The same function with linear layers that have nothing between them made one, where that costs less: a conv or linear layer
/// that alone reads another, two on the same operand that are added, and one that is added to its operand. Batch norms are
/// folded first ([`fold_affine`]).
///
/// Merged is what is equal everywhere, also at the border of a map: of two convs in a row the second has no padding, or the first is 1x1
/// without padding. In the latter case a bias of the first is missing from what the second sees of the border; the merged conv then has a
/// bias for each element of its output.
///
/// `cost` says what the layers of a network cost, without what every network costs besides. It is asked of networks of one layer or of
/// a sum, with the weights that they would have.
///
/// ```
/// use copriv_ir::{GraphBuilder, Shape, Window, merge_linear};
/// let mut net = GraphBuilder::new("tiny", Shape::new(2, 8, 8))?;
/// let input = net.input();
/// let x = net.conv("expand", input, Window::square(1, 1, 0), 1, vec![0.5; 12], vec![1.0; 6])?;
/// let x = net.conv("depthwise", x, Window::square(3, 1, 1), 6, vec![0.25; 54], vec![0.0; 6])?;
/// let x = net.conv("project", x, Window::square(1, 1, 0), 1, vec![0.5; 12], vec![0.0; 2])?;
/// let x = net.add("add", x, input)?;
/// let merged = merge_linear(&net.finish(x)?, &mut |net| net.nodes.len() as u64)?;
/// assert_eq!(merged.nodes.len(), 2); // the input and a 3x3 conv
/// # Ok::<(), copriv_ir::Error>(())
/// ```
///
/// # Errors
/// [`Error`] when the graph is not valid, or a weight becomes too large for an `f32`.
pub fn merge_linear(graph: &Graph, cost: &mut dyn FnMut(&Graph) -> u64) -> Result<Graph, Error> {
    let net = merge_folded(fold_affine(graph)?, cost)?;
    net.validate()?;
    Ok(net)
}

/// [`merge_linear`] without weights, with a `cost` that looks at shapes alone: what it is asked of and what comes out are outlines
/// ([`Graph::outline`]).
///
/// # Errors
/// None of a valid graph's outline.
pub fn merge_outline(graph: &Graph, cost: &mut dyn FnMut(&Graph) -> u64) -> Result<Graph, Error> {
    merge_folded(fold(&graph.outline()), cost)
}

fn merge_folded(mut net: Graph, cost: &mut dyn FnMut(&Graph) -> u64) -> Result<Graph, Error> {
    loop {
        let before = net.nodes.len();
        net = merge_chains(net, cost)?;
        net = merge_sums(net, cost)?;
        if net.nodes.len() == before {
            return Ok(net);
        }
    }
}

/// Merges parts of chains, each cut where that costs least.
fn merge_chains(mut net: Graph, cost: &mut dyn FnMut(&Graph) -> u64) -> Result<Graph, Error> {
    let readers = net.readers();
    let follows = |index: usize| {
        let node = &net.nodes[index];
        let before = node.inputs.first().map(|id| id.0).filter(|&before| readers[before] == 1)?;
        (is_linear(&node.op) && is_linear(&net.nodes[before].op)).then_some(before)
    };
    // The layers of each chain, the last one first.
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let mut in_chain = vec![false; net.nodes.len()];
    for last in (0..net.nodes.len()).rev() {
        if !in_chain[last] {
            let chain: Vec<usize> =
                std::iter::successors(Some(last), |&index| follows(index)).take(MAX_CHAIN).collect();
            chain.iter().for_each(|&index| in_chain[index] = true);
            if chain.len() > 1 {
                chains.push(chain);
            }
        }
    }
    for chain in &mut chains {
        chain.reverse();
        for (segment, op) in cheapest(&net, chain, cost)? {
            let (first, last) = (net.nodes[segment[0]].clone(), segment[segment.len() - 1]);
            (net.nodes[last].op, net.nodes[last].inputs) = (op, first.inputs);
        }
    }
    Ok(net.pruned())
}

/// How a chain is cut into layers at the least cost: of each part of several layers these and what they make together.
fn cheapest(
    net: &Graph,
    chain: &[usize],
    cost: &mut dyn FnMut(&Graph) -> u64,
) -> Result<Vec<(Vec<usize>, Op)>, Error> {
    let shape_before = |at: usize| net.nodes[net.nodes[chain[at]].inputs[0].0].shape;
    // Of the first so many layers: the least cost, and where the last part of that begins.
    let mut best: Vec<(u64, usize)> = vec![(0, 0)];
    let mut merged: Vec<Vec<Option<Op>>> = Vec::new();
    for (end, &last) in chain.iter().enumerate() {
        // What layers start..=end make together, for each start.
        let own = &net.nodes[last];
        let extended = |(start, first): (usize, &Option<Op>)| {
            compose(shape_before(start), first.as_ref()?, shape_before(end), &own.op, own.shape)
        };
        let mut together: Vec<Option<Op>> = merged
            .last()
            .map(|shorter| shorter.iter().enumerate().map(extended).collect())
            .unwrap_or_default();
        together.push(Some(own.op.clone()));
        let mut least: Option<(u64, usize)> = None;
        for (start, op) in together.iter().enumerate().filter_map(|(start, op)| Some((start, op.as_ref()?))) {
            let alone = alone(shape_before(start), op.clone(), own.shape)?;
            let all = best[start].0.saturating_add(cost(&alone));
            // At the same cost the longer part.
            if least.is_none_or(|(least, _)| all < least) {
                least = Some((all, start));
            }
        }
        // A layer by itself is a part.
        best.push(least.unwrap_or((u64::MAX, end)));
        merged.push(together);
    }
    let mut parts = Vec::new();
    let mut end = chain.len();
    while end > 0 {
        let start = best[end].1;
        if let Some(op) = merged[end - 1][start].take().filter(|_| end - start > 1) {
            parts.push((chain[start..end].to_vec(), op));
        }
        end = start;
    }
    Ok(parts)
}

/// Merges layers that are added, to each other or to what they read.
fn merge_sums(mut net: Graph, cost: &mut dyn FnMut(&Graph) -> u64) -> Result<Graph, Error> {
    let mut readers = net.readers();
    for index in 0..net.nodes.len() {
        let node = &net.nodes[index];
        if node.op != Op::Add {
            continue;
        }
        let operands = [node.inputs[0], node.inputs[1]];
        // A layer that only the sum reads, by what it reads; anything else is an identity on itself.
        let term = |id: NodeId| {
            let node = &net.nodes[id.0];
            let layer = readers[id.0] == 1 && is_linear(&node.op);
            if layer { (node.inputs[0], Some(&node.op)) } else { (id, None) }
        };
        let [(x, a), (y, b)] = operands.map(term);
        let (x, a, b) = match (a, b) {
            (Some(_), Some(_)) if x == y => (x, a, b),
            (Some(_), _) if x == operands[1] => (x, a, None),
            (_, Some(_)) if y == operands[0] => (y, None, b),
            _ => continue,
        };
        let input = net.nodes[x.0].shape;
        let Some(op) = parallel(input, [a, b], node.shape) else { continue };
        let [apart, together] =
            [sum(input, [a, b], node.shape)?, alone(input, op.clone(), node.shape)?].map(|net| cost(&net));
        if together <= apart {
            let node = &mut net.nodes[index];
            (node.op, node.inputs) = (op, vec![x]);
            readers = net.readers();
        }
    }
    Ok(net.pruned())
}

fn is_linear(op: &Op) -> bool {
    matches!(op, Op::Conv { .. } | Op::Linear { .. })
}

/// Whether the weights are missing: there is always one.
fn is_outline(op: &Op) -> bool {
    matches!(op, Op::Conv { weight, .. } | Op::Linear { weight, .. } if weight.is_empty())
}

/// A network of one layer.
fn alone(input: Shape, op: Op, output: Shape) -> Result<Graph, Error> {
    let node = |name: &str, op, inputs, shape| Node { name: name.into(), op, inputs, shape };
    let nodes = vec![node("input", Op::Input, vec![], input), node("layer", op, vec![NodeId(0)], output)];
    checked(Graph { name: "layer".into(), nodes })
}

fn checked(net: Graph) -> Result<Graph, Error> {
    if !net.nodes.iter().any(|node| is_outline(&node.op)) {
        net.validate()?;
    }
    Ok(net)
}

/// A network of a sum of layers, or of a layer and the input.
fn sum(input: Shape, terms: [Option<&Op>; 2], output: Shape) -> Result<Graph, Error> {
    let node = |name: &str, op, inputs, shape| Node { name: name.into(), op, inputs, shape };
    let mut nodes = vec![node("input", Op::Input, vec![], input)];
    let operands = terms.map(|term| match term {
        None => NodeId(0),
        Some(op) => {
            nodes.push(node("layer", op.clone(), vec![NodeId(0)], output));
            NodeId(nodes.len() - 1)
        }
    });
    nodes.push(node("sum", Op::Add, operands.to_vec(), output));
    checked(Graph { name: "sum".into(), nodes })
}

/// One conv or linear layer in place of two in a row, on an input of shape `x`, with `mid` between and the output `y`; `None` where
/// it would not be the same everywhere.
fn compose(x: Shape, first: &Op, mid: Shape, second: &Op, y: Shape) -> Option<Op> {
    match (first, second) {
        (Op::Linear { .. }, &Op::Linear { outputs, .. }) if is_outline(first) || is_outline(second) => {
            Some(Op::Linear { outputs, weight: Vec::new(), bias: Vec::new() })
        }
        (
            Op::Linear { outputs: inner, weight: a, bias: a_bias },
            Op::Linear { outputs, weight: b, bias: b_bias },
        ) => {
            let rows = || b.chunks(*inner).zip(b_bias);
            let dot = |row: &[f32], column: &dyn Fn(usize) -> f32| -> f64 {
                row.iter().enumerate().map(|(e, &w)| f64::from(w) * f64::from(column(e))).sum()
            };
            let weight = rows()
                .flat_map(|(row, _)| {
                    (0..x.channels).map(move |i| dot(row, &|e| a[e * x.channels + i]) as f32)
                })
                .collect();
            let bias =
                rows().map(|(row, &bias)| (dot(row, &|e| a_bias[e]) + f64::from(bias)) as f32).collect();
            Some(Op::Linear { outputs: *outputs, weight, bias })
        }
        (Op::Conv { .. }, Op::Conv { .. }) => {
            let (a, b) = (Conv::of(first)?, Conv::of(second)?);
            let inside = b.window.padding == [0; 4];
            if !inside && (a.window.kernel, a.window.padding) != ([1, 1], [0; 4]) {
                return None;
            }
            let [stride, pads] = [a.window.stride, [a.window.padding[0], a.window.padding[1]]];
            let of = |d: usize| (b.window.kernel[d] - 1) * stride[d] + a.window.kernel[d];
            let window = window_for(
                [of(0), of(1)],
                [0, 1].map(|d| stride[d] * b.window.stride[d]),
                [0, 1].map(|d| pads[d] + b.window.padding[d] * stride[d]),
                (x, y),
            )?;
            let groups = if a.groups == b.groups { a.groups } else { 1 };
            let weight = composed_weight(x, &a, mid, &b, y, &window, groups)?;
            let bias = if weight.is_empty() { Vec::new() } else { composed_bias(&a, mid, &b, y) };
            Some(Op::Conv { window, groups, out_channels: y.channels, weight, bias })
        }
        _ => None,
    }
}

/// A conv by its parts.
struct Conv<'a> {
    window: Window,
    groups: usize,
    weight: &'a [f32],
    bias: &'a [f32],
}

impl<'a> Conv<'a> {
    fn of(op: &'a Op) -> Option<Self> {
        match op {
            Op::Conv { window, groups, weight, bias, .. } => {
                Some(Self { window: *window, groups: *groups, weight, bias })
            }
            _ => None,
        }
    }

    /// The bias of an element of the output.
    fn bias(&self, y: Shape, element: usize) -> f64 {
        f64::from(self.bias[element / (y.len() / self.bias.len())])
    }
}

/// A window with this kernel and stride whose first taps are `before` the map, and with which `input` becomes `output`.
fn window_for(
    kernel: [usize; 2],
    stride: [usize; 2],
    before: [usize; 2],
    (input, output): (Shape, Shape),
) -> Option<Window> {
    let (from, to) = ([input.height, input.width], [output.height, output.width]);
    let after = |d: usize| ((to[d] - 1) * stride[d] + kernel[d]).saturating_sub(from[d] + before[d]);
    let window = Window { kernel, stride, padding: [before[0], before[1], after(0), after(1)] };
    let shape = window.output_shape(input).ok()?;
    (shape.height == output.height && shape.width == output.width).then_some(window)
}

/// The kernel of `b` after `a`: of tap t of a and tap v of b at t + v·stride.
fn composed_weight(
    x: Shape,
    a: &Conv<'_>,
    mid: Shape,
    b: &Conv<'_>,
    y: Shape,
    window: &Window,
    groups: usize,
) -> Option<Vec<f32>> {
    let per_group = [x.channels / a.groups, mid.channels / b.groups, x.channels / groups];
    let len =
        y.channels.checked_mul(per_group[2])?.checked_mul(window.area()).filter(|&len| len <= MAX_MERGED)?;
    if a.weight.is_empty() || b.weight.is_empty() {
        return Some(Vec::new());
    }
    let (a_taps, b_taps) = (a.window.area(), b.window.area());
    let mut all = vec![0f64; len];
    for (o, out) in all.chunks_mut(len / y.channels).enumerate() {
        let first_mid = o / (y.channels / b.groups) * per_group[1];
        let first_in = o / (y.channels / groups) * per_group[2];
        for e in 0..per_group[1] {
            let row = &b.weight[(o * per_group[1] + e) * b_taps..][..b_taps];
            let mid_channel = first_mid + e;
            let from = mid_channel / (mid.channels / a.groups) * per_group[0];
            for i in 0..per_group[0] {
                let kernel = &a.weight[(mid_channel * per_group[0] + i) * a_taps..][..a_taps];
                let out = &mut out[(from + i - first_in) * window.area()..][..window.area()];
                for (v, &second) in row.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                    let [vy, vx] = [v / b.window.kernel[1], v % b.window.kernel[1]];
                    for (t, &first) in kernel.iter().enumerate() {
                        let [ty, tx] = [t / a.window.kernel[1], t % a.window.kernel[1]];
                        let row = ty + vy * a.window.stride[0];
                        let at = row * window.kernel[1] + tx + vx * a.window.stride[1];
                        out[at] += f64::from(first) * f64::from(second);
                    }
                }
            }
        }
    }
    Some(all.into_iter().map(|w| w as f32).collect())
}

/// What the biases of `a` and `b` come to: one a channel where that is all.
fn composed_bias(a: &Conv<'_>, mid: Shape, b: &Conv<'_>, y: Shape) -> Vec<f32> {
    let per_group = mid.channels / b.groups;
    let kernel_width = b.window.kernel[1];
    let [top, left, ..] = b.window.padding;
    // Where each tap of b lies in the map between, for an output.
    let inside = |o: usize, stride: usize, k: usize, before: usize, size: usize| {
        (o * stride + k).checked_sub(before).filter(|&at| at < size)
    };
    let mut all = Vec::with_capacity(y.len());
    for o in 0..y.channels {
        let first = o / (y.channels / b.groups) * per_group;
        let rows: Vec<&[f32]> = (0..per_group)
            .map(|e| &b.weight[(o * per_group + e) * b.window.area()..][..b.window.area()])
            .collect();
        for (oy, ox) in (0..y.area()).map(|at| (at / y.width, at % y.width)) {
            let mut sum = b.bias(y, o * y.area() + oy * y.width + ox);
            for (ky, kx) in (0..b.window.area()).map(|k| (k / kernel_width, k % kernel_width)) {
                let row = inside(oy, b.window.stride[0], ky, top, mid.height);
                let column = inside(ox, b.window.stride[1], kx, left, mid.width);
                let Some((row, column)) = row.zip(column) else { continue };
                for (e, weights) in rows.iter().enumerate() {
                    let element = (first + e) * mid.area() + row * mid.width + column;
                    sum += f64::from(weights[ky * kernel_width + kx]) * a.bias(mid, element);
                }
            }
            all.push(sum as f32);
        }
    }
    one_each(all, y)
}

/// One bias a channel where all elements of each have the same.
fn one_each(bias: Vec<f32>, y: Shape) -> Vec<f32> {
    let same = bias.chunks(y.area()).all(|map| map.iter().all(|b| b == &map[0]));
    if same { bias.into_iter().step_by(y.area()).collect() } else { bias }
}

/// One layer in place of two on the same input, `None` being the input itself, that are added; `None` where their strides differ.
fn parallel(x: Shape, terms: [Option<&Op>; 2], y: Shape) -> Option<Op> {
    let identity = |x: Shape| Op::Conv {
        window: Window::square(1, 1, 0),
        groups: x.channels,
        out_channels: x.channels,
        weight: vec![1.0; x.channels],
        bias: vec![0.0; x.channels],
    };
    let outline = terms.iter().flatten().any(|op| is_outline(op));
    match terms {
        [Some(&Op::Linear { outputs, .. }), None | Some(Op::Linear { .. })]
        | [None, Some(&Op::Linear { outputs, .. })]
            if outline =>
        {
            Some(Op::Linear { outputs, weight: Vec::new(), bias: Vec::new() })
        }
        [Some(Op::Linear { outputs, weight, bias }), other]
        | [other, Some(Op::Linear { outputs, weight, bias })] => {
            let (mut weight, mut bias) = (weight.clone(), bias.clone());
            match other {
                Some(Op::Linear { weight: other, bias: more, .. }) => {
                    weight.iter_mut().zip(other).for_each(|(w, other)| *w += other);
                    bias.iter_mut().zip(more).for_each(|(b, more)| *b += more);
                }
                None => weight.iter_mut().step_by(x.channels + 1).for_each(|w| *w += 1.0),
                Some(_) => return None,
            }
            Some(Op::Linear { outputs: *outputs, weight, bias })
        }
        [a, b] => {
            let identity = identity(x);
            let [a, b] = [a.unwrap_or(&identity), b.unwrap_or(&identity)];
            let (a, b) = (Conv::of(a)?, Conv::of(b)?);
            let both = [&a, &b];
            if a.window.stride != b.window.stride {
                return None;
            }
            let most =
                |of: &dyn Fn(&Window) -> usize| both.iter().map(|conv| of(&conv.window)).max().unwrap_or(0);
            let before = [0, 1].map(|d| most(&|window| window.padding[d]));
            // Rows and columns of the kernels from where outputs begin; at least one.
            let after =
                [0, 1].map(|d| most(&|window| window.kernel[d].saturating_sub(window.padding[d])).max(1));
            let kernel = [0, 1].map(|d| before[d] + after[d]);
            let window = window_for(kernel, a.window.stride, before, (x, y))?;
            let groups = if a.groups == b.groups { a.groups } else { narrower(&both) };
            let per_group = x.channels / groups;
            let len = y.channels.checked_mul(per_group)?.checked_mul(window.area());
            let len = len.filter(|&len| len <= MAX_MERGED)?;
            if outline {
                let (weight, bias) = (Vec::new(), Vec::new());
                return Some(Op::Conv { window, groups, out_channels: y.channels, weight, bias });
            }
            let mut weight = vec![0f32; len];
            for conv in both {
                let (own, taps) = (x.channels / conv.groups, conv.window.area());
                for (row, kernel) in conv.weight.chunks(taps).enumerate() {
                    let (o, i) = (row / own, row % own);
                    let channel = o / (y.channels / conv.groups) * own + i;
                    let start =
                        (o * per_group + channel - o / (y.channels / groups) * per_group) * window.area();
                    for (t, w) in kernel.iter().enumerate() {
                        let [ty, tx] = [t / conv.window.kernel[1], t % conv.window.kernel[1]];
                        let row = ty + before[0] - conv.window.padding[0];
                        weight[start + row * window.kernel[1] + tx + before[1] - conv.window.padding[1]] += w;
                    }
                }
            }
            let bias = (0..y.len()).map(|i| (a.bias(y, i) + b.bias(y, i)) as f32).collect();
            Some(Op::Conv { window, groups, out_channels: y.channels, weight, bias: one_each(bias, y) })
        }
    }
}

/// The groups of a sum of convs with different ones: those of the coarser where the other's lie within them, otherwise one.
fn narrower(both: &[&Conv<'_>; 2]) -> usize {
    let [coarse, fine] = if both[0].groups < both[1].groups { *both } else { [both[1], both[0]] };
    if fine.groups.is_multiple_of(coarse.groups) { coarse.groups } else { 1 }
}
