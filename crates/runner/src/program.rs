//! The steps of an inference: for each layer what runs and, beside it, what it costs.

use crate::drawing::OtSource;
use crate::planner::{Choices, Memo, conv2d};
use crate::{Error, Output, Reveal, Settings, Suite, Truncation};
use copriv_channel::Cost;
use copriv_ir::{Architecture, Function, Layer, LayerOp, LayerWeights, Pieces, Shape, Window};
use copriv_linear::{
    Conv2d, Kernels, LinearLayer, Multiply, Prepared, Producer, Triple, conv2d_prepared, online_cost, prepare,
};
use copriv_nonlinear::{
    Sign, Windows, argmax, clip, clip_truncate, maxpool, pieces, relu, relu_truncate, truncate,
};
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::{Arithmetic, open_cost, open_to};
use copriv_wire::Role;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// What an inference runs, and what it costs.
pub(crate) struct Program {
    pub(crate) architecture: Architecture,
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<Step>,
    /// Where the OTs of the online phase are drawn from, in a suite that does so before.
    pub(crate) ots: Option<OtSource>,
}

/// What a step multiplies.
enum Products {
    /// The server's weights and a value.
    Linear(Arc<dyn Producer>),
    /// Two values.
    Shared(Multiply),
}

/// One step of an inference.
pub(crate) struct Step {
    what: What,
    /// Of linear layers and of products of two values.
    products: Option<Products>,
    /// What is known of the signs of what a truncation reads.
    sign: Sign,
    /// How it truncates.
    rounding: Rounding,
    /// Low bits without which it finds signs.
    drop_bits: u32,
    /// Of its comparisons.
    digit_bits: u32,
    /// Before the input is there, of a linear layer; what else is drawn costs what [`OtSource`] says.
    pub(crate) preprocessing: Cost,
    /// With the input.
    pub(crate) online: Cost,
}

/// What the cost of a layer that is not linear depends on, under given settings.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Nonlinear {
    op: LayerOp,
    /// Of the first operand and of the result.
    shapes: [Shape; 2],
    /// Elements of the result that keep their activation.
    kept: usize,
    width: Width,
    /// Whether what it reads is known to be.
    nonnegative: bool,
}

/// How a step truncates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rounding {
    /// To the floor, the sign by a comparison of its own where it is not known.
    Faithful,
    /// To the floor, the sign and the carry by one comparison.
    OneComparison,
    /// To the floor or the integer below it.
    OneBit,
}

/// What a step computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// Layer number i of the architecture.
    Layer(usize),
    /// The index of the largest output.
    Argmax,
    /// Opening the result to the client.
    Reveal(Reveal),
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

    fn kernels(&self) -> Kernels<'_> {
        Kernels { weights: &self.matrix, bias: Some(&self.bias) }
    }
}

/// What was made of a step's products before its operands were there. Serves once.
pub(crate) enum Made {
    Linear(Prepared),
    Product(Triple),
}

impl Made {
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Linear(prepared) => prepared.to_bytes(),
            Self::Product(triple) => triple.to_bytes(),
        }
    }

    /// What [`to_bytes`](Self::to_bytes) wrote, of `step`; none where it has no products.
    pub(crate) fn from_bytes(step: &Step, role: Role, bytes: &[u8]) -> Result<Option<Self>, Error> {
        Ok(match &step.products {
            Some(Products::Linear(producer)) => {
                Some(Self::Linear(Prepared::from_bytes(producer.layer(), role, bytes)?))
            }
            Some(Products::Shared(multiply)) => Some(Self::Product(Triple::from_bytes(multiply, bytes)?)),
            None => None,
        })
    }
}

impl Program {
    /// Chooses how each layer of a valid, prepared architecture runs.
    pub(crate) fn new(architecture: &Architecture, settings: &Settings) -> Self {
        Self::with(architecture, settings, &mut Memo::default())
    }

