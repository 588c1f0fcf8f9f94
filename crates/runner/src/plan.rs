use crate::drawing::OtState;
use crate::offer::{Answered, Asked, check_pictures, kept_cost};
use crate::planner::Memo;
use crate::program::{Program, Step};
use crate::{Error, LayerReport, Offer, Ot, Report, Settings, Suite, Truncation};
use copriv_channel::{Cost, Traffic};
use copriv_ir::{Architecture, Preprocessing};
use copriv_store::EntryId;
use copriv_wire::Role;
use serde::Serialize;
use std::ops::Add;

/// Bytes each way and rounds. A round is a wait of the client for the server after sending.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct PhaseCost {
    /// From the server to the client.
    pub bytes_p0_to_p1: u64,
    /// From the client to the server.
    pub bytes_p1_to_p0: u64,
    /// Waits of the client.
    pub rounds: u64,
}

impl PhaseCost {
    /// What comes after `before` when `after` is everything up to there.
    fn between(before: &Cost, after: &Cost) -> Self {
        let bytes = |role| after.bytes_from(role) - before.bytes_from(role);
        Self {
            bytes_p0_to_p1: bytes(Role::P0),
            bytes_p1_to_p0: bytes(Role::P1),
            rounds: after.rounds_of(Role::P1) - before.rounds_of(Role::P1),
        }
    }

    pub(crate) fn counted(role: Role, traffic: Traffic) -> Self {
        let (bytes_p0_to_p1, bytes_p1_to_p0) = match role {
            Role::P0 => (traffic.sent, traffic.received),
            Role::P1 => (traffic.received, traffic.sent),
        };
        Self { bytes_p0_to_p1, bytes_p1_to_p0, rounds: traffic.rounds }
    }

    /// Bytes of both directions.
    pub fn bytes(&self) -> u64 {
        self.bytes_p0_to_p1 + self.bytes_p1_to_p0
    }
}

impl Add for PhaseCost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            bytes_p0_to_p1: self.bytes_p0_to_p1 + other.bytes_p0_to_p1,
            bytes_p1_to_p0: self.bytes_p1_to_p0 + other.bytes_p1_to_p0,
            rounds: self.rounds + other.rounds,
        }
    }
}

/// Sums over all layers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Total {
    /// Before the input is there.
    pub preprocessing: PhaseCost,
    /// With the input.
    pub online: PhaseCost,
}

impl Total {
    pub(crate) fn sum(phases: impl Iterator<Item = (PhaseCost, PhaseCost)>) -> Self {
        phases.fold(Self::default(), |sum, (preprocessing, online)| Self {
            preprocessing: sum.preprocessing + preprocessing,
            online: sum.online + online,
        })
    }
}

/// What one layer is predicted to put on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LayerCost {
    /// The layer's name in the network.
    pub name: String,
    /// One of conv, linear, relu, relu_truncate, relu6, clip, truncate, maxpool, avgpool, add, argmax, reveal, setup.
    pub op: String,
    /// The protocol that runs it.
    pub protocol: String,
    /// Before the input is there.
    pub preprocessing: PhaseCost,
    /// With the input.
    pub online: PhaseCost,
    /// One-way delays of the network that this layer takes at most, in each phase.
    pub delays: Delays,
}

/// One-way network delays in each phase; two are a round trip.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Delays {
    /// Before the input is there.
    pub preprocessing: u64,
    /// With the input.
    pub online: u64,
}

/// What an inference is predicted to put on the wire, exactly.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Plan {
    /// The network's name.
    pub model: String,
    /// The protocol suite.
    pub suite: Suite,
    /// Where its OTs come from.
    pub ot: Ot,
    /// How it truncates.
    pub truncation: Truncation,
    /// Without how many low bits its ReLUs find signs.
    pub relu_drop_bits: u32,
    /// l.
    pub bits: u32,
    /// f.
    pub frac: u32,
    /// In the order of execution: set-up, the network's layers, reveal.
    pub layers: Vec<LayerCost>,
    /// Sums.
    pub total: Total,
}

/// What an inference finds when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    /// The server's store.
    pub store: Option<EntryId>,
    /// How pictures are prepared, as the server tells.
    pub preprocessing: Option<Preprocessing>,
    /// Whether the parties have not greeted each other yet.
    pub fresh: bool,
    /// Whether OTs are set up.
    pub ready: bool,
    /// Where the source of OTs is, once it is set up.
    pub ots: Option<OtState>,
    /// Questions that were answered with no before.
    pub refusals: usize,
    /// What is done.
    pub job: Job,
}

impl Situation {
    /// The first inference of a session, with a server of which no more is known.
    const FIRST: Self = Self {
        store: None,
        preprocessing: None,
        fresh: true,
        ready: false,
        ots: None,
        refusals: 0,
        job: Job::Inference,
    };
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Job {
    /// An inference, preprocessed just before.
    Inference,
    /// The first of an inference's two phases.
    Preprocessing,
    /// The second.
    Stored,
}

impl Plan {
    /// Plans the first inference of a session with a server that keeps no store, preprocessed step by step, set-up
    /// included. `architecture` is what the server offers: [`planner::prepare_architecture`](crate::planner::prepare_architecture).
    ///
    /// # Errors
    /// When the architecture is not valid, or the settings do not fit it.
    pub fn new(architecture: &Architecture, settings: &Settings) -> Result<Self, Error> {
        Self::with(architecture, settings, &mut Memo::default())
    }

    /// The same where the server tells how pictures are prepared.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and when the preparation does not fit the network.
    pub fn telling(
        architecture: &Architecture,
        settings: &Settings,
        preprocessing: Preprocessing,
    ) -> Result<Self, Error> {
        architecture.validate()?;
        settings.validate(architecture.width)?;
        check_pictures(&preprocessing, architecture)?;
        let program = Program::with(architecture, settings, &mut Memo::default());
        Self::of(&program, Situation { preprocessing: Some(preprocessing), ..Situation::FIRST })
    }

