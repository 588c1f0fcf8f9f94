//! Pruning of channels by magnitude, the baseline that removes no activation but makes layers thinner.
//!
//! Channels that must go together, as those of two layers that are added, are coupled; all coupled channels of the same layers are a
//! group. A group's channels are ranked by the norm of all filters that make them (Li et al., Pruning filters for efficient ConvNets,
//! ICLR 2017), times the scale of a batch norm that follows. Channels of the input and of the output are never pruned, nor are those
//! that a conv with several groups of several channels reads or makes.

use crate::cost::{Costs, Error};
use copriv_ir::{Graph, GraphBuilder, NodeId, Op};
use std::collections::BTreeMap;

/// Channels of which any number but all can be pruned.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// The convs and linear layers that make them.
    pub layers: Vec<NodeId>,
    /// The importance of each channel, 1 on average.
    pub importance: Vec<f64>,
    /// The class of each.
    classes: Vec<usize>,
}

/// How much is kept.
#[derive(Clone, PartialEq, Debug)]
pub enum Keep {
    /// This share of each group's channels, at least one.
    Each(f64),
    /// This share of all groups' channels together, those of the greatest importance; at least one of each group.
    Global(f64),
    /// So many channels of each group, at least one of each layer; all where it has fewer.
    Counts(Vec<usize>),
}

/// The groups of a valid network's channels, in the order of their first layers.
///
/// ```
/// let net = copriv_import::load("zoo:resnet20-cifar10")?;
/// let groups = copriv_train::channels::groups(&net);
/// // One of each stage, and one inside each of the nine blocks.
/// assert_eq!(groups.len(), 12);
/// # Ok::<(), copriv_import::Error>(())
/// ```
pub fn groups(net: &Graph) -> Vec<Group> {
    Channels::new(net).groups(net)
}

/// The network without the channels that matter least. With the weights of these channels and the shifts of their batch norms zero, it
/// computes what `net` does wherever zero stays zero on their way.
///
/// # Errors
/// [`Error::Network`] where `net` is not valid, [`Error::Fraction`] or [`Error::Count`] where `keep` is not for it.
pub fn pruned(net: &Graph, keep: &Keep) -> Result<Graph, Error> {
    net.validate()?;
    let channels = Channels::new(net);
    let groups = channels.groups(net);
    channels.pruned(net, &kept(&channels, &groups, keep)?)
}

/// `net` pruned to at most `budget` bytes, as [`Costs::structure`] counts them, and as little as possible: by the same share of each
/// group or, where `global`, by the importance of all channels together. Groups that nothing is saved by, as those inside of layers
/// that are merged, are left alone.
///
/// # Errors
/// [`Error::Infeasible`] where one channel of each group is too much; otherwise as [`Costs::structure`].
pub fn to_budget(net: &Graph, costs: &mut Costs, budget: u64, global: bool) -> Result<Graph, Error> {
    net.validate()?;
    let channels = Channels::new(net);
    let groups = channels.groups(net);
    let objective = costs.objective();
    let outline = net.outline();
    let most: usize = groups.iter().map(|group| group.importance.len()).sum::<usize>().max(1);
    let steps = if global { most } else { STEPS.min(most) };
    let mut bytes = |kept: &[bool]| -> Result<u64, Error> {
        Ok(costs.structure(&channels.thinner(&outline, kept))?.of(objective))
    };
    let all: Vec<usize> = groups.iter().map(|group| group.importance.len()).collect();
    let whole = bytes(&kept(&channels, &groups, &Keep::Counts(all.clone()))?)?;
    if whole <= budget {
        return Ok(net.clone());
    }
    let mut pays = Vec::with_capacity(all.len());
    for (index, &n) in all.iter().enumerate() {
        let mut counts = all.clone();
        counts[index] = n.div_ceil(2);
        pays.push(bytes(&kept(&channels, &groups, &Keep::Counts(counts))?)? < whole);
    }
    let share = |step: usize| {
        let share = step as f64 / steps as f64;
        let mut counts = counts(&groups, &if global { Keep::Global(share) } else { Keep::Each(share) })?;
        for (count, (pays, all)) in counts.iter_mut().zip(pays.iter().zip(&all)) {
            *count = if *pays { *count } else { *all };
        }
        kept(&channels, &groups, &Keep::Counts(counts))
    };
    let least = bytes(&share(1)?)?;
    if least > budget {
        return Err(Error::Infeasible { budget, least });
    }
    // Within the budget at the first, not at the second: bytes need not grow with every channel for this to end so.
    let (mut within, mut above) = (1, steps);
    while above - within > 1 {
        let middle = within.midpoint(above);
        if bytes(&share(middle)?)? <= budget { within = middle } else { above = middle }
    }
    channels.pruned(net, &share(within)?)
}

