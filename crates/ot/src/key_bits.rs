//! Bits of the keys of random OTs that were drawn before they are needed.
//!
//! # Functionality
//! Products of private bits and bit triples use a few bits of the keys of a ROT ([`crate::rot`]), whose choices may be random or are
//! corrected by a bit. [`draw_sender`] and [`draw_receiver`] keep [`PLANES`] bits of each key, a byte or so for an OT in place of a block;
//! [`BitsSender`] and [`BitsReceiver`] hand them out later, each once.
//!
//! # Protocol
//! | step | sender                              | wire | receiver                             |
//! |------|-------------------------------------|------|--------------------------------------|
//! | 1    | ROTs: bits of `k[0], k[1]`          | ↔    | ROTs: random b, bits of `k[b]`       |
//! | 2    | later: hand them out, erase them    |      | later: hand them out, erase them     |
//!
//! # Cost
//! Step 1 that of the RCOTs of another backend, drawn [`CHUNK`](crate::rot::CHUNK) at a time. Step 2 nothing.
//!
//! # Security
//! What [`crate::stored`] says of its batches: used in two runs they open the choices of both. Tweaks are those of step 1, taken from the
//! other backend's counter.
//!
//! # Reference
//! Beaver: Precomputing Oblivious Transfer (CRYPTO 1995).
//!
//! # Deviations
//! Bits of random OTs in place of OTs.

use crate::{RcotReceiver, RcotSender};
use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_wire::{Error, Result};
use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use zeroize::Zeroizing;

/// Bits of each key that are kept: what one OT serves for.
pub const PLANES: u32 = 4;

/// The sender's part: the lowest bits of both keys of each OT, plane by plane. `Debug` shows how many.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SenderBits {
    keys: [Vec<BitVec>; 2],
}

/// The receiver's part: the choice and the lowest bits of its key of each OT, plane by plane. `Debug` shows how many.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReceiverBits {
    choices: BitVec,
    keys: Vec<BitVec>,
}

/// Draws bits of `count` OTs to be used later.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn draw_sender(channel: &mut Channel, ot: &mut dyn RcotSender, count: usize) -> Result<SenderBits> {
    Ok(SenderBits { keys: ot.random_planes(channel, count, PLANES)? }) // (1)
}

/// The receiver's side of [`draw_sender`].
///
/// # Errors
/// As [`draw_sender`].
pub fn draw_receiver(channel: &mut Channel, ot: &mut dyn RcotReceiver, count: usize) -> Result<ReceiverBits> {
    let (choices, keys) = ot.random_planes(channel, count, PLANES)?; // (1)
    Ok(ReceiverBits { choices, keys })
}

impl SenderBits {
    /// How many OTs.
    pub fn len(&self) -> usize {
        self.keys[0].first().map_or(0, BitVec::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends those that were drawn next.
    pub fn append(&mut self, next: &Self) {
        let [own0, own1] = &mut self.keys;
        let [next0, next1] = &next.keys;
        append(own0, next0);
        append(own1, next1);
    }

    /// Mark, number of OTs, the planes of key 0 and of key 1, each in whole bytes, low bit first: everything little-endian.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        to_bytes(SENDER_MARK, self.len(), self.keys.iter().flatten())
    }

    /// From the bytes of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Error::Io`] of kind `InvalidData` when they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut first = from_bytes(SENDER_MARK, bytes, 2 * PLANES as usize)?;
        let second = first.split_off(PLANES as usize);
        Ok(Self { keys: [first, second] })
    }
}

impl ReceiverBits {
    /// How many OTs.
    pub fn len(&self) -> usize {
        self.choices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Appends those that were drawn next.
    pub fn append(&mut self, next: &Self) {
        self.choices.extend(&next.choices);
        append(&mut self.keys, &next.keys);
    }

    /// Mark, number of OTs, the choices and the planes of the keys, each in whole bytes, low bit first: everything little-endian.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        to_bytes(RECEIVER_MARK, self.len(), std::iter::once(&self.choices).chain(&self.keys))
    }

    /// From the bytes of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Error::Io`] of kind `InvalidData` when they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut planes = from_bytes(RECEIVER_MARK, bytes, 1 + PLANES as usize)?;
        let keys = planes.split_off(1);
        Ok(Self { choices: planes.pop().unwrap_or_default(), keys })
    }
}

fn append(own: &mut Vec<BitVec>, next: &[BitVec]) {
    if own.is_empty() {
        *own = next.to_vec();
    } else {
        own.iter_mut().zip(next).for_each(|(own, next)| own.extend(next));
    }
}

const SENDER_MARK: [u8; 8] = *b"CoPrvKBs";
const RECEIVER_MARK: [u8; 8] = *b"CoPrvKBr";

/// Mark, number of OTs.
const HEADER: usize = 16;