    /// [`new`](Self::new), with the choices that were made before under these settings.
    pub(crate) fn with(architecture: &Architecture, settings: &Settings, memo: &mut Memo) -> Self {
        let mut whats: Vec<What> = (0..architecture.layers.len()).map(What::Layer).collect();
        whats.extend((settings.reveal == Reveal::Label).then_some(What::Argmax));
        whats.push(What::Reveal(settings.reveal));
        let nonnegative = architecture.nonnegative();
        let mut choices = Choices::new(settings, memo);
        let steps = whats.into_iter();
        let steps: Vec<Step> =
            steps.map(|what| Step::choose(what, architecture, &nonnegative, &mut choices)).collect();
        let online = || steps.iter().filter(|step| !step.has_products()).map(|step| step.online);
        let ots = settings.stores_ots().then(|| OtSource::choose(settings, &online().collect::<Vec<_>>()));
        Self { architecture: architecture.clone(), settings: *settings, steps, ots }
    }

    /// Of what runs and what it costs: parties whose programs differ, as those of two versions may, do not fit together.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new().chain_update(b"copriv program");
        for step in &self.steps {
            let sign = match step.sign {
                Sign::Unknown | Sign::Known(()) => 0,
                Sign::NonNegative => 1,
                Sign::Bounded => 2,
            };
            let costs = [step.preprocessing, step.online].map(|cost| {
                let of = |role| {
                    [
                        cost.bytes_from(role),
                        cost.rounds_of(role),
                        cost.rcots_from(role),
                        cost.bit_ots_from(role),
                    ]
                };
                [of(Role::P0), of(Role::P1)]
            });
            for text in [self.op(step), &self.protocol(step)] {
                digest.update((text.len() as u64).to_le_bytes());
                digest.update(text);
            }
            digest.update([step.digit_bits as u8, sign, step.rounding as u8, step.drop_bits as u8]);
            costs.iter().flatten().flatten().for_each(|figure| digest.update(figure.to_le_bytes()));
        }
        digest.update(format!("{:?}", self.ots));
        digest.finalize().into()
    }

    pub(crate) fn layer(&self, step: &Step) -> Option<&Layer> {
        step.layer(&self.architecture)
    }

    /// The rows of plans and reports: the steps that are more than a change of view.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| !self.is_free(step))
    }

    pub(crate) fn is_free(&self, step: &Step) -> bool {
        let op = self.layer(step).map(|layer| layer.op);
        matches!(
            op,
            Some(
                LayerOp::Input
                    | LayerOp::Concat
                    | LayerOp::Flatten
                    | LayerOp::View(_)
                    | LayerOp::Combine { .. }
                    | LayerOp::Shift { .. }
            )
        )
    }

    pub(crate) fn name(&self, step: &Step) -> &str {
        match step.what {
            What::Argmax => "argmax",
            What::Reveal(_) => "reveal",
            What::Layer(_) => self.layer(step).map_or("", |layer| &layer.name),
        }
    }

    pub(crate) fn op(&self, step: &Step) -> &'static str {
        match step.what {
            What::Argmax => "argmax",
            What::Reveal(_) => "reveal",
            What::Layer(_) => self.layer(step).map_or("", |layer| layer.op.kind()),
        }
    }

    /// What runs a step, in words.
    pub(crate) fn protocol(&self, step: &Step) -> String {
        let op = match step.what {
            What::Argmax => return "tournament of ReLUs".into(),
            What::Reveal(reveal) => return format!("{reveal} to the client"),
            What::Layer(_) => self.layer(step).map(|layer| layer.op),
        };
        let digits = match self.settings.suite {
            Suite::Best if step.compares(op) => format!(", {}-bit digits", step.digit_bits),
            Suite::Best | Suite::Cryptflow2 | Suite::Copriv => String::new(),
        };
        let truncation = |shift: u32| match step.rounding {
            Rounding::OneBit => format!("truncation by {shift}, last bit may be off"),
            Rounding::Faithful | Rounding::OneComparison => format!("truncation by {shift}"),
        };
        let without = match step.drop_bits {
            0 => String::new(),
            bits => format!(" without {bits} bits"),
        };
        // Of some elements only, and of the others what is left of it.
        let of =
            match self.layer(step).map(|layer| (layer.kept(), layer.shape.len(), layer.op.truncates_by())) {
                Some((kept, all, 0)) if kept < all => format!(", for {kept} of {all} elements"),
                Some((kept, all, shift)) if kept < all => {
                    format!(", for {kept} of {all} elements; {} for the others", truncation(shift))
                }
                _ => String::new(),
            };
        match op {
            Some(LayerOp::Conv(_) | LayerOp::Linear { .. }) => {
                step.producer().map_or_else(String::new, |producer| producer.describe())
            }
            Some(LayerOp::Multiply) => "OT products, each party's factors choose".into(),
            Some(LayerOp::Truncate { shift }) if step.sign == Sign::NonNegative => {
                format!("{}, sign known{digits}", truncation(shift))
            }
            Some(LayerOp::Truncate { shift }) => format!("{}{digits}", truncation(shift)),
            Some(LayerOp::Relu) => format!("comparison{without}, MUX{digits}{of}"),
            Some(LayerOp::ReluTruncate { shift }) => {
                format!("comparison{without}, {}{digits}{of}", truncation(shift))
            }
            Some(LayerOp::Clip { .. }) => format!("two comparisons{without}, MUX{digits}{of}"),
            Some(LayerOp::ClipTruncate { shift, .. }) => {
                format!("two comparisons{without}, {}{digits}{of}", truncation(shift))
            }
            Some(LayerOp::MaxPool(_)) => format!("tournament of ReLUs{digits}"),
            Some(LayerOp::Smooth(function)) => {
                let pieces = function.knots();
                format!("{pieces} comparisons{without}, MUX, {}{digits}", truncation(Function::SHIFT))
            }
            Some(LayerOp::AvgPool { shift: 0, .. }) => "local sum".into(),
            Some(LayerOp::AvgPool { shift, .. } | LayerOp::AvgPoolInside { shift, .. }) => {
                format!("local sum, {}{digits}", truncation(shift))
            }
            _ => "local".into(),
        }
    }
}

