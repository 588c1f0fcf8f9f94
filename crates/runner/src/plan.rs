use crate::layer::steps;
use crate::{Error, Offer, Report, Reveal, Suite};
use copriv_channel::{Cost, Traffic};
use copriv_ir::Architecture;
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
    /// One of conv, linear, relu, relu6, clip, truncate, maxpool, avgpool, add, argmax, reveal, setup.
    pub op: String,
    /// The protocol that runs it.
    pub protocol: String,
    /// Before the input is there.
    pub preprocessing: PhaseCost,
    /// With the input.
    pub online: PhaseCost,
}

/// What an inference is predicted to put on the wire, exactly.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Plan {
    /// The network's name.
    pub model: String,
    /// The protocol suite.
    pub suite: Suite,
    /// l.
    pub bits: u32,
    /// f.
    pub frac: u32,
    /// In the order of execution: set-up, the network's layers, reveal.
    pub layers: Vec<LayerCost>,
    /// Sums.
    pub total: Total,
}

impl Plan {
    /// Plans the first inference of a session, set-up included.
    ///
    /// # Errors
    /// When the architecture is not valid.
    pub fn new(architecture: &Architecture, suite: Suite, reveal: Reveal) -> Result<Self, Error> {
        architecture.validate()?;
        let offer = Offer { suite, reveal, architecture: architecture.clone() };
        let setup = copriv_session::hello_cost()
            + offer.cost()?
            + copriv_session::setup_cost(&suite.params())
            + crate::offer::request_cost();
        Ok(Self::after(architecture, suite, reveal, "handshake, base OT, OT extension set-up", setup))
    }

    /// Plans a later inference of the same session: the set-up is there already.
    ///
    /// # Errors
    /// When the architecture is not valid.
    pub fn again(architecture: &Architecture, suite: Suite, reveal: Reveal) -> Result<Self, Error> {
        architecture.validate()?;
        Ok(Self::after(architecture, suite, reveal, "request", crate::offer::request_cost()))
    }

    fn after(architecture: &Architecture, suite: Suite, reveal: Reveal, how: &str, setup: Cost) -> Self {
        let mut all = setup;
        let mut layers = vec![LayerCost {
            name: "setup".into(),
            op: "setup".into(),
            protocol: how.into(),
            preprocessing: PhaseCost::default(),
            online: PhaseCost::between(&Cost::ZERO, &all),
        }];
        for step in steps(architecture, reveal) {
            let next = all + step.cost(architecture, suite);
            if !step.is_free(architecture) {
                layers.push(LayerCost {
                    name: step.name(architecture).into(),
                    op: step.op(architecture).into(),
                    protocol: step.protocol(architecture),
                    preprocessing: PhaseCost::default(),
                    online: PhaseCost::between(&all, &next),
                });
            }
            all = next;
        }
        let total = Total::sum(layers.iter().map(|l| (l.preprocessing, l.online)));
        let Architecture { name, width, frac_bits, .. } = architecture;
        Self { model: name.clone(), suite, bits: width.bits(), frac: *frac_bits, layers, total }
    }

    /// The layers in which the client's report of an inference differs from this plan; empty when every byte and
    /// round was predicted.
    pub fn differences(&self, report: &Report) -> Vec<String> {
        if self.layers.len() != report.layers.len() {
            return vec![format!("{} layers planned, {} run", self.layers.len(), report.layers.len())];
        }
        let pairs = self.layers.iter().zip(&report.layers);
        let different = pairs.filter(|(p, r)| (p.preprocessing, p.online) != (r.preprocessing, r.online));
        different
            .map(|(p, r)| format!("{}: planned {:?}, counted {:?}", p.name, p.online, r.online))
            .collect()
    }
}
