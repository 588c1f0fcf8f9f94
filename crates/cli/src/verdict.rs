//! Whether a private result is what the network computes in the clear.

use crate::error::Error;
use crate::format::plural;
use crate::model;
use crate::party::Inference;
use copriv_ir::Lowered;
use copriv_plain::{Slack, argmax, deviation};
use copriv_ring::RingVec;
use copriv_runner::{Output, Settings, Truncation};
use serde::Serialize;

/// The private result beside the one in the clear.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Verdict {
    /// Whether they are equal: the logits bit for bit, or the label.
    pub bit_exact: bool,
    /// The largest difference of a logit; none where the label alone is known.
    pub largest_difference: Option<f64>,
    /// What it may be in the worst case: 0 where the protocols are exact.
    pub largest_allowed: Option<f64>,
    /// Whether it is no more than that.
    pub within: bool,
}

impl Verdict {
    /// Of `output`, where `network`, as `settings` run it, gives `clear`.
    pub fn new(
        settings: &Settings,
        network: &Lowered,
        output: &Output,
        clear: &RingVec,
    ) -> Result<Self, Error> {
        let Settings { truncation, relu_drop_bits, .. } = *settings;
        let slack = Slack { one_bit: truncation == Truncation::OneBit, drop_bits: relu_drop_bits };
        let bound = deviation(network, slack)?;
        let far = |a: i64, b: i64| a.abs_diff(b) as f64;
        let values = clear.to_signed();
        let (bit_exact, difference, within) = match output {
            Output::Logits(logits) => {
                let pairs = logits.to_signed().into_iter().zip(&values);
                let difference = pairs.map(|(private, &clear)| far(private, clear)).fold(0.0, f64::max);
                (logits == clear, Some(difference), difference <= bound)
            }
            Output::Label(label) => {
                let best = argmax(clear);
                let lost = |&label: &usize| Some(far(*values.get(best?)?, *values.get(label)?));
                // Two logits, each off by the bound at most, change places.
                let near = bound > 0.0 && lost(label).is_some_and(|lost| lost <= 2.0 * bound);
                (Some(*label) == best, None, Some(*label) == best || near)
            }
        };
        let scale = model::unit(&network.architecture);
        Ok(Self {
            bit_exact,
            largest_difference: difference.map(|difference| difference / scale),
            largest_allowed: Some(bound / scale).filter(|bound| bound.is_finite()),
            within,
        })
    }

    /// In words.
    pub fn describe(&self) -> String {
        match *self {
            Self { bit_exact: true, .. } => "equal to the evaluation in the clear, bit for bit".into(),
            Self { within: false, .. } => "NOT what the evaluation in the clear gives".into(),
            Self { largest_difference: Some(difference), .. } => {
                format!("logits within {difference:.5} of the evaluation in the clear")
            }
            Self { .. } => "another than in the clear, as two logits are nearly equal".into(),
        }
    }

    /// A result that is not what the network computes, or not at the cost foreseen, is a failure.
    pub fn check(&self, done: &Inference) -> Result<(), Error> {
        if !self.within {
            return Err(Error::other(
                "the private result differs from the one in the clear: a value has left the ring (try more --bits or \
                 less --frac), or this is a bug",
            ));
        }
        match &done.differences[..] {
            [] => Ok(()),
            [first, rest @ ..] => {
                let more = plural(rest.len() as u64, "further layer");
                Err(Error::other(format!("not as planned, which is a bug: {first}, and {more}")))
            }
        }
    }
}

/// What `settings` leave out, in words.
pub fn inexact(settings: &Settings) -> Option<String> {
    let truncation = match settings.truncation {
        Truncation::Exact => None,
        Truncation::OneBit => Some("truncations may be one too low".to_owned()),
    };
    let relu = match settings.relu_drop_bits {
        0 => None,
        bits => Some(format!("ReLUs find signs without {bits} bits")),
    };
    let all: Vec<String> = truncation.into_iter().chain(relu).collect();
    if all.is_empty() { None } else { Some(all.join(", ")) }
}
