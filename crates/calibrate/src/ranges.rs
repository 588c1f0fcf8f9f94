use crate::Error;
use copriv_ir::{Graph, fold_affine};
use copriv_plain::float;

/// The largest absolute values of a network on data.
#[derive(Clone, PartialEq, Debug)]
pub struct Ranges {
    /// For each node of the network, its affine layers folded, one for each channel.
    pub of: Vec<Vec<f32>>,
    /// The logits of each input.
    pub logits: Vec<Vec<f32>>,
}

impl Ranges {
    /// Those of `graph` on `inputs`, each in the order channel, row, column; `done` is called after each input.
    ///
    /// # Errors
    /// [`Error`] when there is no input, or the network or an input does not fit.
    pub fn new(graph: &Graph, inputs: &[Vec<f32>], mut done: impl FnMut()) -> Result<Self, Error> {
        if inputs.is_empty() {
            return Err(Error::NoData);
        }
        let folded = fold_affine(graph)?;
        let mut of: Vec<Vec<f32>> = folded.nodes.iter().map(|node| vec![0.0; node.shape.channels]).collect();
        let mut logits = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut values = float::evaluate_all(&folded, input)?;
            for ((values, ranges), node) in values.iter().zip(&mut of).zip(&folded.nodes) {
                for (plane, range) in values.chunks(node.shape.area()).zip(ranges) {
                    *range = plane.iter().fold(*range, |most, x| most.max(x.abs()));
                }
            }
            // A valid network has a node.
            logits.push(values.pop().unwrap_or_default());
            done();
        }
        Ok(Self { of, logits })
    }
}
