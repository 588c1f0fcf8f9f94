//! Private inference of a whole network between two parties: plan, preprocess, run, report.
//!
//! The server (P0) has a [`Model`]: a lowered network and the [`Settings`]: a protocol [`Suite`] and what is revealed. The
//! client (P1) has an input of the shape that the server's public architecture asks for. [`Plan`] predicts what each layer
//! puts on the wire in each phase, before anything runs; [`Report`] holds what was counted, in the same shape. What can be
//! made before the input is there is kept in a [`Store`] at either party, or made just before the inference.

mod allocator;
mod client;
mod drawing;
mod entropy;
mod error;
mod offer;
mod party;
mod plan;
pub mod planner;
mod program;
mod report;
mod server;
mod suite;

#[cfg(test)]
mod hostile;

pub use allocator::keep_memory;
pub use client::{Client, Inference, Output, Source};
pub use copriv_store::{EntryId, Error as StoreError, Store};
pub use entropy::entropy;
pub use error::Error;
pub use offer::{Offer, Reveal};
pub use plan::{Delays, LayerCost, PhaseCost, Plan, Total};
pub use report::{LayerReport, Phase, Progress, Report};
pub use server::{Model, Served, Server, Stock};
pub use suite::{Ot, Settings, Suite, Truncation};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The project's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ProjectReadme;
