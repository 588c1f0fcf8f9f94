//! What a network may at most contain. A file or a peer that asks for more is refused before anything is
//! allocated.

use crate::Fault;

/// Nodes of a graph, or layers of an architecture.
pub const MAX_NODES: usize = 4096;
/// Elements of one tensor.
pub const MAX_ELEMENTS: usize = 1 << 26;
/// Height or width of a map, and kernel, stride or padding of a window.
pub const MAX_SIDE: usize = 1 << 16;
/// Elements of all tensors of a network together.
pub const MAX_TOTAL_ELEMENTS: u64 = 1 << 28;
/// Weights of a network, biases included.
pub const MAX_WEIGHTS: u64 = 1 << 30;
/// Multiplications of one evaluation.
pub const MAX_WORK: u64 = 1 << 40;
/// Window positions of all pools together: a protocol holds an index for each of a layer's.
pub const MAX_POOL_WORK: u64 = 1 << 26;
/// Bytes of a name.
pub const MAX_NAME: usize = 1024;

/// What evaluating one node takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Multiplications.
    Products(u64),
    /// Positions of a pool's windows.
    Pool(u64),
}

/// What the nodes so far add up to.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Totals {
    elements: u64,
    weights: u64,
    work: u64,
    pool_work: u64,
}

impl Totals {
    /// These totals and one more node.
    pub(crate) fn with(self, elements: usize, weights: u64, work: Work) -> Result<Self, Fault> {
        let add = |what, sum: u64, more: u64, limit: u64| {
            sum.checked_add(more).filter(|&sum| sum <= limit).ok_or(Fault::TooLarge { what, limit })
        };
        let (work, pool_work) = match work {
            Work::Products(n) => (n, 0),
            Work::Pool(n) => (0, n),
        };
        Ok(Self {
            elements: add("elements in all tensors", self.elements, elements as u64, MAX_TOTAL_ELEMENTS)?,
            weights: add("weights in all layers", self.weights, weights, MAX_WEIGHTS)?,
            work: add("multiplications", self.work, work, MAX_WORK)?,
            pool_work: add("positions in the windows of pools", self.pool_work, pool_work, MAX_POOL_WORK)?,
        })
    }
}

/// Refuses names that are too long or would disturb a terminal.
pub(crate) fn check_name(name: &str) -> Result<(), Fault> {
    if name.len() > MAX_NAME {
        return Err(Fault::TooLarge { what: "bytes in the name", limit: MAX_NAME as u64 });
    }
    if name.chars().any(char::is_control) { Err(Fault::ControlCharacter) } else { Ok(()) }
}

/// A name fit for an error message: short and without control characters.
pub(crate) fn display_name(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
