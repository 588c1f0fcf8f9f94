//! Network optimisation for private inference: training, the search for what to remove, and what is compared with it.

pub mod augment;
pub mod blocks;
pub mod channels;
pub mod checkpoint;
pub mod cost;
pub mod curves;
pub mod data;
mod error;
mod figure;
pub mod fit;
pub mod loss;
pub mod network;
pub mod ops;
pub mod optimize;
pub mod optimizer;
pub mod pareto;
pub mod progress;
pub mod recipe;
pub mod search;
pub mod select;
pub mod trim;

pub use error::Error;
