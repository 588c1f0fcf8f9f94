//! Steps down the gradient.

use crate::network::{Parameter, Role};
use crate::recipe::{Recipe, Rule};
use burn::tensor::Tensor;

const BETAS: [f32; 2] = [0.9, 0.999];
const ADAM_EPSILON: f32 = 1e-8;

/// What a rule remembers of a parameter: the velocity, or the moments.
pub type Memory = Vec<Tensor<1>>;

/// Moves parameters, and remembers what it needs for that.
#[derive(Clone)]
pub struct Optimizer {
    rule: Rule,
    decay: f32,
    clip: f32,
    memory: Vec<Memory>,
    /// Steps so far, which Adam corrects its moments by.
    steps: u64,
}

impl Optimizer {
    /// The optimiser of `recipe` for `parameters`, without memory.
    pub fn new(recipe: &Recipe, parameters: &[Parameter]) -> Self {
        let zeros = |p: &Parameter| {
            let moments = match rule_of(recipe.rule, p.role) {
                Rule::Sgd { .. } => 1,
                Rule::Adam => 2,
            };
            vec![Tensor::zeros_like(&p.value); moments]
        };
        let memory = parameters.iter().map(zeros).collect();
        Self { rule: recipe.rule, decay: recipe.decay, clip: recipe.clip, memory, steps: 0 }
    }

    /// The new values of `parameters`, whose gradients are `gradients` (none stands for zeros), at the rates of weights and of what
    /// is searched. Gradients of weights are clipped together.
    ///
    /// # Panics
    /// When there are not as many of each.
    pub fn step(
        &mut self,
        parameters: &[Parameter],
        gradients: Vec<Option<Tensor<1>>>,
        [rate, search_rate]: [f64; 2],
    ) -> Vec<Tensor<1>> {
        assert!(parameters.len() == gradients.len() && parameters.len() == self.memory.len());
        self.steps += 1;
        let shrink = self.shrink(parameters, &gradients);
        let mut values = Vec::with_capacity(parameters.len());
        for ((p, gradient), memory) in parameters.iter().zip(gradients).zip(&mut self.memory) {
            let Some(mut g) = gradient else {
                values.push(p.value.clone());
                continue;
            };
            let search = p.role == Role::Search;
            if let Some(shrink) = shrink.filter(|_| !search) {
                g = g.mul_scalar(shrink);
            }
            let rate = if search { search_rate } else { rate } as f32;
            let decay = if p.role == Role::Weight { self.decay } else { 0.0 };
            let x = p.value.clone();
            values.push(match rule_of(self.rule, p.role) {
                Rule::Sgd { momentum, nesterov } => {
                    let g = if decay > 0.0 { g + x.clone().mul_scalar(decay) } else { g };
                    let velocity = memory[0].clone().mul_scalar(momentum) + g.clone();
                    memory[0] = velocity.clone();
                    let by = if nesterov { g + velocity.mul_scalar(momentum) } else { velocity };
                    x - by.mul_scalar(rate)
                }
                Rule::Adam => {
                    let [first, second] = BETAS;
                    let mean = memory[0].clone().mul_scalar(first) + g.clone().mul_scalar(1.0 - first);
                    let square =
                        memory[1].clone().mul_scalar(second) + (g.clone() * g).mul_scalar(1.0 - second);
                    memory[0] = mean.clone();
                    memory[1] = square.clone();
                    let corrected =
                        |beta: f32| 1.0 - f64::from(beta).powi(self.steps.min(i32::MAX as u64) as i32);
                    let size = square.div_scalar(corrected(second) as f32).sqrt() + ADAM_EPSILON;
                    let by = mean.div_scalar(corrected(first) as f32) / size;
                    x.mul_scalar(1.0 - rate * decay) - by.mul_scalar(rate)
                }
            });
        }
        values
    }

    /// What gradients are multiplied by to be no longer than the recipe allows.
    fn shrink(&self, parameters: &[Parameter], gradients: &[Option<Tensor<1>>]) -> Option<f32> {
        if self.clip == 0.0 {
            return None;
        }
        let of_weights = parameters.iter().zip(gradients).filter(|(p, _)| p.role != Role::Search);
        let squares = of_weights.filter_map(|(_, g)| g.clone()).map(|g| (g.clone() * g).sum());
        let norm = squares.reduce(|a, b| a + b)?.sqrt().into_scalar::<f32>();
        (norm > self.clip).then(|| self.clip / norm)
    }

    /// All that is remembered.
    pub fn memory(&self) -> (&[Memory], u64) {
        (&self.memory, self.steps)
    }

    /// Sets what is remembered.
    pub fn remember(&mut self, memory: Vec<Memory>, steps: u64) {
        self.memory = memory;
        self.steps = steps;
    }
}

/// What is searched moves by Adam whatever moves the weights.
fn rule_of(rule: Rule, role: Role) -> Rule {
    if role == Role::Search { Rule::Adam } else { rule }
}
