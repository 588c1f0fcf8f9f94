//! Random correlated OTs that were drawn before they are needed.
//!
//! # Functionality
//! [`draw_sender`] and [`draw_receiver`] take RCOTs on random choices, and hash tweaks for them, out of another backend;
//! [`StoredSender`] and [`StoredReceiver`] hand them out later, each once. Between the two lie batches, as bytes where that
//! is on a disk.
//!
//! # Protocol
//! | step | sender (Δ)                          | wire | receiver                             |
//! |------|-------------------------------------|------|--------------------------------------|
//! | 1    | RCOT: `q`                           | ↔    | RCOT: `b, t = q ⊕ b·Δ`               |
//! | 2    | reserve [`TWEAKS_PER_OT`] tweaks an OT |   | reserve as many                      |
//! | 3    | later: hand out `q`, erase it       |      | later: hand out `b, t`, erase them   |
//! | 4    | tweaks out of the reserved          |      | tweaks out of the reserved           |
//!
//! # Cost
//! Steps 1 and 2 that of the other backend. Steps 3 and 4 nothing; a real choice one bit, as by default
//! ([`RcotReceiver::extend_chosen`]).
//!
//! # Security
//! Who sees b and the later bit b ⊕ c sees the choice c: batches are as secret as the inputs, and a batch that is used in two
//! runs opens both. Whoever keeps batches has to destroy each when its use begins, at both parties.
//!
//! No tweak is used twice under a Δ. Step 2 takes the tweaks f..f + T·n of a batch of n OTs, T = [`TWEAKS_PER_OT`], from
//! the other backend's counter, which only grows: they are disjoint from those of any other batch and from all that this
//! backend hashes itself. A later batch of a stream must begin at f + T·n, so k OTs that have been handed out stand for
//! the tweaks f..f + T·k; step 4 counts through these without a gap and refuses to pass f + T·k. It never has to: a
//! protocol takes at most 33 tweaks for an RCOT (1-of-2^m OTs take m + 2^m for m RCOTs, m ≤ 8; a mux of two
//! operands 2; all others 1), and the blocks of one long pad ([`copriv_prg::expand`]) are counted in the tweak's other
//! word.
//!
//! # Reference
//! Beaver: Precomputing Oblivious Transfer (CRYPTO 1995).
//!
//! # Deviations
//! RCOTs in place of OTs.

use crate::{RcotReceiver, RcotSender};
use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_wire::{Error, Result};
use std::fmt;
use std::io::{self, ErrorKind};
use zeroize::{Zeroize, Zeroizing};

/// Tweaks that are reserved for an OT: at most 2^54 OTs under one Δ.
pub const TWEAKS_PER_OT: usize = 1 << 10;

/// The sender's part of RCOTs that nobody has used. `Debug` shows how many.
pub struct SenderBatch {
    /// Δ.
    pub delta: Block,
    /// The first of the reserved tweaks.
    pub first_tweak: u64,
    /// q of each OT.
    pub q: Vec<Block>,
}

/// The receiver's part of RCOTs that nobody has used. `Debug` shows how many.
pub struct ReceiverBatch {
    /// The first of the reserved tweaks.
    pub first_tweak: u64,
    /// b of each OT.
    pub choices: BitVec,
    /// t of each OT.
    pub t: Vec<Block>,
}

/// Draws `count` RCOTs to be used later. Batches drawn one after the other, with nothing else between, make a stream.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn draw_sender(channel: &mut Channel, ot: &mut dyn RcotSender, count: usize) -> Result<SenderBatch> {
    let mut q = vec![Block::ZERO; count];
    ot.extend(channel, &mut q)?; // (1)
    Ok(SenderBatch { delta: ot.delta(), first_tweak: ot.take_tweaks(count * TWEAKS_PER_OT), q }) // (2)
}

