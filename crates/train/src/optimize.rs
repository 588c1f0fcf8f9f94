//! From a trained network to one that costs less: a search or a baseline, fine-tuning with the original as the teacher, merging,
//! and what came of it.

use crate::blocks::{Block, Without, blocks, without};
use crate::channels;
use crate::checkpoint::replace;
use crate::cost::{Budget, Bytes, Costs, Objective, Setting, parameters, relus};
use crate::data::{Data, Part};
use crate::fit::{Outcome, Place, Plain, calibrate, evaluate, fit};
use crate::network::Network;
use crate::pareto::{FORMAT, RunResult};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::search::{Allowed, BlockSearch, Choice, PartSearch, planned};
use crate::{Error, figure, select, trim};
use burn::tensor::Device;
use copriv_import::onnx;
use copriv_ir::{Graph, fold_affine};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Pictures that the statistics of batch norms are found on.
const CALIBRATION: usize = 5_000;

/// How a network is made to cost less.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Blocks of activations are removed by their exact bytes, and what became linear is merged.
    #[default]
    Blocks,
    /// SNL (Cho et al., ICML 2022) with a mask for each element.
    SnlPixel,
    /// SNL with a mask for each channel.
    SnlChannel,
    /// Blocks are removed by score alone, and merged where that costs less (DepthShrinker: Fu et al., ICML 2022).
    Count,
    /// Channels of the least magnitude are removed, the same share of each layer.
    Channels,
    /// Activations are removed, those first that are least missed for each ReLU; nothing is merged.
    ReluGreedy,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Blocks, Self::SnlPixel, Self::SnlChannel, Self::Count, Self::Channels, Self::ReluGreedy];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::SnlPixel => "snl-pixel",
            Self::SnlChannel => "snl-channel",
            Self::Count => "count",
            Self::Channels => "channels",
            Self::ReluGreedy => "relu-greedy",
        }
    }

    /// Whether training finds what to remove; otherwise it is found at once.
    pub const fn searches(self) -> bool {
        matches!(self, Self::Blocks | Self::SnlPixel | Self::SnlChannel | Self::Count)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Strategy {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Setting { name: "method", why: format!("{name:?} is none; take one of {names}") }
        })
    }
}

/// What is asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// How.
    pub strategy: Strategy,
    /// Bytes that are allowed.
    pub budget: Budget,
    /// Which bytes.
    pub objective: Objective,
    /// What is run, and in which fixed point.
    pub setting: Setting,
    /// How the search trains.
    pub search: Recipe,
    /// How the network is trained after it. A strategy that does not search has the epochs of the search too.
    pub finetune: Recipe,
    /// Of the bytes in the loss of the search.
    pub strength: f64,
    /// SNL's lambda at the beginning.
    pub lambda: f64,
    /// Whether the search by bytes is done with fewer channels too, and what is better is taken.
    pub thin: bool,
    /// Whether convs shrink to their centre where that keeps what is merged small.
    pub narrow: bool,
    /// Whether an activation comes at the end of a merged block.
    pub end_activation: bool,
}

impl Plan {
    /// With what the program takes by default: half the epochs of fine-tuning for the search, at the same rate.
    pub fn new(
        strategy: Strategy,
        budget: Budget,
        objective: Objective,
        setting: Setting,
        recipe: Recipe,
    ) -> Self {
        let epochs = recipe.epochs.div_ceil(2);
        Self {
            strategy,
            budget,
            objective,
            setting,
            search: Recipe { epochs, ema: 0.0, warm_up: recipe.warm_up.min(epochs as f64), ..recipe.clone() },
            finetune: recipe,
            strength: 0.1,
            lambda: 1e-5,
            thin: true,
            narrow: true,
            end_activation: true,
        }
    }
}

/// What a network costs and how good it is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Both phases.
    pub bytes_total: u64,
    /// The online phase.
    pub bytes_online: u64,
    /// Elements that go through an activation.
    pub relus: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// On the validation data, from 0 to 1.
    pub validation: f64,
}

/// What came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Optimized {
    /// The network that was given, as it would be run: batch norms folded.
    pub original: Figures,
    /// The network at the end.
    pub optimized: Figures,
    /// The file of it.
    pub network: PathBuf,
    /// Names of the blocks that were dropped, if blocks are.
    pub dropped: Option<(Vec<String>, usize)>,
    /// The result with the accuracy on the test data, if there is some.
    pub result: Option<RunResult>,
    /// Bytes that were allowed; a little more may be left.
    pub limit: u64,
    /// Layers with weights that were cut to hold it.
    pub cut: usize,
    /// Seconds of training.
    pub seconds: f64,
}

