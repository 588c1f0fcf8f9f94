//! Training: the loop over batches, with checkpoints, metrics and what a search adds to it.

use crate::checkpoint::{self, State};
use crate::curves::{self, Record};
use crate::data::{Batch, Data, Epoch, Part, batches, in_order};
use crate::loss::{loss, right};
use crate::network::{Mode, Network, floats};
use crate::optimizer::Optimizer;
use crate::recipe::Recipe;
use crate::{Error, progress::Progress};
use burn::tensor::Tensor;
use sha2::{Digest, Sha256};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Momentum of running statistics, that of PyTorch.
const STATISTICS: f32 = 0.1;
/// Steps between records of the metrics.
const RECORD: u64 = 50;
/// Pictures in a batch that is only evaluated.
const EVALUATED: usize = 250;

/// Where a training is, for a [`Method`].
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Steps before this one.
    pub step: u64,
    /// Of all.
    pub steps: u64,
    /// Of an epoch.
    pub epoch_steps: u64,
}

impl At {
    /// The part of the training that is over, from 0 to 1.
    pub fn part(&self) -> f64 {
        self.step as f64 / self.steps.max(1) as f64
    }
}

/// What a search adds to a training. Its state is in the checkpoints.
pub trait Method {
    /// Before each step.
    ///
    /// # Errors
    /// The method's.
    fn before_step(&mut self, at: At, network: &mut Network) -> Result<(), Error> {
        let _ = (at, network);
        Ok(())
    }

    /// A term of the loss, of the parameters.
    fn penalty(&self, network: &Network, leaves: &[Tensor<1>]) -> Option<Tensor<1>> {
        let _ = (network, leaves);
        None
    }

    /// What must be kept to go on.
    fn state(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Goes on from what was kept.
    ///
    /// # Errors
    /// When it is no state of this method.
    fn restore(&mut self, state: &serde_json::Value) -> Result<(), Error> {
        let _ = state;
        Ok(())
    }

    /// A few words for the progress bar.
    fn status(&self) -> String {
        String::new()
    }
}

/// No search.
#[derive(Debug)]
pub struct Plain;

impl Method for Plain {}

/// Where a training keeps its files, and how often.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder.
    pub folder: PathBuf,
    /// Whether to go on from the checkpoint there, if there is one.
    pub resume: bool,
    /// Seconds between checkpoints; there is one after each epoch besides.
    pub every: Duration,
}

impl Place {
    /// The folder, anew, with a checkpoint each minute.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), resume: false, every: Duration::from_secs(60) }
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint.safetensors")
    }

    /// The metrics.
    pub fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }
}

/// What a training came to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outcome {
    /// Steps of the optimiser.
    pub steps: u64,
    /// The part of the validation data that is told right at the end.
    pub validation: f64,
    /// Seconds, those before an interruption included.
    pub seconds: f64,
}