/// The receiver's side of [`draw_sender`].
///
/// # Errors
/// As [`draw_sender`].
pub fn draw_receiver(
    channel: &mut Channel,
    ot: &mut dyn RcotReceiver,
    count: usize,
) -> Result<ReceiverBatch> {
    let mut t = vec![Block::ZERO; count];
    let choices = ot.extend(channel, &mut t)?; // (1)
    Ok(ReceiverBatch { first_tweak: ot.take_tweaks(count * TWEAKS_PER_OT), choices, t }) // (2)
}

/// What gives the next batch of a stream, `None` after the last.
type Source<B> = Box<dyn FnMut() -> Result<Option<B>> + Send>;

/// The sender of stored RCOTs.
pub struct StoredSender {
    batch: SenderBatch,
    used: usize,
    tweaks: Tweaks,
    source: Source<SenderBatch>,
}

/// The receiver of stored RCOTs.
pub struct StoredReceiver {
    batch: ReceiverBatch,
    used: usize,
    tweaks: Tweaks,
    source: Source<ReceiverBatch>,
}

impl StoredSender {
    /// The RCOTs of one batch.
    pub fn new(batch: SenderBatch) -> Self {
        Self::stream(batch, || Ok(None))
    }

    /// The RCOTs of a batch and of those that `source` gives when it is used up, in the order in which they were drawn.
    pub fn stream(
        first: SenderBatch,
        source: impl FnMut() -> Result<Option<SenderBatch>> + Send + 'static,
    ) -> Self {
        Self { used: 0, tweaks: Tweaks::from(first.first_tweak), batch: first, source: Box::new(source) }
    }

    /// How many RCOTs are left before the source is asked.
    pub fn ready(&self) -> usize {
        self.batch.q.len() - self.used
    }
}

impl StoredReceiver {
    /// The RCOTs of one batch.
    ///
    /// # Panics
    /// When it has not one choice for each OT.
    pub fn new(batch: ReceiverBatch) -> Self {
        Self::stream(batch, || Ok(None))
    }

    /// The RCOTs of a batch and of those that `source` gives when it is used up, in the order in which they were drawn.
    ///
    /// # Panics
    /// When the batch has not one choice for each OT.
    pub fn stream(
        first: ReceiverBatch,
        source: impl FnMut() -> Result<Option<ReceiverBatch>> + Send + 'static,
    ) -> Self {
        assert_eq!(first.choices.len(), first.t.len(), "one choice an OT");
        Self { used: 0, tweaks: Tweaks::from(first.first_tweak), batch: first, source: Box::new(source) }
    }

    /// How many RCOTs are left before the source is asked.
    pub fn ready(&self) -> usize {
        self.batch.t.len() - self.used
    }
}

impl RcotSender for StoredSender {
    fn delta(&self) -> Block {
        self.batch.delta
    }

    fn extend(&mut self, _channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        let mut rest = &mut *q;
        while !rest.is_empty() {
            if self.ready() == 0 {
                let batch = (self.source)()?.ok_or_else(|| used_up(rest.len()))?;
                if batch.delta != self.batch.delta {
                    return Err(invalid("a later batch of stored OTs has another Δ than the first"));
                }
                in_order(self.batch.first_tweak, self.batch.q.len(), batch.first_tweak)?;
                (self.batch, self.used) = (batch, 0);
                continue;
            }
            let now = rest.len().min(self.ready());
            let (filled, later) = rest.split_at_mut(now);
            let stored = &mut self.batch.q[self.used..][..now];
            filled.copy_from_slice(stored); // (3)
            stored.iter_mut().zeroize(); // (3)
            self.used += now;
            rest = later;
        }
        self.tweaks.hand_out(q.len());
        Ok(())
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.tweaks.take(count) // (4)
    }
}

