use crate::Error;
use copriv_linear::Roles;
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
    #[default]
    Cryptflow2,
}

impl Suite {
    /// All suites.
    pub const ALL: [Self; 1] = [Self::Cryptflow2];

    /// What it asks of a session.
    pub const fn params(self) -> Params {
        match self {
            Self::Cryptflow2 => Params::CRYPTFLOW2,
        }
    }

    /// Whose bits choose in the OT products of linear layers on `width` bits.
    pub(crate) const fn roles(self, width: Width) -> Roles {
        match self {
            Self::Cryptflow2 => Roles::Halves { bits: width.bits() },
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cryptflow2 => "cryptflow2",
        }
    }
}

impl fmt::Display for Suite {
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