impl Step {
    /// The cheapest way to do `what`.
    fn choose(
        what: What,
        architecture: &Architecture,
        nonnegative: &[bool],
        choices: &mut Choices<'_>,
    ) -> Self {
        let settings = choices.settings;
        let (baseline, digit_bits) = (settings.suite == Suite::Cryptflow2, settings.online().digit_bits);
        let (preprocessing, online) = (Cost::ZERO, Cost::ZERO);
        let (sign, rounding) = match (settings.suite, settings.truncation) {
            (Suite::Cryptflow2 | Suite::Copriv, _) => (Sign::Unknown, Rounding::Faithful),
            (Suite::Best, Truncation::Exact) => (Sign::Unknown, Rounding::OneComparison),
            (Suite::Best, Truncation::OneBit) => (Sign::Bounded, Rounding::OneBit),
        };
        let drop_bits = settings.relu_drop_bits;
        let mut step =
            Self { what, products: None, sign, rounding, drop_bits, digit_bits, preprocessing, online };
        if let Some(layer) = step.layer(architecture) {
            let known = matches!(layer.op, LayerOp::Truncate { .. }) && nonnegative[layer.inputs[0]];
            if known && !baseline {
                step.sign = Sign::NonNegative;
                if step.rounding == Rounding::OneComparison {
                    step.rounding = Rounding::Faithful;
                }
            }
            // A truncation that compares its low bits anyway finds an exact sign for no more.
            if let LayerOp::ReluTruncate { shift } | LayerOp::ClipTruncate { shift, .. } = layer.op
                && drop_bits <= shift
            {
                step.drop_bits = 0;
            }
            if let Some(multiply) = shared_product(architecture, layer) {
                let made = multiply.cost(settings.live().rcot);
                (step.preprocessing, step.online) =
                    if baseline { (Cost::ZERO, made) } else { (made, multiply.online_cost()) };
                step.products = Some(Products::Shared(multiply));
                return step;
            }
            if let Some((linear, weight_bits)) = linear_layer(architecture, layer) {
                let (producer, made) = choices.producer(&linear, weight_bits);
                (step.preprocessing, step.online) =
                    if baseline { (Cost::ZERO, made) } else { (made, online_cost(&linear)) };
                step.products = Some(Products::Linear(producer));
                return step;
            }
        }
        let key = step.key(architecture);
        (step.online, step.digit_bits) = key.and_then(|key| choices.remembered(&key)).unwrap_or_else(|| {
            let windows = step.windows(architecture);
            let found = choices.digits(|params| step.nonlinear(architecture, params, &windows));
            if let Some(key) = key {
                choices.remember(key, found);
            }
            found
        });
        step
    }

