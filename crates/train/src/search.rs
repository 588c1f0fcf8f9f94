//! Searches: what training adds to find which activations go.

use crate::blocks::{Block, Without, blocks, without};
use crate::cost::Costs;
use crate::fit::{At, Method};
use crate::network::Network;
use crate::{Error, select};
use burn::tensor::{Tensor, TensorData};
use copriv_ir::{Activation, Graph, Mask, NodeId, Op, fold_affine};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How the blocks that are dropped are chosen by their scores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The set of least harm within the budget, by its exact bytes; the loss has the bytes each block saves.
    Bytes,
    /// By score alone, one after the other, until the budget holds (DepthShrinker: Fu et al., ICML 2022).
    Count,
}

/// How many bytes a search may leave.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Allowed {
    /// Those that are asked for.
    pub bytes: u64,
    /// What a structure takes for each that it takes with weights of the size that these have: sets are compared by their structure.
    pub scale: f64,
    /// By how much the set of blocks may be over that, for something else to make up for: 1 where it may not.
    pub leeway: f64,
}

/// The search for blocks to drop: a score for each, a hard choice by the scores in the forward pass, gradients straight through it
/// for all scores. The budget falls from all bytes to what it is over the first part of the search.
pub struct BlockSearch<'a> {
    costs: &'a mut Costs,
    outline: Graph,
    blocks: Vec<Block>,
    how: Without,
    choice: Choice,
    original: u64,
    /// Bytes that are asked for.
    budget: u64,
    /// And those of a structure that takes so many.
    limit: u64,
    /// Of the bytes in the loss: with 1, dropping blocks that save all bytes is worth a loss of 1.
    strength: f64,
    /// Bytes of sets of blocks.
    known: HashMap<Vec<bool>, u64>,
    dropped: Vec<bool>,
    /// For each block, the part of the original bytes that dropping it saves with the others as they are.
    savings: Vec<f64>,
}

/// Steps between two choices.
const CHOOSE: u64 = 10;
/// The part of the search during which the budget falls.
const RAMP: f64 = 0.5;
/// The part of the search after which the choice stays, so that the weights can settle.
const SETTLE: f64 = 0.8;

/// By how much the score of a block that is dropped counts for more.
const STAY: f64 = 0.1;

/// What differences of scores are told well apart.
const SPREAD: f64 = 0.1;

/// How much a block of that score is missed: always something, so that no more are dropped than the budget asks for, and the less the
/// higher the score.
fn missed(score: f64) -> f64 {
    // ln(1 + e^-x) without an e^-x that overflows.
    let x = score / SPREAD;
    SPREAD * ((-x.abs()).exp().ln_1p() + (-x).max(0.0))
}

#[derive(Serialize, Deserialize)]
struct Kept {
    dropped: Vec<bool>,
    savings: Vec<f64>,
}

impl<'a> BlockSearch<'a> {
    /// The search for blocks of `net` to drop so that no more is left than is `allowed`.
    ///
    /// # Errors
    /// [`Error::Cost`]; [`Error::Budget`] where the network takes more without any block.
    pub fn new(
        net: &Graph,
        costs: &'a mut Costs,
        allowed: Allowed,
        how: Without,
        choice: Choice,
        strength: f64,
    ) -> Result<Self, Error> {
        let outline = net.outline();
        let blocks = planned(&outline, blocks(net), costs, how)?;
        let count = blocks.len();
        let mut search = Self {
            costs,
            outline,
            blocks,
            how,
            choice,
            original: 0,
            budget: (allowed.bytes as f64 * allowed.leeway) as u64,
            limit: (allowed.bytes as f64 * allowed.leeway * allowed.scale) as u64,
            strength,
            known: HashMap::new(),
            dropped: vec![false; count],
            savings: vec![0.0; count],
        };
        search.original = search.bytes(&vec![false; count])?;
        let least = search.bytes(&vec![true; count])?;
        if least > search.limit {
            let Allowed { bytes, scale, leeway } = allowed;
            let left = least as f64 / scale;
            return Err(Error::Budget(format!(
                "the budget is {bytes} bytes, and {left:.0} are left when all {count} blocks are dropped; give at least {:.0}B",
                (left / leeway).ceil()
            )));
        }
        Ok(search)
    }