/// Shares that [`to_budget`] tells apart.
const STEPS: usize = 1024;

/// How many channels of each group are kept.
fn counts(groups: &[Group], keep: &Keep) -> Result<Vec<usize>, Error> {
    let share = |share: f64, n: usize| ((n as f64 * share).round() as usize).clamp(1, n);
    if let Keep::Each(share) | Keep::Global(share) = *keep
        && !(share > 0.0 && share <= 1.0)
    {
        return Err(Error::Fraction(share));
    }
    let sizes = groups.iter().map(|group| group.importance.len());
    Ok(match keep {
        &Keep::Each(fraction) => sizes.map(|n| share(fraction, n)).collect(),
        &Keep::Global(fraction) => {
            let mut all: Vec<(f64, usize)> = Vec::new();
            for (index, group) in groups.iter().enumerate() {
                let mut ranked = group.importance.clone();
                ranked.sort_by(|a, b| b.total_cmp(a));
                // The first of each group is kept anyway.
                all.extend(ranked.into_iter().skip(1).map(|importance| (importance, index)));
            }
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            let total: usize = sizes.sum();
            let more = share(fraction, total.max(1)).saturating_sub(groups.len());
            let mut counts = vec![1; groups.len()];
            all.iter().take(more).for_each(|&(_, index)| counts[index] += 1);
            counts
        }
        Keep::Counts(counts) if counts.len() == groups.len() => {
            sizes.zip(counts).map(|(n, &count)| count.clamp(1, n)).collect()
        }
        Keep::Counts(counts) => {
            return Err(Error::Count {
                what: "numbers of channels",
                expected: groups.len(),
                got: counts.len(),
            });
        }
    })
}

/// For each class whether it is kept.
fn kept(channels: &Channels, groups: &[Group], keep: &Keep) -> Result<Vec<bool>, Error> {
    let counts = counts(groups, keep)?;
    let mut kept = vec![true; channels.classes];
    for (group, count) in groups.iter().zip(counts) {
        let mut order: Vec<usize> = (0..group.importance.len()).collect();
        order.sort_by(|&a, &b| group.importance[b].total_cmp(&group.importance[a]));
        order[count..].iter().for_each(|&at| kept[group.classes[at]] = false);
    }
    // A layer that makes some of a group's channels keeps one of its own.
    let mut importance = vec![0f64; channels.classes];
    for group in groups {
        group.classes.iter().zip(&group.importance).for_each(|(&class, &value)| importance[class] = value);
    }
    for own in channels.of.iter().filter(|own| !own.is_empty()) {
        if !own.iter().any(|&class| kept[class]) {
            let most = own.iter().max_by(|&&a, &&b| importance[a].total_cmp(&importance[b]));
            most.into_iter().for_each(|&class| kept[class] = true);
        }
    }
    Ok(kept)
}

/// Which channels are coupled.
struct Channels {
    /// Of each node, the class of each channel; those of one class go together.
    of: Vec<Vec<usize>>,
    classes: usize,
    /// Whether a class is never pruned.
    fixed: Vec<bool>,
}