fn to_bytes<'a>(mark: [u8; 8], count: usize, planes: impl Iterator<Item = &'a BitVec>) -> Zeroizing<Vec<u8>> {
    let bytes = count.div_ceil(8);
    // Enough for either party at once: growing would leave copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(HEADER + 2 * PLANES as usize * bytes));
    out.extend(mark);
    out.extend((count as u64).to_le_bytes());
    for plane in planes {
        out.extend(plane.words().iter().flat_map(|word| word.to_le_bytes()).take(bytes));
    }
    out
}

fn from_bytes(mark: [u8; 8], bytes: &[u8], planes: usize) -> Result<Vec<BitVec>> {
    let (words, _) = bytes.as_chunks::<8>();
    let ([got, count, ..], Some(body)) = (words, bytes.get(HEADER..)) else {
        return Err(invalid(format!("bits of OTs begin with {HEADER} bytes, here are {}", bytes.len())));
    };
    if *got != mark {
        let what = if mark == SENDER_MARK { "sender" } else { "receiver" };
        return Err(invalid(format!("these are no bits of OTs of a {what}")));
    }
    let count = u64::from_le_bytes(*count);
    let fits = |&count: &usize| count.div_ceil(8).checked_mul(planes) == Some(body.len());
    let Some(count) = usize::try_from(count).ok().filter(fits) else {
        return Err(invalid(format!(
            "bits of {count} OTs are not {} bytes: cut off or damaged",
            bytes.len()
        )));
    };
    if count == 0 {
        return Ok(vec![BitVec::default(); planes]);
    }
    let plane = |packed: &[u8]| {
        if packed.last().is_some_and(|last| count % 8 > 0 && last >> (count % 8) != 0) {
            return Err(invalid("bits of OTs: those after the last are not zero"));
        }
        let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        Ok(BitVec::from_words(packed.chunks(8).map(word).collect(), count))
    };
    body.chunks_exact(count.div_ceil(8)).map(plane).collect()
}

fn invalid(what: impl Into<String>) -> Error {
    Error::Io(io::Error::new(ErrorKind::InvalidData, what.into()))
}

/// The next `count` of `all` OTs of which `used` have been handed out.
fn take(used: &mut usize, all: usize, count: usize) -> Result<Range<usize>> {
    let range = *used..used.saturating_add(count);
    if range.end > all {
        let what = format!(
            "the kept bits of OTs are used up, {} more are needed: draw as many as the plan of the run says",
            range.end - all
        );
        return Err(Error::Io(io::Error::new(ErrorKind::UnexpectedEof, what)));
    }
    *used = range.end;
    Ok(range)
}

/// Takes the OTs of `range` out of the first `planes` of `all`.
fn hand_out(all: &mut [BitVec], range: &Range<usize>, planes: u32) -> Vec<BitVec> {
    assert!(planes <= PLANES, "so many bits of a key are not kept");
    let out = all[..planes as usize].iter().map(|plane| plane.slice(range.clone())).collect(); // (2)
    all.iter_mut().for_each(|plane| plane.clear(range.clone())); // (2)
    out
}

/// A sender that has bits of random OTs besides what `inner` draws.
pub struct BitsSender<S> {
    inner: S,
    bits: SenderBits,
    used: usize,
}

/// A receiver that has bits of random OTs besides what `inner` draws.
pub struct BitsReceiver<R> {
    inner: R,
    bits: ReceiverBits,
    used: usize,
}

impl<S: RcotSender> BitsSender<S> {
    /// Bits of ROTs from `bits`, all else from `inner`.
    pub fn new(inner: S, bits: SenderBits) -> Self {
        Self { inner, bits, used: 0 }
    }
}

impl<R: RcotReceiver> BitsReceiver<R> {
    /// Bits of ROTs from `bits`, all else from `inner`.
    pub fn new(inner: R, bits: ReceiverBits) -> Self {
        Self { inner, bits, used: 0 }
    }
}

impl<S: RcotSender> RcotSender for BitsSender<S> {
    fn delta(&self) -> Block {
        self.inner.delta()
    }

    fn extend(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        self.inner.extend(channel, q)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.inner.take_tweaks(count)
    }

    fn random_planes(
        &mut self,
        _channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<[Vec<BitVec>; 2]> {
        let range = take(&mut self.used, self.bits.len(), count)?;
        Ok(self.bits.keys.each_mut().map(|keys| hand_out(keys, &range, planes)))
    }
}

impl<R: RcotReceiver> RcotReceiver for BitsReceiver<R> {
    fn extend(&mut self, channel: &mut Channel, t: &mut [Block]) -> Result<BitVec> {
        self.inner.extend(channel, t)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.inner.take_tweaks(count)
    }

    fn random_planes(
        &mut self,
        _channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<(BitVec, Vec<BitVec>)> {
        let range = take(&mut self.used, self.bits.len(), count)?;
        let choices = self.bits.choices.slice(range.clone()); // (2)
        self.bits.choices.clear(range.clone()); // (2)
        Ok((choices, hand_out(&mut self.bits.keys, &range, planes)))
    }
}

impl fmt::Debug for SenderBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SenderBits({} OTs)", self.len())
    }
}

impl fmt::Debug for ReceiverBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiverBits({} OTs)", self.len())
    }
}
