//! Where the OTs of the online phase are drawn from, before there is an input: what it costs, and the drawing.

use crate::{Error, Ot, Settings};
use copriv_bits::Block;
use copriv_channel::{Channel, Cost};
use copriv_ot::key_bits::{self, ReceiverBits, SenderBits};
use copriv_ot::silent::{self, Schedule, SilentReceiver, SilentSender, State};
use copriv_ot::stored::{ReceiverBatch, SenderBatch, draw_receiver, draw_sender};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender};
use copriv_session::Session;
use copriv_wire::Role;
use zeroize::Zeroize;

/// RCOTs that are drawn at a time.
const DRAW: usize = 1 << 20;

/// The source of the OTs that are drawn before, as both parties choose it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OtSource {
    /// The session's own, which linear layers use too.
    Live(RcotBackend),
    /// Silent OT, bootstrapped by the session's own; with P0 and with P1 as sender.
    Silent { base: RcotBackend, schedules: [Schedule; 2] },
}

/// Where a source is: it decides what the next OTs cost.
#[derive(Clone, Debug)]
pub(crate) enum OtState {
    Live(RcotBackend),
    Silent([State; 2]),
}

impl OtSource {
    /// The cheaper of what `settings` allow, for a whole inference that uses `online`: a small one is cheaper without the
    /// set-up of silent OT.
    pub(crate) fn choose(settings: &Settings, online: &[Cost]) -> Self {
        let base = settings.live().rcot;
        let live = Self::Live(base);
        if settings.ot != Ot::Silent {
            return live;
        }
        let all = |sender| online.iter().map(|cost| cost.rcots_from(sender) as usize).sum::<usize>();
        let schedules = [Role::P0, Role::P1].map(|sender| Schedule::for_count(all(sender)));
        let silent = Self::Silent { base, schedules };
        let price = |source: &Self| {
            let mut state = source.begin();
            let drawn = online.iter().map(|cost| state.draw(cost)).sum::<Cost>();
            (source.setup_cost() + drawn).bytes()
        };
        if price(&silent) < price(&live) { silent } else { live }
    }

    /// What its set-up puts on the wire.
    pub(crate) fn setup_cost(&self) -> Cost {
        match *self {
            Self::Live(_) => Cost::ZERO,
            Self::Silent { base, schedules: [a, b] } => {
                silent::setup_cost(a, base, Role::P0) + silent::setup_cost(b, base, Role::P1)
            }
        }
    }

    pub(crate) fn begin(&self) -> OtState {
        match *self {
            Self::Live(rcot) => OtState::Live(rcot),
            Self::Silent { schedules, .. } => OtState::Silent(schedules.map(State::new)),
        }
    }

    /// Sets it up on a live session.
    pub(crate) fn set_up(&self, s: &mut Session) -> Result<Option<Silent>, Error> {
        let Self::Silent { schedules: [a, b], .. } = *self else { return Ok(None) };
        let role = s.role();
        let prg = s.prg.child();
        let Session { channel, rcot_sender, rcot_receiver, .. } = s;
        Ok(Some(match role {
            Role::P0 => {
                let sender = SilentSender::new(channel, rcot_sender.as_mut(), prg, a)?;
                Silent { sender, receiver: SilentReceiver::new(channel, rcot_receiver.as_mut(), b)? }
            }
            Role::P1 => {
                let receiver = SilentReceiver::new(channel, rcot_receiver.as_mut(), a)?;
                Silent { sender: SilentSender::new(channel, rcot_sender.as_mut(), prg, b)?, receiver }
            }
        }))
    }
}

/// The price of an RCOT in 2^-16 bytes, long after the set-up: what digits are chosen by.
pub(crate) fn price(settings: &Settings) -> u64 {
    const MANY: usize = 1 << 27;
    let drawn = match settings.ot {
        Ot::Silent => State::new(Schedule::LARGE).draw(Role::P0, MANY),
        Ot::Iknp | Ot::Softspoken => settings.live().rcot.cost(Role::P0, MANY),
    };
    (drawn.bytes() << 16) / MANY as u64
}

impl OtState {
    /// The cost of drawing now what `online` uses.
    pub(crate) fn draw(&mut self, online: &Cost) -> Cost {
        let draw = |part| match (&mut *self, part) {
            // The receivers of both directions speak, side by side.
            (Self::Live(rcot), Part::Blocks([p0, p1])) => {
                rcot.cost(Role::P0, p0).beside(rcot.cost(Role::P1, p1))
            }
            (Self::Live(rcot), Part::Bits([p0, p1])) => {
                rcot.cost_planes(Role::P0, p0).beside(rcot.cost_planes(Role::P1, p1))
            }
            (Self::Silent([a, b]), Part::Blocks([p0, p1])) => a.draw(Role::P0, p0) + b.draw(Role::P1, p1),
            (Self::Silent([a, b]), Part::Bits([p0, p1])) => {
                a.draw_planes(Role::P0, p0) + b.draw_planes(Role::P1, p1)
            }
        };
        Counts::of(online).parts().into_iter().map(draw).sum()
    }
}

