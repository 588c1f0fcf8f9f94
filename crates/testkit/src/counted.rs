use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_ot::{RcotReceiver, RcotSender};
use copriv_session::Session;
use copriv_wire::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many RCOTs were drawn, and of how many of them bits of keys alone.
#[derive(Default)]
pub struct Drawn {
    rcots: AtomicU64,
    bit_ots: AtomicU64,
}

impl Drawn {
    /// Both numbers.
    pub fn numbers(&self) -> [u64; 2] {
        [&self.rcots, &self.bit_ots].map(|count| count.load(Ordering::Relaxed))
    }
}

/// RCOTs that count how many were drawn.
struct Counted<T: ?Sized> {
    inner: Box<T>,
    drawn: Arc<Drawn>,
}

/// The session with its RCOTs counted from now on: those it sends, and those it receives.
pub fn counted(session: Session) -> (Session, [Arc<Drawn>; 2]) {
    let [sent, got] = [(); 2].map(|()| Arc::<Drawn>::default());
    let rcot_sender = Box::new(Counted { inner: session.rcot_sender, drawn: sent.clone() });
    let rcot_receiver = Box::new(Counted { inner: session.rcot_receiver, drawn: got.clone() });
    (Session { rcot_sender, rcot_receiver, ..session }, [sent, got])
}

impl<T: ?Sized> Counted<T> {
    fn count(&self, count: usize) {
        self.drawn.rcots.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn count_bits(&self, count: usize) {
        self.count(count);
        self.drawn.bit_ots.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl RcotSender for Counted<dyn RcotSender> {
    fn delta(&self) -> Block {
        self.inner.delta()
    }

    fn extend(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        self.count(q.len());
        self.inner.extend(channel, q)
    }

    fn random_planes(
        &mut self,
        channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<[Vec<BitVec>; 2]> {
        self.count_bits(count);
        self.inner.random_planes(channel, count, planes)
    }

    fn chosen_planes(
        &mut self,
        channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<[Vec<BitVec>; 2]> {
        self.count_bits(count);
        self.inner.chosen_planes(channel, count, planes)
    }

    fn extend_chosen(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        self.count(q.len());
        self.inner.extend_chosen(channel, q)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.inner.take_tweaks(count)
    }
}

impl RcotReceiver for Counted<dyn RcotReceiver> {
    fn extend(&mut self, channel: &mut Channel, t: &mut [Block]) -> Result<BitVec> {
        self.count(t.len());
        self.inner.extend(channel, t)
    }

    fn random_planes(
        &mut self,
        channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<(BitVec, Vec<BitVec>)> {
        self.count_bits(count);
        self.inner.random_planes(channel, count, planes)
    }

    fn chosen_planes(&mut self, channel: &mut Channel, choices: &BitVec, planes: u32) -> Result<Vec<BitVec>> {
        self.count_bits(choices.len());
        self.inner.chosen_planes(channel, choices, planes)
    }

    fn extend_chosen(&mut self, channel: &mut Channel, choices: &BitVec, t: &mut [Block]) -> Result<()> {
        self.count(t.len());
        self.inner.extend_chosen(channel, choices, t)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.inner.take_tweaks(count)
    }
}
