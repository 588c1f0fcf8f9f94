//! A bar on standard error for what takes its time: it appears after a second, and only on a terminal.

use crate::format;
use copriv_runner::{Phase, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(1);
const REFRESH: Duration = Duration::from_millis(120);
const STEPS: &str = "{prefix} {bar:24} {pos}/{len} {wide_msg} {elapsed}";
const SPINNER: &str = "{spinner} {prefix} {wide_msg} {elapsed}";

/// A bar; it is gone when dropped.
pub struct Bar {
    bar: ProgressBar,
    /// Dropped to end the thread that shows the bar.
    quick: Option<Sender<()>>,
    shower: Option<JoinHandle<()>>,
}

impl Bar {
    /// For work of unknown length.
    pub fn spinner(what: &str) -> Self {
        Self::new(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()), SPINNER, what)
    }

    /// For work in steps.
    pub fn steps(what: &str) -> Self {
        Self::new(ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden()), STEPS, what)
    }

    fn new(bar: ProgressBar, template: &str, what: &str) -> Self {
        // Nor where the trace goes there.
        if !io::stderr().is_terminal() || tracing::enabled!(tracing::Level::INFO) {
            return Self { bar, quick: None, shower: None };
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        let (quick, slow) = mpsc::channel();
        let shown = bar.clone();
        let show = move || {
            if slow.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(REFRESH);
            }
        };
        // Without a thread there is no bar, and that is all.
        let shower = std::thread::Builder::new().name("copriv-bar".into()).spawn(show).ok();
        Self { bar, quick: Some(quick), shower }
    }

    /// Where an inference is.
    pub fn inference(&self, progress: Progress<'_>) {
        let Progress { phase, done, steps, name, traffic } = progress;
        tell(progress);
        self.bar.set_length(steps as u64);
        self.bar.set_position(done as u64);
        let phase = match phase {
            Phase::Preprocessing => "preprocessing",
            Phase::Online => "online",
        };
        self.bar.set_message(format!("{phase} {name}  {}", format::bytes(traffic.sent + traffic.received)));
    }

    /// That another of `all` steps is done.
    pub fn step(&self, all: u64) {
        self.bar.set_length(all);
        self.bar.inc(1);
    }

    /// That something has been tried.
    pub fn tick(&self) {
        self.bar.tick();
    }

    /// What the work is at.
    pub fn at(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }
}

/// Where an inference is, for the trace.
pub fn tell(progress: Progress<'_>) {
    let Progress { phase, done, steps, name, traffic } = progress;
    tracing::info!(?phase, done, steps, sent = traffic.sent, received = traffic.received, "{name}");
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.quick = None;
        if let Some(shower) = self.shower.take() {
            // A panic of that thread has nothing to say to us.
            let _ = shower.join();
        }
        self.bar.finish_and_clear();
    }
}