/// Optimises `net` on `data` as `plan` says, with files in `folder`; `resume` goes on with what is there.
///
/// # Errors
/// [`Error`].
#[expect(clippy::too_many_arguments, reason = "all of a run comes together here")]
pub fn optimize(
    net: &Graph,
    data: &Data,
    data_name: &str,
    plan: &Plan,
    folder: &Path,
    resume: bool,
    device: &Device,
    show: bool,
) -> Result<Optimized, Error> {
    let mut costs = Costs::new(plan.setting, plan.objective);
    let folded = fold_affine(net).map_err(Error::Graph)?;
    let before = costs.of(&folded)?;
    let limit = plan.budget.limit(before.of(plan.objective));
    let mut teacher = Network::new(net, device)?;
    calibrate(&mut teacher, data, CALIBRATION)?;
    let original = figures(net, before, &teacher, data)?;
    let place = |name: &str| Place { resume, ..Place::new(folder.join(name)) };
    let bar = |name: &str| if show { Progress::new(name) } else { Progress::hidden() };

    std::fs::create_dir_all(folder).map_err(|e| Error::Write(folder.to_owned(), e))?;
    same_run(folder, resume, net, data, plan)?;
    let (structure_file, found_file) = (folder.join("structure.onnx"), folder.join("found.json"));
    if !(resume && structure_file.exists()) {
        let (structure, found) =
            search(&teacher, data, plan, limit, &mut costs, &place("search"), &bar("search  "))?;
        let text = serde_json::to_vec(&found).map_err(|e| Error::Mismatch(e.to_string()))?;
        replace(&found_file, &text)?;
        replace(&structure_file, &onnx::write(&structure))?;
    }
    // Read back in any case, so that a run that was interrupted goes on from the same bits.
    let structure = onnx::load(&structure_file)?;
    let found: Found = serde_json::from_slice(&figure::read(&found_file, SMALL)?).map_err(|e| {
        let why = format!("damaged: {e}; choose another --out");
        Error::Checkpoint { path: found_file, why }
    })?;
    let mut student = Network::new(&structure, device)?;
    calibrate(&mut student, data, CALIBRATION)?;
    let epochs = plan.finetune.epochs + if plan.strategy.searches() { 0 } else { plan.search.epochs };
    let recipe = Recipe { epochs, ..plan.finetune.clone() };
    let Outcome { seconds: spent, .. } =
        fit(&mut student, data, &recipe, Some(&teacher), &mut Plain, &place("finetune"), &bar("finetune"))?;
    let seconds = found.seconds + spent;

    let trained = student.graph()?;
    let finished = match plan.strategy {
        // Masks, greedy removal and pruning as they are published: nothing is merged.
        Strategy::SnlPixel | Strategy::SnlChannel | Strategy::ReluGreedy | Strategy::Channels => {
            fold_affine(&trained).map_err(Error::Graph)?
        }
        Strategy::Blocks | Strategy::Count => costs.finished(&trained)?.0,
    };
    let (finished, _, cut) = trim::to_budget(&finished, &mut costs, limit)?;
    let network = folder.join("network.onnx");
    replace(&network, &onnx::write(&finished))?;
    // What is measured is what the file holds.
    let finished = onnx::load(&network)?;
    let bytes = costs.of(&finished)?;
    let last = Network::new(&finished, device)?;
    let optimized = figures(&finished, bytes, &last, data)?;
    let result = result(&last, data, net, data_name, plan, &optimized)?;
    if let Some(result) = &result {
        result.write(folder)?;
    }
    Ok(Optimized { original, optimized, network, dropped: found.dropped, result, limit, cut, seconds })
}

fn figures(net: &Graph, bytes: Bytes, network: &Network, data: &Data) -> Result<Figures, Error> {
    let (_, validation) = evaluate(network, data, Part::Validation)?;
    Ok(Figures {
        bytes_total: bytes.total,
        bytes_online: bytes.online,
        relus: relus(net) as u64,
        parameters: parameters(net) as u64,
        validation,
    })
}

fn result(
    network: &Network,
    data: &Data,
    net: &Graph,
    data_name: &str,
    plan: &Plan,
    figures: &Figures,
) -> Result<Option<RunResult>, Error> {
    if data.part(Part::Test).is_empty() {
        return Ok(None);
    }
    let (loss, accuracy) = evaluate(network, data, Part::Test)?;
    Ok(Some(RunResult {
        format: FORMAT,
        method: plan.strategy.name().to_owned(),
        network: net.name.clone(),
        data: data_name.to_owned(),
        seed: plan.finetune.seed,
        accuracy_validation: figures.validation,
        accuracy_test: accuracy,
        loss: Some(loss).filter(|l| l.is_finite()),
        bytes_total: figures.bytes_total,
        bytes_online: figures.bytes_online,
        relus: figures.relus,
        parameters: figures.parameters,
        budget: format!("{} {}", plan.budget, plan.objective),
        notes: String::new(),
    }))
}