    /// All that the cost of a layer depends on that is not linear.
    fn key(&self, architecture: &Architecture) -> Option<Nonlinear> {
        let layer = self.layer(architecture)?;
        let input = layer.inputs.first().map_or(layer.shape, |&input| architecture.layers[input].shape);
        let nonnegative = self.sign == Sign::NonNegative;
        let (width, shapes) = (architecture.width, [input, layer.shape]);
        Some(Nonlinear { op: layer.op, shapes, kept: layer.kept(), width, nonnegative })
    }

    fn layer<'a>(&self, architecture: &'a Architecture) -> Option<&'a Layer> {
        match self.what {
            What::Layer(index) => architecture.layers.get(index),
            What::Argmax | What::Reveal(_) => None,
        }
    }

    /// What a pool or the search for the largest output slides over.
    fn windows(&self, architecture: &Architecture) -> Option<Windows> {
        let layer = match self.what {
            What::Layer(index) => &architecture.layers[index],
            What::Argmax | What::Reveal(Reveal::Label) => {
                return Some(Windows::rows(1, architecture.output_shape().len()));
            }
            What::Reveal(Reveal::Logits) => return None,
        };
        match layer.op {
            LayerOp::MaxPool(window) => Some(windows(&window, architecture.layers[layer.inputs[0]].shape)),
            _ => None,
        }
    }

    /// The cost of a step that is no linear layer, with its [`windows`](Self::windows).
    fn nonlinear(&self, architecture: &Architecture, params: &Params, windows: &Option<Windows>) -> Cost {
        let width = architecture.width;
        let outputs = architecture.output_shape().len();
        let windows = |cost: &dyn Fn(&Windows) -> Cost| windows.as_ref().map_or(Cost::ZERO, cost);
        let layer = match self.what {
            What::Argmax => {
                return windows(&|row| argmax::cost(params, row, width, argmax::index_width(row)));
            }
            What::Reveal(Reveal::Logits) => return open_cost(Role::P1, width, outputs),
            What::Reveal(Reveal::Label) => {
                return windows(&|row| open_cost(Role::P1, argmax::index_width(row), 1));
            }
            What::Layer(index) => &architecture.layers[index],
        };
        let n = layer.kept();
        let applied = match layer.op {
            LayerOp::Truncate { shift }
            | LayerOp::AvgPool { shift, .. }
            | LayerOp::AvgPoolInside { shift, .. } => self.truncation(params, n, width, shift),
            LayerOp::Relu => relu::cost_top(params, n, width, self.drop_bits),
            LayerOp::ReluTruncate { shift } if self.rounding == Rounding::OneBit => {
                relu_truncate::cost_one_bit(params, n, width, shift, self.drop_bits)
            }
            LayerOp::ReluTruncate { shift } => {
                relu_truncate::cost_top(params, n, width, shift, self.drop_bits)
            }
            LayerOp::Clip { .. } => clip::cost_top(params, n, width, self.drop_bits),
            LayerOp::ClipTruncate { high, shift } => {
                let cost = match self.rounding {
                    Rounding::OneBit => clip_truncate::cost_one_bit,
                    Rounding::Faithful | Rounding::OneComparison => clip_truncate::cost_top,
                };
                cost(params, n, width, high, shift, self.drop_bits)
            }
            LayerOp::MaxPool(_) => windows(&|windows| maxpool::cost(params, windows, width)),
            LayerOp::Smooth(function) => {
                let pieces = self.pieces(architecture, layer, function);
                let knots = pieces::cost_top(params, n, pieces.knots.len(), width, self.drop_bits);
                knots + self.truncation(params, n, width, pieces.shift)
            }
            LayerOp::Conv(_)
            | LayerOp::Linear { .. }
            | LayerOp::Input
            | LayerOp::Add
            | LayerOp::Combine { .. }
            | LayerOp::Multiply
            | LayerOp::Shift { .. }
            | LayerOp::Concat
            | LayerOp::Flatten
            | LayerOp::View(_) => Cost::ZERO,
        };
        match (layer.shape.len() - n, layer.op.truncates_by()) {
            (0, _) | (_, 0) => applied,
            (others, shift) if self.beside(layer.op) => {
                relu_truncate::cost_beside(params, n, others, width, shift)
            }
            (others, shift) => applied + self.truncation(params, others, width, shift),
        }
    }

    /// Whether an activation of some elements truncates the others with the same comparison.
    fn beside(&self, op: LayerOp) -> bool {
        // It needs exact signs, which the others have no use for without a comparison.
        matches!(op, LayerOp::ReluTruncate { .. }) && self.drop_bits == 0 && self.rounding != Rounding::OneBit
    }

    /// The cost of [`truncate`](Self::truncate).
    fn truncation(&self, params: &Params, n: usize, width: Width, shift: u32) -> Cost {
        match self.rounding {
            Rounding::Faithful => truncate::cost_faithful(params, n, width, shift, self.sign),
            Rounding::OneComparison => truncate::cost_faithful_sirnn(params, n, width, shift),
            Rounding::OneBit => truncate::cost_one_bit(params, n, width, shift, self.sign),
        }
    }

    /// What makes the shares of a linear layer.
    fn producer(&self) -> Option<&dyn Producer> {
        match &self.products {
            Some(Products::Linear(producer)) => Some(&**producer),
            Some(Products::Shared(_)) | None => None,
        }
    }

    /// Whether there are products to make before the operands are there; they draw their OTs themselves.
    pub(crate) fn has_products(&self) -> bool {
        self.products.is_some()
    }

    /// Makes them.
    pub(crate) fn prepare(
        &self,
        s: &mut Session,
        secrets: Option<&LayerSecrets>,
    ) -> Result<Option<Made>, Error> {
        Ok(match &self.products {
            Some(Products::Linear(producer)) => {
                let weights = secrets.map(|secrets| &*secrets.matrix);
                Some(Made::Linear(prepare(s, &**producer, weights)?))
            }
            Some(Products::Shared(multiply)) => Some(Made::Product(multiply.prepare(s)?)),
            None => None,
        })
    }

    /// Runs the step on what it reads. `made` is there for products that were begun before.
    pub(crate) fn run(
        &self,
        s: &mut Session,
        architecture: &Architecture,
        secrets: Option<&LayerSecrets>,
        made: Option<Made>,
        operands: &[&Arithmetic],
    ) -> Result<Done, Error> {
        let &[x, ..] = operands else { return Err(no_operand()) };
        s.params.digit_bits = self.digit_bits;
        let layer = match self.what {
            What::Argmax => {
                let row = Windows::rows(1, x.len());
                return Ok(Done::Share(argmax::argmax(s, x, &row, argmax::index_width(&row))?));
            }
            What::Reveal(reveal) => {
                let opened = open_to(&mut s.channel, Role::P1, x)?;
                return Ok(Done::Opened(opened.map(|opened| match reveal {
                    Reveal::Logits => Output::Logits(opened),
                    Reveal::Label => Output::Label(opened.words().first().map_or(0, |&w| w as usize)),
                })));
            }
            What::Layer(index) => &architecture.layers[index],
        };
        if let Some(producer) = self.producer() {
            let kernels = secrets.map(LayerSecrets::kernels);
            return Ok(Done::Share(match made {
                Some(Made::Linear(prepared)) => conv2d_prepared(s, producer.layer(), prepared, kernels, x)?,
                _ => copriv_linear::conv2d(s, producer, kernels, x)?,
            }));
        }
        if let Some(Products::Shared(multiply)) = &self.products {
            let y = operands.get(1).ok_or_else(no_operand)?;
            return Ok(Done::Share(match made {
                Some(Made::Product(triple)) => multiply.run_prepared(s, triple, x, y)?,
                _ => multiply.run(s, x, y)?,
            }));
        }
        let input = architecture.layers[layer.inputs[0]].shape;
        Ok(Done::Share(match layer.op {
            LayerOp::Truncate { shift } => self.truncate(s, x, shift)?,
            LayerOp::Relu
            | LayerOp::ReluTruncate { .. }
            | LayerOp::Clip { .. }
            | LayerOp::ClipTruncate { .. } => self.activation(s, layer, x)?,
            LayerOp::MaxPool(window) => maxpool::maxpool(s, x, &windows(&window, input))?,
            LayerOp::AvgPool { window, multiplier, shift } => {
                let sums = windows(&window, input).sums(x).scale(multiplier as u64);
                self.truncate(s, &sums, shift)?
            }
            LayerOp::AvgPoolInside { window, shift } => {
                let sums = windows(&window, input).sums(x);
                let multipliers: Vec<u64> = window
                    .inside(input)
                    .into_iter()
                    .map(|count| LayerOp::reciprocal(count, shift) as u64)
                    .collect();
                let products = sums.own().words().iter().zip(multipliers.iter().cycle());
                let products = products.map(|(sum, m)| sum.wrapping_mul(*m)).collect();
                self.truncate(s, &Arithmetic::new(RingVec::from_words(x.width(), products)), shift)?
            }
            LayerOp::Smooth(function) => {
                let pieces = self.pieces(architecture, layer, function);
                let sum = pieces::sum_top(s, x, &pieces.knots, pieces.constant, self.drop_bits)?;
                self.truncate(s, &sum, pieces.shift)?
            }
            LayerOp::Combine { factors: [a, b] } => {
                let y = operands.get(1).ok_or_else(no_operand)?;
                &x.scale(a as u64) + &y.scale(b as u64)
            }
            LayerOp::View(view) => {
                Arithmetic::new(RingVec::from_words(x.width(), view.apply(x.own().words(), 0)))
            }
            LayerOp::Shift { bits } => x.scale(1 << bits),
            LayerOp::Add => operands.get(1).map(|y| x + y).ok_or_else(no_operand)?,
            LayerOp::Concat => operands[1..].iter().fold(x.clone(), |all, part| all.concat(part)),
            // Products have been run above.
            LayerOp::Input
            | LayerOp::Flatten
            | LayerOp::Conv(_)
            | LayerOp::Linear { .. }
            | LayerOp::Multiply => x.clone(),
        }))
    }

    /// An activation. Which elements it is applied to is public: the shares of these are gathered, and all put back in their places,
    /// without a message.
    fn activation(&self, s: &mut Session, layer: &Layer, x: &Arithmetic) -> copriv_wire::Result<Arithmetic> {
        let Some(keep) = &layer.keep else { return self.active(s, layer.op, x) };
        let [x, others] = [true, false].map(|kept| x.gather(keep.indices(kept)));
        let (x, others) = match layer.op.truncates_by() {
            0 => (self.active(s, layer.op, &x)?, others),
            shift if self.beside(layer.op) => relu_truncate::relu_truncate_beside(s, &x, &others, shift)?,
            shift => (self.active(s, layer.op, &x)?, self.truncate(s, &others, shift)?),
        };
        Ok(x.concat(&others).gather(keep.places()))
    }

    /// An activation of all elements.
    fn active(&self, s: &mut Session, op: LayerOp, x: &Arithmetic) -> copriv_wire::Result<Arithmetic> {
        Ok(match op {
            LayerOp::Relu => relu::relu_top(s, x, self.drop_bits)?.0,
            LayerOp::ReluTruncate { shift } => {
                let relu_truncate = match self.rounding {
                    Rounding::OneBit => relu_truncate::relu_truncate_one_bit,
                    Rounding::Faithful | Rounding::OneComparison => relu_truncate::relu_truncate_top,
                };
                relu_truncate(s, x, shift, self.drop_bits)?.0
            }
            LayerOp::Clip { low, high } => clip::clip_top(s, x, low, high, self.drop_bits)?,
            LayerOp::ClipTruncate { high, shift } => {
                let clip_truncate = match self.rounding {
                    Rounding::OneBit => clip_truncate::clip_truncate_one_bit,
                    Rounding::Faithful | Rounding::OneComparison => clip_truncate::clip_truncate_top,
                };
                clip_truncate(s, x, high, shift, self.drop_bits)?
            }
            // Only these are activations.
            _ => x.clone(),
        })
    }

    fn pieces(&self, architecture: &Architecture, layer: &Layer, function: Function) -> Pieces {
        let scale = architecture.layers[layer.inputs[0]].frac_bits;
        // A valid layer has them.
        function.pieces(architecture.width, scale).unwrap_or_default()
    }

    fn truncate(&self, s: &mut Session, x: &Arithmetic, shift: u32) -> copriv_wire::Result<Arithmetic> {
        match self.rounding {
            Rounding::Faithful => truncate::trunc_faithful(s, x, shift, self.known_sign()),
            Rounding::OneComparison => truncate::trunc_faithful_sirnn(s, x, shift),
            Rounding::OneBit => truncate::trunc_one_bit(s, x, shift, self.known_sign()),
        }
    }

    fn known_sign<B>(&self) -> Sign<B> {
        match self.sign {
            Sign::NonNegative => Sign::NonNegative,
            Sign::Bounded => Sign::Bounded,
            Sign::Unknown | Sign::Known(()) => Sign::Unknown,
        }
    }

    /// Whether it compares anything, digit by digit.
    fn compares(&self, op: Option<LayerOp>) -> bool {
        match op {
            Some(LayerOp::Truncate { .. } | LayerOp::AvgPool { .. } | LayerOp::AvgPoolInside { .. }) => {
                self.rounding != Rounding::OneBit
            }
            _ => true,
        }
    }

    /// The layer's index, where the step is one.
    pub(crate) fn index(&self) -> Option<usize> {
        match self.what {
            What::Layer(index) => Some(index),
            What::Argmax | What::Reveal(_) => None,
        }
    }
}

