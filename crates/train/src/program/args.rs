//! Arguments that several commands have.

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use copriv_ir::{Graph, LowerOptions};
use copriv_ring::Width;
use copriv_runner::{Ot, Reveal, Settings, Suite, Truncation};
use copriv_train::Error;
use copriv_train::augment::Augment;
use copriv_train::checkpoint::replace;
use copriv_train::cost::Setting;
use copriv_train::data::{Data, Source, Split};
use copriv_train::recipe::{Distill, Recipe, Rule, Schedule};
use std::path::{Path, PathBuf};

/// The pictures.
#[derive(Args)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// digits (1,000 that ship with the program), cifar10:DIR, cifar100:DIR, folder:DIR[,size=HxW][,channels=1|3], or npz:FILE with
    /// x, y and, if there are, x_val, y_val, x_test, y_test
    #[arg(long, default_value = "digits", value_name = "SOURCE")]
    data: Source,
    /// The name of the data in results and figures [default: from the source]
    #[arg(long, value_name = "NAME")]
    data_name: Option<String>,
    /// The share of the pictures to choose and to stop by, where the source has none for that
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    validation: f64,
    /// The share of the pictures that the result is measured on once, at the end, where the source has none for that
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    test: f64,
    /// Which pictures are held out
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    split_seed: u64,
    /// Train with so many pictures only, of each class in proportion
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl DataArgs {
    pub fn load(&self) -> Result<Data, Error> {
        let split = Split { validation: self.validation, test: self.test, seed: self.split_seed };
        let data = Data::load(&self.data, &split)?;
        Ok(match self.limit {
            Some(limit) => data.limit(limit)?,
            None => data,
        })
    }

    pub fn name(&self) -> String {
        let stem =
            |path: &Path| path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        self.data_name.clone().unwrap_or_else(|| match &self.data {
            Source::Npz(file) => stem(file),
            Source::Folder { dir, .. } => stem(dir),
            other => other.to_string().split(':').next().unwrap_or_default().to_owned(),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Optimizer {
    Sgd,
    Adam,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fall {
    Cosine,
    Step,
    Constant,
}

/// How to train.
#[derive(Args)]
#[command(next_help_heading = "Training")]
pub struct RecipeArgs {
    /// Passes over the pictures
    #[arg(long, default_value_t = 30)]
    epochs: u64,
    /// Pictures in a batch
    #[arg(long, default_value_t = 64, value_name = "N")]
    batch: usize,
    /// The rule by which weights move
    #[arg(long, value_enum, default_value_t = Optimizer::Sgd)]
    optimizer: Optimizer,
    /// The learning rate at its highest [default: 0.1, with adam 0.001; of fine-tuning and searches a tenth]
    #[arg(long)]
    rate: Option<f64>,
    /// Momentum of sgd
    #[arg(long, default_value_t = 0.9)]
    momentum: f32,
    /// How the rate falls
    #[arg(long, value_enum, default_value_t = Fall::Cosine)]
    schedule: Fall,
    /// With --schedule step: the epochs after which it falls
    #[arg(long, value_delimiter = ',', value_name = "EPOCH,...")]
    step: Vec<f64>,
    /// With --schedule step: the factor by which it falls
    #[arg(long, default_value_t = 0.1)]
    factor: f64,
    /// Epochs during which the rate rises
    #[arg(long, default_value_t = 1.0, value_name = "EPOCHS")]
    warm_up: f64,
    /// Decay of weights
    #[arg(long, default_value_t = 5e-4)]
    decay: f32,
    /// The greatest norm of the gradient; 0 for any
    #[arg(long, default_value_t = 0.0, value_name = "NORM")]
    clip: f32,
    /// Label smoothing: the part of the target that is spread over all classes
    #[arg(long, default_value_t = 0.0, value_name = "PART")]
    smoothing: f32,
    /// Move pictures by up to so many pixels
    #[arg(long, default_value_t = 0, value_name = "PIXELS")]
    crop: usize,
    /// Mirror every other picture
    #[arg(long)]
    flip: bool,
    /// Erase a rectangle of pictures with this probability
    #[arg(long, default_value_t = 0.0, value_name = "PROBABILITY")]
    erase: f64,
    /// Decay of the average of weights that is kept in their place; 0 for none
    #[arg(long, default_value_t = 0.0, value_name = "DECAY")]
    ema: f32,
    /// The part of the loss that is learnt from the teacher [default: 0; of fine-tuning and searches 0.7]
    #[arg(long, value_name = "PART")]
    distill: Option<f32>,
    /// The temperature of what is learnt from the teacher
    #[arg(long, default_value_t = 1.0, value_name = "T")]
    temperature: f32,
    /// Of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl RecipeArgs {
    /// Without a teacher, at the full rate.
    pub fn anew(&self) -> Recipe {
        self.recipe(1.0, 0.0)
    }

    /// From a trained network, which is the teacher.
    pub fn fine_tuning(&self) -> Recipe {
        self.recipe(0.1, 0.7)
    }

    fn recipe(&self, rate: f64, distill: f32) -> Recipe {
        let weight = self.distill.unwrap_or(distill);
        let (rule, full) = match self.optimizer {
            Optimizer::Sgd => (Rule::Sgd { momentum: self.momentum, nesterov: true }, 0.1),
            Optimizer::Adam => (Rule::Adam, 1e-3),
        };
        Recipe {
            seed: self.seed,
            epochs: self.epochs,
            batch: self.batch,
            rule,
            rate: self.rate.unwrap_or(full * rate),
            schedule: match self.schedule {
                Fall::Cosine => Schedule::Cosine,
                Fall::Constant => Schedule::Constant,
                Fall::Step => Schedule::Step { epochs: self.step.clone(), factor: self.factor },
            },
            warm_up: self.warm_up.min(self.epochs as f64),
            decay: self.decay,
            clip: self.clip,
            smoothing: self.smoothing,
            augment: Augment { crop: self.crop, flip: self.flip, erase: self.erase },
            ema: self.ema,
            distill: (weight > 0.0).then_some(Distill { weight, temperature: self.temperature }),
            ..Recipe::default()
        }
    }
}

/// What the network is to be run by, which decides what it costs.
#[derive(Args)]
#[command(next_help_heading = "Private inference")]
pub struct SettingArgs {
    /// cryptflow2, copriv or best
    #[arg(long, default_value_t = Suite::Best)]
    suite: Suite,
    /// Where suite best has its OTs from: silent, softspoken or iknp
    #[arg(long, default_value_t = Ot::Silent)]
    ot: Ot,
    /// How suite best truncates: exact or one-bit
    #[arg(long, default_value_t = Truncation::Exact)]
    truncation: Truncation,
    /// Bits that suite best leaves out of the signs of ReLUs
    #[arg(long, default_value_t = 0, value_name = "BITS")]
    relu_drop_bits: u32,
    /// Bits of the ring
    #[arg(long, default_value_t = 41)]
    bits: u32,
    /// Bits of the fraction
    #[arg(long, default_value_t = 12)]
    frac_bits: u32,
}

impl SettingArgs {
    pub fn setting(&self) -> Result<Setting, Error> {
        let width = Width::new(self.bits).map_err(|e| Error::Setting { name: "bits", why: e.to_string() })?;
        let settings = Settings {
            ot: self.ot,
            truncation: self.truncation,
            relu_drop_bits: self.relu_drop_bits,
            ..Settings::new(self.suite, Reveal::Logits)
        };
        settings.validate(width).map_err(copriv_train::cost::Error::Settings)?;
        Ok(Setting { lower: LowerOptions { width, frac_bits: self.frac_bits }, ..Setting::new(settings) })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compute {
    /// This machine's processor.
    Cpu,
    /// The first graphics card that the program was built for.
    Gpu,
}

/// How to run.
#[derive(Args)]
#[command(next_help_heading = "Running")]
pub struct RunArgs {
    /// What computes; gpu needs a program built with --features cuda or --features wgpu
    #[arg(long, value_enum, default_value_t = Compute::Cpu)]
    device: Compute,
    /// Threads on the processor [default: all]; with 1, a run that is resumed is the same to the last bit
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

impl RunArgs {
    /// The device, after the threads are there.
    pub fn device(&self) -> Result<Device, Error> {
        if let Some(threads) = self.threads {
            if !(1..=1024).contains(&threads) {
                return Err(Error::Setting {
                    name: "threads",
                    why: format!("{threads} is not from 1 to 1024"),
                });
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
            pool.map_err(|e| Error::Setting { name: "threads", why: e.to_string() })?;
        }
        match self.device {
            Compute::Cpu => Ok(Device::flex()),
            Compute::Gpu if cfg!(any(feature = "cuda", feature = "wgpu")) => Ok(Device::default()),
            Compute::Gpu => Err(Error::Setting {
                name: "device",
                why: "this program was built for the processor; build it with --features cuda or --features wgpu".into(),
            }),
        }
    }
}

/// Where the files of a run go.
#[derive(Args)]
#[command(next_help_heading = "Files")]
pub struct PlaceArgs {
    /// The folder of the run: checkpoint, metrics, curves, network and result
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on with the run that is there; the other arguments must be those of then
    #[arg(long)]
    pub resume: bool,
}

impl PlaceArgs {
    /// Makes the folder, and sees to it that no run is lost.
    pub fn prepare(&self) -> Result<(), Error> {
        let holds = ["checkpoint.safetensors", "network.onnx", "structure.onnx", "search", "finetune"];
        if !self.resume && holds.iter().any(|name| self.out.join(name).exists()) {
            return Err(Error::Exists(self.out.clone()));
        }
        std::fs::create_dir_all(&self.out).map_err(|e| Error::Write(self.out.clone(), e))
    }
}

/// What the commands that train have in common.
#[derive(Args)]
pub struct TrainingArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub setting: SettingArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub run: RunArgs,
}

/// Has the ONNX file say how pictures become its input, where the network that it was made of says so.
pub fn keep_preprocessing(spec: &str, file: &Path) -> Result<(), Error> {
    if let Some(preprocessing) = copriv_import::preprocessing(spec)? {
        let graph = copriv_import::onnx::load(file)?;
        replace(file, &copriv_import::onnx::write_with(&graph, &preprocessing))?;
    }
    Ok(())
}

/// The network of an argument.
pub fn network(spec: &str, weights: Option<&Path>) -> Result<Graph, Error> {
    Ok(copriv_import::load_with_weights(spec, weights)?)
}
