//! Weights to begin with.

use super::{Network, Role, Slot, Statistics};
use crate::Error;
use crate::data::Draw;
use copriv_ir::{Op, Shape};
use serde::{Deserialize, Serialize};

/// First step of the paths of [`Draw`], after those of the data.
const INIT: u64 = 16;

/// What training begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// The weights that the network has.
    Keep,
    /// New weights by He et al. 2015 (normal, variance 2 / fan-in; 1 / fan-in of a matrix), biases 0, batch norms the identity.
    He,
}

impl Network {
    /// New weights, from `seed`.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn initialise(&mut self, seed: u64) -> Result<(), Error> {
        for (index, slot) in self.slots.clone().into_iter().enumerate() {
            let node = &self.graph.nodes[index];
            match slot {
                Slot::Layer([weight, _]) | Slot::Weight(weight) => {
                    let read: Shape = self.graph.nodes[node.inputs[0].0].shape;
                    let (fan_in, gain) = match &node.op {
                        Op::Conv { window, groups, .. } => (read.channels / groups * window.area(), 2.0),
                        _ => (read.channels, 1.0),
                    };
                    let deviation = (gain / fan_in as f64).sqrt();
                    let mut draw = Draw::new(seed, &[INIT, index as u64]);
                    let count = self.parameters[weight].value.dims()[0];
                    let weights: Vec<f32> = (0..count).map(|_| (draw.normal() * deviation) as f32).collect();
                    self.parameters[weight].value = self.tensor(&weights);
                    if let Slot::Layer([_, bias]) = slot {
                        self.parameters[bias].value = self.parameters[bias].value.zeros_like();
                    }
                }
                Slot::Norm([gamma, beta], statistics) => {
                    let channels = self.parameters[gamma].value.dims()[0];
                    let (zeros, ones) =
                        (self.tensor(&vec![0.0; channels]), self.tensor(&vec![1.0; channels]));
                    self.parameters[gamma].value = ones.clone();
                    self.parameters[beta].value = zeros.clone();
                    self.statistics[statistics] = Statistics { mean: zeros, variance: ones };
                }
                Slot::None => {}
            }
        }
        debug_assert!(self.parameters.iter().all(|p| p.role != Role::Search));
        Ok(())
    }
}
