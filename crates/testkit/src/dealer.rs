use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_ot::{RcotReceiver, RcotSender};
use copriv_prg::Prg;
use copriv_wire::Result;

/// The ideal functionality of RCOT, written out: both ends compute q and b from one seed, which in a real
/// session nobody has.
pub struct IdealSender {
    delta: Block,
    prg: Prg,
    tweak: u64,
}

/// The receiver's end of [`IdealSender`].
pub struct IdealReceiver {
    delta: Block,
    prg: Prg,
    tweak: u64,
}

/// A sender and a receiver of ideal RCOTs.
pub fn dealer(seed: Block) -> (IdealSender, IdealReceiver) {
    let delta = Prg::from_seed(seed ^ Block::ONES).block();
    let prg = || Prg::from_seed(seed);
    (IdealSender { delta, prg: prg(), tweak: 0 }, IdealReceiver { delta, prg: prg(), tweak: 0 })
}

impl RcotSender for IdealSender {
    fn delta(&self) -> Block {
        self.delta
    }

    fn extend(&mut self, _channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        self.prg.fill(q);
        self.prg.bits(q.len());
        Ok(())
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.tweak += count as u64;
        self.tweak - count as u64
    }
}

impl RcotReceiver for IdealReceiver {
    fn extend(&mut self, _channel: &mut Channel, t: &mut [Block]) -> Result<BitVec> {
        self.prg.fill(t);
        let choices = self.prg.bits(t.len());
        t.iter_mut().enumerate().for_each(|(i, t)| *t ^= self.delta.select(choices.bit(i)));
        Ok(choices)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.tweak += count as u64;
        self.tweak - count as u64
    }
}
