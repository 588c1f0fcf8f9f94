//! What lies over the activations of a network while it is searched.

use super::{Network, Role, floats};
use crate::Error;
use crate::blocks::{Block, Without};
use copriv_ir::NodeId;

/// Activations that may be as they are or not.
#[derive(Clone, Debug, Default)]
pub enum Gates {
    /// As they are.
    #[default]
    None,
    /// Each block is there or is not, as its score says.
    Blocks(Blocks),
    /// Of each of these activations, a part: alpha·a(x) + (1 − alpha)·x with an alpha for each element or for each channel.
    Parts(Vec<Part>),
}

/// Blocks with scores.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// Which are dropped now.
    pub dropped: Vec<bool>,
    /// How they are dropped.
    pub how: Without,
    /// The parameter of the scores: the higher, the better it is for the loss to drop the block.
    pub(super) scores: usize,
}

/// The parts of an activation.
#[derive(Clone, Debug)]
pub struct Part {
    /// The activation.
    pub node: NodeId,
    /// The parameter of the alphas.
    pub(super) alphas: usize,
}

impl Network {
    /// The gates.
    pub fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Takes the gates off, and their parameters.
    pub fn open(&mut self) {
        self.gates = Gates::None;
        self.parameters.retain(|p| p.role != Role::Search);
    }

    /// Puts gates over `blocks`, none dropped.
    ///
    /// # Panics
    /// When there is not one score for each block.
    pub fn gate_blocks(&mut self, blocks: Vec<Block>, how: Without, scores: &[f32]) {
        assert_eq!(blocks.len(), scores.len(), "a score for each block");
        self.open();
        let scores = self.add("blocks.scores".into(), Role::Search, scores);
        let dropped = vec![false; blocks.len()];
        self.gates = Gates::Blocks(Blocks { blocks, dropped, how, scores });
    }

    /// Puts gates over `activations`, with alphas of 1: one for each channel, or for each element.
    pub fn gate_parts(&mut self, activations: &[NodeId], by_channel: bool) {
        self.open();
        let mut parts = Vec::new();
        for &node in activations {
            let shape = self.graph.nodes[node.0].shape;
            let count = if by_channel { shape.channels } else { shape.len() };
            let name = format!("{}.alphas", self.graph.nodes[node.0].name);
            parts.push(Part { node, alphas: self.add(name, Role::Search, &vec![1.0; count]) });
        }
        self.gates = Gates::Parts(parts);
    }

    /// Says which blocks are dropped from now on.
    ///
    /// # Panics
    /// When there are no such gates, or not as many blocks.
    pub fn drop_blocks(&mut self, which: &[bool]) {
        let Gates::Blocks(gates) = &mut self.gates else { panic!("the network has no gates over blocks") };
        gates.dropped.copy_from_slice(which);
    }

    /// The scores of the blocks.
    ///
    /// # Errors
    /// [`Error::Device`].
    ///
    /// # Panics
    /// When there are no such gates.
    pub fn scores(&self) -> Result<Vec<f32>, Error> {
        let Gates::Blocks(gates) = &self.gates else { panic!("the network has no gates over blocks") };
        floats(&self.parameters[gates.scores].value)
    }

    /// The alphas of each activation with gates.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn alphas(&self) -> Result<Vec<(NodeId, Vec<f32>)>, Error> {
        let Gates::Parts(parts) = &self.gates else { return Ok(Vec::new()) };
        parts.iter().map(|part| Ok((part.node, floats(&self.parameters[part.alphas].value)?))).collect()
    }

    /// Gives the activations with gates new alphas.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn set_alphas(&mut self, alphas: &[Vec<f32>]) {
        let Gates::Parts(parts) = &self.gates else { panic!("the network has no gates over parts") };
        assert_eq!(parts.len(), alphas.len(), "alphas for each activation");
        let indices: Vec<usize> = parts.iter().map(|part| part.alphas).collect();
        for (at, alphas) in indices.into_iter().zip(alphas) {
            self.parameters[at].value = self.tensor(alphas);
        }
    }
}

impl Network {
    /// The scores among `leaves`, which stand for the parameters, if the gates have some.
    pub fn scores_of(&self, leaves: &[burn::tensor::Tensor<1>]) -> Option<burn::tensor::Tensor<1>> {
        match &self.gates {
            Gates::Blocks(gates) => Some(leaves[gates.scores].clone()),
            _ => None,
        }
    }

    /// The alphas among `leaves`, of each activation with gates.
    pub fn alphas_of<'a>(
        &'a self,
        leaves: &'a [burn::tensor::Tensor<1>],
    ) -> impl Iterator<Item = burn::tensor::Tensor<1>> + 'a {
        let parts = if let Gates::Parts(parts) = &self.gates { parts.as_slice() } else { &[] };
        parts.iter().map(|part| leaves[part.alphas].clone())
    }
}
