use crate::Transport;
use copriv_bits::{BitVec, Block};
use copriv_ring::{RingVec, Width};
use copriv_wire::{HEADER_BYTES, Header, Kind, Message, Result, Role, pack_into, unpack_into};

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
    /// Inside [`Channel::pipelined`]: whether a receive there has been counted yet.
    pipeline: Option<bool>,
}

impl Channel {
    /// `role`'s end of a connection.
    pub fn new(role: Role, transport: impl Transport + 'static) -> Self {
        let transport = Box::new(transport);
        Self { role, transport, traffic: Traffic::default(), sent_last: false, pipeline: None }
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
    /// a wait.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn pipelined<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
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
            let bytes = bits.len().div_ceil(8);
            out.extend(bits.words().iter().flat_map(|w| w.to_le_bytes()).take(bytes));
        })
    }

    /// Receives `len` bits.
    ///
    /// # Errors
    /// When the connection is gone or something else came.
    pub fn recv_bits<M: Message>(&mut self, len: usize) -> Result<BitVec> {
        assert_eq!(M::KIND, Kind::Bits);
        let bytes = self.recv::<M>(len, 1)?;
        let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, &b| word << 8 | u64::from(b));
        let words: Vec<u64> = bytes.chunks(8).map(word).collect();
        let bits = BitVec::from_words(words.clone(), len);
        if bits.words() != words {
            return Err(copriv_wire::Error::wire(M::NAME, "zero padding bits", "other bits"));
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
        let bytes = self.recv::<M>(words.len(), width.bits())?;
        unpack_into(&bytes, width.bits(), words)
    }

    /// Sends blocks.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_blocks<M: Message>(&mut self, blocks: &[Block]) -> Result<()> {
        assert_eq!(M::KIND, Kind::Blocks);
        self.send::<M>(blocks.len(), 128, |out| out.extend(blocks.iter().flat_map(|b| b.to_bytes())))
    }

    /// Fills `blocks` with received blocks.
    ///
    /// # Errors
    /// When the connection is gone or something else came.
    pub fn recv_blocks<M: Message>(&mut self, blocks: &mut [Block]) -> Result<()> {
        assert_eq!(M::KIND, Kind::Blocks);
        let bytes = self.recv::<M>(blocks.len(), 128)?;
        for (block, chunk) in blocks.iter_mut().zip(bytes.as_chunks::<16>().0) {
            *block = Block::from_bytes(*chunk);
        }
        Ok(())
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
        self.recv::<M>(len, 8)
    }

    fn send<M: Message>(
        &mut self,
        count: usize,
        width: u32,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let header = Header::new::<M>(count, width);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + header.payload_bytes());
        bytes.extend_from_slice(&header.to_bytes());
        encode(&mut bytes);
        debug_assert_eq!(bytes.len(), HEADER_BYTES + header.payload_bytes());
        self.traffic.sent += bytes.len() as u64;
        self.sent_last = true;
        Ok(self.transport.send(bytes)?)
    }

    fn recv<M: Message>(&mut self, count: usize, width: u32) -> Result<Vec<u8>> {
        let expected = Header::new::<M>(count, width);
        let mut got = [0; HEADER_BYTES];
        self.transport.recv(&mut got)?;
        expected.check(M::NAME, got)?;
        let mut payload = vec![0; expected.payload_bytes()];
        self.transport.recv(&mut payload)?;
        self.traffic.received += (HEADER_BYTES + payload.len()) as u64;
        let counted = self.pipeline == Some(true);
        if self.sent_last && !counted {
            self.traffic.rounds += 1;
        }
        self.sent_last = false;
        self.pipeline = self.pipeline.map(|_| true);
        Ok(payload)
    }
}
