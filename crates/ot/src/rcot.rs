use crate::{iknp, rot, softspoken};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_wire::{Result, Role, messages};

messages! {
    /// e = b ⊕ c: what turns a random choice b into the real choice c.
    Flips: Bits = 0x0201;
}

/// The sender's side of random correlated OT.
pub trait RcotSender: Send {
    /// Δ.
    fn delta(&self) -> Block;

    /// Fills `q` with fresh correlations on random choices of the receiver.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    fn extend(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()>;

    /// Fills `q` with fresh correlations on the receiver's real choices c: t = q ⊕ c·Δ.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn extend_chosen(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        self.extend(channel, q)?;
        let flips = channel.recv_bits::<Flips>(q.len())?;
        let delta = self.delta();
        for (i, q) in q.iter_mut().enumerate() {
            *q ^= delta.select(flips.bit(i));
        }
        Ok(())
    }

    /// The lowest `planes` bits of both keys of `count` ROTs ([`rot`]) on random choices, a vector for each bit.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    ///
    /// # Panics
    /// When `planes` is more than 64, or than such a backend keeps ([`key_bits`](crate::key_bits)).
    fn random_planes(
        &mut self,
        channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<[Vec<BitVec>; 2]> {
        rot::sender_planes(channel, self, count, planes, |ot, channel, q| ot.extend(channel, q))
    }

    /// [`random_planes`](Self::random_planes) on the receiver's real choices.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    ///
    /// # Panics
    /// As [`random_planes`](Self::random_planes).
    fn chosen_planes(
        &mut self,
        channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<[Vec<BitVec>; 2]> {
        let [mut k0, mut k1] = self.random_planes(channel, count, planes)?;
        let flips = channel.recv_bits::<Flips>(count)?;
        for (k0, k1) in k0.iter_mut().zip(&mut k1) {
            let swapped = &(&*k0 ^ &*k1) & &flips;
            *k0 ^= &swapped;
            *k1 ^= &swapped;
        }
        Ok([k0, k1])
    }

    /// Takes the next `count` hash tweaks; they never come again under this Δ. A protocol takes them after it has drawn
    /// its RCOTs, at most [`TWEAKS_PER_OT`](crate::stored::TWEAKS_PER_OT) for each.
    fn take_tweaks(&mut self, count: usize) -> u64;
}

/// The receiver's side of random correlated OT.
pub trait RcotReceiver: Send {
    /// Fills `t` with fresh correlations and returns the random choices.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    fn extend(&mut self, channel: &mut Channel, t: &mut [Block]) -> Result<BitVec>;

    /// Fills `t` with fresh correlations on the given choices.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    fn extend_chosen(&mut self, channel: &mut Channel, choices: &BitVec, t: &mut [Block]) -> Result<()> {
        let random = self.extend(channel, t)?;
        channel.send_bits::<Flips>(&(&random ^ choices))
    }

    /// The random choices and the lowest `planes` bits of the keys of `count` ROTs.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    ///
    /// # Panics
    /// As [`RcotSender::random_planes`].
    fn random_planes(
        &mut self,
        channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<(BitVec, Vec<BitVec>)> {
        let mut choices = BitVec::default();
        let keys = rot::receiver_planes(channel, self, count, planes, |ot, channel, _, t| {
            choices.extend(&ot.extend(channel, t)?);
            Ok(())
        })?;
        Ok((choices, keys))
    }

    /// The lowest `planes` bits of the keys of the given choices.
    ///
    /// # Errors
    /// As [`extend`](Self::extend).
    ///
    /// # Panics
    /// As [`RcotSender::random_planes`].
    fn chosen_planes(&mut self, channel: &mut Channel, choices: &BitVec, planes: u32) -> Result<Vec<BitVec>> {
        let (random, keys) = self.random_planes(channel, choices.len(), planes)?;
        channel.send_bits::<Flips>(&(&random ^ choices))?;
        Ok(keys)
    }

    /// Takes the next `count` hash tweaks, in step with the sender.
    fn take_tweaks(&mut self, count: usize) -> u64;
}

/// The source of RCOTs, as far as costs need to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RcotBackend {
    /// [`iknp`]: 128 bits an OT, choices for free.
    Iknp,
    /// [`softspoken`]: 128/k bits an OT for k = 2, 4 or 8, choices for free; 2^k/k blocks of AES.
    Softspoken {
        /// 2, 4 or 8. Anything else is a panic wherever a cost or a set-up is asked for.
        k: usize,
    },
    /// An ideal dealer that both parties trust: for tests of what is built on top. No bytes; a real choice costs
    /// one bit.
    Ideal,
    /// [`stored`](crate::stored): drawn before, and paid for then. No bytes; a real choice costs one bit.
    Stored,
}

impl RcotBackend {
    /// The cost of `count` RCOTs on random choices.
    pub fn cost(self, sender: Role, count: usize) -> Cost {
        match self {
            Self::Iknp => iknp::cost(sender, count),
            Self::Softspoken { k } => softspoken::cost(k, sender, count),
            Self::Ideal | Self::Stored => Cost::rcots(sender, count),
        }
    }

    /// The cost of bits of the keys of `count` ROTs on random choices.
    pub fn cost_planes(self, sender: Role, count: usize) -> Cost {
        Cost::bit_ots(sender, count) + self.cost(sender, count)
    }

    /// The cost of bits of the keys of `count` ROTs on the receiver's real choices.
    pub fn cost_planes_chosen(self, sender: Role, count: usize) -> Cost {
        Cost::bit_ots(sender, count) + self.cost_chosen(sender, count)
    }

    /// The cost of `count` RCOTs on the receiver's real choices.
    pub fn cost_chosen(self, sender: Role, count: usize) -> Cost {
        match self {
            Self::Iknp => iknp::cost(sender, count),
            Self::Softspoken { k } => softspoken::cost(k, sender, count),
            Self::Ideal | Self::Stored => Cost::rcots(sender, count) + Cost::message(sender.peer(), count, 1),
        }
    }
}