/// How many OTs a step draws before, with P0 and with P1 as sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    /// Whole RCOTs.
    blocks: [usize; 2],
    /// Bits of keys.
    bits: [usize; 2],
}

/// OTs that are drawn together, with P0 and with P1 as sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Blocks([usize; 2]),
    Bits([usize; 2]),
}

impl Counts {
    /// Those of `online`.
    pub(crate) fn of(online: &Cost) -> Self {
        let both = [Role::P0, Role::P1];
        let bits = both.map(|sender| online.bit_ots_from(sender) as usize);
        let all = both.map(|sender| online.rcots_from(sender) as usize);
        Self { blocks: [0, 1].map(|p| all[p] - bits[p]), bits }
    }

    /// Of the OTs that a party has drawn.
    pub(crate) fn drawn(role: Role, (sent, got): &Drawn) -> Self {
        let turned = |own: usize, other: usize| match role {
            Role::P0 => [own, other],
            Role::P1 => [other, own],
        };
        Self { blocks: turned(sent.0.q.len(), got.0.t.len()), bits: turned(sent.1.len(), got.1.len()) }
    }

    /// Whether there is none.
    pub(crate) fn is_zero(&self) -> bool {
        *self == Self { blocks: [0; 2], bits: [0; 2] }
    }

    fn parts(self) -> Vec<Part> {
        let cut = |all: [usize; 2]| {
            let parts = all.into_iter().max().unwrap_or(0).div_ceil(DRAW);
            (0..parts).map(move |part| all.map(|all| all.saturating_sub(part * DRAW).min(DRAW)))
        };
        cut(self.blocks).map(Part::Blocks).chain(cut(self.bits).map(Part::Bits)).collect()
    }
}

/// One party's OTs of both directions, drawn before: whole ones, and bits of keys.
pub(crate) type Drawn = ((SenderBatch, SenderBits), (ReceiverBatch, ReceiverBits));

/// One party's silent OTs of both directions.
pub(crate) struct Silent {
    sender: SilentSender,
    receiver: SilentReceiver,
}

impl Silent {
    pub(crate) fn state(&self, role: Role) -> OtState {
        let [own, other] = [self.sender.state().clone(), self.receiver.state().clone()];
        OtState::Silent(match role {
            Role::P0 => [own, other],
            Role::P1 => [other, own],
        })
    }
}

/// Draws what `online` uses: from `silent` where there is one, otherwise from the session's own.
pub(crate) fn draw(
    s: &mut Session,
    silent: Option<&mut Silent>,
    online: &Cost,
) -> Result<Option<Drawn>, Error> {
    let role = s.role();
    let counts = Counts::of(online);
    if counts.is_zero() {
        return Ok(None);
    }
    let Session { channel, rcot_sender, rcot_receiver, .. } = s;
    // The receivers of a live backend speak first; of silent OT the senders, first P0.
    let sender_first = silent.is_some() && role == Role::P0;
    let (sender, receiver): (&mut dyn RcotSender, &mut dyn RcotReceiver) = match silent {
        Some(Silent { sender, receiver }) => (sender, receiver),
        None => (rcot_sender.as_mut(), rcot_receiver.as_mut()),
    };
    let [all_sent, all_received] = by_direction(counts.blocks, role);
    let mut batches: Option<(SenderBatch, ReceiverBatch)> = None;
    let mut bits = (SenderBits::default(), ReceiverBits::default());
    for part in counts.parts() {
        match part {
            Part::Blocks(part) => {
                let [send, receive] = by_direction(part, role);
                let (sent, received) = in_turn(
                    sender_first,
                    channel,
                    |channel| draw_sender(channel, sender, send),
                    |channel| draw_receiver(channel, receiver, receive),
                )?;
                match &mut batches {
                    None => {
                        let (mut sent, mut received) = (sent, received);
                        // Growing would leave copies behind.
                        in_place(&mut sent.q, all_sent);
                        in_place(&mut received.t, all_received);
                        batches = Some((sent, received));
                    }
                    // Drawn one after the other, with nothing else between: one longer batch.
                    Some((all_sent, all_received)) => {
                        all_sent.q.extend_from_slice(&sent.q);
                        all_received.t.extend_from_slice(&received.t);
                        all_received.choices.extend(&received.choices);
                    }
                }
            }
            Part::Bits(part) => {
                let [send, receive] = by_direction(part, role);
                let (sent, received) = in_turn(
                    sender_first,
                    channel,
                    |channel| key_bits::draw_sender(channel, sender, send),
                    |channel| key_bits::draw_receiver(channel, receiver, receive),
                )?;
                bits.0.append(&sent);
                bits.1.append(&received);
            }
        }
    }
    let (sent, got) = match batches {
        Some(batches) => batches,
        // There are bits alone.
        None => (draw_sender(channel, sender, 0)?, draw_receiver(channel, receiver, 0)?),
    };
    Ok(Some(((sent, bits.0), (got, bits.1))))
}

