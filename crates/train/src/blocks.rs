//! The blocks of a network: activations that are kept or dropped together, and the network without some of them.

use crate::cost::Error;
use copriv_ir::{Graph, Node, NodeId, Op, Shape, Window};

/// Activations that are kept or dropped together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// For reports: the name of the activation, or what the names of several begin with.
    pub name: String,
    /// The ReLUs and clips.
    pub activations: Vec<NodeId>,
    /// The convs that may shrink to their centre tap when the block is dropped, so that what they merge with stays no larger:
    /// dense ones of an odd kernel, padded to keep the map's size, that read the activation while what comes before it is spatial
    /// too.
    pub narrowed: Vec<NodeId>,
    /// The convs before and after the activation, nothing else between, that become one with a larger kernel when the block is
    /// dropped, if the first makes what the second's padding has zeros for.
    pub wide: Option<[NodeId; 2]>,
    /// The node after which a ReLU may come in place of those dropped: the end of an inverted residual.
    pub end: Option<NodeId>,
    /// Elements that go through the activations.
    pub elements: usize,
}

/// What else happens where a block is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Without {
    /// Convs in [`Block::narrowed`] shrink.
    pub narrow: bool,
    /// The padding of the second of [`Block::wide`] moves to the first, so that both make one conv that is the same everywhere. At
    /// the border of the map this computes something else than before, and than gates do in a search. Not where convs shrink.
    pub widen: bool,
    /// A ReLU comes after [`Block::end`].
    pub end_activation: bool,
}

/// The blocks of a valid network, in order; every activation is in one. The activations on both sides of a depthwise conv that
/// lies between two 1x1 convs (an inverted residual: Sandler et al., CVPR 2018) are one block, all others one each.
///
/// ```
/// use copriv_train::blocks::blocks;
/// let net = copriv_import::load("zoo:mobilenetv2-cifar100")?;
/// assert_eq!(blocks(&net).len(), 19); // the stem, 17 blocks, the head
/// # Ok::<(), copriv_import::Error>(())
/// ```
pub fn blocks(net: &Graph) -> Vec<Block> {
    let walk = Walk::new(net);
    let mut blocks = Vec::new();
    let mut taken = vec![false; net.nodes.len()];
    for index in 0..net.nodes.len() {
        if let Some((activations, end)) = walk.inverted_residual(index) {
            activations.iter().for_each(|&activation| taken[activation] = true);
            blocks.push(walk.block(activations, end));
        }
    }
    for (index, node) in net.nodes.iter().enumerate() {
        if is_activation(&node.op) && !taken[index] {
            blocks.push(walk.block(vec![index], None));
        }
    }
    blocks.sort_by_key(|block| block.activations[0]);
    blocks
}

/// The network without the blocks that are dropped. With no `options` it computes what the network does when these activations
/// pass on what they read. An outline ([`Graph::outline`]) stays one.
///
/// # Errors
/// [`Error::Count`] or [`Error::Block`] where `blocks` are not those of `net` or `dropped` not one for each; [`Error::Network`]
/// where `net` is not valid.
pub fn without(net: &Graph, blocks: &[Block], dropped: &[bool], options: Without) -> Result<Graph, Error> {
    if dropped.len() != blocks.len() {
        return Err(Error::Count { what: "choices", expected: blocks.len(), got: dropped.len() });
    }
    let mut change = vec![Change::default(); net.nodes.len()];
    for (block, _) in blocks.iter().zip(dropped).filter(|(_, dropped)| **dropped) {
        let foreign = || Error::Block(block.name.clone());
        for id in &block.activations {
            let node = net.nodes.get(id.0).filter(|node| is_activation(&node.op) && !node.inputs.is_empty());
            node.ok_or_else(foreign)?;
            change[id.0].drop = true;
        }
        for id in block.narrowed.iter().filter(|_| options.narrow) {
            net.nodes.get(id.0).filter(|node| centred(&node.op)).ok_or_else(foreign)?;
            change[id.0].narrow = true;
        }
        if let Some(end) = block.end.filter(|_| options.end_activation) {
            change.get_mut(end.0).ok_or_else(foreign)?.activate = true;
        }
    }
    if options.widen {
        let gone = blocks.iter().zip(dropped).filter(|(_, dropped)| **dropped).map(|(block, _)| block);
        // The last first: what it needs of a conv, that needs of the one before.
        for block in gone.rev().filter(|block| !options.narrow || block.narrowed.is_empty()) {
            if let Some(pair) = block.wide {
                widen(net, pair, &mut change).ok_or_else(|| Error::Block(block.name.clone()))?;
            }
        }
    }
    let rewritten = rewrite(net, &change);
    if net.nodes.iter().all(|node| !is_outline(&node.op)) {
        rewritten.validate()?;
    }
    Ok(rewritten)
}

