use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, memory};
use copriv_ot::stored::{self, StoredReceiver, StoredSender};
use copriv_ot::{RcotReceiver, RcotSender};
use copriv_prg::Prg;
use copriv_wire::{Result, Role};

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

/// OTs in a batch of [`stored_dealer`].
const BATCH: usize = 1000;

/// A sender and a receiver of RCOTs that the ideal dealer has drawn before, without end, in batches of a thousand.
pub fn stored_dealer(seed: Block) -> (StoredSender, StoredReceiver) {
    let (mut sender, mut receiver) = dealer(seed);
    // The dealer sends nothing.
    let channel = || Channel::new(Role::P0, memory().0);
    let mut sent = move || stored::draw_sender(&mut channel(), &mut sender, BATCH);
    let mut got = move || stored::draw_receiver(&mut channel(), &mut receiver, BATCH);
    let first = (sent(), got());
    match first {
        (Ok(first_sent), Ok(first_got)) => (
            StoredSender::stream(first_sent, move || sent().map(Some)),
            StoredReceiver::stream(first_got, move || got().map(Some)),
        ),
        (sent, got) => panic!("the dealer fails: {:?}, {:?}", sent.err(), got.err()),
    }
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
