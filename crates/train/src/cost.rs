//! What networks cost on the wire.
//!
//! Bytes depend on the network's shapes and, in suite best, on the bits of each layer's largest weight: one bit more makes
//! a product by about four percent dearer. [`Costs::of`] and [`Costs::finished`] look at the weights there are, and say exactly what
//! an inference with them puts on the wire. [`Costs::structure`] takes all weights to need [`Setting::weight_bits`] bits: it says
//! the same before and after training, equals [`Costs::of`] where the weights do need so many, and is quick enough for a search.

use copriv_ir::{
    Graph, LowerOptions, Node, Op, fold_affine, lower, lower_outline, merge_linear, merge_outline,
};
use copriv_ring::Width;
use copriv_runner::planner::Planner;
use copriv_runner::{Plan, Settings};
use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Why something cannot be costed or rewritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network is not valid, or does not fit the fixed point.
    #[error(transparent)]
    Network(#[from] copriv_ir::Error),
    /// The settings do not fit.
    #[error(transparent)]
    Settings(#[from] copriv_runner::Error),
    /// The weights of a structure cannot need so many bits.
    #[error("weights of {got} bits in a ring of {width} bits; take 1 to {width}")]
    WeightBits {
        /// Bits of the ring.
        width: u32,
        /// [`Setting::weight_bits`].
        got: u32,
    },
    /// No objective is called so.
    #[error("{0:?} is no objective; take total or online")]
    Objective(String),
    /// A text is no budget.
    #[error("{text:?} is no budget: {why}; write such as 40%, 2GB, 25.5MB or 300kB")]
    Budget {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A list has not one entry for each block or group.
    #[error("{got} {what} where there are {expected}")]
    Count {
        /// What the list holds.
        what: &'static str,
        /// One for each.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A block names nodes that are not what they should be.
    #[error("block {0:?} is not of this network; find the blocks of the network that is rewritten")]
    Block(String),
    /// A share to be kept is no share.
    #[error("a share of {0} of the channels cannot be kept; take one above 0 and up to 1")]
    Fraction(f64),
    /// No network within the budget was found.
    #[error("the least that was found takes {least} bytes, the budget is {budget}; take a larger one")]
    Infeasible {
        /// Bytes that are allowed.
        budget: u64,
        /// Bytes that were reached.
        least: u64,
    },
}

/// What is run, and in which fixed point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The protocols.
    pub settings: Settings,
    /// The fixed point.
    pub lower: LowerOptions,
    /// Bits that each layer's largest weight is taken to need in [`Costs::structure`], sign included.
    pub weight_bits: u32,
}

impl Setting {
    /// `settings` with what the program takes by default: 41 bits, 12 of them fraction; weights between -1 and 1.
    pub const fn new(settings: Settings) -> Self {
        Self { settings, lower: LowerOptions { width: Width::of(41), frac_bits: 12 }, weight_bits: 13 }
    }
}

/// Bytes of one inference in both directions, set-up included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bytes {
    /// Of both phases.
    pub total: u64,
    /// From when the input is there.
    pub online: u64,
}

impl Bytes {
    /// Those that are to be few.
    pub const fn of(self, objective: Objective) -> u64 {
        match objective {
            Objective::Total => self.total,
            Objective::Online => self.online,
        }
    }
}

/// Which bytes are to be few.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Objective {
    /// Those of both phases.
    #[default]
    Total,
    /// Those from when the input is there.
    Online,
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "total",
            Self::Online => "online",
        })
    }
}

impl FromStr for Objective {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        [Self::Total, Self::Online]
            .into_iter()
            .find(|objective| objective.to_string() == name)
            .ok_or_else(|| Error::Objective(name.into()))
    }
}

