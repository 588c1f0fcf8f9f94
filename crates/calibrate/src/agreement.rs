use crate::Error;
use crate::fit::encode;
use copriv_ir::Lowered;
use copriv_plain::evaluate_output;
use rayon::prelude::*;

/// How far a network in fixed point is from the float one, on data.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Agreement {
    /// Inputs.
    pub inputs: usize,
    /// Those whose largest logit is that of the float network.
    pub same_label: usize,
    /// The largest difference of a logit.
    pub largest_error: f64,
    /// The root of the mean square of the differences.
    pub typical_error: f64,
    /// The same of the float network's logits themselves, about the mean of an input's logits, or of all inputs' where there is one logit:
    /// what the errors are to be seen against.
    pub typical_logit: f64,
}

impl Agreement {
    /// Of a lowered network and the float network's `logits` for `inputs`, which are as reals; `done` is called after each input.
    ///
    /// # Errors
    /// [`Error`] when an input does not fit the network.
    pub fn new(
        net: &Lowered,
        inputs: &[Vec<f32>],
        logits: &[Vec<f32>],
        done: impl Fn() + Sync,
    ) -> Result<Self, Error> {
        let scale = net.architecture.layers.last().map_or(0, |layer| layer.frac_bits);
        let unit = f64::from(scale).exp2();
        let mean = logits.iter().map(|logits| average(logits)).sum::<f64>() / logits.len().max(1) as f64;
        let one = |(input, float): (&Vec<f32>, &Vec<f32>)| {
            let output = evaluate_output(net, &encode(net, input)?)?;
            let fixed: Vec<f64> = output.to_signed().iter().map(|&x| x as f64 / unit).collect();
            done();
            let errors = fixed.iter().zip(float).map(|(x, &y)| (x - f64::from(y)).abs());
            let (most, squares) = errors.fold((0.0f64, 0.0), |(most, sum), e| (most.max(e), sum + e * e));
            let mean = if float.len() == 1 { mean } else { average(float) };
            let spread: f64 = float.iter().map(|&y| (f64::from(y) - mean).powi(2)).sum();
            let float: Vec<f64> = float.iter().map(|&y| y.into()).collect();
            Ok::<_, Error>((largest(&fixed) == largest(&float), most, squares, spread))
        };
        let all: Vec<_> = inputs.par_iter().zip(logits).map(one).collect::<Result<_, _>>()?;
        let count = (inputs.len() * logits.first().map_or(1, Vec::len)).max(1) as f64;
        Ok(Self {
            inputs: inputs.len(),
            same_label: all.iter().filter(|(same, ..)| *same).count(),
            largest_error: all.iter().map(|(_, most, ..)| *most).fold(0.0, f64::max),
            typical_error: (all.iter().map(|(_, _, squares, _)| squares).sum::<f64>() / count).sqrt(),
            typical_logit: (all.iter().map(|(.., spread)| spread).sum::<f64>() / count).sqrt(),
        })
    }

    /// The part of the inputs with the float network's label.
    pub fn share(&self) -> f64 {
        self.same_label as f64 / self.inputs.max(1) as f64
    }

    /// The typical error as a part of the typical logit: 0 where nothing is off, infinite where all logits are equal and some are off.
    pub fn relative_error(&self) -> f64 {
        if self.typical_error == 0.0 { 0.0 } else { self.typical_error / self.typical_logit }
    }
}

fn average(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len().max(1) as f64
}

/// The index of the largest value, the first of them.
fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|best, i| if values[i] > values[best] { i } else { best })
}