/// What becomes of a node.
#[derive(Clone, Copy, Default)]
struct Change {
    drop: bool,
    narrow: bool,
    activate: bool,
    /// Rows and columns that it makes more: above, left, below, right.
    more: [usize; 4],
    /// Whether what it reads has its padding.
    padded: bool,
}

/// Moves the padding of the second conv to the first; `None` where they are not convs in a row.
fn widen(net: &Graph, [first, second]: [NodeId; 2], change: &mut [Change]) -> Option<()> {
    let Op::Conv { window, .. } = &net.nodes.get(second.0)?.op else { return None };
    let more = change[second.0].more;
    let more = [0, 1, 2, 3].map(|side| window.padding[side] + more[side] * window.stride[side % 2]);
    change[second.0].padded = true;
    let mut at = second;
    while at != first {
        at = *net.nodes[at.0].inputs.first().filter(|id| id.0 < at.0 && **id >= first)?;
        change[at.0].more = more;
    }
    matches!(net.nodes[first.0].op, Op::Conv { .. }).then_some(())
}

fn rewrite(net: &Graph, change: &[Change]) -> Graph {
    let mut nodes: Vec<Node> = Vec::with_capacity(net.nodes.len());
    let mut new_id: Vec<NodeId> = Vec::with_capacity(net.nodes.len());
    for (node, change) in net.nodes.iter().zip(change) {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|id| new_id[id.0]).collect();
        if change.drop {
            new_id.push(inputs[0]);
            continue;
        }
        let mut op = if change.narrow { narrowed(&node.op) } else { node.op.clone() };
        if let Op::Conv { window, .. } = &mut op {
            let own = if change.padded { [0; 4] } else { window.padding };
            // What it reads is padded for what it makes more too.
            let wanted = if change.padded { [0; 4] } else { change.more };
            window.padding = [0, 1, 2, 3].map(|side| own[side] + wanted[side] * window.stride[side % 2]);
        }
        let [above, left, below, right] = change.more;
        let Shape { channels, height, width } = node.shape;
        let shape = Shape { channels, height: height + above + below, width: width + left + right };
        nodes.push(Node { name: node.name.clone(), op, inputs, shape });
        if change.activate {
            let name = format!("{}.activation", node.name);
            let inputs = vec![NodeId(nodes.len() - 1)];
            nodes.push(Node { name, op: Op::Relu, inputs, shape: node.shape });
        }
        new_id.push(NodeId(nodes.len() - 1));
    }
    // The output is last, also where it was dropped.
    nodes.truncate(new_id.last().map_or(0, |output| output.0 + 1));
    Graph { name: net.name.clone(), nodes }
}

fn is_activation(op: &Op) -> bool {
    matches!(op, Op::Relu | Op::Clip { .. })
}

fn is_outline(op: &Op) -> bool {
    match op {
        Op::Conv { weight, .. } | Op::Linear { weight, .. } => weight.is_empty(),
        Op::BatchNorm { scale, .. } => scale.is_empty(),
        _ => false,
    }
}

fn is_pointwise(op: &Op) -> bool {
    let one = [1, 1];
    matches!(op, Op::Conv { window: Window { kernel, padding: [0, 0, 0, 0], .. }, groups: 1, .. } if *kernel == one)
}

/// Whether a conv is dense and has a kernel with a centre, over every element in turn. With a stride, its centre alone would pass over
/// elements.
fn centred(op: &Op) -> bool {
    let Op::Conv { window, groups: 1, .. } = op else { return false };
    let Window { kernel: [height, width], stride, padding } = *window;
    let [above, left] = [height / 2, width / 2];
    let odd = height * width > 1 && height % 2 == 1 && width % 2 == 1;
    odd && stride == [1; 2] && padding == [above, left, above, left]
}

/// The centre tap of a [`centred`] conv; its result has the same shape.
fn narrowed(op: &Op) -> Op {
    let Op::Conv { window, groups, out_channels, weight, bias } = op else { return op.clone() };
    let taps = window.area();
    let weight = weight.chunks(taps).map(|kernel| kernel[taps / 2]).collect();
    let window = Window { kernel: [1; 2], padding: [0; 4], ..*window };
    Op::Conv { window, groups: *groups, out_channels: *out_channels, weight, bias: bias.clone() }
}

/// A network that can be walked in both directions.
struct Walk<'a> {
    net: &'a Graph,
    readers: Vec<Vec<usize>>,
    /// Whether a kernel larger than 1x1 is reached from a node without an activation or pool between.
    spatial: Vec<bool>,
}