/// How many bytes are allowed.
///
/// ```
/// use copriv_train::cost::Budget;
/// assert_eq!("40%".parse::<Budget>()?.limit(1000), 400);
/// assert_eq!("25.5MB".parse::<Budget>()?.limit(1000), 25_500_000);
/// # Ok::<(), copriv_train::cost::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Budget {
    /// A share of what the original takes, between 0 and 1.
    Share(f64),
    /// Bytes.
    Bytes(u64),
}

/// Units of bytes, the largest first.
const UNITS: [(&str, f64); 4] = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)];

impl Budget {
    /// The bytes that are allowed where the original takes `original`.
    pub fn limit(self, original: u64) -> u64 {
        match self {
            Self::Share(share) => (original as f64 * share).round() as u64,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl FromStr for Budget {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Budget { text: text.chars().take(80).collect(), why };
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let (number, unit) = (&trimmed[..end], trimmed[end..].trim_start());
        let number: f64 = number.parse().map_err(|_| wrong("it begins with no number above 0"))?;
        if unit == "%" {
            let share = number / 100.0;
            let ok = share > 0.0 && share <= 1.0;
            return if ok {
                Ok(Self::Share(share))
            } else {
                Err(wrong("a share is above 0% and up to 100%"))
            };
        }
        let unit = if unit.is_empty() { "B" } else { unit };
        let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let &(_, scale) = known.ok_or_else(|| wrong("the unit is one of %, B, kB, MB and GB"))?;
        let bytes = (number * scale).round();
        // Below 2^53: every integer is an f64.
        if !(1.0..=9e15).contains(&bytes) {
            return Err(wrong("it is between 1 byte and 9 million GB"));
        }
        Ok(Self::Bytes(bytes as u64))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // Twelve digits, so that 0.07 is 7 and not 7.000000000000001.
            Self::Share(share) => write!(f, "{}%", (share * 1e14).round() / 1e12),
            Self::Bytes(bytes) => {
                let whole = |&&(_, scale): &&(&str, f64)| bytes as f64 >= scale;
                let &(name, scale) = UNITS.iter().find(whole).unwrap_or(&("B", 1.0));
                write!(f, "{}{name}", bytes as f64 / scale)
            }
        }
    }
}

/// The cost model: it remembers what it was asked.
pub struct Costs {
    setting: Setting,
    objective: Objective,
    planner: Planner,
    /// By architecture.
    plans: HashMap<String, Bytes>,
    /// Of layers that might be merged, by their shapes.
    layers: HashMap<String, u64>,
}

impl Costs {
    /// Costs under `setting`; what is merged is decided by `objective`.
    pub fn new(setting: Setting, objective: Objective) -> Self {
        let planner = Planner::new(setting.settings);
        Self { setting, objective, planner, plans: HashMap::new(), layers: HashMap::new() }
    }

    /// What is run.
    pub const fn setting(&self) -> &Setting {
        &self.setting
    }

    /// What is to be small.
    pub const fn objective(&self) -> Objective {
        self.objective
    }

    /// The bytes of an inference with `net` as it is, its weights included: what `copriv plan` says.
    ///
    /// # Errors
    /// [`Error::Network`] or [`Error::Settings`].
    pub fn of(&mut self, net: &Graph) -> Result<Bytes, Error> {
        let architecture = lower(net, self.setting.lower)?.architecture;
        self.bytes(&architecture)
    }

    /// `net` with its batch norms folded and its linear layers merged where that costs less, and [`of`](Self::of) that. The same
    /// function but for the rounding of `f32`.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn finished(&mut self, net: &Graph) -> Result<(Graph, Bytes), Error> {
        let net = fold_affine(net)?;
        let mut best: Option<(Graph, Bytes)> = None;
        // A layer that is made of a sum may cost more by itself, its weights being larger, and less with what it then merges with.
        for slack in [1, 2, u64::MAX] {
            let finished = self.merged(&net, slack)?;
            let bytes = self.of(&finished)?;
            let order = |bytes: Bytes| (bytes.of(self.objective), bytes.total);
            if best.as_ref().is_none_or(|(_, least)| order(bytes) < order(*least)) {
                best = Some((finished, bytes));
            }
        }
        match best {
            Some(best) => Ok(best),
            None => self.of(&net).map(|bytes| (net, bytes)),
        }
    }

