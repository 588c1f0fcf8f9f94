//! The operations with gradients: what each keeps of its forward pass, and which gradients it gives.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use super::Activation;
use super::kernels::Kernels;

/// An operation of `N` inputs: its state, and its gradients from that of the output, which is moved in last.
macro_rules! gradients {
    ($name:ident<$n:literal>, $state:ty, |$parents:pat_param, $own:pat_param, $dy:ident, $grads:ident| $body:block) => {
        #[derive(Debug)]
        struct $name;

        impl<B: Backend + Kernels> Backward<B, $n> for $name {
            type State = $state;

            fn backward(self, ops: Ops<Self::State, $n>, $grads: &mut Gradients, _: &mut Checkpointer) {
                let $parents = ops.parents;
                let $own = ops.state;
                let $dy = $grads.consume::<B>(&ops.node);
                $body
            }
        }
    };
}

gradients!(Activate<1>, (FloatTensor<B>, Activation), |[x_node], (y, activation), dy, grads| {
    if let Some(node) = x_node {
        grads.register::<B>(node.id, B::activate_gradient(y, activation, dy));
    }
});

gradients!(
    Gate<2>,
    (FloatTensor<B>, Activation, bool),
    |[x_node, score_node], (x, activation, drop), dy, grads| {
        let Some(score) = score_node else {
            if let Some(node) = x_node {
                let dx = if drop { dy } else { B::activate_gradient(x, activation, dy) };
                grads.register::<B>(node.id, dx);
            }
            return;
        };
        let (dx, dscore) = B::gate_gradient(x, activation, drop, dy);
        grads.register::<B>(score.id, dscore);
        if let Some(node) = x_node {
            grads.register::<B>(node.id, dx);
        }
    }
);

gradients!(
    Mix<2>,
    (FloatTensor<B>, FloatTensor<B>, Activation),
    |[x_node, alpha_node], (x, alpha, activation), dy, grads| {
        let (dx, dalpha) = B::mix_gradient(x, alpha, activation, dy);
        for (node, gradient) in [(x_node, dx), (alpha_node, dalpha)] {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
);

gradients!(
    Affine<3>,
    (FloatTensor<B>, FloatTensor<B>),
    |[x_node, scale_node, shift_node], (x, scale), dy, grads| {
        let (dx, dscale, dshift) = B::affine_gradient(x, scale, dy);
        for (node, gradient) in [(x_node, dx), (scale_node, dscale), (shift_node, dshift)] {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
);

gradients!(
    Normalise<3>,
    (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, f64),
    |[x_node, gamma_node, beta_node], (x, gamma, mean, variance, epsilon), dy, grads| {
        let (dx, dgamma, dbeta) = B::normalise_gradient(x, gamma, mean, variance, epsilon, dy);
        for (node, gradient) in [(x_node, dx), (gamma_node, dgamma), (beta_node, dbeta)] {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
);

/// Stride, padding, groups.
type Options = ([usize; 2], [usize; 2], usize);

/// The gradients of a convolution for its weight and for what it reads.
fn convolution<B: Backend + Kernels>(
    [x_node, weight_node]: [Option<NodeId>; 2],
    (x, weight, (stride, padding, groups)): (FloatTensor<B>, FloatTensor<B>, Options),
    dy: FloatTensor<B>,
    grads: &mut Gradients,
) {
    if let Some(id) = weight_node {
        let gradient =
            B::conv_weight_gradient(x.clone(), weight.clone(), dy.clone(), stride, padding, groups);
        grads.register::<B>(id, gradient);
    }
    if let Some(id) = x_node {
        let gradient = B::conv_input_gradient(x, weight, dy, stride, padding, groups);
        grads.register::<B>(id, gradient);
    }
}

gradients!(Conv<2>, (FloatTensor<B>, FloatTensor<B>, Options), |nodes, state, dy, grads| {
    convolution::<B>(nodes.map(|node| node.map(|node| node.id)), state, dy, grads);
});

gradients!(
    ConvWithBias<3>,
    (FloatTensor<B>, FloatTensor<B>, Options),
    |[x_node, weight_node, bias_node], state, dy, grads| {
        if let Some(node) = bias_node {
            grads.register::<B>(node.id, B::conv_bias_gradient(dy.clone()));
        }
        let nodes = [x_node, weight_node].map(|node| node.map(|node| node.id));
        convolution::<B>(nodes, state, dy, grads);
    }
);

impl<B: Backend + Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Activate.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::activate(x, activation);
                prep.finish((y.clone(), activation), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::activate(x, activation)),
        }
    }

    fn gate(
        x: FloatTensor<Self>,
        score: FloatTensor<Self>,
        activation: Activation,
        drop: bool,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (score, score_node)) = (x.into_parts(), score.into_parts());
        match Gate.prepare::<C>([x_node, score_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish((x.clone(), activation, drop), B::gate(x, score, activation, drop))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::gate(x, score, activation, drop)),
        }
    }

    fn mix(x: FloatTensor<Self>, alpha: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let ((x, x_node), (alpha, alpha_node)) = (x.into_parts(), alpha.into_parts());
        match Mix.prepare::<C>([x_node, alpha_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish((x.clone(), alpha.clone(), activation), B::mix(x, alpha, activation))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::mix(x, alpha, activation)),
        }
    }

    fn affine(x: FloatTensor<Self>, scale: FloatTensor<Self>, shift: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((x, x_node), (scale, scale_node)) = (x.into_parts(), scale.into_parts());
        let (shift, shift_node) = shift.into_parts();
        match Affine.prepare::<C>([x_node, scale_node, shift_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.clone(), scale.clone()), B::affine(x, scale, shift)),
            OpsKind::UnTracked(prep) => prep.finish(B::affine(x, scale, shift)),
        }
    }

    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let ((x, x_node), (gamma, gamma_node)) = (x.into_parts(), gamma.into_parts());
        let (beta, beta_node) = beta.into_parts();
        let (y, mean, variance) = B::normalise(x.clone(), gamma.clone(), beta, epsilon);
        let statistics = (FloatTensor::<Self>::new(mean.clone()), FloatTensor::<Self>::new(variance.clone()));
        let y = match Normalise.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, gamma, mean, variance, epsilon), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, statistics.0, statistics.1)
    }

    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let y = B::conv(x.clone(), weight.clone(), stride, padding, groups);
        match Conv.prepare::<C>([x_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, (stride, padding, groups)), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn conv_with_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
        groups: usize,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let y = B::conv_with_bias(x.clone(), weight.clone(), bias, stride, padding, groups);
        let nodes = [x_node, weight_node, bias_node];
        match ConvWithBias.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, (stride, padding, groups)), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}
