//! Private inference of a whole network between two parties: plan, run, report.
//!
//! The server (P0) has a [`Model`]: a lowered network, a protocol [`Suite`] and what is revealed. The client (P1)
//! has an input of the shape that the server's public architecture asks for. [`Plan`] predicts what each layer
//! puts on the wire, before anything runs; [`Report`] holds what was counted, in the same shape.

mod client;
mod entropy;
mod error;
mod layer;
mod offer;
mod plan;
mod report;
mod server;
mod suite;

pub use client::{Client, Output};
pub use entropy::entropy;
pub use error::Error;
pub use offer::{Offer, Reveal};
pub use plan::{LayerCost, PhaseCost, Plan, Total};
pub use report::{LayerReport, Progress, Report};
pub use server::{Model, Server};
pub use suite::Suite;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The project's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ProjectReadme;
