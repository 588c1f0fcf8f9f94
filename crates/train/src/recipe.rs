//! How a network is trained: everything about it that is a number.

use crate::Error;
use crate::augment::Augment;
use serde::{Deserialize, Serialize};

/// The rule by which weights move.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Rule {
    /// Stochastic gradient descent.
    Sgd {
        /// Of the velocity.
        momentum: f32,
        /// Nesterov's variant.
        nesterov: bool,
    },
    /// Adam with the decay of weights apart (Loshchilov and Hutter 2019), betas 0.9 and 0.999.
    Adam,
}

/// How the rate falls after the warm-up.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Half a cosine, to 0.
    Cosine,
    /// By a factor at each of some epochs.
    Step {
        /// When.
        epochs: Vec<f64>,
        /// By what.
        factor: f64,
    },
}

impl Schedule {
    /// The part of the full rate at `step` of `steps`, of which the first `warm_up` rise linearly.
    ///
    /// ```
    /// use copriv_train::recipe::Schedule;
    /// let part = |step| Schedule::Cosine.part(step, 10, 110, 10.0);
    /// assert_eq!((part(0), part(10), part(60)), (0.1, 1.0, 0.5));
    /// ```
    pub fn part(&self, step: u64, warm_up: u64, steps: u64, epoch_steps: f64) -> f64 {
        if step < warm_up {
            return (step + 1) as f64 / warm_up as f64;
        }
        match self {
            Self::Constant => 1.0,
            Self::Cosine => {
                let passed = (step - warm_up) as f64 / (steps.saturating_sub(warm_up)).max(1) as f64;
                (1.0 + (std::f64::consts::PI * passed.min(1.0)).cos()) / 2.0
            }
            Self::Step { epochs, factor } => {
                let epoch = step as f64 / epoch_steps;
                factor.powi(epochs.iter().filter(|&&at| at <= epoch).count() as i32)
            }
        }
    }
}

/// Learning from another network.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distill {
    /// The part of the loss, from 0 to 1; what is left is the labels'.
    pub weight: f32,
    /// T: logits are divided by it, and the loss multiplied by its square (Hinton et al. 2015).
    pub temperature: f32,
}

/// How a network is trained.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Of the order of pictures and their variation, and of new weights.
    pub seed: u64,
    /// Passes over the pictures to train with.
    pub epochs: u64,
    /// Pictures in a batch.
    pub batch: usize,
    /// The rule.
    pub rule: Rule,
    /// The full learning rate.
    pub rate: f64,
    /// How it falls.
    pub schedule: Schedule,
    /// Epochs during which it rises.
    pub warm_up: f64,
    /// Decay of weights; that of biases and batch norms is 0.
    pub decay: f32,
    /// Gradients whose norm, over all parameters, is larger are made so long; 0 for none.
    pub clip: f32,
    /// Label smoothing: the part of the target that is spread over all classes.
    pub smoothing: f32,
    /// How pictures are varied.
    pub augment: Augment,
    /// Decay of the average of weights that is evaluated and written in their place; 0 for none.
    pub ema: f32,
    /// Learning from the network that was there before.
    pub distill: Option<Distill>,
    /// The rate of what is searched, by Adam.
    pub search_rate: f64,
}

impl Default for Recipe {
    /// SGD with momentum 0.9, Nesterov, rate 0.1 falling by a cosine over 30 epochs, batches of 64, decay 5e-4.
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 30,
            batch: 64,
            rule: Rule::Sgd { momentum: 0.9, nesterov: true },
            rate: 0.1,
            schedule: Schedule::Cosine,
            warm_up: 1.0,
            decay: 5e-4,
            clip: 0.0,
            smoothing: 0.0,
            augment: Augment::NONE,
            ema: 0.0,
            distill: None,
            search_rate: 0.01,
        }
    }
}

impl Recipe {
    /// Whether all numbers make sense.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self) -> Result<(), Error> {
        let within = |name, value: f64, low: f64, high: f64| {
            if value >= low && value <= high {
                return Ok(());
            }
            Err(Error::Setting { name, why: format!("{value} is not from {low} to {high}") })
        };
        within("epochs", self.epochs as f64, 1.0, 1e6)?;
        within("batch", self.batch as f64, 1.0, 65_536.0)?;
        within("rate", self.rate, 1e-9, 1e3)?;
        within("warm-up", self.warm_up, 0.0, self.epochs as f64)?;
        within("decay", self.decay.into(), 0.0, 1.0)?;
        within("clip", self.clip.into(), 0.0, 1e9)?;
        within("smoothing", self.smoothing.into(), 0.0, 0.999)?;
        within("ema", self.ema.into(), 0.0, 0.999_999)?;
        within("search-rate", self.search_rate, 0.0, 1e3)?;
        if let Rule::Sgd { momentum, .. } = self.rule {
            within("momentum", momentum.into(), 0.0, 0.999_999)?;
        }
        if let Schedule::Step { epochs, factor } = &self.schedule {
            within("factor", *factor, 0.0, 1.0)?;
            epochs.iter().try_for_each(|&at| within("step", at, 0.0, 1e6))?;
        }
        if let Some(Distill { weight, temperature }) = self.distill {
            within("distill", weight.into(), 0.0, 1.0)?;
            within("temperature", temperature.into(), 0.01, 1e3)?;
        }
        Ok(())
    }
}
