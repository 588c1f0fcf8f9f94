//! Runs that differ in their seeds alone, as one point.

use super::{ORIGINAL, RunResult, rank};
use serde::{Deserialize, Serialize};

/// Which bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Those of both phases.
    Total,
    /// Those that flow when the input is there.
    Online,
}

/// The middle of some numbers, and how far they are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle number, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// A quarter and three quarters of the way from least to greatest, between two numbers in proportion; from four
    /// numbers on.
    pub quartiles: Option<(f64, f64)>,
}

impl Spread {
    /// The spread of `values`; none without a value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |part: f64| {
            let place = part * last as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        let quartiles = (values.len() >= 4).then(|| (at(0.25), at(0.75)));
        Some(Self { median: at(0.5), min: values[0], max: values[last], quartiles })
    }
}

/// The runs of one network, data, method and budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The network's name.
    pub network: String,
    /// The data's name.
    pub data: String,
    /// The method of network optimisation.
    pub method: String,
    /// What the method was allowed; of [`ORIGINAL`] nothing.
    pub budget: String,
    /// The seed of each run.
    pub seeds: Vec<u64>,
    /// On the test data, from 0 to 1.
    pub accuracy: Spread,
    /// Of an inference, both phases.
    pub bytes_total: Spread,
    /// Of an inference, the online phase.
    pub bytes_online: Spread,
    /// Elements that still go through a ReLU, the median.
    pub relus: f64,
    /// Weights and biases, the median.
    pub parameters: f64,
}

impl Group {
    /// The bytes of a phase.
    pub fn bytes(&self, phase: Phase) -> &Spread {
        match phase {
            Phase::Total => &self.bytes_total,
            Phase::Online => &self.bytes_online,
        }
    }

    pub(super) fn is_original(&self) -> bool {
        self.method == ORIGINAL
    }
}

/// The groups of `runs`: by network, data, method in the order of [`super::METHODS`], and bytes from many to few.
pub fn groups(runs: &[RunResult]) -> Vec<Group> {
    let key = |run: &RunResult| {
        let budget = if run.method == ORIGINAL { String::new() } else { run.budget.clone() };
        (run.network.clone(), run.data.clone(), rank(&run.method), run.method.clone(), budget)
    };
    let mut runs: Vec<_> = runs.iter().collect();
    runs.sort_by_cached_key(|run| (key(run), run.seed));
    let group = |runs: &[&RunResult]| {
        let spread = |value: fn(&RunResult) -> f64| Spread::of(runs.iter().map(|run| value(run)));
        let (network, data, _, method, budget) = key(runs[0]);
        Some(Group {
            network,
            data,
            method,
            budget,
            seeds: runs.iter().map(|run| run.seed).collect(),
            accuracy: spread(|run| run.accuracy_test)?,
            bytes_total: spread(|run| run.bytes_total as f64)?,
            bytes_online: spread(|run| run.bytes_online as f64)?,
            relus: spread(|run| run.relus as f64)?.median,
            parameters: spread(|run| run.parameters as f64)?.median,
        })
    };
    let mut groups: Vec<_> = runs.chunk_by(|a, b| key(a) == key(b)).filter_map(group).collect();
    let order = |a: &Group, b: &Group| {
        let names = |g: &Group| (g.network.clone(), g.data.clone(), rank(&g.method), g.method.clone());
        names(a).cmp(&names(b)).then(b.bytes_total.median.total_cmp(&a.bytes_total.median))
    };
    groups.sort_by(order);
    groups
}
