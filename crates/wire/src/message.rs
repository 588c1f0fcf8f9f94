use crate::{Error, Result, packed_bytes};

/// The bytes before every payload: tag (2, little-endian), width (1), count (5, little-endian).
pub const HEADER_BYTES: usize = 8;

/// What a message's payload is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Single bits.
    Bits,
    /// Ring elements of the width named at each use.
    Ring,
    /// 128-bit blocks.
    Blocks,
    /// Bytes (handshake, points of a curve).
    Bytes,
}

/// A kind of message, named for what it holds. Declare with [`messages!`](crate::messages).
pub trait Message {
    /// Unique in the workspace (`cargo xtask tidy` checks it).
    const TAG: u16;
    /// For errors.
    const NAME: &'static str;
    /// What the payload is made of.
    const KIND: Kind;
}

/// Declares messages: `messages! { /// doc  Flips: Bits = 0x0203; }` makes the marker type `Flips`.
#[macro_export]
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident: $kind:ident = $tag:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl $crate::Message for $name {
            const TAG: u16 = $tag;
            const NAME: &'static str = stringify!($name);
            const KIND: $crate::Kind = $crate::Kind::$kind;
        }
    )+};
}

/// The header of a message: its tag and shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    tag: u16,
    width: u8,
    count: u64,
}

impl Header {
    /// The header of a message of `count` elements of `width` bits (128 for blocks, 8 for bytes).
    ///
    /// # Panics
    /// When `count` is 2^40 or more, or `width` is 0 or above 128.
    pub fn new<M: Message>(count: usize, width: u32) -> Self {
        assert!(
            (count as u64) < 1 << 40 && (1..=128).contains(&width),
            "a message has fewer than 2^40 elements"
        );
        Self { tag: M::TAG, width: width as u8, count: count as u64 }
    }

    /// The bytes of the payload.
    pub fn payload_bytes(&self) -> usize {
        packed_bytes(self.count as usize, self.width as u32)
    }

    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        (u64::from(self.tag) | u64::from(self.width) << 16 | self.count << 24).to_le_bytes()
    }

    /// Compares the bytes that came with this header, the one expected.
    ///
    /// # Errors
    /// [`Error::Wire`] when they differ.
    pub fn check(self, name: &'static str, got: [u8; HEADER_BYTES]) -> Result<()> {
        let word = u64::from_le_bytes(got);
        let got = Self { tag: word as u16, width: (word >> 16) as u8, count: word >> 24 };
        if got == self { Ok(()) } else { Err(Error::wire(name, self, got)) }
    }
}

impl std::fmt::Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tag {:#06x} with {} elements of {} bits", self.tag, self.count, self.width)
    }
}