impl<'a> Walk<'a> {
    fn new(net: &'a Graph) -> Self {
        let mut readers = vec![Vec::new(); net.nodes.len()];
        let mut spatial = Vec::with_capacity(net.nodes.len());
        for (index, node) in net.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|id| readers[id.0].push(index));
            let before = node.inputs.iter().any(|id| spatial[id.0]);
            spatial.push(match &node.op {
                Op::Conv { window, .. } => before || window.area() > 1,
                Op::BatchNorm { .. } | Op::Add => before,
                _ => false,
            });
        }
        Self { net, readers, spatial }
    }

    fn op(&self, index: usize) -> &'a Op {
        &self.net.nodes[index].op
    }

    fn before(&self, index: usize) -> Option<usize> {
        self.net.nodes[index].inputs.first().map(|id| id.0)
    }

    /// The only reader of a node.
    fn after(&self, index: usize) -> Option<usize> {
        match self.readers[index][..] {
            [reader] => Some(reader),
            _ => None,
        }
    }

    /// The activations around a depthwise conv between two 1x1 convs, and the end of that.
    fn inverted_residual(&self, index: usize) -> Option<(Vec<usize>, Option<usize>)> {
        let Op::Conv { window, groups, out_channels, .. } = self.op(index) else { return None };
        let channels = self.net.nodes[self.before(index)?].shape.channels;
        if window.area() == 1 || [*groups, *out_channels] != [channels; 2] || channels == 1 {
            return None;
        }
        let mut activations = Vec::new();
        let mut pass = |at: usize| {
            let passes = is_activation(self.op(at));
            if passes {
                activations.push(at);
            }
            passes || matches!(self.op(at), Op::BatchNorm { .. })
        };
        let mut at = self.before(index)?;
        while self.after(at).is_some() && pass(at) {
            at = self.before(at)?;
        }
        if !is_pointwise(self.op(at)) || self.after(at).is_none() {
            return None;
        }
        at = self.after(index)?;
        while pass(at) {
            at = self.after(at)?;
        }
        if !is_pointwise(self.op(at)) || activations.is_empty() {
            return None;
        }
        activations.sort_unstable();
        Some((activations, self.end(at)))
    }

    /// The convs around an activation, if both do more than mix channels and there is padding to be moved.
    fn wide(&self, activation: usize) -> Option<[NodeId; 2]> {
        let is_norm = |at: usize| matches!(self.op(at), Op::BatchNorm { .. });
        let mut first = self.before(activation)?;
        self.after(first)?;
        while is_norm(first) {
            first = self.before(first)?;
            self.after(first)?;
        }
        let mut second = self.after(activation)?;
        while is_norm(second) {
            second = self.after(second)?;
        }
        let (Op::Conv { out_channels, bias, .. }, Op::Conv { window, .. }) =
            (self.op(first), self.op(second))
        else {
            return None;
        };
        // A bias of each element is of a map of this size.
        let fits = !is_pointwise(self.op(first)) && window.padding != [0; 4] && bias.len() <= *out_channels;
        fits.then_some([NodeId(first), NodeId(second)])
    }

    /// Where a residual branch ends whose last conv is `at`; none where an activation follows anyway.
    fn end(&self, mut at: usize) -> Option<usize> {
        let next = |at: usize, wanted: fn(&Op) -> bool| self.after(at).filter(|&next| wanted(self.op(next)));
        at = next(at, |op| matches!(op, Op::BatchNorm { .. })).unwrap_or(at);
        at = next(at, |op| *op == Op::Add).unwrap_or(at);
        next(at, is_activation).is_none().then_some(at)
    }

    fn block(&self, activations: Vec<usize>, end: Option<usize>) -> Block {
        let names = activations.iter().map(|&at| self.net.nodes[at].name.as_str());
        let name = common(&names.collect::<Vec<_>>());
        let elements = activations.iter().map(|&at| self.net.nodes[at].shape.len()).sum();
        let mut narrowed: Vec<NodeId> = Vec::new();
        for &at in
            activations.iter().filter(|&&at| self.before(at).is_some_and(|before| self.spatial[before]))
        {
            let mut open = self.readers[at].clone();
            while let Some(reader) = open.pop() {
                match self.op(reader) {
                    Op::BatchNorm { .. } => open.extend(&self.readers[reader]),
                    op if centred(op) => narrowed.push(NodeId(reader)),
                    _ => {}
                }
            }
        }
        narrowed.sort_unstable();
        narrowed.dedup();
        let wide = if let [activation] = activations[..] { self.wide(activation) } else { None };
        let activations = activations.into_iter().map(NodeId).collect();
        Block { name, activations, narrowed, wide, end: end.map(NodeId), elements }
    }
}

/// What dotted names begin with alike: all parts but those that differ, or the first name.
fn common(names: &[&str]) -> String {
    let [first, rest @ ..] = names else { return String::new() };
    if rest.is_empty() {
        return (*first).into();
    }
    let parts: Vec<&str> = first.split('.').collect();
    let alike = |n: &usize| rest.iter().all(|name| name.split('.').take(*n).eq(parts[..*n].iter().copied()));
    let mut n = (1..parts.len()).take_while(alike).last().unwrap_or(0);
    // A unit and its list of parts: features.3.conv is features.3.
    if n > 1 && parts[n - 1] == "conv" {
        n -= 1;
    }
    if n == 0 { (*first).into() } else { parts[..n].join(".") }
}
