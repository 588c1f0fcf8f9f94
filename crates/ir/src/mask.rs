use crate::Fault;
use crate::limits::MAX_ELEMENTS;
use crate::weights::check_length;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Which elements of a map an activation is applied to, in the order channel, row, column. It is public. Clones share their
/// memory.
///
/// As text, in an architecture that is sent, it is its length and a digit for every six elements.
///
/// ```
/// use copriv_ir::Mask;
/// let mask = Mask::from(vec![true, false, false, true, false, false, false, true]);
/// assert_eq!((mask.len(), mask.kept()), (8, 3));
/// let text = serde_json::to_string(&mask)?;
/// assert_eq!(text, r#"{"elements":8,"kept":"JC"}"#);
/// assert_eq!(serde_json::from_str::<Mask>(&text)?, mask);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Text", try_from = "Text")]
pub struct Mask(Arc<[bool]>);

impl Mask {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of how many elements the activation is kept.
    pub fn kept(&self) -> usize {
        self.0.iter().filter(|&&kept| kept).count()
    }

    /// Of each element, whether the activation is kept.
    pub fn as_slice(&self) -> &[bool] {
        &self.0
    }

    /// The elements with the activation, or those without it, in their order.
    pub fn indices(&self, kept: bool) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(move |&(_, &k)| k == kept).map(|(index, _)| index)
    }

    /// Where each element is in a list of those with the activation, followed by those without.
    ///
    /// ```
    /// use copriv_ir::Mask;
    /// let mask = Mask::from(vec![false, true, false, true]);
    /// let list: Vec<usize> = mask.indices(true).chain(mask.indices(false)).collect();
    /// assert_eq!(list, [1, 3, 0, 2]);
    /// assert!(mask.places().map(|place| list[place]).eq(0..4));
    /// ```
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let mut next = [self.kept(), 0];
        self.0.iter().map(move |&kept| {
            let next = &mut next[usize::from(kept)];
            *next += 1;
            *next - 1
        })
    }

    /// Whether it is one of `elements` elements.
    pub(crate) fn check(&self, elements: usize) -> Result<(), Fault> {
        check_length("mask", elements, self.len())
    }
}

impl From<Vec<bool>> for Mask {
    fn from(kept: Vec<bool>) -> Self {
        Self(kept.into())
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({} of {})", self.kept(), self.len())
    }
}

/// A mask as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    elements: usize,
    /// Element 6i + j is bit j of digit i; what is left of the last digit is 0.
    kept: String,
}

/// Elements of a digit.
const DIGIT: usize = 6;
const DIGITS: &[u8; 1 << DIGIT] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

impl From<Mask> for Text {
    fn from(mask: Mask) -> Self {
        let digit = |kept: &[bool]| kept.iter().rev().fold(0, |digit, &k| 2 * digit + usize::from(k));
        let kept = mask.0.chunks(DIGIT).map(|kept| char::from(DIGITS[digit(kept)])).collect();
        Self { elements: mask.len(), kept }
    }
}

impl TryFrom<Text> for Mask {
    type Error = &'static str;
    fn try_from(Text { elements, kept }: Text) -> Result<Self, Self::Error> {
        // So it takes no more than six times the memory of its text.
        if elements > MAX_ELEMENTS || kept.len() != elements.div_ceil(DIGIT) {
            return Err("a mask whose length is wrong");
        }
        let mut all = Vec::with_capacity(kept.len() * DIGIT);
        for byte in kept.bytes() {
            let digit = digit(byte).ok_or("a mask that is no text of one")?;
            all.extend((0..DIGIT).map(|bit| digit >> bit & 1 == 1));
        }
        if all[elements..].contains(&true) {
            return Err("a mask of more elements than it has");
        }
        all.truncate(elements);
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_is_read_back(kept: Vec<bool>) {
            let mask = Mask::from(kept.clone());
            let text = serde_json::to_string(&mask).expect("text");
            prop_assert_eq!(serde_json::from_str::<Mask>(&text).expect("a mask"), mask.clone());
            prop_assert_eq!(mask.as_slice(), kept);
            prop_assert_eq!(mask.kept() + mask.indices(false).count(), mask.len());
        }

        #[test]
        fn places_undo_gathering(kept: Vec<bool>) {
            let mask = Mask::from(kept);
            let list: Vec<usize> = mask.indices(true).chain(mask.indices(false)).collect();
            prop_assert!(mask.places().map(|place| list[place]).eq(0..mask.len()));
        }
    }

    #[test]
    fn what_is_no_mask() {
        let read = |elements: &str, kept: &str| {
            serde_json::from_str::<Mask>(&format!(r#"{{"elements":{elements},"kept":{kept}}}"#))
        };
        assert!(read("0", "\"\"").is_ok_and(|mask| mask.is_empty()));
        assert!(read("7", "\"/B\"").is_ok_and(|mask| mask.kept() == 7));
        for (elements, kept) in [
            ("0", "\"A\""),
            ("1", "\"\""),
            ("6", "\"AA\""),
            ("7", "\"/C\""), // its eighth element
            ("5", "\"g\""),
            ("6", "\"-\""),
            ("6", "\"\\u0000\""),
            ("6", "\"\u{e9}\""),
            ("18446744073709551615", "\"\""),
            ("-1", "\"\""),
            ("1", "[true]"),
            ("1", "null"),
        ] {
            assert!(read(elements, kept).is_err(), "{elements} {kept}");
        }
        assert!(serde_json::from_str::<Mask>(r#"{"elements":0,"kept":"","more":0}"#).is_err());
    }
}