/// Trains `network` on `data` by `recipe`, learning from `teacher` too if the recipe says so. At the end the network has the
/// average of the weights if there is one.
///
/// # Errors
/// [`Error`]; the checkpoint that was written last is whole.
pub fn fit(
    network: &mut Network,
    data: &Data,
    recipe: &Recipe,
    teacher: Option<&Network>,
    method: &mut dyn Method,
    place: &Place,
    progress: &Progress,
) -> Result<Outcome, Error> {
    recipe.check()?;
    recipe.augment.check(data.pictures().shape())?;
    matches(network, data)?;
    let distill = match (recipe.distill, teacher) {
        (None, _) => None,
        (Some(distill), Some(teacher)) => Some((teacher, distill)),
        (Some(_), None) => {
            let why = "there is no network to learn from; give one by --teacher".to_owned();
            return Err(Error::Setting { name: "distill", why });
        }
    };
    let epoch_steps = data.part(Part::Train).len().div_ceil(recipe.batch) as u64;
    let steps = recipe.epochs * epoch_steps;
    let warm_up = (recipe.warm_up * epoch_steps as f64).round() as u64;
    let mut optimizer = Optimizer::new(recipe, network.parameters());
    let mut average = (recipe.ema > 0.0).then(|| network.leaves());
    let mut state = State::begin(identity(network, data, recipe, teacher)?);
    std::fs::create_dir_all(&place.folder).map_err(|e| Error::Write(place.folder.clone(), e))?;
    let checkpoint = place.checkpoint();
    if place.resume && checkpoint.exists() {
        (state, average) =
            checkpoint::load(&checkpoint, &state.run, network, &mut optimizer, average.is_some())?;
        method.restore(&state.method)?;
    }
    let mut metrics = Metrics::open(&place.metrics(), state.metrics)?;
    let begun = Instant::now();
    let before = state.seconds;
    let first_step = state.step;
    let mut last_save = Instant::now();
    progress.begin(steps, state.step);
    while state.step < steps {
        let number = state.step / epoch_steps;
        let epoch = Epoch {
            seed: recipe.seed,
            number,
            batch: recipe.batch,
            drop_last: false,
            augment: recipe.augment,
        };
        for batch in batches(data, &epoch).skip((state.step % epoch_steps) as usize) {
            let at = At { step: state.step, steps, epoch_steps };
            method.before_step(at, network)?;
            let part = recipe.schedule.part(state.step, warm_up, steps, epoch_steps as f64);
            let rates = [recipe.rate * part, recipe.search_rate];
            let count = batch.labels.len() as f64;
            let (value, correct) =
                step(network, &mut optimizer, batch, recipe.smoothing, distill, method, rates, state.step)?;
            if let Some(average) = &mut average {
                // Early on an average over all steps, so that the beginning is forgotten.
                let decay = recipe.ema.min((1 + state.step) as f32 / (10 + state.step) as f32);
                for (old, new) in average.iter_mut().zip(network.leaves()) {
                    *old = old.clone().mul_scalar(decay) + new.mul_scalar(1.0 - decay);
                }
            }
            state.step += 1;
            state.window[0] += f64::from(value) * count;
            state.window[1] += correct as f64;
            state.window[2] += count;
            let ends = state.step.is_multiple_of(epoch_steps);
            progress.step(state.step, state.window, &method.status());
            if ends || state.step.is_multiple_of(RECORD) {
                let epochs = state.step as f64 / epoch_steps as f64;
                let [loss, correct, count] = std::mem::take(&mut state.window);
                metrics.add(&Record {
                    step: state.step,
                    epoch: epochs,
                    part: curves::Part::Train,
                    loss: Some(loss / count),
                    accuracy: Some(correct / count),
                    rate: Some(rates[0]),
                })?;
            }
            if ends {
                let (loss, accuracy) = evaluate_average(network, average.as_deref(), data, Part::Validation)?;
                state.validation = Some(accuracy);
                progress.validated(accuracy);
                metrics.add(&Record {
                    step: state.step,
                    epoch: state.step as f64 / epoch_steps as f64,
                    part: curves::Part::Validation,
                    loss: Some(loss).filter(|l| l.is_finite()),
                    accuracy: Some(accuracy),
                    rate: None,
                })?;
            }
            if ends || last_save.elapsed() >= place.every {
                last_save = Instant::now();
                state.seconds = before + begun.elapsed().as_secs_f64();
                state.metrics = metrics.sync()?;
                state.method = method.state();
                checkpoint::save(&checkpoint, &state, network, &optimizer, average.as_deref())?;
            }
        }
    }
    if let Some(average) = average {
        network.set(average);
    }
    progress.end();
    let validation = match state.validation {
        Some(last) => last,
        None => evaluate(network, data, Part::Validation)?.1,
    };
    let seconds = if state.step == first_step { before } else { before + begun.elapsed().as_secs_f64() };
    Ok(Outcome { steps: state.step, validation, seconds })
}

/// One step of the optimiser: the loss before it, and how many pictures were told right.
#[expect(clippy::too_many_arguments, reason = "all of a run comes together here")]
fn step(
    network: &mut Network,
    optimizer: &mut Optimizer,
    Batch { pixels, labels }: Batch,
    smoothing: f32,
    distill: Option<(&Network, crate::recipe::Distill)>,
    method: &dyn Method,
    rates: [f64; 2],
    number: u64,
) -> Result<(f32, usize), Error> {
    let leaves = network.tracked();
    let x = network.pictures(pixels);
    let teacher = distill.map(|(teacher, distill)| {
        let out = teacher.forward(x.clone(), &teacher.leaves(), Mode::Evaluate);
        (out.logits.inner(), distill)
    });
    let out = network.forward(x, &leaves, Mode::Train);
    let logits = out.logits.clone().inner();
    let mut total = loss(out.logits, &labels, smoothing, teacher);
    let value = total.clone().into_scalar::<f32>();
    if !value.is_finite() {
        return Err(Error::Diverged { step: number, loss: value });
    }
    if let Some(penalty) = method.penalty(network, &leaves) {
        total = total + penalty;
    }
    let mut gradients = total.backward();
    let gradients = leaves.iter().map(|leaf| leaf.grad_remove(&mut gradients)).collect();
    let values = optimizer.step(network.parameters(), gradients, rates);
    network.set(values);
    network.observe(out.statistics, STATISTICS);
    let correct = right(&floats(&logits)?, &labels);
    Ok((value, correct))
}