/// Sees to it that the run in `folder`, if there is one to go on with, is this one.
fn same_run(folder: &Path, resume: bool, net: &Graph, data: &Data, plan: &Plan) -> Result<(), Error> {
    let mut hash = Sha256::new();
    hash.update(format!("{plan:?}").as_bytes());
    hash.update(data.digest());
    hash.update(onnx::write(net));
    let digest: [u8; 32] = hash.finalize().into();
    let run: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join("run.txt");
    if resume && path.exists() {
        if figure::read(&path, SMALL)? == run.as_bytes() {
            return Ok(());
        }
        let why = "this is a run of another method, budget, network or data: give those of then, or choose another --out";
        return Err(Error::Checkpoint { path, why: why.to_owned() });
    }
    replace(&path, run.as_bytes())
}

/// Bytes that small files of a run may have.
const SMALL: u64 = 1 << 20;

/// What a search comes to besides the network.
#[derive(Serialize, Deserialize)]
struct Found {
    dropped: Option<(Vec<String>, usize)>,
    seconds: f64,
}

/// The network to fine-tune, with less in it and nothing merged.
fn search(
    teacher: &Network,
    data: &Data,
    plan: &Plan,
    limit: u64,
    costs: &mut Costs,
    place: &Place,
    progress: &Progress,
) -> Result<(Graph, Found), Error> {
    let net = teacher.graph()?;
    match plan.strategy {
        Strategy::Blocks | Strategy::Count => {
            search_blocks(teacher, data, plan, limit, costs, place, progress)
        }
        Strategy::SnlPixel | Strategy::SnlChannel => {
            let by_channel = plan.strategy == Strategy::SnlChannel;
            let mut network = teacher.clone();
            let mut method = PartSearch::new(&net, costs, limit, by_channel, plan.lambda)?;
            method.gate(&mut network);
            let outcome = fit(&mut network, data, &plan.search, Some(teacher), &mut method, place, progress)?;
            let result = method.result(&network)?;
            Ok((result, Found { dropped: None, seconds: outcome.seconds }))
        }
        Strategy::Channels => {
            let limit = (limit as f64 * by_structure(&net, costs)?) as u64;
            let pruned = channels::to_budget(&net, costs, limit, false)?;
            Ok((pruned, Found { dropped: None, seconds: 0.0 }))
        }
        Strategy::ReluGreedy => {
            let all = blocks(&net);
            let how = Without::default();
            let harm = missed(&net, &all, teacher, data, how)?;
            let mut failed = None;
            let mut cost = |dropped: &[bool]| {
                let bytes = without(&net, &all, dropped, how).and_then(|net| {
                    let folded = fold_affine(&net)?;
                    costs.of(&folded)
                });
                match bytes {
                    Ok(bytes) => bytes.of(plan.objective),
                    Err(e) => {
                        failed = Some(e);
                        u64::MAX
                    }
                }
            };
            let elements: Vec<usize> = all.iter().map(|block| block.elements).collect();
            let chosen = select::greedy_relus(&elements, &harm, limit, &mut cost);
            if let Some(e) = failed {
                return Err(e.into());
            }
            let Some(chosen) = chosen else {
                return Err(Error::Budget(format!(
                    "the budget of {limit} bytes is not reached by removing activations; give a larger one, or merge too by --method blocks"
                )));
            };
            let names = all
                .iter()
                .zip(&chosen.dropped)
                .filter(|(_, dropped)| **dropped)
                .map(|(block, _)| block.name.clone());
            let dropped = Some((names.collect(), all.len()));
            Ok((without(&net, &all, &chosen.dropped, how)?, Found { dropped, seconds: 0.0 }))
        }
    }
}

/// The leeway of `blocks`, where some channels go besides: sets of blocks are far apart in bytes.
const LEEWAY: f64 = 1.08;

