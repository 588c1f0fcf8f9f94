use crate::program::Program;
use crate::{PhaseCost, Total};
use copriv_channel::Traffic;
use copriv_wire::Role;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The two phases of an inference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before the input is there.
    Preprocessing,
    /// With the input.
    Online,
}

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
    /// Wall-clock seconds at this party before the input was there.
    pub preprocessing_seconds: f64,
    /// Wall-clock seconds at this party with the input.
    pub online_seconds: f64,
}

/// What the channel counted in one inference, at one party.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// In the order of execution: set-up, the network's layers, reveal.
    pub layers: Vec<LayerReport>,
    /// Sums.
    pub total: Total,
    /// Wall-clock seconds at this party before the input was there.
    pub preprocessing_seconds: f64,
    /// Wall-clock seconds at this party with the input.
    pub online_seconds: f64,
    /// Wall-clock seconds at this party in all.
    pub seconds: f64,
}

/// How far an inference is: called before each step and at the end.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Where in the inference.
    pub phase: Phase,
    /// Steps of the phase that are done.
    pub done: usize,
    /// Steps of the phase.
    pub steps: usize,
    /// The step that starts now; empty at the end.
    pub name: &'a str,
    /// Everything counted so far.
    pub traffic: Traffic,
}

/// Measures row by row: the set-up is row 0.
pub(crate) struct Recorder {
    role: Role,
    rows: Vec<LayerReport>,
    traffic: Traffic,
    elapsed: Duration,
    running: Option<Instant>,
}

impl Recorder {
    /// Starts the clock.
    pub(crate) fn new(role: Role, traffic: Traffic, program: &Program) -> Self {
        let named = program.rows().map(|step| (program.name(step), program.op(step)));
        let row = |(name, op): (&str, &str)| LayerReport {
            name: name.into(),
            op: op.into(),
            preprocessing: PhaseCost::default(),
            online: PhaseCost::default(),
            preprocessing_seconds: 0.0,
            online_seconds: 0.0,
        };
        let rows = std::iter::once(("setup", "setup")).chain(named).map(row).collect();
        Self { role, rows, traffic, elapsed: Duration::ZERO, running: Some(Instant::now()) }
    }

    /// One whose clock has been running since `start`.
    pub(crate) fn started(start: Instant, role: Role, traffic: Traffic, program: &Program) -> Self {
        let mut recorder = Self::new(role, traffic, program);
        recorder.running = Some(start);
        recorder.pause();
        recorder
    }

    /// Stops the clock: waiting for an input or a request is nobody's cost.
    pub(crate) fn pause(&mut self) {
        self.elapsed += self.running.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Starts it again.
    pub(crate) fn resume(&mut self) {
        self.running.get_or_insert_with(Instant::now);
    }

    /// Books everything since the last call on `row`.
    pub(crate) fn book(&mut self, row: usize, phase: Phase, now: Traffic) {
        self.pause();
        let cost = PhaseCost::counted(self.role, now.since(self.traffic));
        let seconds = std::mem::take(&mut self.elapsed).as_secs_f64();
        if let Some(row) = self.rows.get_mut(row) {
            let (total, time) = match phase {
                Phase::Preprocessing => (&mut row.preprocessing, &mut row.preprocessing_seconds),
                Phase::Online => (&mut row.online, &mut row.online_seconds),
            };
            *total = *total + cost;
            *time += seconds;
        }
        self.traffic = now;
        self.resume();
    }

    pub(crate) fn finish(self) -> Report {
        let total = Total::sum(self.rows.iter().map(|l| (l.preprocessing, l.online)));
        let preprocessing_seconds = self.rows.iter().map(|l| l.preprocessing_seconds).sum();
        let online_seconds = self.rows.iter().map(|l| l.online_seconds).sum();
        let seconds = preprocessing_seconds + online_seconds;
        Report { layers: self.rows, total, preprocessing_seconds, online_seconds, seconds }
    }
}