    /// Puts gates over the blocks, with scores of at least -1 that say how much each is missed: `harm` is by how much the loss
    /// rises without it, for each.
    ///
    /// # Panics
    /// When there is not one for each block.
    pub fn gate(&self, network: &mut Network, harm: &[f64]) {
        let most = harm.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let scores: Vec<f32> = harm.iter().map(|harm| (-harm / most) as f32).collect();
        network.gate_blocks(self.blocks.clone(), self.how, &scores);
    }

    /// The bytes without `dropped` blocks.
    fn bytes(&mut self, dropped: &[bool]) -> Result<u64, Error> {
        if let Some(&bytes) = self.known.get(dropped) {
            return Ok(bytes);
        }
        let net = without(&self.outline, &self.blocks, dropped, self.how)?;
        let bytes = self.costs.structure(&net)?.of(self.costs.objective());
        self.known.insert(dropped.to_vec(), bytes);
        Ok(bytes)
    }

    /// The bytes of the network with all blocks.
    pub fn original(&self) -> u64 {
        self.original
    }

    /// What is dropped now.
    pub fn dropped(&self) -> &[bool] {
        &self.dropped
    }

    /// The blocks.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// What `network` has learnt, without what is dropped now. Where that takes more than the budget with the weights that it
    /// has, more is dropped first.
    ///
    /// # Errors
    /// [`Error::Cost`]; [`Error::Device`].
    pub fn result(&mut self, network: &Network) -> Result<Graph, Error> {
        let (net, scores) = (network.graph()?, network.scores()?);
        let least = self.bytes(&vec![true; self.blocks.len()])?;
        loop {
            let left = without(&net, &self.blocks, &self.dropped, self.how)?;
            let objective = self.costs.objective();
            let bytes = self.costs.finished(&left)?.1.of(objective);
            let structure = self.bytes(&self.dropped.clone())?;
            // Less than this set has by its structure, so that another is chosen.
            let tighter = (structure as f64 * self.budget as f64 / bytes as f64) as u64;
            if bytes <= self.budget || tighter < least || structure <= least {
                return Ok(left);
            }
            self.choose(&scores, tighter.min(structure - 1))?;
        }
    }

    /// Chooses by `scores` within `limit` bytes, and finds what each block saves then.
    fn choose(&mut self, scores: &[f32], limit: u64) -> Result<(), Error> {
        // What is dropped stays so rather, lest noise moves it to and fro and the weights with it.
        let bonus = |dropped: bool| if dropped { STAY } else { 0.0 };
        let harm = scores
            .iter()
            .zip(&self.dropped)
            .map(|(&score, &dropped)| missed(f64::from(score) + bonus(dropped)));
        let harm: Vec<f64> = harm.collect();
        let mut failed = None;
        let choice = self.choice;
        let mut cost = |dropped: &[bool]| {
            self.bytes(dropped).unwrap_or_else(|e| {
                failed = Some(e);
                u64::MAX
            })
        };
        let dropped = match choice {
            Choice::Bytes => select::choose(&harm, limit, &mut cost),
            Choice::Count => select::by_count(&harm, limit, &mut cost),
        };
        // All of them are within the budget.
        let dropped = dropped.map_or_else(|| vec![true; harm.len()], |choice| choice.dropped);
        let savings = select::savings(&dropped, &mut cost);
        if let Some(e) = failed {
            return Err(e);
        }
        let original = self.original as f64;
        self.savings = savings.into_iter().map(|saving| saving as f64 / original).collect();
        self.dropped = dropped;
        Ok(())
    }
}

