//! The suites side by side: what an inference costs under each, by kind of operation, and how long a link takes for it.

use crate::format;
use crate::table::Column::{Number, Words};
use crate::table::{Column, Table};
use copriv_runner::{Delays, LayerCost, PhaseCost, Plan, Reveal, Suite, Total};
use serde::Serialize;

/// Kinds of operation: the key, what people read, and the layers' `op` of each. The last takes everything else.
const KINDS: [(&str, &str, &[&str]); 7] = [
    ("conv_linear", "products", &["conv", "linear", "multiply"]),
    ("truncate", "truncation", &["truncate"]),
    (
        "relu",
        "activation",
        &["relu", "relu6", "clip", "sigmoid", "tanh", "silu", "gelu", "hard_swish", "elu"],
    ),
    ("relu_truncate", "activation, truncated", &["relu_truncate", "relu6_truncate"]),
    ("pool", "pooling", &["maxpool", "avgpool", "inner_avgpool"]),
    ("residual", "residual", &["add"]),
    ("other", "set-up, argmax, reveal", &[]),
];

/// A network's cost under every suite.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// The network.
    pub model: String,
    /// l.
    pub bits: u32,
    /// f.
    pub frac: u32,
    /// What the client learns.
    pub reveal: Reveal,
    /// The links that times are estimated for.
    pub links: Vec<Link>,
    /// [`Suite::ALL`], the baseline first.
    pub suites: Vec<SuiteCost>,
}

/// A link between the parties.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Link {
    /// lan, wan or given.
    pub name: &'static str,
    /// Of both directions together.
    pub bits_per_second: f64,
    /// There and back.
    pub round_trip_seconds: f64,
}

/// What one suite costs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SuiteCost {
    /// Which.
    pub suite: Suite,
    /// All of [`KINDS`], in their order.
    pub kinds: Vec<KindCost>,
    /// Sums.
    pub total: Total,
    /// One for each link: of all layers.
    pub latency: Vec<Latency>,
    /// To the baseline's, of both phases.
    pub ratio: Ratio,
}

/// What the layers of one kind cost.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct KindCost {
    /// The key of the kind.
    pub kind: &'static str,
    /// What people read.
    #[serde(skip)]
    pub words: &'static str,
    /// How many layers there are of it.
    pub layers: u64,
    /// Before the input is there.
    pub preprocessing: PhaseCost,
    /// With the input.
    pub online: PhaseCost,
    /// One-way delays.
    pub delays: Delays,
    /// One for each link.
    pub latency: Vec<Latency>,
}

/// Estimated seconds that a link takes for the bytes and delays, computation aside.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Latency {
    /// The link's name.
    pub link: &'static str,
    /// Before the input is there.
    pub preprocessing_seconds: f64,
    /// With the input.
    pub online_seconds: f64,
    /// The sum.
    pub seconds: f64,
}

/// A suite's figures divided by the baseline's.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Ratio {
    /// Of the bytes of both phases.
    pub bytes: f64,
    /// Of the bytes with the input, to all of the baseline's.
    pub online_bytes: f64,
    /// Of the rounds of both phases.
    pub rounds: f64,
}

impl Link {
    /// The two links that `--network` imitates, too.
    pub fn usual() -> Vec<Self> {
        use copriv_channel::Link as Shape;
        let of = |name, Shape { bits_per_second, round_trip }| Self {
            name,
            bits_per_second,
            round_trip_seconds: round_trip.as_secs_f64(),
        };
        vec![of("lan", Shape::LAN), of("wan", Shape::WAN)]
    }

    fn describe(&self) -> String {
        format::link(self.bits_per_second, self.round_trip_seconds)
    }

    /// What `layers` take.
    fn latency<'a>(&self, plan: &Plan, layers: impl Iterator<Item = &'a LayerCost>) -> Latency {
        let part = Plan { layers: layers.cloned().collect(), ..plan.clone() };
        // The sum of nothing is -0.0.
        let [preprocessing_seconds, online_seconds] =
            part.latency(self.bits_per_second, self.round_trip_seconds).map(|sum| sum + 0.0);
        let seconds = preprocessing_seconds + online_seconds;
        Latency { link: self.name, preprocessing_seconds, online_seconds, seconds }
    }
}

impl Comparison {
    /// Compares `plans` of one network, the baseline's first.
    pub fn new(plans: &[Plan], reveal: Reveal, links: Vec<Link>) -> Self {
        let (model, bits, frac) =
            plans.first().map_or_else(Default::default, |plan| (plan.model.clone(), plan.bits, plan.frac));
        let baseline = plans.first().map_or_else(Total::default, |plan| plan.total);
        let suites = plans.iter().map(|plan| SuiteCost::new(plan, &baseline, &links)).collect();
        Self { model, bits, frac, reveal, links, suites }
    }

