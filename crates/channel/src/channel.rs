use crate::Transport;
use copriv_bits::{BitVec, Block};
use copriv_ring::{RingVec, Width};
use copriv_wire::{
    Error, HEADER_BYTES, Header, Kind, Message, PACK_BLOCK, Result, Role, pack_into, pack_with, packed_bytes,
    unpack_into, unpack_with,
};

/// Payloads are read and unpacked in pieces of at most so many bytes: they stay in the cache, and a message of any
/// length takes no more memory than its elements.
const PIECE: usize = 256 << 10;

/// What has gone over a channel: bytes with headers, and how often this party waited for the peer after
/// sending.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Receives that came after a send.
    pub rounds: u64,
}

impl Traffic {
    /// What was added since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
            rounds: self.rounds - earlier.rounds,
        }
    }
}

/// Typed messages to and from the peer, counted.
pub struct Channel {
    role: Role,
    transport: Box<dyn Transport>,
    traffic: Traffic,
    sent_last: bool,
    /// The piece being received.
    piece: Vec<u8>,
    /// Inside [`Channel::pipelined`]: whether a receive there has been counted yet.
    pipeline: Option<bool>,
}

impl Channel {
    /// `role`'s end of a connection.
    pub fn new(role: Role, transport: impl Transport + 'static) -> Self {
        let transport = Box::new(transport);
        let traffic = Traffic::default();
        Self { role, transport, traffic, sent_last: false, piece: Vec::new(), pipeline: None }
    }

