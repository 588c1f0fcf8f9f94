//! Network optimisation for private inference: training, the search for what to remove, and what is compared with it.

pub mod augment;
pub mod blocks;
pub mod channels;
pub mod cost;
pub mod curves;
pub mod data;
mod figure;
pub mod network;
pub mod ops;
pub mod pareto;
pub mod select;