impl RcotReceiver for StoredReceiver {
    fn extend(&mut self, _channel: &mut Channel, t: &mut [Block]) -> Result<BitVec> {
        let mut choices = BitVec::default();
        let mut rest = &mut *t;
        while !rest.is_empty() {
            if self.ready() == 0 {
                let batch = (self.source)()?.ok_or_else(|| used_up(rest.len()))?;
                if batch.choices.len() != batch.t.len() {
                    return Err(invalid("a batch of stored OTs has not one choice for each"));
                }
                in_order(self.batch.first_tweak, self.batch.t.len(), batch.first_tweak)?;
                (self.batch, self.used) = (batch, 0);
                continue;
            }
            let now = rest.len().min(self.ready());
            let (filled, later) = rest.split_at_mut(now);
            let range = self.used..self.used + now;
            let stored = &mut self.batch.t[range.clone()];
            filled.copy_from_slice(stored); // (3)
            stored.iter_mut().zeroize(); // (3)
            choices.extend(&self.batch.choices.slice(range.clone())); // (3)
            self.batch.choices.clear(range); // (3)
            self.used += now;
            rest = later;
        }
        self.tweaks.hand_out(t.len());
        Ok(choices)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.tweaks.take(count) // (4)
    }
}

/// The tweaks of the OTs that have been handed out, and which of them come next.
struct Tweaks {
    next: u64,
    end: u64,
}

impl Tweaks {
    fn from(first: u64) -> Self {
        Self { next: first, end: first }
    }

    fn hand_out(&mut self, ots: usize) {
        self.end = end_of(self.end, ots).unwrap_or(u64::MAX);
    }

    fn take(&mut self, count: usize) -> u64 {
        let first = self.next;
        let end = first.checked_add(count as u64).filter(|&end| end <= self.end);
        assert!(
            end.is_some(),
            "a protocol takes at most TWEAKS_PER_OT tweaks for an RCOT, after it has drawn it"
        );
        self.next = end.unwrap_or(self.end);
        first
    }
}

/// Where the tweaks of a batch of `ots` end.
fn end_of(first: u64, ots: usize) -> Option<u64> {
    first.checked_add((ots as u64).checked_mul(TWEAKS_PER_OT as u64)?)
}

/// Whether a batch whose tweaks begin at `next` may follow one of `ots` OTs with tweaks from `first`.
fn in_order(first: u64, ots: usize, next: u64) -> Result<()> {
    match end_of(first, ots) {
        Some(end) if end == next => Ok(()),
        _ => Err(invalid(
            "batches of stored OTs are not in the order in which they were drawn, or one is missing",
        )),
    }
}

fn used_up(missing: usize) -> Error {
    let what = format!(
        "the stored OTs are used up, {missing} more are needed: draw as many as the plan of the run says, in a new batch"
    );
    Error::Io(io::Error::new(ErrorKind::UnexpectedEof, what))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::Io(io::Error::new(ErrorKind::InvalidData, what.into()))
}

const SENDER_MARK: [u8; 8] = *b"CoPrvOTs";
const RECEIVER_MARK: [u8; 8] = *b"CoPrvOTr";

/// Mark, number of OTs, first tweak.
const HEADER: usize = 24;

impl SenderBatch {
    /// The bytes of a batch of `count` OTs.
    pub const fn byte_len(count: usize) -> usize {
        HEADER + (1 + count) * Block::BYTES
    }

    /// Mark, number of OTs, first tweak, Δ, q: everything little-endian.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = header(SENDER_MARK, self.q.len(), self.first_tweak, Self::byte_len(self.q.len()));
        Block::copy_to_bytes(&[self.delta], &mut out);
        Block::copy_to_bytes(&self.q, &mut out);
        out
    }

    /// From the bytes of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Error::Io`] of kind `InvalidData` when they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let len = |ots: usize| ots.checked_add(1)?.checked_mul(Block::BYTES);
        let (ots, first_tweak, body) = parse_header(SENDER_MARK, bytes, len)?;
        let mut batch = Self { delta: Block::ZERO, first_tweak, q: vec![Block::ZERO; ots] };
        let (delta, q) = body.split_at(Block::BYTES);
        Block::copy_from_bytes(delta, std::slice::from_mut(&mut batch.delta));
        Block::copy_from_bytes(q, &mut batch.q);
        Ok(batch)
    }
}