    /// Which party this end is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Everything counted so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Runs a streamed exchange, in which requests run ahead of the replies: only its first receive counts as
    /// a wait. One inside another is part of it.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn pipelined<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.pipeline.is_some() {
            return body(self);
        }
        self.pipeline = Some(false);
        let result = body(self);
        self.pipeline = None;
        result
    }

    /// Sends bits.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_bits<M: Message>(&mut self, bits: &BitVec) -> Result<()> {
        assert_eq!(M::KIND, Kind::Bits);
        self.send::<M>(bits.len(), 1, |out| {
            pack_into(bits.words(), 64, out);
            out.truncate(HEADER_BYTES + bits.len().div_ceil(8));
        })
    }

    /// Receives `len` bits.
    ///
    /// # Errors
    /// When the connection is gone or something else came.
    pub fn recv_bits<M: Message>(&mut self, len: usize) -> Result<BitVec> {
        assert_eq!(M::KIND, Kind::Bits);
        let mut words = vec![0; len.div_ceil(64)];
        self.recv::<M>(len, 1, PIECE, |start, bytes| {
            let (whole, rest) = bytes.as_chunks::<8>();
            let (words, last) = words[start / 8..].split_at_mut(whole.len());
            unpack_into(whole.as_flattened(), 64, words)?;
            if let Some(last) = last.first_mut() {
                *last = rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
            }
            Ok(())
        })?;
        let last = words.last().copied();
        let bits = BitVec::from_words(words, len);
        if bits.words().last().copied() != last {
            return Err(Error::wire(M::NAME, "zero padding bits", "other bits"));
        }
        Ok(bits)
    }

    /// Sends ring elements, each in l bits.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_ring<M: Message>(&mut self, elements: &RingVec) -> Result<()> {
        self.send_words::<M>(elements.width(), elements.words())
    }

    /// Receives `len` ring elements.
    ///
    /// # Errors
    /// When the connection is gone or something else came.
    pub fn recv_ring<M: Message>(&mut self, width: Width, len: usize) -> Result<RingVec> {
        let mut words = vec![0; len];
        self.recv_words::<M>(width, &mut words)?;
        Ok(RingVec::from_words(width, words))
    }

    /// Sends canonical words, each in l bits.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_words<M: Message>(&mut self, width: Width, words: &[u64]) -> Result<()> {
        assert_eq!(M::KIND, Kind::Ring);
        self.send::<M>(words.len(), width.bits(), |out| pack_into(words, width.bits(), out))
    }

    /// Fills `words` with received canonical words.
    ///
    /// # Errors
    /// When the connection is gone or something else came.
    pub fn recv_words<M: Message>(&mut self, width: Width, words: &mut [u64]) -> Result<()> {
        assert_eq!(M::KIND, Kind::Ring);
        let piece = piece(width);
        let (count, mut rest) = (words.len(), words);
        self.recv::<M>(count, width.bits(), packed_bytes(piece, width.bits()), |_, bytes| {
            let now = piece.min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(now);
            rest = later;
            unpack_into(bytes, width.bits(), now)
        })
    }

    /// Sends `count` canonical words, each in l bits, which `fill` computes a part at a time: `fill(start, part)`
    /// writes words `start..start + part.len()`. The parts are short and in order.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_words_with<M: Message>(
        &mut self,
        width: Width,
        count: usize,
        fill: impl FnMut(usize, &mut [u64]),
    ) -> Result<()> {
        assert_eq!(M::KIND, Kind::Ring);
        self.send::<M>(count, width.bits(), |out| pack_with(count, width.bits(), out, fill))
    }

    /// Receives `count` canonical words and hands them to `take` a part at a time: `take(start, part)` gets words
    /// `start..start + part.len()`. The parts are short and in order.
    ///
    /// # Errors
    /// When the connection is gone or something else came, which may show after `take` has had words.
    pub fn recv_words_with<M: Message>(
        &mut self,
        width: Width,
        count: usize,
        mut take: impl FnMut(usize, &[u64]),
    ) -> Result<()> {
        assert_eq!(M::KIND, Kind::Ring);
        let (piece, mut done) = (piece(width), 0);
        self.recv::<M>(count, width.bits(), packed_bytes(piece, width.bits()), |_, bytes| {
            let (first, now) = (done, piece.min(count - done));
            done += now;
            unpack_with(bytes, now, width.bits(), |start, part| take(first + start, part))
        })
    }

    /// Sends `count` canonical words that are packed already.
    ///
    /// # Errors
    /// When the connection is gone.
    ///
    /// # Panics
    /// When there are not as many bytes as the words take.
    pub fn send_packed<M: Message>(&mut self, width: Width, count: usize, bytes: &[u8]) -> Result<()> {
        assert_eq!(M::KIND, Kind::Ring);
        assert_eq!(bytes.len(), packed_bytes(count, width.bits()), "the bytes of the words");
        self.send::<M>(count, width.bits(), |out| out.extend_from_slice(bytes))
    }

    /// Appends `count` received words to `bytes` as they came: [`copriv_wire::unpack_into`] checks and unpacks them.
    ///
    /// # Errors
    /// When the connection is gone or something else came.
    pub fn recv_packed<M: Message>(&mut self, width: Width, count: usize, bytes: &mut Vec<u8>) -> Result<()> {
        assert_eq!(M::KIND, Kind::Ring);
        self.recv::<M>(count, width.bits(), PIECE, |_, piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
    }

    /// Sends blocks.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_blocks<M: Message>(&mut self, blocks: &[Block]) -> Result<()> {
        assert_eq!(M::KIND, Kind::Blocks);
        self.send::<M>(blocks.len(), 128, |out| Block::copy_to_bytes(blocks, out))
    }

    /// Fills `blocks` with received blocks.
    ///
    /// # Errors
    /// When the connection is gone or something else came.
    pub fn recv_blocks<M: Message>(&mut self, blocks: &mut [Block]) -> Result<()> {
        assert_eq!(M::KIND, Kind::Blocks);
        #[cfg(target_endian = "little")]
        {
            self.expect::<M>(blocks.len(), 128)?;
            self.transport.recv(Block::as_bytes_mut(blocks))?;
            self.received(size_of_val(blocks));
            Ok(())
        }
        #[cfg(not(target_endian = "little"))]
        self.recv::<M>(blocks.len(), 128, PIECE, |start, bytes| {
            let blocks = &mut blocks[start / Block::BYTES..][..bytes.len() / Block::BYTES];
            Block::copy_from_bytes(bytes, blocks);
            Ok(())
        })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_bytes<M: Message>(&mut self, bytes: &[u8]) -> Result<()> {
        assert_eq!(M::KIND, Kind::Bytes);
        self.send::<M>(bytes.len(), 8, |out| out.extend_from_slice(bytes))
    }

    /// Receives `len` bytes.
    ///
    /// # Errors
    /// When the connection is gone or something else came.
    pub fn recv_bytes<M: Message>(&mut self, len: usize) -> Result<Vec<u8>> {
        assert_eq!(M::KIND, Kind::Bytes);
        let mut all = vec![0; len];
        self.recv::<M>(len, 8, PIECE, |start, bytes| {
            all[start..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        })?;
        Ok(all)
    }

    fn send<M: Message>(
        &mut self,
        count: usize,
        width: u32,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let header = Header::new::<M>(count, width);
        let mut bytes = self.transport.spare();
        bytes.reserve(HEADER_BYTES + header.payload_bytes().next_multiple_of(8));
        bytes.extend_from_slice(&header.to_bytes());
        encode(&mut bytes);
        debug_assert_eq!(bytes.len(), HEADER_BYTES + header.payload_bytes());
        self.traffic.sent += bytes.len() as u64;
        self.sent_last = true;
        Ok(self.transport.send(bytes)?)
    }

    /// Receives a message and hands its payload to `decode` in pieces of `piece` bytes, the last one shorter:
    /// `decode(start, bytes)` gets the bytes from `start` on.
    fn recv<M: Message>(
        &mut self,
        count: usize,
        width: u32,
        piece: usize,
        mut decode: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let payload = self.expect::<M>(count, width)?;
        for start in (0..payload).step_by(piece) {
            let bytes = piece.min(payload - start);
            if self.piece.len() < bytes {
                self.piece.resize(bytes, 0);
            }
            self.transport.recv(&mut self.piece[..bytes])?;
            decode(start, &self.piece[..bytes]).map_err(named::<M>)?;
        }
        self.received(payload);
        Ok(())
    }

    /// Receives the header of a message, and returns the bytes of the payload that it has to announce.
    fn expect<M: Message>(&mut self, count: usize, width: u32) -> Result<usize> {
        let expected = Header::new::<M>(count, width);
        let mut got = [0; HEADER_BYTES];
        self.transport.recv(&mut got)?;
        expected.check(M::NAME, got)?;
        Ok(expected.payload_bytes())
    }

    /// Counts a message that has come.
    fn received(&mut self, payload: usize) {
        self.traffic.received += (HEADER_BYTES + payload) as u64;
        let counted = self.pipeline == Some(true);
        if self.sent_last && !counted {
            self.traffic.rounds += 1;
        }
        self.sent_last = false;
        self.pipeline = self.pipeline.map(|_| true);
    }
}

/// The error of the packing as one of the message.
fn named<M: Message>(error: Error) -> Error {
    match error {
        Error::Wire { expected, got, .. } => Error::Wire { message: M::NAME, expected, got },
        other => other,
    }
}

/// The elements of a piece: whole blocks of the packing.
fn piece(width: Width) -> usize {
    PIECE / packed_bytes(PACK_BLOCK, width.bits()) * PACK_BLOCK
}
