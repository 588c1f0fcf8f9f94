//! The steps of an inference: for each layer what runs and, beside it, what it costs.

use crate::report::Recorder;
use crate::{Error, Output, Progress, Report, Reveal, Suite};
use copriv_channel::Cost;
use copriv_ir::{Architecture, ConvGeometry, Layer, LayerOp, LayerWeights, Shape, Window};
use copriv_linear::{Conv2d, Padding, conv2d_cost};
use copriv_nonlinear::{Sign, Windows, argmax, avgpool, clip, maxpool, relu, truncate};
use copriv_ring::Width;
use copriv_session::Session;
use copriv_share::{Arithmetic, open_cost, open_to};
use copriv_wire::Role;
use zeroize::Zeroize;

/// One step of an inference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Layer number i of the architecture.
    Layer(usize),
    /// The index of the largest output.
    Argmax,
    /// Opening the result to the client.
    Reveal(Reveal),
}

/// The steps of a network.
pub(crate) fn steps(architecture: &Architecture, reveal: Reveal) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..architecture.layers.len()).map(Step::Layer).collect();
    steps.extend((reveal == Reveal::Label).then_some(Step::Argmax));
    steps.push(Step::Reveal(reveal));
    steps
}

/// The server's part of a layer, in the ring.
pub(crate) struct LayerSecrets {
    matrix: Vec<u64>,
    bias: Vec<u64>,
}

impl Drop for LayerSecrets {
    fn drop(&mut self) {
        self.matrix.zeroize();
        self.bias.zeroize();
    }
}

impl LayerSecrets {
    pub(crate) fn new(width: Width, weights: &LayerWeights) -> Self {
        let ring = |values: &[i64]| values.iter().map(|&v| width.from_signed(v)).collect();
        Self { matrix: ring(&weights.matrix), bias: ring(&weights.bias) }
    }
}

impl Step {
    fn layer(self, architecture: &Architecture) -> Option<&Layer> {
        match self {
            Self::Layer(index) => architecture.layers.get(index),
            Self::Argmax | Self::Reveal(_) => None,
        }
    }

    /// Whether it is a mere change of view, which no plan lists.
    pub(crate) fn is_free(self, architecture: &Architecture) -> bool {
        let op = self.layer(architecture).map(|layer| layer.op);
        matches!(op, Some(LayerOp::Input | LayerOp::Concat | LayerOp::Flatten))
    }

    pub(crate) fn name(self, architecture: &Architecture) -> &str {
        match self {
            Self::Argmax => "argmax",
            Self::Reveal(_) => "reveal",
            Self::Layer(_) => self.layer(architecture).map_or("", |layer| &layer.name),
        }
    }