impl ReceiverBatch {
    /// The bytes of a batch of `count` OTs.
    pub const fn byte_len(count: usize) -> usize {
        HEADER + count * Block::BYTES + count.div_ceil(8)
    }

    /// Mark, number of OTs, first tweak, t, choices (low bit first): everything little-endian.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let len = Self::byte_len(self.t.len());
        let mut out = header(RECEIVER_MARK, self.t.len(), self.first_tweak, len);
        Block::copy_to_bytes(&self.t, &mut out);
        let rest = len - out.len();
        out.extend(self.choices.words().iter().flat_map(|word| word.to_le_bytes()).take(rest));
        out
    }

    /// From the bytes of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Error::Io`] of kind `InvalidData` when they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let len = |ots: usize| ots.checked_mul(Block::BYTES)?.checked_add(ots.div_ceil(8));
        let (ots, first_tweak, body) = parse_header(RECEIVER_MARK, bytes, len)?;
        let (t, packed) = body.split_at(ots * Block::BYTES);
        if packed.last().is_some_and(|last| ots % 8 > 0 && last >> (ots % 8) != 0) {
            return Err(invalid("stored OTs: the bits after the last choice are not zero"));
        }
        let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let choices = BitVec::from_words(packed.chunks(8).map(word).collect(), ots);
        let mut batch = Self { first_tweak, choices, t: vec![Block::ZERO; ots] };
        Block::copy_from_bytes(t, &mut batch.t);
        Ok(batch)
    }
}

fn header(mark: [u8; 8], ots: usize, first_tweak: u64, len: usize) -> Zeroizing<Vec<u8>> {
    // Of the final length at once: growing would leave copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(len));
    out.extend(mark);
    out.extend((ots as u64).to_le_bytes());
    out.extend(first_tweak.to_le_bytes());
    out
}

/// The number of OTs, the first tweak, and what follows, which has the length `len` says for so many OTs.
fn parse_header(
    mark: [u8; 8],
    bytes: &[u8],
    len: impl Fn(usize) -> Option<usize>,
) -> Result<(usize, u64, &[u8])> {
    let (words, _) = bytes.as_chunks::<8>();
    let ([got, ots, first, ..], Some(body)) = (words, bytes.get(HEADER..)) else {
        return Err(invalid(format!("stored OTs begin with {HEADER} bytes, here are {}", bytes.len())));
    };
    if *got != mark {
        let what = if mark == SENDER_MARK { "sender" } else { "receiver" };
        return Err(invalid(format!("this is no batch of stored OTs of a {what}")));
    }
    let (ots, first) = (u64::from_le_bytes(*ots), u64::from_le_bytes(*first));
    match usize::try_from(ots).ok().filter(|&ots| len(ots) == Some(body.len())) {
        None => {
            Err(invalid(format!("{ots} stored OTs do not have {} bytes: cut off or damaged", bytes.len())))
        }
        Some(count) if end_of(first, count).is_none() => {
            Err(invalid("stored OTs: there are no tweaks that begin so high"))
        }
        Some(count) => Ok((count, first, body)),
    }
}

impl Drop for SenderBatch {
    fn drop(&mut self) {
        self.delta.zeroize();
        self.q.zeroize();
    }
}

impl Drop for ReceiverBatch {
    /// Erases t; the choices erase themselves.
    fn drop(&mut self) {
        self.t.zeroize();
    }
}

impl fmt::Debug for SenderBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SenderBatch({} OTs)", self.q.len())
    }
}

impl fmt::Debug for ReceiverBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiverBatch({} OTs)", self.t.len())
    }
}

impl fmt::Debug for StoredSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredSender({} OTs ready)", self.ready())
    }
}

impl fmt::Debug for StoredReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredReceiver({} OTs ready)", self.ready())
    }
}