    /// The kinds that any suite has layers of: their number in [`KINDS`] and what people read.
    fn kinds(&self) -> impl Iterator<Item = (usize, &'static str)> {
        let some = |&(kind, _): &(usize, &str)| self.suites.iter().any(|suite| suite.kinds[kind].layers > 0);
        KINDS.iter().map(|(_, words, _)| *words).enumerate().filter(some)
    }

    /// The phases in which each suite sends anything, with their words.
    fn phases(&self) -> impl Iterator<Item = (&SuiteCost, bool)> {
        let both = |suite| [(suite, false), (suite, true)];
        self.suites.iter().flat_map(both).filter(|(suite, online)| *online || suite.preprocesses())
    }

    /// Bytes and rounds of each kind, under each suite and in each phase.
    pub fn costs(&self) -> Table {
        let largest = self.suites.iter().map(|suite| suite.bytes()).max().unwrap_or(0);
        let (unit, parts) = if largest < 10_000_000_000 { ("MB", 1e6) } else { ("GB", 1e9) };
        let titles = self.titles(&[unit, "rounds"]);
        let mut table = Table::new(&columns("kind of operation", &titles));
        let cells = |cost: PhaseCost| {
            let bytes = match cost.bytes() {
                0 => "0".into(),
                few if few as f64 / parts < 0.0005 => "<0.001".into(),
                bytes => format!("{:.3}", bytes as f64 / parts),
            };
            [bytes, cost.rounds.to_string()]
        };
        for (kind, words) in self.kinds() {
            let costs = self.phases().flat_map(|(suite, online)| cells(suite.kinds[kind].phase(online)));
            table.row([words.to_owned()].into_iter().chain(costs));
        }
        let costs = self.phases().flat_map(|(suite, online)| cells(suite.phase(online)));
        table.row(["total".to_owned()].into_iter().chain(costs));
        table
    }

    /// Seconds of each kind on each link, under each suite and in each phase.
    pub fn seconds(&self) -> Table {
        let names: Vec<&str> = self.links.iter().map(Link::short).collect();
        let titles = self.titles(&names);
        let mut table = Table::new(&columns("kind of operation", &titles));
        let cells =
            |latency: &[Latency], online| latency.iter().map(|l| short(l.phase(online))).collect::<Vec<_>>();
        for (kind, words) in self.kinds() {
            let times = self.phases().flat_map(|(suite, online)| cells(&suite.kinds[kind].latency, online));
            table.row([words.to_owned()].into_iter().chain(times));
        }
        let times = self.phases().flat_map(|(suite, online)| cells(&suite.latency, online));
        table.row(["total".to_owned()].into_iter().chain(times));
        table
    }

    fn titles(&self, units: &[&str]) -> Vec<String> {
        let title = |(suite, online): (&SuiteCost, bool)| {
            let phase = if online { "online" } else { "before" };
            units.iter().map(|unit| format!("{}\n{phase}\n{unit}", suite.suite)).collect::<Vec<_>>()
        };
        self.phases().flat_map(title).collect()
    }

    /// The totals of each suite and phase beside the baseline's.
    pub fn totals(&self) -> Table {
        let links: Vec<String> = self.links.iter().map(Link::describe).collect();
        let mut columns =
            vec![Words("suite"), Words("phase"), Number("bytes"), Number("ratio"), Number("rounds")];
        columns.push(Number("ratio"));
        columns.extend(links.iter().flat_map(|link| [Number(link), Number("ratio")]));
        let mut table = Table::new(&columns);
        let Some(baseline) = self.suites.first() else { return table };
        for suite in &self.suites {
            let all =
                ("both", suite.total.preprocessing + suite.total.online, Latency::both as fn(&_) -> f64);
            let before = ("before", suite.total.preprocessing, Latency::before as fn(&_) -> f64);
            let online = ("online", suite.total.online, Latency::online as fn(&_) -> f64);
            let rows = if suite.preprocesses() { vec![before, online, all] } else { vec![online] };
            for (index, (phase, cost, time)) in rows.into_iter().enumerate() {
                let name = if index == 0 { suite.suite.name() } else { "" };
                let mut row = vec![name.to_owned(), phase.to_owned()];
                row.extend([
                    format::bytes(cost.bytes()),
                    ratio(cost.bytes() as f64, baseline.bytes() as f64),
                ]);
                row.extend([cost.rounds.to_string(), ratio(cost.rounds as f64, baseline.rounds() as f64)]);
                for (latency, whole) in suite.latency.iter().zip(&baseline.latency) {
                    row.extend([format::seconds(time(latency)), ratio(time(latency), whole.seconds)]);
                }
                table.row(row);
            }
        }
        table
    }

    /// What the tables mean.
    pub fn notes(&self) -> String {
        let links = self.links.iter().map(|link| match link.name {
            "given" => link.describe(),
            name => format!("{} {}", name.to_uppercase(), link.describe()),
        });
        format!(
            "before: what needs no input; ratio: to all of cryptflow2's\n\
             times: of bytes and delays on the link, without computation ({})",
            links.collect::<Vec<_>>().join("; ")
        )
    }
}