    pub(crate) fn op(self, architecture: &Architecture) -> &'static str {
        match self {
            Self::Argmax => "argmax",
            Self::Reveal(_) => "reveal",
            Self::Layer(_) => self.layer(architecture).map_or("", |layer| layer.op.kind()),
        }
    }

    /// What runs it, in words.
    pub(crate) fn protocol(self, architecture: &Architecture) -> String {
        let op = match self {
            Self::Argmax => return "tournament of ReLUs".into(),
            Self::Reveal(reveal) => return format!("{reveal} to the client"),
            Self::Layer(_) => self.layer(architecture).map(|layer| layer.op),
        };
        match op {
            Some(LayerOp::Conv(_) | LayerOp::Linear { .. }) => {
                "OT product, each party chooses in one half".into()
            }
            Some(LayerOp::Truncate { shift }) => format!("faithful truncation by {shift}"),
            Some(LayerOp::Relu) => "comparison, MUX".into(),
            Some(LayerOp::ReluTruncate { shift }) => {
                format!("comparison, MUX, faithful truncation by {shift}")
            }
            Some(LayerOp::Clip { .. }) => "two comparisons, MUX".into(),
            Some(LayerOp::MaxPool(_)) => "tournament of ReLUs".into(),
            Some(LayerOp::AvgPool { shift: 0, .. }) => "local sum".into(),
            Some(LayerOp::AvgPool { shift, .. }) => format!("local sum, faithful truncation by {shift}"),
            Some(
                LayerOp::Shift { .. } | LayerOp::Add | LayerOp::Concat | LayerOp::Flatten | LayerOp::Input,
            )
            | None => "local".into(),
        }
    }

    pub(crate) fn cost(self, architecture: &Architecture, suite: Suite) -> Cost {
        let (params, width) = (suite.params(), architecture.width);
        let outputs = architecture.output_shape().len();
        let row = || Windows::rows(1, outputs);
        let layer = match self {
            Self::Argmax => return argmax::cost(&params, &row(), width, argmax::index_width(&row())),
            Self::Reveal(Reveal::Logits) => return open_cost(Role::P1, width, outputs),
            Self::Reveal(Reveal::Label) => return open_cost(Role::P1, argmax::index_width(&row()), 1),
            Self::Layer(index) => &architecture.layers[index],
        };
        let n = layer.shape.len();
        let input = || layer.inputs.first().map_or(layer.shape, |&i| architecture.layers[i].shape);
        let product = |conv| conv2d_cost(params.rcot, &conv, width, suite.roles(width));
        match layer.op {
            LayerOp::Input | LayerOp::Shift { .. } | LayerOp::Add | LayerOp::Concat | LayerOp::Flatten => {
                Cost::ZERO
            }
            LayerOp::Conv(geometry) => product(conv2d(&geometry, input())),
            LayerOp::Linear { inputs, outputs, .. } => product(Conv2d::fully_connected(inputs, outputs)),
            LayerOp::Truncate { shift } => truncate::cost_faithful(&params, n, width, shift, Sign::Unknown),
            LayerOp::Relu => relu::cost(&params, n, width),
            LayerOp::ReluTruncate { shift } => {
                relu::cost(&params, n, width)
                    + truncate::cost_faithful(&params, n, width, shift, Sign::NonNegative)
            }
            LayerOp::Clip { .. } => clip::cost(&params, n, width),
            LayerOp::MaxPool(window) => maxpool::cost(&params, &windows(&window, input()), width),
            LayerOp::AvgPool { shift, .. } => avgpool::cost(&params, n, width, shift, Sign::Unknown),
        }
    }
}

/// Everything an inference needs besides the session and the input.
pub(crate) struct Execution<'a> {
    pub(crate) architecture: &'a Architecture,
    pub(crate) suite: Suite,
    pub(crate) steps: Vec<Step>,
    /// At the server.
    pub(crate) secrets: Option<&'a [Option<LayerSecrets>]>,
}