/// What a step gives.
pub(crate) enum Done {
    Share(Arithmetic),
    /// At the client alone.
    Opened(Option<Output>),
}

fn no_operand() -> Error {
    Error::Unsupported("a layer has no operand".into())
}

/// A conv or linear layer as the protocols know it, and the bits of its weights.
fn linear_layer(architecture: &Architecture, layer: &Layer) -> Option<(LinearLayer, u32)> {
    let width = architecture.width;
    match layer.op {
        LayerOp::Conv(geometry) => {
            let conv = conv2d(&geometry, architecture.layers[layer.inputs[0]].shape);
            Some((LinearLayer { conv, width, headroom: geometry.headroom }, geometry.weight_bits))
        }
        LayerOp::Linear { inputs, outputs, weight_bits } => {
            Some((LinearLayer::new(Conv2d::fully_connected(inputs, outputs), width), weight_bits))
        }
        _ => None,
    }
}

/// A product of two values as the protocol knows it.
fn shared_product(architecture: &Architecture, layer: &Layer) -> Option<Multiply> {
    let groups = match (layer.op, &layer.inputs[..]) {
        (LayerOp::Multiply, &[_, y]) => architecture.layers[y].shape.len(),
        _ => return None,
    };
    // A valid layer's second operand has as many elements as the first, or as many as that has channels.
    Some(Multiply { groups, cols: layer.shape.len() / groups.max(1), width: architecture.width })
}

fn windows(window: &Window, input: Shape) -> Windows {
    Windows::pool2d(input.channels, [input.height, input.width], window.kernel, window.stride, window.padding)
}
