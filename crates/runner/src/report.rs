use crate::{PhaseCost, Total};
use copriv_channel::Traffic;
use copriv_wire::Role;
use serde::Serialize;
use std::time::{Duration, Instant};

/// What the channel counted in one layer.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LayerReport {
    /// The layer's name.
    pub name: String,
    /// Its kind.
    pub op: String,
    /// Before the input was there.
    pub preprocessing: PhaseCost,
    /// With the input.
    pub online: PhaseCost,
    /// Wall-clock seconds at this party.
    pub seconds: f64,
}

/// What the channel counted in one inference, at one party.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// In the order of execution: set-up, the network's layers, reveal.
    pub layers: Vec<LayerReport>,
    /// Sums.
    pub total: Total,
    /// Wall-clock seconds at this party.
    pub seconds: f64,
}

/// How far an inference is: called before each layer and at the end.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub steps: usize,
    /// The step that starts now; empty at the end.
    pub name: &'a str,
    /// Everything counted so far.
    pub traffic: Traffic,
}

/// Measures layer by layer.
pub(crate) struct Recorder {
    role: Role,
    layers: Vec<LayerReport>,
    traffic: Traffic,
    elapsed: Duration,
    running: Option<Instant>,
}

impl Recorder {
    /// Starts the clock.
    pub(crate) fn new(role: Role, traffic: Traffic) -> Self {
        Self { role, layers: Vec::new(), traffic, elapsed: Duration::ZERO, running: Some(Instant::now()) }
    }

    /// Stops the clock: waiting for an input or a request is nobody's cost.
    pub(crate) fn pause(&mut self) {
        self.elapsed += self.running.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Starts it again.
    pub(crate) fn resume(&mut self) {
        self.running.get_or_insert_with(Instant::now);
    }

    /// Books everything since the last call on the layer `name`.
    pub(crate) fn book(&mut self, name: &str, op: &str, now: Traffic) {
        self.pause();
        let online = PhaseCost::counted(self.role, now.since(self.traffic));
        let seconds = std::mem::take(&mut self.elapsed).as_secs_f64();
        let (name, op) = (name.to_owned(), op.to_owned());
        self.layers.push(LayerReport { name, op, preprocessing: PhaseCost::default(), online, seconds });
        self.traffic = now;
        self.resume();
    }

    pub(crate) fn finish(self) -> Report {
        let seconds = self.layers.iter().map(|l| l.seconds).sum();
        let total = Total::sum(self.layers.iter().map(|l| (l.preprocessing, l.online)));
        Report { layers: self.layers, total, seconds }
    }
}
