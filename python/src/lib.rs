//! The native half of the Python package `copriv`: thin, and private to it.
//!
//! Plans and reports cross as the JSON that the program prints, arrays as NumPy's. The Python half, `python/copriv`, has
//! the classes and their documentation. Long work runs without the interpreter's lock ([`work`]); nothing panics into Python.

mod client;
mod error;
mod net;
mod network;
mod outcome;
mod parties;
mod server;
mod work;

use crate::error::Fault;
use crate::network::{Input, Options};
use crate::outcome::{Answer, json};
use copriv_runner::{Plan, planner};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The native half of copriv.
#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::error::Error;
    #[pymodule_export]
    use super::server::Server;

    /// The plan of one inference as JSON.
    #[pyfunction]
    fn plan(py: Python<'_>, options: Options) -> PyResult<String> {
        work::run(
            py,
            || (),
            || {
                let settings = options.settings()?;
                let (_, lowered) = options.load()?;
                let architecture = planner::prepare_architecture(&lowered.architecture, &settings)?;
                let mut plan = Plan::new(&architecture, &settings)?;
                plan.model.clone_from(&options.model);
                json(&plan)
            },
        )
    }

    /// One inference, both parties in this process.
    #[pyfunction]
    fn run<'py>(
        py: Python<'py>,
        options: Options,
        input: PyReadonlyArrayDyn<'py, f64>,
        check: bool,
        timeout: f64,
    ) -> PyResult<Answer<'py>> {
        let (input, timeout) = (Input::of(&input)?, net::timeout(timeout)?);
        let stop = Arc::new(AtomicBool::new(false));
        let outcome = work::run(
            py,
            || stop.store(true, Ordering::Relaxed),
            || parties::run(&options, &input, check, timeout, &stop),
        )?;
        Ok(outcome.into_python(py))
    }

    /// The float network's output, and its shape.
    #[pyfunction]
    fn evaluate<'py>(
        py: Python<'py>,
        model: String,
        weights: Option<PathBuf>,
        input: PyReadonlyArrayDyn<'py, f64>,
    ) -> PyResult<(Bound<'py, PyArray1<f32>>, [usize; 3])> {
        let input = Input::of(&input)?;
        let (output, shape) = work::run(
            py,
            || (),
            || {
                let graph = network::graph(&model, weights)?;
                let output = copriv_plain::float::evaluate(&graph, &input.floats(&graph)?)?;
                Ok((output, graph.output_shape()))
            },
        )?;
        Ok((output.into_pyarray(py), [shape.channels, shape.height, shape.width]))
    }

    /// The names of the zoo's networks.
    #[pyfunction]
    fn zoo() -> Vec<&'static str> {
        copriv_import::zoo::names()
    }

    /// Held-out pictures of digits, 28 x 28 values each, one after the other, and their labels.
    #[pyfunction]
    fn digits(py: Python<'_>) -> PyResult<(Bound<'_, PyArray1<f32>>, Vec<usize>)> {
        let (pictures, labels) = copriv_import::zoo::digits_heldout().map_err(Fault::from)?;
        Ok((pictures.concat().into_pyarray(py), labels))
    }
}