impl Execution<'_> {
    /// Runs all steps on this party's share of the input. The output is there at the client alone.
    pub(crate) fn run(
        &self,
        s: &mut Session,
        input: Arithmetic,
        mut recorder: Recorder,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(Option<Output>, Report), Error> {
        let last_use = self.architecture.last_use();
        let mut values: Vec<Option<Arithmetic>> = vec![None; self.architecture.layers.len()];
        let mut input = Some(input);
        let mut result = None;
        recorder.book("setup", "setup", s.channel.traffic());
        for (done, &step) in self.steps.iter().enumerate() {
            let name = step.name(self.architecture);
            progress(Progress { done, steps: self.steps.len(), name, traffic: s.channel.traffic() });
            match step {
                Step::Layer(index) => {
                    let layer = &self.architecture.layers[index];
                    let operands: Vec<&Arithmetic> =
                        layer.inputs.iter().filter_map(|&i| values[i].as_ref()).collect();
                    let value = match input.take() {
                        Some(input) => input,
                        None => self.layer(s, index, layer, &operands)?,
                    };
                    // What nobody reads is not kept, unless it is the output.
                    let kept = last_use[index] > index || index + 1 == values.len();
                    values[index] = kept.then_some(value);
                    for &i in layer.inputs.iter().filter(|&&i| last_use[i] == index) {
                        values[i] = None;
                    }
                }
                Step::Argmax => {
                    let outputs = values.pop().flatten().ok_or_else(no_output)?;
                    let row = Windows::rows(1, outputs.len());
                    values.push(Some(argmax::argmax(s, &outputs, &row, argmax::index_width(&row))?));
                }
                Step::Reveal(reveal) => {
                    let shares = values.pop().flatten().ok_or_else(no_output)?;
                    let opened = open_to(&mut s.channel, Role::P1, &shares)?;
                    result = opened.map(|opened| match reveal {
                        Reveal::Logits => Output::Logits(opened),
                        Reveal::Label => Output::Label(opened.words().first().map_or(0, |&w| w as usize)),
                    });
                }
            }
            if !step.is_free(self.architecture) {
                recorder.book(name, step.op(self.architecture), s.channel.traffic());
            }
        }
        let steps = self.steps.len();
        progress(Progress { done: steps, steps, name: "", traffic: s.channel.traffic() });
        Ok((result, recorder.finish()))
    }

    fn layer(
        &self,
        s: &mut Session,
        index: usize,
        layer: &Layer,
        operands: &[&Arithmetic],
    ) -> Result<Arithmetic, Error> {
        let &[x, ..] = operands else { return Err(no_output()) };
        let input = self.architecture.layers[layer.inputs[0]].shape;
        Ok(match layer.op {
            LayerOp::Input | LayerOp::Flatten => x.clone(),
            LayerOp::Conv(geometry) => self.product(s, index, &conv2d(&geometry, input), x)?,
            LayerOp::Linear { inputs, outputs, .. } => {
                self.product(s, index, &Conv2d::fully_connected(inputs, outputs), x)?
            }
            LayerOp::Truncate { shift } => truncate::trunc_faithful(s, x, shift, Sign::Unknown)?,
            LayerOp::Shift { bits } => x.scale(1 << bits),
            LayerOp::Relu => relu::relu(s, x)?.0,
            LayerOp::ReluTruncate { shift } => {
                let (x, _) = relu::relu(s, x)?;
                truncate::trunc_faithful(s, &x, shift, Sign::NonNegative)?
            }
            LayerOp::Clip { low, high } => clip::clip(s, x, low, high)?,
            LayerOp::MaxPool(window) => maxpool::maxpool(s, x, &windows(&window, input))?,
            LayerOp::AvgPool { window, multiplier, shift } => {
                avgpool::avgpool(s, x, &windows(&window, input), multiplier, shift, Sign::Unknown)?
            }
            LayerOp::Add => operands.get(1).map(|y| x + y).ok_or_else(no_output)?,
            LayerOp::Concat => operands[1..].iter().fold(x.clone(), |all, part| all.concat(part)),
        })
    }

    fn product(
        &self,
        s: &mut Session,
        index: usize,
        conv: &Conv2d,
        x: &Arithmetic,
    ) -> Result<Arithmetic, Error> {
        let secrets = self.secrets.and_then(|secrets| secrets[index].as_ref());
        let (weights, bias) = (secrets.map(|w| w.matrix.as_slice()), secrets.map(|w| w.bias.as_slice()));
        Ok(copriv_linear::conv2d(s, conv, self.suite.roles(x.width()), weights, bias, x)?)
    }
}

fn no_output() -> Error {
    Error::Unsupported("a layer has no operand".into())
}

fn conv2d(geometry: &ConvGeometry, input: Shape) -> Conv2d {
    let Window { kernel, stride, padding: [top, left, bottom, right] } = geometry.window;
    Conv2d {
        in_channels: geometry.in_channels,
        out_channels: geometry.out_channels,
        groups: geometry.groups,
        input: (input.height, input.width),
        kernel: kernel.into(),
        stride: stride.into(),
        padding: Padding { top, left, bottom, right },
    }
}

fn windows(window: &Window, input: Shape) -> Windows {
    Windows::pool2d(input.channels, [input.height, input.width], window.kernel, window.stride, window.padding)
}