/// The search for blocks; by bytes, with all channels and with fewer of them, and what has the smaller loss in the end.
fn search_blocks(
    teacher: &Network,
    data: &Data,
    plan: &Plan,
    limit: u64,
    costs: &mut Costs,
    place: &Place,
    progress: &Progress,
) -> Result<(Graph, Found), Error> {
    let net = teacher.graph()?;
    let how = Without { narrow: plan.narrow, widen: true, end_activation: plan.end_activation };
    let (choice, leeway) = match plan.strategy {
        Strategy::Count => (Choice::Count, 1.0),
        _ => (Choice::Bytes, LEEWAY),
    };
    let scale = by_structure(&net, costs)?;
    let allowed = Allowed { bytes: limit, scale, leeway };
    let all = planned(&net, blocks(&net), costs, how)?;
    let harm = missed(&net, &all, teacher, data, how)?;
    let mut starts = vec![(teacher.clone(), place.clone())];
    if plan.strategy == Strategy::Blocks && plan.thin {
        let whole = costs.structure(&net.outline())?.of(plan.objective) as f64;
        // Half of the way, as a factor.
        let half = (whole * limit as f64 * scale).sqrt().min(whole);
        match channels::to_budget(&net, costs, half as u64, false) {
            Ok(thin) => {
                let mut thin = Network::new(&thin, teacher.device())?;
                calibrate(&mut thin, data, CALIBRATION)?;
                starts.push((thin, Place { folder: place.folder.with_extension("thin"), ..place.clone() }));
            }
            Err(crate::cost::Error::Infeasible { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let epochs = plan.search.epochs.div_ceil(starts.len() as u64);
    let recipe = Recipe { epochs, warm_up: plan.search.warm_up.min(epochs as f64), ..plan.search.clone() };
    let mut best: Option<(f64, Graph, Vec<String>, usize)> = None;
    let mut out_of_reach = None;
    let mut seconds = 0.0;
    for (mut network, place) in starts {
        let net = network.structure().clone();
        let mut method = match BlockSearch::new(&net, costs, allowed, how, choice, plan.strength) {
            Ok(method) => method,
            Err(e @ Error::Budget(_)) => {
                out_of_reach = Some(e);
                continue;
            }
            Err(e) => return Err(e),
        };
        method.gate(&mut network, &harm);
        seconds += fit(&mut network, data, &recipe, Some(teacher), &mut method, &place, progress)?.seconds;
        let (loss, _) = evaluate(&network, data, Part::Validation)?;
        let left = method.result(&network)?;
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            let names = method.blocks().iter().zip(method.dropped()).filter(|(_, dropped)| **dropped);
            let names = names.map(|(block, _)| block.name.clone()).collect();
            best = Some((loss, left, names, method.blocks().len()));
        }
    }
    let Some((_, mut left, names, count)) = best else {
        return Err(out_of_reach.unwrap_or_else(|| Error::Budget("there is nothing to search".into())));
    };
    if plan.strategy == Strategy::Blocks {
        left = fewer_channels(left, costs, limit)?;
    }
    Ok((left, Found { dropped: Some((names, count)), seconds }))
}

/// `net` with as many channels less as it takes for what is made of it to take at most `limit` bytes.
fn fewer_channels(net: Graph, costs: &mut Costs, limit: u64) -> Result<Graph, Error> {
    let objective = costs.objective();
    let mut structure = u64::MAX;
    let mut thin = net.clone();
    loop {
        let bytes = costs.finished(&thin)?.1.of(objective);
        if bytes <= limit {
            return Ok(thin);
        }
        let now = costs.structure(&thin.outline())?.of(objective);
        structure = ((now as f64 * limit as f64 / bytes as f64) as u64).min(structure - 1);
        thin = match channels::to_budget(&net, costs, structure, true) {
            Ok(thin) => thin,
            Err(crate::cost::Error::Infeasible { .. }) => return Ok(thin),
            Err(e) => return Err(e.into()),
        };
    }
}

/// How many bytes the structure of `net` is said to take for each that it takes with its weights.
fn by_structure(net: &Graph, costs: &mut Costs) -> Result<f64, Error> {
    let objective = costs.objective();
    let structure = costs.structure(&net.outline())?.of(objective);
    let real = costs.of(&fold_affine(net).map_err(Error::Graph)?)?.of(objective);
    Ok(structure as f64 / real as f64)
}

/// By how much the loss on the validation data rises when a block is dropped as `how` says, for each.
fn missed(
    net: &Graph,
    blocks: &[Block],
    network: &Network,
    data: &Data,
    how: Without,
) -> Result<Vec<f64>, Error> {
    let (loss, _) = evaluate(network, data, Part::Validation)?;
    let mut harm = Vec::new();
    for index in 0..blocks.len() {
        let dropped: Vec<bool> = (0..blocks.len()).map(|other| other == index).collect();
        let without = without(net, blocks, &dropped, how)?;
        let (more, _) = evaluate(&Network::new(&without, network.device())?, data, Part::Validation)?;
        harm.push(more - loss);
    }
    Ok(harm)
}
