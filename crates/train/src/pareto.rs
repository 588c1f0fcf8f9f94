//! Accuracy against bytes: the results of many runs as points, fronts, a table and a figure.
//!
//! Runs that differ in their seeds alone are one point, with medians and spreads. All accuracies here are those on
//! the test data; what a method chooses while it trains, it chooses on the validation data.

mod draw;
mod front;
mod group;
mod result;
mod table;

pub use crate::figure::{Error, Size, bytes};
pub use draw::draw;
pub use front::{Comparison, Point, accuracy_at, accuracy_difference, bytes_at, bytes_ratio, compare, front};
pub use group::{Group, Phase, Spread, groups};
pub use result::{FORMAT, RunResult, load};
pub use table::{Report, Row, report, table};

/// The method of a network that nothing was taken from.
pub const ORIGINAL: &str = "original";

/// The methods there are, in the order of tables and legends; others follow by name.
pub const METHODS: [&str; 7] =
    [ORIGINAL, "blocks", "snl-pixel", "snl-channel", "count", "channels", "relu-greedy"];

/// The place of a method in tables and legends.
fn rank(method: &str) -> usize {
    METHODS.iter().position(|&known| known == method).unwrap_or(METHODS.len())
}