/// What a party does as sender and as receiver, in the order that it is told.
fn in_turn<A, B>(
    sender_first: bool,
    channel: &mut Channel,
    send: impl FnOnce(&mut Channel) -> copriv_wire::Result<A>,
    receive: impl FnOnce(&mut Channel) -> copriv_wire::Result<B>,
) -> copriv_wire::Result<(A, B)> {
    if sender_first {
        let sent = send(channel)?;
        Ok((sent, receive(channel)?))
    } else {
        let received = receive(channel)?;
        Ok((send(channel)?, received))
    }
}

/// With P0 and with P1 as sender, to: as sender and as receiver.
fn by_direction([p0, p1]: [usize; 2], role: Role) -> [usize; 2] {
    match role {
        Role::P0 => [p0, p1],
        Role::P1 => [p1, p0],
    }
}

/// Moves `blocks` to where there is room for `all`, and erases where they were.
fn in_place(blocks: &mut Vec<Block>, all: usize) {
    if blocks.capacity() < all {
        let mut roomy = Vec::with_capacity(all);
        roomy.extend_from_slice(blocks);
        std::mem::swap(blocks, &mut roomy);
        roomy.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reveal, Suite};

    fn settings(ot: Ot) -> Settings {
        Settings { ot, ..Settings::new(Suite::Best, Reveal::Logits) }
    }

    fn online(count: usize) -> Vec<Cost> {
        vec![Cost::rcots(Role::P0, count) + Cost::rcots(Role::P1, count / 3)]
    }

    #[test]
    fn a_small_job_is_cheaper_without_silent_ot() {
        let choose = |ot, count| OtSource::choose(&settings(ot), &online(count));
        let is_silent = |source| matches!(source, OtSource::Silent { .. });
        assert!(!is_silent(choose(Ot::Silent, 1000)) && is_silent(choose(Ot::Silent, 10_000_000)));
        assert!([Ot::Iknp, Ot::Softspoken].iter().all(|&ot| !is_silent(choose(ot, 10_000_000))));
        // Whatever is chosen is the cheaper one.
        for count in [0, 1, 30_000, 300_000, 3_000_000] {
            let price = |source: OtSource| {
                let mut state = source.begin();
                let drawn = online(count).iter().map(|cost| state.draw(cost)).sum::<Cost>();
                (source.setup_cost() + drawn).bytes()
            };
            let best = price(choose(Ot::Silent, count));
            assert!(best <= price(choose(Ot::Softspoken, count)), "{count}");
        }
    }

    #[test]
    fn the_cheaper_the_ots_the_lower_their_price() {
        let [silent, softspoken, iknp] = Ot::ALL.map(|ot| price(&settings(ot)));
        assert!(silent < 1 << 13 && (4 << 16..5 << 16).contains(&softspoken), "{silent} {softspoken}");
        assert!((16 << 16..17 << 16).contains(&iknp), "{iknp}");
    }

    #[test]
    fn parts_are_all_of_it() {
        let cost = Cost::rcots(Role::P0, 3 * DRAW + 5) + Cost::rcots(Role::P1, DRAW);
        let parts = Counts::of(&cost).parts();
        assert_eq!(parts, [[DRAW, DRAW], [DRAW, 0], [DRAW, 0], [5, 0]].map(Part::Blocks));
        let some = Counts::of(&(cost + Cost::bit_ots(Role::P0, 3 * DRAW + 1) + Cost::bit_ots(Role::P1, 7)));
        assert_eq!(some, Counts { blocks: [4, DRAW - 7], bits: [3 * DRAW + 1, 7] });
        let bits = [[DRAW, 7], [DRAW, 0], [DRAW, 0], [1, 0]].map(Part::Bits);
        assert_eq!(some.parts(), [&[Part::Blocks([4, DRAW - 7])][..], &bits].concat());
        assert!(Counts::of(&Cost::ZERO).is_zero() && Counts::of(&Cost::ZERO).parts().is_empty());
    }
}