impl Channels {
    fn new(net: &Graph) -> Self {
        let mut sets = Union::default();
        let mut fixed: Vec<usize> = Vec::new();
        let mut of: Vec<Vec<usize>> = Vec::with_capacity(net.nodes.len());
        for node in &net.nodes {
            let channels = node.shape.channels;
            let input = node.inputs.first().map(|id| &of[id.0]);
            let own = match (&node.op, input) {
                (Op::Conv { groups, .. }, Some(input)) if *groups > 1 => {
                    if *groups == input.len() {
                        // Each channel makes its own: so many outputs of one input.
                        let outputs = channels / groups;
                        (0..channels).map(|o| input[o / outputs]).collect()
                    } else {
                        fixed.extend(input);
                        let own = sets.more(channels);
                        fixed.extend(&own);
                        own
                    }
                }
                (Op::Conv { .. } | Op::Linear { .. }, _) => sets.more(channels),
                (Op::Concat, _) => node.inputs.iter().flat_map(|id| of[id.0].iter().copied()).collect(),
                (Op::Flatten, Some(input)) => {
                    let area = channels / input.len();
                    input.iter().flat_map(|&class| std::iter::repeat_n(class, area)).collect()
                }
                (Op::View(_), Some(input)) => {
                    // Its elements may be of any channels.
                    fixed.extend(input);
                    let own = sets.more(channels);
                    fixed.extend(&own);
                    own
                }
                (Op::Add | Op::Combine { .. } | Op::Multiply, Some(input)) => {
                    let other = node.inputs.get(1).map_or(input, |id| &of[id.0]);
                    input.iter().zip(other).for_each(|(&a, &b)| sets.join(a, b));
                    input.clone()
                }
                (_, Some(input)) => input.clone(),
                (_, None) => {
                    let own = sets.more(channels);
                    fixed.extend(&own);
                    own
                }
            };
            of.push(own);
        }
        fixed.extend(of.last().into_iter().flatten());
        of.iter_mut().flatten().for_each(|class| *class = sets.find(*class));
        let mut is_fixed = vec![false; sets.parent.len()];
        fixed.iter().for_each(|&class| is_fixed[sets.find(class)] = true);
        Self { of, classes: sets.parent.len(), fixed: is_fixed }
    }

    fn groups(&self, net: &Graph) -> Vec<Group> {
        // Classes of a layer are of one group.
        let mut sets = Union::default();
        sets.more(self.classes);
        let mut squares = vec![0f64; self.classes];
        let readers = readers(net);
        let makers = || net.nodes.iter().enumerate().filter(|(_, node)| is_layer(&node.op));
        for (index, node) in makers() {
            let own = &self.of[index];
            // What a depthwise conv reads may come from several layers that are pruned apart.
            if !is_grouped(&node.op) {
                own.iter().for_each(|&class| sets.join(own[0], class));
            }
            let (Op::Conv { weight, .. } | Op::Linear { weight, .. }) = &node.op else { continue };
            let row = weight.len() / own.len();
            let scale = readers[index].iter().find_map(|&reader| match &net.nodes[reader].op {
                Op::BatchNorm { scale, .. } => Some(scale),
                _ => None,
            });
            for (o, &class) in own.iter().enumerate() {
                let filter = &weight[o * row..][..row];
                let sum: f64 = filter.iter().map(|&w| f64::from(w).powi(2)).sum();
                squares[class] += sum * scale.map_or(1.0, |scale| f64::from(scale[o]).powi(2));
            }
        }
        // By the first layer and class.
        let mut groups: BTreeMap<(usize, usize), Group> = BTreeMap::new();
        let mut first: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let mut placed = vec![false; self.classes];
        for (index, _) in makers() {
            let own = &self.of[index];
            for &class in own {
                let key = *first.entry(sets.find(class)).or_insert((index, class));
                let empty = || Group { layers: Vec::new(), importance: Vec::new(), classes: Vec::new() };
                let group = groups.entry(key).or_insert_with(empty);
                if group.layers.last() != Some(&NodeId(index)) {
                    group.layers.push(NodeId(index));
                }
                if !placed[class] && !self.fixed[class] {
                    group.classes.push(class);
                    group.importance.push(squares[class].sqrt());
                }
                placed[class] = true;
            }
        }
        let mut groups: Vec<Group> = groups.into_values().filter(|group| !group.classes.is_empty()).collect();
        for group in &mut groups {
            let mean = group.importance.iter().sum::<f64>() / group.importance.len() as f64;
            if mean > 0.0 {
                group.importance.iter_mut().for_each(|importance| *importance /= mean);
            }
        }
        groups
    }