impl Method for BlockSearch<'_> {
    fn before_step(&mut self, at: At, network: &mut Network) -> Result<(), Error> {
        // The last step is within the budget, however few there are.
        let last = at.step + 1 >= at.steps;
        let fallen = if last { 1.0 } else { (at.part() / RAMP).min(1.0) };
        let span = self.original.saturating_sub(self.limit) as f64;
        let limit = (self.original as f64 - span * fallen).max(self.limit as f64) as u64;
        let dropped = self.dropped.clone();
        let due = at.step.is_multiple_of(CHOOSE) && at.part() <= SETTLE;
        if due || last && self.bytes(&dropped)? > limit {
            let scores = network.scores()?;
            self.choose(&scores, limit)?;
        }
        network.drop_blocks(&self.dropped);
        Ok(())
    }

    /// −strength · Σ saving · score: what saves bytes is dropped rather, whether it is dropped now or not.
    fn penalty(&self, network: &Network, leaves: &[Tensor<1>]) -> Option<Tensor<1>> {
        if self.choice == Choice::Count || self.strength == 0.0 {
            return None;
        }
        Some(communication(&self.savings, self.strength, network.scores_of(leaves)?))
    }

    fn state(&self) -> serde_json::Value {
        let kept = Kept { dropped: self.dropped.clone(), savings: self.savings.clone() };
        serde_json::to_value(kept).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), Error> {
        let damaged = |why: String| Error::Mismatch(format!("the checkpoint is not of this search: {why}"));
        let kept: Kept = serde_json::from_value(state.clone()).map_err(|e| damaged(e.to_string()))?;
        if kept.dropped.len() != self.blocks.len() || kept.savings.len() != self.blocks.len() {
            return Err(damaged("it has other blocks".to_owned()));
        }
        self.dropped = kept.dropped;
        self.savings = kept.savings;
        Ok(())
    }

    fn status(&self) -> String {
        let dropped = self.dropped.iter().filter(|&&d| d).count();
        let bytes = self.known.get(&self.dropped).map_or(String::new(), |&bytes| {
            format!(" ({:.1} % of the bytes)", bytes as f64 / self.original as f64 * 100.0)
        });
        format!("{dropped}/{} blocks dropped{bytes}", self.blocks.len())
    }
}

/// `blocks` of `net`, each with its pair of [wide](Block::wide) convs only where the larger conv that these make costs less than both.
///
/// # Errors
/// [`Error::Cost`].
pub fn planned(
    net: &Graph,
    mut blocks: Vec<Block>,
    costs: &mut Costs,
    how: Without,
) -> Result<Vec<Block>, Error> {
    let outline = net.outline();
    for at in (0..blocks.len()).filter(|_| how.widen) {
        if blocks[at].wide.is_none() || how.narrow && !blocks[at].narrowed.is_empty() {
            continue;
        }
        let dropped: Vec<bool> = (0..blocks.len()).map(|other| other == at).collect();
        let mut bytes = |how| costs.structure(&without(&outline, &blocks, &dropped, how)?);
        let (wide, apart) = (bytes(how)?, bytes(Without { widen: false, ..how })?);
        if wide.of(costs.objective()) >= apart.of(costs.objective()) {
            blocks[at].wide = None;
        }
    }
    Ok(blocks)
}

/// The communication term of the loss: its gradient raises the scores of blocks whose removal saves bytes.
pub fn communication(savings: &[f64], strength: f64, scores: Tensor<1>) -> Tensor<1> {
    let weights: Vec<f32> = savings.iter().map(|saving| (-strength * saving) as f32).collect();
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [savings.len()]), &scores.device());
    (scores * weights).sum()
}

