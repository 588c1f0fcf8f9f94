use crate::Error;
use std::fmt;
use std::str::FromStr;

/// What an entry is called: public, random, and the same at both parties. 32 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 16]);

impl EntryId {
    pub(crate) fn key(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    pub(crate) fn from_key(key: u128) -> Self {
        Self(key.to_be_bytes())
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.key())
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EntryId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let key = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        key.map(Self::from_key).ok_or_else(|| Error::Id(text.to_owned()))
    }
}

/// The ready entries of one label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// What they fit.
    pub label: Vec<u8>,
    /// How many there are.
    pub entries: u64,
    /// What their parts take together.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_its_text() {
        let id = EntryId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(id.to_string().parse::<EntryId>().unwrap(), id);
        assert_eq!(id.to_string().to_uppercase().parse::<EntryId>().unwrap(), id);
        for bad in ["", "00", "+0013435363738396162636465000ff00", "é0013435363738396162636465000ff0"] {
            assert!(matches!(bad.parse::<EntryId>(), Err(Error::Id(_))), "{bad}");
        }
    }
}