    /// `net` merged where sums may be made into a layer that costs up to `slack` times as much.
    fn merged(&mut self, net: &Graph, slack: u64) -> Result<Graph, Error> {
        let (options, objective) = (self.setting.lower, self.objective);
        let planner = &mut self.planner;
        Ok(merge_linear(net, &mut |layers| {
            let is_sum = layers.nodes.last().is_some_and(|node| node.op == Op::Add);
            if is_sum && slack == u64::MAX {
                return u64::MAX;
            }
            // What does not fit the fixed point is not merged.
            let lowered = lower(layers, options).ok();
            let bytes = lowered.and_then(|lowered| planner.layers(&lowered.architecture).ok());
            let price = bytes.map_or(u64::MAX, |bytes| price(bytes, objective));
            if is_sum { price.saturating_mul(slack) } else { price }
        })?)
    }

    /// The bytes of what [`finished`](Self::finished) makes of a network of the shapes of `net` whose layers' largest
    /// weights need [`Setting::weight_bits`] bits, merged or not. `net` may be a [`Graph::outline`].
    ///
    /// # Errors
    /// [`Error::WeightBits`], and as [`of`](Self::of).
    pub fn structure(&mut self, net: &Graph) -> Result<Bytes, Error> {
        let Setting { lower: options, weight_bits, .. } = self.setting;
        let width = options.width.bits();
        let allowed: RangeInclusive<u32> = 1..=width;
        if !allowed.contains(&weight_bits) {
            return Err(Error::WeightBits { width, got: weight_bits });
        }
        let objective = self.objective;
        let Self { planner, layers: known, .. } = self;
        let finished = merge_outline(net, &mut |layers| {
            *known.entry(format!("{layers:?}")).or_insert_with(|| {
                let architecture = lower_outline(layers, options, weight_bits).ok();
                let bytes = architecture.and_then(|architecture| planner.layers(&architecture).ok());
                bytes.map_or(u64::MAX, |bytes| price(bytes, objective))
            })
        })?;
        self.bytes(&lower_outline(&finished, options, weight_bits)?)
    }

    fn bytes(&mut self, architecture: &copriv_ir::Architecture) -> Result<Bytes, Error> {
        let key = format!("{architecture:?}");
        if let Some(&bytes) = self.plans.get(&key) {
            return Ok(bytes);
        }
        let Plan { total, .. } = self.planner.plan(architecture)?;
        let online = total.online.bytes();
        let bytes = Bytes { total: total.preprocessing.bytes() + online, online };
        self.plans.insert(key, bytes);
        Ok(bytes)
    }
}

/// One number to compare layers by, of bytes before the input is there and with it.
fn price([before, online]: [u64; 2], objective: Objective) -> u64 {
    match objective {
        Objective::Total => before.saturating_add(online),
        // Kilobytes in total decide where the bytes online are the same.
        Objective::Online => {
            online.min((1 << 30) - 1) << 34 | (before.saturating_add(online) >> 10).min((1 << 34) - 1)
        }
    }
}

/// Elements that go through activations.
pub fn relus(net: &Graph) -> usize {
    let of = |node: &Node| match &node.op {
        Op::Relu | Op::Clip { .. } => node.shape.len(),
        Op::Partial { keep, .. } => keep.kept(),
        _ => 0,
    };
    net.nodes.iter().map(of).sum()
}

/// Weights, biases, scales and shifts.
pub fn parameters(net: &Graph) -> usize {
    let of = |op: &Op| match op {
        Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => weight.len() + bias.len(),
        Op::BatchNorm { scale, shift } => scale.len() + shift.len(),
        _ => 0,
    };
    net.nodes.iter().map(|node| of(&node.op)).sum()
}