/// Selective network linearisation (Cho et al., ICML 2022): an alpha for each element or channel of each activation, an L1 penalty
/// that grows while their count does not fall, until the budget holds.
pub struct PartSearch<'a> {
    costs: &'a mut Costs,
    net: Graph,
    by_channel: bool,
    limit: u64,
    lambda: f64,
    /// Alphas above the threshold when last counted.
    count: usize,
    /// The masks that hold the budget, once some do: 0 or 1 for each alpha. The rest of the search trains the weights.
    settled: Option<Vec<Vec<bool>>>,
}

/// Alphas above it are kept.
const THRESHOLD: f32 = 0.01;
/// The factor of lambda where the count has not fallen as planned.
const GROWTH: f64 = 1.1;
/// Steps between two counts.
const COUNT: u64 = 10;

impl<'a> PartSearch<'a> {
    /// The search in `net` for at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Cost`]; [`Error::Budget`] where the network without activations takes more.
    pub fn new(
        net: &Graph,
        costs: &'a mut Costs,
        limit: u64,
        by_channel: bool,
        lambda: f64,
    ) -> Result<Self, Error> {
        let mut search =
            Self { costs, net: net.clone(), by_channel, limit, lambda, count: usize::MAX, settled: None };
        let nothing: Vec<(NodeId, Vec<bool>)> =
            activations(net).into_iter().map(|id| (id, vec![false; net.nodes[id.0].shape.len()])).collect();
        let least = search.bytes(&nothing)?;
        if least > limit {
            return Err(Error::Budget(format!(
                "the budget is {limit} bytes, and {least} are left when no element has an activation; give at least {least}B, or remove blocks by --method blocks"
            )));
        }
        Ok(search)
    }

    /// Puts gates over the activations.
    pub fn gate(&self, network: &mut Network) {
        network.gate_parts(&activations(&self.net), self.by_channel);
    }

    fn bytes(&mut self, keep: &[(NodeId, Vec<bool>)]) -> Result<u64, Error> {
        let net = fold_affine(&masked(&self.net, keep)?)?;
        Ok(self.costs.of(&net)?.of(self.costs.objective()))
    }

    /// The alphas' masks with those above `threshold` kept, one for each element.
    fn masks(&self, alphas: &[(NodeId, Vec<f32>)], threshold: f32) -> Vec<(NodeId, Vec<bool>)> {
        let mask = |(id, alphas): &(NodeId, Vec<f32>)| {
            let shape = self.net.nodes[id.0].shape;
            let each = shape.len() / alphas.len();
            (*id, alphas.iter().flat_map(|&alpha| std::iter::repeat_n(alpha > threshold, each)).collect())
        };
        alphas.iter().map(mask).collect()
    }

    /// The least threshold of alphas so that those above it hold the budget: bytes fall as it rises, nearly always.
    fn least(&mut self, alphas: &[(NodeId, Vec<f32>)]) -> Result<f32, Error> {
        let mut sorted: Vec<f32> = alphas.iter().flat_map(|(_, alphas)| alphas.iter().copied()).collect();
        sorted.sort_by(f32::total_cmp);
        let (mut low, mut high) = (0, sorted.len());
        let at = |index: usize| if index == 0 { f32::NEG_INFINITY } else { sorted[index - 1] };
        while low < high {
            let middle = (low + high) / 2;
            let masks = self.masks(alphas, at(middle));
            if self.bytes(&masks)? <= self.limit { high = middle } else { low = middle + 1 }
        }
        Ok(at(low))
    }

    /// The network with what the alphas keep, as many as the budget allows.
    ///
    /// # Errors
    /// [`Error::Cost`].
    pub fn result(&mut self, network: &Network) -> Result<Graph, Error> {
        let mut alphas = network.alphas()?;
        if let Some(settled) = &self.settled {
            // The last step moved them.
            for ((_, alphas), keep) in alphas.iter_mut().zip(settled) {
                alphas.iter_mut().zip(keep).for_each(|(alpha, &kept)| *alpha = f32::from(u8::from(kept)));
            }
        }
        let least = self.least(&alphas)?;
        let masks = self.masks(&alphas, least);
        masked(&network.graph()?, &masks)
    }
}

