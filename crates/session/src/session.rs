use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_ot::one_of_n::{self, OneOfNBackend, OneOfNReceiver, OneOfNSender, Part};
use copriv_ot::triple::{self, BitTriples};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender, cot};
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_wire::{Result, Role};

/// What shapes the transcript besides the network (an AGREEMENT parameter): both parties must have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Params {
    /// Where RCOTs come from.
    pub rcot: RcotBackend,
    /// What 1-of-N OTs are made of.
    pub one_of_n: OneOfNBackend,
    /// The digit size m of comparisons, 1..=8 bits.
    pub digit_bits: u32,
}

impl Params {
    /// The baseline: IKNP, KK13, digits of 4 bits (CrypTFlow2, CCS 2020).
    pub const CRYPTFLOW2: Self =
        Self { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Kk13, digit_bits: 4 };

    /// Everything from an ideal dealer: for tests of the protocols on top of OT.
    pub const IDEAL: Self = Self { rcot: RcotBackend::Ideal, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };
}

/// One party's end of a session.
pub struct Session {
    /// The channel to the peer.
    pub channel: Channel,
    /// This party's own randomness.
    pub prg: Prg,
    /// RCOTs in which this party is the sender.
    pub rcot_sender: Box<dyn RcotSender>,
    /// RCOTs in which this party is the receiver.
    pub rcot_receiver: Box<dyn RcotReceiver>,
    /// 1-of-N OTs in which this party is the sender.
    pub one_of_n_sender: OneOfNSender,
    /// 1-of-N OTs in which this party is the receiver.
    pub one_of_n_receiver: OneOfNReceiver,
    /// The session's parameters.
    pub params: Params,
}

impl Session {
    /// Which party this is.
    pub fn role(&self) -> Role {
        self.channel.role()
    }

    /// `count` 1-of-2^`index_bits` OTs in which this party is the sender: `table(i, messages)` writes the messages of OT i.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn one_of_n_send(
        &mut self,
        index_bits: u32,
        width: Width,
        count: usize,
        mut table: impl FnMut(usize, &mut [u64]),
    ) -> Result<()> {
        let part = Part::chosen(index_bits, width, count);
        self.one_of_n_send_all(&[part], |_, i, messages| table(i, messages)).map(drop)
    }

    /// The receiver's side of [`one_of_n_send`](Self::one_of_n_send).
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn one_of_n_receive(&mut self, index_bits: u32, width: Width, choices: &[u8]) -> Result<Vec<u64>> {
        let part = Part::chosen(index_bits, width, choices.len());
        Ok(self.one_of_n_receive_all(&[part], &[choices])?.pop().unwrap_or_default())
    }

    /// 1-of-N OTs of several shapes in one round, this party the sender: `table(part, i, messages)` writes the messages of
    /// OT i of that part. Returns this party's shares, of the parts that are shared.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn one_of_n_send_all(
        &mut self,
        parts: &[Part],
        table: impl FnMut(usize, usize, &mut [u64]),
    ) -> Result<Vec<Vec<u64>>> {
        let Self { channel, rcot_sender, one_of_n_sender, .. } = self;
        one_of_n_sender.send(channel, rcot_sender.as_mut(), parts, table)
    }

    /// The receiver's side of [`one_of_n_send_all`](Self::one_of_n_send_all): the chosen messages of each part, or its shares of
    /// them.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn one_of_n_receive_all(&mut self, parts: &[Part], choices: &[&[u8]]) -> Result<Vec<Vec<u64>>> {
        let Self { channel, rcot_receiver, one_of_n_receiver, .. } = self;
        one_of_n_receiver.receive(channel, rcot_receiver.as_mut(), parts, choices)
    }

    /// `count` bit triples, P0 the OT sender.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    pub fn bit_triples(&mut self, count: usize) -> Result<BitTriples> {
        let role = self.role();
        let Self { channel, prg, rcot_sender, rcot_receiver, one_of_n_sender, one_of_n_receiver, .. } = self;
        match role {
            Role::P0 => triple::send(channel, one_of_n_sender, rcot_sender.as_mut(), prg, count),
            Role::P1 => triple::receive(channel, one_of_n_receiver, rcot_receiver.as_mut(), prg, count),
        }
    }

    /// Additive COTs in both directions at once: this party's own `choices` times the peer's correlation, and
    /// its own `correlation` times the peer's choices. Returns shares (as receiver, as sender).
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When there is not one element for each choice.
    pub fn cot_both(&mut self, choices: &BitVec, correlation: &RingVec) -> Result<(RingVec, RingVec)> {
        assert_eq!(choices.len(), correlation.len(), "one OT each way for each element");
        let Self { channel, rcot_sender, rcot_receiver, .. } = self;
        let (mut t, mut q) = (vec![Block::ZERO; choices.len()], vec![Block::ZERO; choices.len()]);
        rcot_receiver.extend_chosen(channel, choices, &mut t)?;
        rcot_sender.extend_chosen(channel, &mut q)?;
        let sent = cot::send_on(channel, rcot_sender.as_mut(), &q, 1, correlation)?;
        let got = cot::receive_on(channel, rcot_receiver.as_mut(), &t, correlation.width(), 1, choices)?;
        Ok((got, sent))
    }
}

impl Params {
    /// The cost of [`Session::one_of_n_send`].
    pub fn one_of_n_cost(&self, sender: Role, count: usize, index_bits: u32, width: Width) -> Cost {
        self.one_of_n_cost_all(sender, &[Part::chosen(index_bits, width, count)])
    }

    /// The cost of [`Session::one_of_n_send_all`].
    pub fn one_of_n_cost_all(&self, sender: Role, parts: &[Part]) -> Cost {
        one_of_n::cost(self.one_of_n, self.rcot, sender, parts)
    }

    /// The cost of [`Session::bit_triples`].
    pub fn bit_triples_cost(&self, count: usize) -> Cost {
        triple::cost(self.one_of_n, self.rcot, Role::P0, count)
    }

    /// The cost of [`Session::cot_both`].
    pub fn cot_both_cost(&self, count: usize, width: Width) -> Cost {
        let [a, b] = [Role::P0, Role::P1].map(|sender| self.rcot.cost_chosen(sender, count));
        // Of every backend only the receiver speaks, so the two directions go side by side.
        let both = if count == 0 { Cost::ZERO } else { a.beside(b) };
        both + Cost::exchange(count, width.bits())
    }
}