    pub(crate) fn with(
        architecture: &Architecture,
        settings: &Settings,
        memo: &mut Memo,
    ) -> Result<Self, Error> {
        architecture.validate()?;
        settings.validate(architecture.width)?;
        let program = Program::with(architecture, settings, memo);
        Self::of(&program, Situation::FIRST)
    }

    pub(crate) fn of(program: &Program, situation: Situation) -> Result<Self, Error> {
        let Program { architecture, settings, .. } = program;
        let Architecture { name, width, frac_bits, .. } = architecture;
        let Situation { store, preprocessing, fresh, ready, ots, refusals, job } = situation;
        let mut setup = Cost::ZERO;
        if fresh {
            let store = store.map(|id| id.to_string());
            let architecture = architecture.clone();
            let offer = Offer { settings: *settings, architecture, store, preprocessing };
            setup = copriv_session::hello_cost() + offer.cost()?;
        }
        setup = setup + (Asked::cost() + Answered::cost()).repeat(refusals) + Asked::cost();
        if job != Job::Inference {
            setup = setup + Answered::cost();
        }
        let needs_ots = job != Job::Stored || !settings.stores_ots();
        let sets_up = needs_ots && !ready;
        if sets_up {
            setup = setup + copriv_session::setup_cost(&settings.live());
            setup = setup + program.ots.map_or(Cost::ZERO, |source| source.setup_cost());
        }
        let mut ots = ots.or_else(|| Some(program.ots?.begin()));
        let mut before = |step: &Step| match &mut ots {
            Some(ots) if !step.has_products() => ots.draw(&step.online),
            _ => step.preprocessing,
        };
        let how = match (fresh, sets_up) {
            (true, true) => "handshake, base OT, OT extension set-up",
            (true, false) => "handshake",
            (false, true) => "request, base OT, OT extension set-up",
            (false, false) => "request",
        };
        let row = |name: &str, op: &str, protocol: String| LayerCost {
            name: name.into(),
            op: op.into(),
            protocol,
            preprocessing: PhaseCost::default(),
            online: PhaseCost::default(),
            delays: Delays::default(),
        };
        let mut layers = vec![row("setup", "setup", how.into())];
        let rows = program.rows().map(|s| row(program.name(s), program.op(s), program.protocol(s)));
        layers.extend(rows);

        let begun = PhaseCost::between(&Cost::ZERO, &setup);
        let mut all = setup;
        if settings.preprocesses() {
            (layers[0].preprocessing, layers[0].delays.preprocessing) = (begun, setup.delays());
            if job == Job::Preprocessing {
                for (row, step) in layers[1..].iter_mut().zip(program.rows()) {
                    let cost = before(step);
                    let next = all + cost;
                    row.preprocessing = PhaseCost::between(&all, &next);
                    row.delays.preprocessing = cost.delays();
                    all = next;
                }
            }
            if job == Job::Preprocessing {
                let next = all + kept_cost() + Answered::cost();
                layers[0].preprocessing = layers[0].preprocessing + PhaseCost::between(&all, &next);
                all = next;
            }
        } else {
            (layers[0].online, layers[0].delays.online) = (begun, setup.delays());
        }
        if job != Job::Preprocessing {
            for (row, step) in layers[1..].iter_mut().zip(program.rows()) {
                if job == Job::Inference {
                    // Made just before the step.
                    let cost = before(step);
                    let next = all + cost;
                    row.preprocessing = PhaseCost::between(&all, &next);
                    row.delays.preprocessing = cost.delays();
                    all = next;
                }
                let next = all + step.online;
                row.online = PhaseCost::between(&all, &next);
                row.delays.online = step.online.delays();
                all = next;
            }
        }
        let total = Total::sum(layers.iter().map(|l| (l.preprocessing, l.online)));
        let Settings { suite, ot, truncation, relu_drop_bits, .. } = *settings;
        let (model, bits, frac) = (name.clone(), width.bits(), *frac_bits);
        Ok(Self { model, suite, ot, truncation, relu_drop_bits, bits, frac, layers, total })
    }

    /// An estimate of the seconds that each phase takes on a link of `bits_per_second`, which both directions share, and
    /// `round_trip` seconds: the time of the bytes and of each layer's delays added up, without computation.
    pub fn latency(&self, bits_per_second: f64, round_trip: f64) -> [f64; 2] {
        let seconds = |cost: PhaseCost, delays: u64| {
            cost.bytes() as f64 * 8.0 / bits_per_second + delays as f64 * round_trip / 2.0
        };
        let sum = |f: &dyn Fn(&LayerCost) -> f64| self.layers.iter().map(f).sum();
        [
            sum(&|l| seconds(l.preprocessing, l.delays.preprocessing)),
            sum(&|l| seconds(l.online, l.delays.online)),
        ]
    }

    /// The layers in which the client's report of an inference differs from this plan; empty when every byte and
    /// round was predicted.
    pub fn differences(&self, report: &Report) -> Vec<String> {
        if self.layers.len() != report.layers.len() {
            return vec![format!("{} layers planned, {} run", self.layers.len(), report.layers.len())];
        }
        let pairs = self.layers.iter().zip(&report.layers);
        let different = pairs.filter(|(p, r)| (p.preprocessing, p.online) != (r.preprocessing, r.online));
        let say = |(p, r): (&LayerCost, &LayerReport)| {
            format!(
                "{}: planned {:?} and {:?}, counted {:?} and {:?}",
                p.name, p.preprocessing, p.online, r.preprocessing, r.online
            )
        };
        different.map(say).collect()
    }
}