/// The mean cross-entropy of a part of the data, and the part of it that is told right.
///
/// # Errors
/// [`Error::Mismatch`] when the network is not for such pictures, [`Error::Device`].
pub fn evaluate(network: &Network, data: &Data, part: Part) -> Result<(f64, f64), Error> {
    matches(network, data)?;
    let leaves = network.leaves();
    let (mut sum, mut correct, mut count) = (0.0, 0, 0);
    for Batch { pixels, labels } in in_order(data, part, EVALUATED) {
        let logits = network.forward(network.pictures(pixels), &leaves, Mode::Evaluate).logits;
        let value = crate::loss::cross_entropy(logits.clone(), &labels, 0.0).into_scalar::<f32>();
        correct += right(&floats(&logits)?, &labels);
        sum += f64::from(value) * labels.len() as f64;
        count += labels.len();
    }
    Ok((sum / count.max(1) as f64, correct as f64 / count.max(1) as f64))
}

fn evaluate_average(
    network: &Network,
    average: Option<&[Tensor<1>]>,
    data: &Data,
    part: Part,
) -> Result<(f64, f64), Error> {
    match average {
        None => evaluate(network, data, part),
        Some(average) => {
            let mut averaged = network.clone();
            averaged.set(average.to_vec());
            evaluate(&averaged, data, part)
        }
    }
}

/// Whether the network is for such pictures and classes.
fn matches(network: &Network, data: &Data) -> Result<(), Error> {
    let (graph, pictures) = (network.structure(), data.pictures());
    let (input, output) = (graph.input_shape(), graph.output_shape());
    if input != pictures.shape() {
        return Err(Error::Mismatch(format!(
            "the network reads {input} and the pictures are {}; for a folder, give its size and channels: folder:DIR,size={}x{},channels={}",
            pictures.shape(),
            input.height,
            input.width,
            input.channels
        )));
    }
    let classes = pictures.classes().len();
    if classes < 2 {
        return Err(Error::Mismatch(format!(
            "all pictures are of one class, {:?}: there is nothing to learn; give pictures of two classes or more",
            pictures.classes().first().map_or("", String::as_str)
        )));
    }
    if output.len() != classes {
        return Err(Error::Mismatch(format!(
            "the network tells {} classes apart and the pictures are of {classes}; give data or a network of as many",
            output.len()
        )));
    }
    Ok(())
}

/// What two runs have in common that may go on from one another's checkpoint: recipe, data, and the networks that they begin with
/// and learn from.
fn identity(
    network: &Network,
    data: &Data,
    recipe: &Recipe,
    teacher: Option<&Network>,
) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(format!("{recipe:?}").as_bytes());
    hash.update(data.digest());
    for net in std::iter::once(network).chain(teacher) {
        for node in &net.structure().nodes {
            hash.update(format!("{:?} {}", node.op, node.shape).as_bytes());
        }
        for parameter in net.parameters() {
            hash.update(parameter.name.as_bytes());
            floats(&parameter.value)?.iter().for_each(|value| hash.update(value.to_le_bytes()));
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The metrics of a run as they are written: a JSON object a line.
struct Metrics {
    path: PathBuf,
    file: std::fs::File,
    length: u64,
}

impl Metrics {
    /// Goes on after the first `length` bytes of the file, or after the lines that are left of them.
    fn open(path: &Path, length: u64) -> Result<Self, Error> {
        let open = || {
            let options =
                std::fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).clone();
            let mut file = options.open(path)?;
            let mut kept = Vec::new();
            Read::by_ref(&mut file).take(length).read_to_end(&mut kept)?;
            let length = kept.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last as u64 + 1);
            file.set_len(length)?;
            file.seek(std::io::SeekFrom::End(0))?;
            Ok((file, length))
        };
        let (file, length) = open().map_err(|e| Error::Write(path.to_owned(), e))?;
        Ok(Self { path: path.to_owned(), file, length })
    }

    fn add(&mut self, record: &Record) -> Result<(), Error> {
        let mut line = serde_json::to_string(record).map_err(|e| Error::Device(e.to_string()))?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|e| Error::Write(self.path.clone(), e))?;
        self.length += line.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<u64, Error> {
        self.file.sync_data().map_err(|e| Error::Write(self.path.clone(), e))?;
        Ok(self.length)
    }
}

/// Sets the batch norms of `network` to the statistics of the pictures to train with, up to `pictures` of them: see
/// [`Network::calibrate`].
///
/// # Errors
/// [`Error`].
pub fn calibrate(network: &mut Network, data: &Data, pictures: usize) -> Result<(), Error> {
    matches(network, data)?;
    let epoch = Epoch {
        seed: 0,
        number: 0,
        batch: EVALUATED,
        drop_last: false,
        augment: crate::augment::Augment::NONE,
    };
    let chosen: Vec<Batch> = batches(data, &epoch).take(pictures.div_ceil(EVALUATED)).collect();
    let tensors: Vec<Tensor<4>> = chosen.into_iter().map(|b| network.pictures(b.pixels)).collect();
    network.calibrate(tensors.into_iter())
}
