use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_ot::{RcotReceiver, RcotSender};
use copriv_session::Session;
use copriv_wire::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// RCOTs that count how many were drawn.
struct Counted<T: ?Sized> {
    inner: Box<T>,
    drawn: Arc<AtomicU64>,
}

/// The session with its RCOTs counted from now on: those it sends, and those it receives.
pub fn counted(session: Session) -> (Session, [Arc<AtomicU64>; 2]) {
    let [sent, got] = [(); 2].map(|()| Arc::<AtomicU64>::default());
    let rcot_sender = Box::new(Counted { inner: session.rcot_sender, drawn: sent.clone() });
    let rcot_receiver = Box::new(Counted { inner: session.rcot_receiver, drawn: got.clone() });
    (Session { rcot_sender, rcot_receiver, ..session }, [sent, got])
}

impl<T: ?Sized> Counted<T> {
    fn count(&self, count: usize) {
        self.drawn.fetch_add(count as u64, Ordering::Relaxed);
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

    fn chooses(&self) -> bool {
        self.inner.chooses()
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

    fn chooses(&self) -> bool {
        self.inner.chooses()
    }

    fn extend_chosen(&mut self, channel: &mut Channel, choices: &BitVec, t: &mut [Block]) -> Result<()> {
        self.count(t.len());
        self.inner.extend_chosen(channel, choices, t)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        self.inner.take_tweaks(count)
    }
}
