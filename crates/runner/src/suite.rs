use crate::{Error, Reveal};
use copriv_ot::RcotBackend;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ring::Width;
use copriv_session::Params;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A set of protocols, known by name in plans, runs and reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// CrypTFlow2 (Rathee et al., CCS 2020), the baseline: IKNP and KK13, direct convolution, full-width bits,
    /// fixed roles (weights choose in one half of each product, activations in the other, as the original does on
    /// two threads), digits of 4 bits, faithful truncation before the add, everything online.
    Cryptflow2,
    /// CoPriv (Zeng et al., NeurIPS 2023): Winograd F(2, 3) with the cheaper party choosing, ReLU fused with the truncation
    /// after it and one of both after a residual's sum; shares of W·R before the input is there. OTs, digits and widths as the
    /// baseline's.
    Copriv,
    /// The cheapest of all that is here, layer by layer: tilings of every size, products as narrow as the weights allow,
    /// ReLU and truncation by one comparison, digits of every size; all OTs before the input is there.
    #[default]
    Best,
}

/// Where the OTs of [`Suite::Best`] come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ot {
    /// Silent OT for what is drawn ahead, under a bit each, where that is cheaper than its set-up; SoftSpoken OT for
    /// the products of linear layers, whose choices are not random.
    #[default]
    Silent,
    /// SoftSpoken OT, k = 4: 32 bits each.
    Softspoken,
    /// 128 bits each.
    Iknp,
}

/// How [`Suite::Best`] truncates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// To the floor, as [`copriv_plain`](https://docs.rs/copriv-plain) does.
    #[default]
    Exact,
    /// To the floor or the integer below it, as the shares fall (Huang et al.: Cheetah, USENIX Security 2022): no comparison of the low
    /// bits. What is truncated must be in the half of the ring about 0, −2^{l−2}..2^{l−2}.
    OneBit,
}

/// What a service runs (an AGREEMENT parameter).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The protocols.
    pub suite: Suite,
    /// Where OTs come from, in the suites that leave a choice.
    pub ot: Ot,
    /// What the client learns.
    pub reveal: Reveal,
    /// Of [`Suite::Best`]; the others are exact.
    pub truncation: Truncation,
    /// d: ReLUs, alone or in clips, of [`Suite::Best`] find signs without the d lowest bits, and make 0 of values below 2^d as the shares
    /// fall. 0 in the other suites.
    pub relu_drop_bits: u32,
}

impl Settings {
    /// A suite with the OTs it has by default.
    pub fn new(suite: Suite, reveal: Reveal) -> Self {
        Self { suite, ot: Ot::default(), reveal, truncation: Truncation::Exact, relu_drop_bits: 0 }
    }

    /// Whether the result is that of the network in the clear, bit for bit.
    pub fn is_exact(&self) -> bool {
        self.truncation == Truncation::Exact && self.relu_drop_bits == 0
    }

    /// Accepts settings that can run in a ring of `width`.
    ///
    /// # Errors
    /// When a suite is asked to be inexact that is not, or a sign to be found from no bits.
    pub fn validate(&self, width: Width) -> Result<(), Error> {
        if self.suite != Suite::Best && !self.is_exact() {
            return Err(Error::Exact(self.suite));
        }
        // One bit below the sign is left, and one of any shift.
        let most = width.bits().saturating_sub(2);
        if self.relu_drop_bits > most {
            return Err(Error::DropBits { most, got: self.relu_drop_bits });
        }
        Ok(())
    }

    /// The OTs that the session sets up.
    pub fn live(&self) -> Params {
        match (self.suite, self.ot) {
            (Suite::Cryptflow2 | Suite::Copriv, _) => Params::CRYPTFLOW2,
            (Suite::Best, ot) => {
                let rcot = match ot {
                    Ot::Iknp => RcotBackend::Iknp,
                    Ot::Softspoken | Ot::Silent => RcotBackend::Softspoken { k: 4 },
                };
                Params { rcot, one_of_n: OneOfNBackend::Rcot, ..Params::CRYPTFLOW2 }
            }
        }
    }

    /// The OTs that the online phase uses.
    pub fn online(&self) -> Params {
        if self.stores_ots() { Params { rcot: RcotBackend::Stored, ..self.live() } } else { self.live() }
    }

    /// Whether there is a phase before the input is there.
    pub fn preprocesses(&self) -> bool {
        self.suite != Suite::Cryptflow2
    }

    /// Whether the online phase's OTs are drawn before.
    pub fn stores_ots(&self) -> bool {
        self.suite == Suite::Best
    }
}

impl Suite {
    /// All suites.
    pub const ALL: [Self; 3] = [Self::Cryptflow2, Self::Copriv, Self::Best];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cryptflow2 => "cryptflow2",
            Self::Copriv => "copriv",
            Self::Best => "best",
        }
    }
}

impl Ot {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Silent, Self::Softspoken, Self::Iknp];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Softspoken => "softspoken",
            Self::Iknp => "iknp",
        }
    }
}

impl Truncation {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Exact, Self::OneBit];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::OneBit => "one-bit",
        }
    }
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Truncation {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|t| t.name() == name).ok_or_else(|| Error::UnknownTruncation(name.into()))
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Ot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Suite {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| Error::UnknownSuite(name.into()))
    }
}

impl FromStr for Ot {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| Error::UnknownOt(name.into()))
    }
}