    fn pruned(&self, net: &Graph, kept: &[bool]) -> Result<Graph, Error> {
        let Graph { name, nodes } = self.thinner(net, kept);
        let mut nodes = nodes.into_iter();
        let input = nodes.next().map_or(net.input_shape(), |node| node.shape);
        let mut thin = GraphBuilder::new(name, input)?;
        let mut output = thin.input();
        for node in nodes {
            output = thin.push(node.name, node.op, node.inputs)?;
        }
        Ok(thin.finish(output)?)
    }

    /// The graph of the channels that are kept; of an outline, an outline.
    fn thinner(&self, net: &Graph, kept: &[bool]) -> Graph {
        let mut thin = net.clone();
        for (index, node) in thin.nodes.iter_mut().enumerate() {
            let own: Vec<bool> = self.of[index].iter().map(|&class| kept[class]).collect();
            node.shape.channels = own.iter().filter(|kept| **kept).count();
            let input: Vec<bool> = net.nodes[index]
                .inputs
                .first()
                .map(|id| self.of[id.0].iter().map(|&class| kept[class]).collect())
                .unwrap_or_default();
            match &mut node.op {
                Op::Conv { window, groups, out_channels, weight, bias } => {
                    let per_channel = bias.len() / own.len();
                    if *groups == 1 {
                        *weight = select(weight, &own, &input, window.area());
                    } else if *groups == input.len() {
                        *weight = select(weight, &own, &[true], window.area());
                        *groups = input.iter().filter(|kept| **kept).count();
                    }
                    *bias = select(bias, &own, &[true], per_channel);
                    *out_channels = node.shape.channels;
                }
                Op::Linear { outputs, weight, bias } => {
                    *weight = select(weight, &own, &input, 1);
                    *bias = select(bias, &own, &[true], 1);
                    *outputs = node.shape.channels;
                }
                Op::BatchNorm { scale, shift } => {
                    *scale = select(scale, &own, &[true], 1);
                    *shift = select(shift, &own, &[true], 1);
                }
                _ => {}
            }
        }
        thin
    }
}

/// The rows and columns of a matrix of cells of `cell` numbers that are kept; nothing of nothing.
fn select(values: &[f32], rows: &[bool], columns: &[bool], cell: usize) -> Vec<f32> {
    if values.is_empty() {
        return Vec::new();
    }
    let row = columns.len() * cell;
    let rows = values.chunks(row).zip(rows).filter(|(_, kept)| **kept);
    let cells = rows.flat_map(|(row, _)| row.chunks(cell).zip(columns).filter(|(_, kept)| **kept));
    cells.flat_map(|(cell, _)| cell.iter().copied()).collect()
}

fn is_layer(op: &Op) -> bool {
    matches!(op, Op::Conv { .. } | Op::Linear { .. })
}

fn is_grouped(op: &Op) -> bool {
    matches!(op, Op::Conv { groups, .. } if *groups > 1)
}

fn readers(net: &Graph) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); net.nodes.len()];
    for (index, node) in net.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|id| readers[id.0].push(index));
    }
    readers
}

/// Disjoint sets.
#[derive(Default)]
struct Union {
    parent: Vec<usize>,
}

impl Union {
    /// `n` new sets of one each.
    fn more(&mut self, n: usize) -> Vec<usize> {
        let from = self.parent.len();
        self.parent.extend(from..from + n);
        (from..from + n).collect()
    }

    fn find(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b)] = a.min(b);
    }
}
