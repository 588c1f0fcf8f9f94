use copriv_ir::{Error, Graph, GraphBuilder, NodeId, Shape, Window};

use crate::rng::SplitMix;

/// A [`GraphBuilder`] that draws the weights.
pub(super) struct Builder {
    net: GraphBuilder,
    rng: SplitMix,
}

impl Builder {
    pub(super) fn new(name: &str, [channels, height, width]: [usize; 3], seed: u64) -> Result<Self, Error> {
        let net = GraphBuilder::new(name, Shape::new(channels, height, width))?;
        Ok(Self { net, rng: SplitMix::new(seed) })
    }

    pub(super) fn input(&self) -> NodeId {
        self.net.input()
    }

    pub(super) fn channels(&self, x: NodeId) -> usize {
        self.net.shape(x).channels
    }

    /// A convolution with random weights and no bias.
    pub(super) fn conv(
        &mut self,
        name: &str,
        x: NodeId,
        channels: usize,
        window: Window,
        groups: usize,
    ) -> Result<NodeId, Error> {
        let fan_in = self.channels(x) / groups * window.area();
        // Uniform in ±√(6/fan_in) has He's variance, 2/fan_in.
        let weight = self.draw(channels * fan_in, (6.0 / fan_in as f32).sqrt());
        self.net.conv(name, x, window, groups, weight, vec![0.0; channels])
    }

    /// A batch norm near multiplication by `scale`.
    pub(super) fn batch_norm(&mut self, name: &str, x: NodeId, scale: f32) -> Result<NodeId, Error> {
        let channels = self.channels(x);
        let scale = self.draw(channels, 0.1).into_iter().map(|d| scale * (1.0 + d)).collect();
        let shift = self.draw(channels, 0.05);
        self.net.batch_norm(name, x, scale, shift)
    }

    pub(super) fn linear(&mut self, name: &str, x: NodeId, outputs: usize) -> Result<NodeId, Error> {
        let inputs = self.channels(x);
        let weight = self.draw(outputs * inputs, (3.0 / inputs as f32).sqrt());
        let bias = self.draw(outputs, 0.05);
        self.net.linear(name, x, weight, bias)
    }

    pub(super) fn relu(&mut self, name: &str, x: NodeId) -> Result<NodeId, Error> {
        self.net.relu(name, x)
    }

    pub(super) fn relu6(&mut self, name: &str, x: NodeId) -> Result<NodeId, Error> {
        self.net.clip(name, x, 0.0, 6.0)
    }

    pub(super) fn max_pool(&mut self, name: &str, x: NodeId, window: Window) -> Result<NodeId, Error> {
        self.net.max_pool(name, x, window)
    }

    pub(super) fn avg_pool(&mut self, name: &str, x: NodeId, window: Window) -> Result<NodeId, Error> {
        self.net.avg_pool(name, x, window)
    }

    pub(super) fn global_avg_pool(&mut self, name: &str, x: NodeId) -> Result<NodeId, Error> {
        self.net.global_avg_pool(name, x)
    }

    pub(super) fn add(&mut self, name: &str, a: NodeId, b: NodeId) -> Result<NodeId, Error> {
        self.net.add(name, a, b)
    }

    pub(super) fn concat(&mut self, name: &str, inputs: Vec<NodeId>) -> Result<NodeId, Error> {
        self.net.concat(name, inputs)
    }

    pub(super) fn flatten(&mut self, name: &str, x: NodeId) -> Result<NodeId, Error> {
        self.net.flatten(name, x)
    }

    pub(super) fn finish(self, output: NodeId) -> Result<Graph, Error> {
        self.net.finish(output)
    }

    fn draw(&mut self, count: usize, bound: f32) -> Vec<f32> {
        (0..count).map(|_| self.rng.uniform(bound)).collect()
    }
}
