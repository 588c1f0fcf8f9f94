//! A bar for people, or nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;

/// The progress of a training on standard error: loss, accuracy, time left. Hidden where that is no terminal.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    validation: Mutex<Option<f64>>,
}

impl Progress {
    /// A bar that is called `name`.
    pub fn new(name: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(5));
        let style = "{prefix} {wide_bar} {pos}/{len} {msg} [{elapsed} spent, {eta} left]";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(name.to_owned());
        Self { bar, validation: Mutex::new(None) }
    }

    /// No bar.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), validation: Mutex::new(None) }
    }

    pub(crate) fn begin(&self, steps: u64, done: u64) {
        self.bar.set_length(steps);
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    pub(crate) fn step(&self, step: u64, [loss, right, count]: [f64; 3], status: &str) {
        self.bar.set_position(step);
        if count > 0.0 {
            let validation = self.validation.lock().ok().and_then(|v| *v);
            let validation = validation.map_or(String::new(), |v| format!(", validation {:.2} %", v * 100.0));
            let gap = if status.is_empty() { "" } else { ", " };
            self.bar.set_message(format!(
                "loss {:.3}, accuracy {:.2} %{validation}{gap}{status}",
                loss / count,
                right / count * 100.0
            ));
        }
    }

    pub(crate) fn validated(&self, accuracy: f64) {
        if let Ok(mut validation) = self.validation.lock() {
            *validation = Some(accuracy);
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