impl Method for PartSearch<'_> {
    fn before_step(&mut self, at: At, network: &mut Network) -> Result<(), Error> {
        if self.settled.is_none() && at.step.is_multiple_of(COUNT) && at.step > 0 {
            let alphas = network.alphas()?;
            let count = alphas.iter().flat_map(|(_, a)| a).filter(|&&a| a > THRESHOLD).count();
            if count >= self.count {
                self.lambda *= GROWTH;
            }
            self.count = count;
            if self.bytes(&self.masks(&alphas, THRESHOLD))? <= self.limit {
                // Many fall at once: as many as the budget allows are kept, the largest.
                let least = self.least(&alphas)?;
                let keep = |(_, alphas): &(NodeId, Vec<f32>)| alphas.iter().map(|&a| a > least).collect();
                self.settled = Some(alphas.iter().map(keep).collect());
            }
        }
        if let Some(settled) = &self.settled {
            let whole = |keep: &Vec<bool>| keep.iter().map(|&kept| f32::from(u8::from(kept))).collect();
            network.set_alphas(&settled.iter().map(whole).collect::<Vec<_>>());
        }
        Ok(())
    }

    fn penalty(&self, network: &Network, leaves: &[Tensor<1>]) -> Option<Tensor<1>> {
        if self.settled.is_some() {
            return None;
        }
        let sums = network.alphas_of(leaves).map(|alphas| alphas.abs().sum());
        Some(sums.reduce(|a, b| a + b)?.mul_scalar(self.lambda as f32))
    }

    fn state(&self) -> serde_json::Value {
        serde_json::json!({ "lambda": self.lambda, "count": self.count as u64, "settled": self.settled })
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Kept {
            lambda: f64,
            count: u64,
            settled: Option<Vec<Vec<bool>>>,
        }
        let damaged = |e: String| Error::Mismatch(format!("the checkpoint is not of this search: {e}"));
        let kept: Kept = serde_json::from_value(state.clone()).map_err(|e| damaged(e.to_string()))?;
        let count = |id: &NodeId| {
            let shape = self.net.nodes[id.0].shape;
            if self.by_channel { shape.channels } else { shape.len() }
        };
        let expected: Vec<usize> = activations(&self.net).iter().map(count).collect();
        if kept.settled.as_ref().is_some_and(|masks| !masks.iter().map(Vec::len).eq(expected)) {
            return Err(damaged("it has other masks".to_owned()));
        }
        self.lambda = kept.lambda;
        self.count = usize::try_from(kept.count).unwrap_or(usize::MAX);
        self.settled = kept.settled;
        Ok(())
    }

    fn status(&self) -> String {
        if self.count == usize::MAX { String::new() } else { format!("{} alphas left", self.count) }
    }
}

/// All activations of a network that are of all elements.
pub fn activations(net: &Graph) -> Vec<NodeId> {
    let is = |op: &Op| matches!(op, Op::Relu | Op::Clip { .. });
    net.nodes.iter().enumerate().filter(|(_, node)| is(&node.op)).map(|(index, _)| NodeId(index)).collect()
}

/// `net` with its activations for the elements that are kept alone.
///
/// # Errors
/// [`Error::Graph`].
pub fn masked(net: &Graph, keep: &[(NodeId, Vec<bool>)]) -> Result<Graph, Error> {
    let mut net = net.clone();
    for (id, keep) in keep {
        let op = &mut net.nodes[id.0].op;
        let activation = match *op {
            Op::Relu => Activation::Relu,
            Op::Clip { low, high } => Activation::Clip { low, high },
            _ => continue,
        };
        if !keep.iter().all(|&kept| kept) {
            *op = Op::Partial { activation, keep: Mask::from(keep.clone()) };
        }
    }
    net.validate()?;
    Ok(net)
}
