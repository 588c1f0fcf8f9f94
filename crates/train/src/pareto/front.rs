//! Pareto fronts, and what lies between two of them.
//!
//! # Between the points
//! Between two neighbours on a front, the logarithm of the bytes is taken to grow in proportion to the accuracy. This
//! is a guess at networks that nobody trained. It is made only where a front has points on both sides: outside of
//! the range that a front covers there is no value, and two fronts are compared only where both have one.

use super::{Group, ORIGINAL, Phase};
use serde::Serialize;

/// A network: what it costs and what it can do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Above zero.
    pub bytes: f64,
    /// From 0 to 1.
    pub accuracy: f64,
}

/// The points that no other beats: none has at most their bytes and at least their accuracy, and is not the same.
/// Both rise from one to the next.
pub fn front(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.bytes.total_cmp(&b.bytes).then(b.accuracy.total_cmp(&a.accuracy)));
    let mut front: Vec<Point> = Vec::new();
    for point in points {
        if front.last().is_none_or(|last| point.accuracy > last.accuracy) {
            front.push(point);
        }
    }
    front
}

/// `y` at `x` on the straight lines between points whose first part rises.
fn between(points: impl Iterator<Item = (f64, f64)>, x: f64) -> Option<f64> {
    let points: Vec<_> = points.collect();
    if let Some(&(_, y)) = points.iter().find(|point| point.0 == x) {
        return Some(y);
    }
    let pair = points.windows(2).find(|pair| pair[0].0 < x && x < pair[1].0)?;
    let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
    Some(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
}

/// The bytes at which `front` reaches `accuracy`; none outside of its range.
pub fn bytes_at(front: &[Point], accuracy: f64) -> Option<f64> {
    between(front.iter().map(|point| (point.accuracy, point.bytes.ln())), accuracy).map(f64::exp)
}

/// The accuracy that `front` reaches with `bytes`; none outside of its range.
pub fn accuracy_at(front: &[Point], bytes: f64) -> Option<f64> {
    between(front.iter().map(|point| (point.bytes.ln(), point.accuracy)), bytes.ln())
}

/// The bytes of the front `a` over those of the front `b` at equal accuracy; none where one of them has no value.
pub fn bytes_ratio(a: &[Point], b: &[Point], accuracy: f64) -> Option<f64> {
    Some(bytes_at(a, accuracy)? / bytes_at(b, accuracy)?)
}

/// The accuracy of the front `a` less that of the front `b` at equal bytes; none where one of them has no value.
pub fn accuracy_difference(a: &[Point], b: &[Point], bytes: f64) -> Option<f64> {
    Some(accuracy_at(a, bytes)? - accuracy_at(b, bytes)?)
}

/// Two methods on one network, front against front.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The network's name.
    pub network: String,
    /// The data's name.
    pub data: String,
    /// Whose bytes these are.
    pub phase: Phase,
    /// The method.
    pub method: String,
    /// The method that it is compared with.
    pub other: String,
    /// Accuracies, and [`bytes_ratio`] there: at every point of either front where both have a value.
    pub bytes_ratio: Vec<(f64, f64)>,
    /// Bytes, and [`accuracy_difference`] there: at every point of either front where both have a value.
    pub accuracy_difference: Vec<(f64, f64)>,
}

/// Every method with every one after it, in the order of `groups`, as they come from [`super::groups`]; the original is
/// the other of each of its pairs. Pairs with nothing in common are left out.
pub fn compare(groups: &[Group], phase: Phase) -> Vec<Comparison> {
    let point = |g: &Group| Point { bytes: g.bytes(phase).median, accuracy: g.accuracy.median };
    let methods =
        groups.chunk_by(|a, b| (&a.network, &a.data, &a.method) == (&b.network, &b.data, &b.method));
    let fronts: Vec<_> =
        methods.map(|of| (&of[0], front(&of.iter().map(point).collect::<Vec<_>>()))).collect();
    let mut found = Vec::new();
    for (index, first) in fronts.iter().enumerate() {
        for second in &fronts[index + 1..] {
            let ((a, front_a), (b, front_b)) =
                if first.0.method == ORIGINAL { (second, first) } else { (first, second) };
            if (&a.network, &a.data) != (&b.network, &b.data) {
                continue;
            }
            let mut ends: Vec<_> = front_a.iter().chain(front_b).collect();
            ends.sort_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
            let ratio = |p: &&Point| Some((p.accuracy, bytes_ratio(front_a, front_b, p.accuracy)?));
            let mut bytes_ratio: Vec<_> = ends.iter().filter_map(ratio).collect();
            bytes_ratio.dedup();
            ends.sort_by(|a, b| a.bytes.total_cmp(&b.bytes));
            let difference = |p: &&Point| Some((p.bytes, accuracy_difference(front_a, front_b, p.bytes)?));
            let mut accuracy_difference: Vec<_> = ends.iter().filter_map(difference).collect();
            accuracy_difference.dedup();
            if bytes_ratio.is_empty() && accuracy_difference.is_empty() {
                continue;
            }
            let names = [&a.network, &a.data, &a.method, &b.method].map(String::clone);
            let [network, data, method, other] = names;
            found.push(Comparison { network, data, phase, method, other, bytes_ratio, accuracy_difference });
        }
    }
    found
}