/// A column of words and one for each title.
fn columns<'a>(first: &'a str, titles: &'a [String]) -> Vec<Column<'a>> {
    [Words(first)].into_iter().chain(titles.iter().map(|title| Number(title))).collect()
}

/// Seconds, for columns of a table.
fn short(seconds: f64) -> String {
    match seconds {
        0.0 => "0".into(),
        s if s < 0.0005 => "<0.001".into(),
        s if s < 100.0 => format!("{s:.3}"),
        s => format!("{s:.1}"),
    }
}

fn ratio(value: f64, whole: f64) -> String {
    format!("{:.3}", quotient(value, whole))
}

fn quotient(value: f64, whole: f64) -> f64 {
    if whole > 0.0 { value / whole } else { 1.0 }
}

impl SuiteCost {
    fn new(plan: &Plan, baseline: &Total, links: &[Link]) -> Self {
        let kinds = (0..KINDS.len()).map(|kind| KindCost::new(kind, plan, links)).collect();
        let latency = links.iter().map(|link| link.latency(plan, plan.layers.iter())).collect();
        let (all, whole) =
            (plan.total.preprocessing + plan.total.online, baseline.preprocessing + baseline.online);
        let ratio = Ratio {
            bytes: quotient(all.bytes() as f64, whole.bytes() as f64),
            online_bytes: quotient(plan.total.online.bytes() as f64, whole.bytes() as f64),
            rounds: quotient(all.rounds as f64, whole.rounds as f64),
        };
        Self { suite: plan.suite, kinds, total: plan.total, latency, ratio }
    }

    /// Of both phases.
    pub fn bytes(&self) -> u64 {
        self.total.preprocessing.bytes() + self.total.online.bytes()
    }

    fn rounds(&self) -> u64 {
        self.total.preprocessing.rounds + self.total.online.rounds
    }

    fn preprocesses(&self) -> bool {
        self.total.preprocessing != PhaseCost::default()
    }

    fn phase(&self, online: bool) -> PhaseCost {
        if online { self.total.online } else { self.total.preprocessing }
    }
}

impl KindCost {
    fn new(kind: usize, plan: &Plan, links: &[Link]) -> Self {
        let layers = || plan.layers.iter().filter(|layer| kind_of(&layer.op) == kind);
        let mut sum = Self {
            kind: KINDS[kind].0,
            words: KINDS[kind].1,
            layers: 0,
            preprocessing: PhaseCost::default(),
            online: PhaseCost::default(),
            delays: Delays::default(),
            latency: links.iter().map(|link| link.latency(plan, layers())).collect(),
        };
        for layer in layers() {
            sum.layers += 1;
            sum.preprocessing = sum.preprocessing + layer.preprocessing;
            sum.online = sum.online + layer.online;
            sum.delays.preprocessing += layer.delays.preprocessing;
            sum.delays.online += layer.delays.online;
        }
        sum
    }

    /// One of its phases.
    pub fn phase(&self, online: bool) -> PhaseCost {
        if online { self.online } else { self.preprocessing }
    }
}

/// The place in [`KINDS`] of a layer's `op`.
fn kind_of(op: &str) -> usize {
    KINDS.iter().position(|(.., ops)| ops.contains(&op)).unwrap_or(KINDS.len() - 1)
}

impl Latency {
    fn before(&self) -> f64 {
        self.preprocessing_seconds
    }

    fn online(&self) -> f64 {
        self.online_seconds
    }

    fn both(&self) -> f64 {
        self.seconds
    }

    fn phase(&self, online: bool) -> f64 {
        if online { self.online_seconds } else { self.preprocessing_seconds }
    }
}

impl Link {
    fn short(&self) -> &'static str {
        match self.name {
            "lan" => "LAN s",
            "wan" => "WAN s",
            _ => "s",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use copriv_ir::Function;

    #[test]
    fn every_operation_has_its_kind() {
        let kind = |op| KINDS[kind_of(op)].0;
        assert_eq!(["conv", "linear", "multiply"].map(kind), ["conv_linear"; 3]);
        assert_eq!(["relu", "relu6", "clip"].map(kind), ["relu"; 3]);
        assert!(Function::ALL.iter().all(|function| kind(function.name()) == "relu"));
        assert_eq!(["relu_truncate", "relu6_truncate"].map(kind), ["relu_truncate"; 2]);
        assert_eq!(["truncate", "add"].map(kind), ["truncate", "residual"]);
        assert_eq!(["maxpool", "avgpool", "inner_avgpool"].map(kind), ["pool"; 3]);
        assert_eq!(["setup", "argmax", "reveal"].map(kind), ["other"; 3]);
    }

    #[test]
    fn ratios() {
        assert_eq!([ratio(1.0, 4.0), ratio(0.0, 0.0)], ["0.250", "1.000"]);
    }
}
