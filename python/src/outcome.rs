//! What calls give back to the Python half of the package, which makes its classes of it.

use crate::error::Fault;
use copriv_ir::Architecture;
use copriv_ring::RingVec;
use copriv_runner::{Inference, Output};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use serde::Serialize;

/// JSON, as the program prints it.
pub fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(Fault::other)
}

/// One inference, before it is Python's.
pub struct Outcome {
    plan: String,
    report: String,
    differences: Vec<String>,
    shape: [usize; 3],
    frac: u32,
    output: Output,
    clear: Option<RingVec>,
}

impl Outcome {
    /// Of an inference on a network offered as `architecture`; `clear` is its output in the clear.
    pub fn new(architecture: &Architecture, done: Inference, clear: Option<RingVec>) -> Result<Self, Fault> {
        let Inference { output, plan, report } = done;
        let differences = plan.differences(&report);
        let shape = architecture.output_shape();
        // A validated architecture has a layer.
        let frac = architecture.layers.last().map_or(0, |layer| layer.frac_bits);
        Ok(Self {
            plan: json(&plan)?,
            report: json(&report)?,
            differences,
            shape: [shape.channels, shape.height, shape.width],
            frac,
            output,
            clear,
        })
    }

    /// A dict for `copriv.Result`.
    pub fn into_python(self, py: Python<'_>) -> Answer<'_> {
        let array = |vec: &RingVec| vec.to_signed().into_pyarray(py);
        let label = self.output.label();
        let fixed = match &self.output {
            Output::Logits(logits) => Some(array(logits)),
            Output::Label(_) => None,
        };
        let clear = self.clear.as_ref().map(array);
        let clear_label = self.clear.as_ref().and_then(copriv_plain::argmax);
        let Self { plan, report, differences, shape, frac, .. } = self;
        Answer { plan, report, differences, shape, frac, fixed, label, clear, clear_label }
    }
}

/// [`Outcome`] as a dict.
#[derive(IntoPyObject)]
pub struct Answer<'py> {
    plan: String,
    report: String,
    differences: Vec<String>,
    shape: [usize; 3],
    frac: u32,
    fixed: Option<Bound<'py, PyArray1<i64>>>,
    label: Option<usize>,
    clear: Option<Bound<'py, PyArray1<i64>>>,
    clear_label: Option<usize>,
}
