//! Which channels must have one scale.

use copriv_ir::{Activation, Graph, Node, Op};

/// Channels of all nodes in classes that share a scale.
pub(crate) struct Classes {
    /// For each node, the class of each channel.
    pub of: Vec<Vec<usize>>,
    /// Of each class, whether its scale must be 1.
    pub pinned: Vec<bool>,
    /// Whether means over numbers of elements that are no power of two have classes of their own.
    pub free_means: bool,
}

/// Classes that grow together.
#[derive(Default)]
struct Union {
    parent: Vec<usize>,
    pinned: Vec<bool>,
}

impl Union {
    fn more(&mut self, count: usize) -> Vec<usize> {
        let from = self.parent.len();
        self.parent.extend(from..from + count);
        self.pinned.resize(from + count, false);
        (from..from + count).collect()
    }

    fn find(&mut self, mut class: usize) -> usize {
        while self.parent[class] != class {
            self.parent[class] = self.parent[self.parent[class]];
            class = self.parent[class];
        }
        class
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a] = b;
        self.pinned[b] |= self.pinned[a];
    }

    fn join_all(&mut self, classes: &[usize]) {
        classes.windows(2).for_each(|pair| self.join(pair[0], pair[1]));
    }

    fn pin(&mut self, classes: &[usize]) {
        for &class in classes {
            let root = self.find(class);
            self.pinned[root] = true;
        }
    }
}

/// Whether a node is a mean whose count is no power of two, over whole channels.
pub(crate) fn is_odd_mean(graph: &Graph, node: &Node) -> bool {
    node.op == Op::GlobalAvgPool && !graph.nodes[node.inputs[0].0].shape.area().is_power_of_two()
}

impl Classes {
    /// The classes of a network without batch norms. Means have scales of their own where nothing else depends on them.
    pub(crate) fn new(graph: &Graph) -> Self {
        Self::with(graph, true).unwrap_or_else(|| {
            // Without that there is nothing that could be in the way.
            Self::with(graph, false).unwrap_or_else(|| unreachable!("tied means are never refused"))
        })
    }

    fn with(graph: &Graph, free_means: bool) -> Option<Self> {
        let mut sets = Union::default();
        let mut of: Vec<Vec<usize>> = Vec::with_capacity(graph.nodes.len());
        let (mut made, mut means) = (Vec::new(), Vec::new());
        for node in &graph.nodes {
            let channels = node.shape.channels;
            let operand = |i: usize| &of[node.inputs[i].0];
            let own = match &node.op {
                Op::Input => {
                    let own = sets.more(channels);
                    sets.pin(&own);
                    own
                }
                Op::Conv { .. } | Op::Linear { .. } => {
                    let own = sets.more(channels);
                    made.extend(&own);
                    own
                }
                Op::GlobalAvgPool if free_means && is_odd_mean(graph, node) => {
                    let own = sets.more(channels);
                    means.extend(&own);
                    own
                }
                Op::Clip { .. } | Op::Partial { activation: Activation::Clip { .. }, .. } => {
                    sets.join_all(operand(0));
                    operand(0).clone()
                }
                Op::Smooth(_) => {
                    sets.pin(operand(0));
                    let own = sets.more(channels);
                    sets.pin(&own);
                    own
                }
                Op::Add | Op::Combine { .. } => {
                    operand(0).iter().zip(operand(1)).for_each(|(&a, &b)| sets.join(a, b));
                    operand(0).clone()
                }
                Op::Multiply => {
                    // Scales of both would make that of the product.
                    sets.pin(operand(1));
                    operand(0).clone()
                }
                Op::Concat => (0..node.inputs.len()).flat_map(|i| operand(i).iter().copied()).collect(),
                Op::Flatten => {
                    let area = channels / operand(0).len();
                    operand(0).iter().flat_map(|&class| std::iter::repeat_n(class, area)).collect()
                }
                Op::View(view) => {
                    let area = graph.nodes[node.inputs[0].0].shape.area();
                    let channel: Vec<usize> = (0..area * operand(0).len()).map(|i| i / area).collect();
                    let from = view.apply(&channel, usize::MAX);
                    let mut own = Vec::with_capacity(channels);
                    for plane in from.chunks(node.shape.area()) {
                        let mut sources = plane.iter().filter(|&&channel| channel != usize::MAX);
                        let class = match sources.next() {
                            None => sets.more(1)[0],
                            Some(&first) => {
                                let class = operand(0)[first];
                                for &source in sources.filter(|&&source| source != first) {
                                    sets.join(class, operand(0)[source]);
                                }
                                class
                            }
                        };
                        own.push(class);
                    }
                    own
                }
                // Folded before they come here.
                Op::BatchNorm { .. } => operand(0).clone(),
                Op::Relu
                | Op::Partial { .. }
                | Op::MaxPool(_)
                | Op::AvgPool(_)
                | Op::AvgPoolInside(_)
                | Op::GlobalAvgPool => operand(0).clone(),
            };
            of.push(own);
        }
        if let Some(output) = of.last() {
            sets.pin(output);
        }
        // Rows of weights make a channel of it, or another mean does.
        let mut taken = vec![false; sets.parent.len()];
        for class in made {
            taken[sets.find(class)] = true;
        }
        for mean in means {
            let root = sets.find(mean);
            if sets.pinned[root] || std::mem::replace(&mut taken[root], true) {
                return None;
            }
        }
        of.iter_mut().flatten().for_each(|class| *class = sets.find(*class));
        Some(Self { of, pinned: sets.pinned, free_means })
    }
}
