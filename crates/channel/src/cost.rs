use copriv_wire::{HEADER_BYTES, Role, packed_bytes};
use std::iter::Sum;
use std::ops::Add;

/// What a protocol puts on the wire: bytes each way, rounds of each party, and one-way delays on the
/// critical path; and the random correlated OTs it draws, whether they cost bytes or not. `a + b` is a followed by b, in this order: it is associative, not commutative, because
/// whether b's first receive is a wait after sending depends on how a ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    sent: [u64; 2],
    waits: [Waits; 2],
    /// `delay[to][from]`: how many one-way delays lie at most between the start at `from` and the end at `to`
    /// (a matrix of the max-plus semiring; `NEVER` where nothing flows).
    delay: [[i64; 2]; 2],
    /// Random correlated OTs, by their sender.
    rcots: [u64; 2],
    /// Those of them of which bits of keys alone are used.
    bit_ots: [u64; 2],
}

/// A party's own sequence of sends and receives, as far as rounds need it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Waits {
    /// Receives that come after a send.
    rounds: u64,
    starts_receiving: bool,
    ends_sending: bool,
    acts: bool,
}

const NEVER: i64 = i64::MIN / 4;

impl Waits {
    const SEND: Self = Self { rounds: 0, starts_receiving: false, ends_sending: true, acts: true };
    const RECEIVE: Self = Self { rounds: 0, starts_receiving: true, ends_sending: false, acts: true };

    fn then(self, next: Self) -> Self {
        match (self.acts, next.acts) {
            (false, _) => next,
            (_, false) => self,
            _ => Self {
                rounds: self.rounds + next.rounds + u64::from(self.ends_sending && next.starts_receiving),
                starts_receiving: self.starts_receiving,
                ends_sending: next.ends_sending,
                acts: true,
            },
        }
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Cost {
    /// Nothing is sent or drawn.
    pub const ZERO: Self = Self {
        sent: [0; 2],
        waits: [Waits { rounds: 0, starts_receiving: false, ends_sending: false, acts: false }; 2],
        delay: [[0, NEVER], [NEVER, 0]],
        rcots: [0; 2],
        bit_ots: [0; 2],
    };

    /// One message from `from`: `count` elements of `width` bits (1 for bits, 128 for blocks, 8 for bytes).
    pub fn message(from: Role, count: usize, width: u32) -> Self {
        let mut cost = Self::ZERO;
        cost.sent[from.index()] = (HEADER_BYTES + packed_bytes(count, width)) as u64;
        cost.waits[from.index()] = Waits::SEND;
        cost.waits[from.peer().index()] = Waits::RECEIVE;
        cost.delay[from.peer().index()][from.index()] = 1;
        cost
    }

    /// `count` random correlated OTs of `sender`, as such: the messages that make them are counted apart.
    pub fn rcots(sender: Role, count: usize) -> Self {
        let mut cost = Self::ZERO;
        cost.rcots[sender.index()] = count as u64;
        cost
    }

    /// Of `count` of the OTs of `sender` that are counted elsewhere bits of the keys alone are used.
    pub fn bit_ots(sender: Role, count: usize) -> Self {
        let mut cost = Self::ZERO;
        cost.bit_ots[sender.index()] = count as u64;
        cost
    }

    /// Both parties send the same shape, then both receive.
    pub fn exchange(count: usize, width: u32) -> Self {
        Self::message(Role::P0, count, width).beside(Self::message(Role::P1, count, width))
    }

    /// Both parties send what `self` and `other` say (each one-way, in opposite directions), then both receive.
    pub fn beside(self, other: Self) -> Self {
        if self.is_silent() || other.is_silent() {
            return self + other;
        }
        let exchanged = Waits { rounds: 1, starts_receiving: false, ends_sending: false, acts: true };
        Self {
            sent: [0, 1].map(|p| self.sent[p] + other.sent[p]),
            waits: [exchanged; 2],
            delay: [0, 1].map(|to| [0, 1].map(|from| self.delay[to][from].max(other.delay[to][from]))),
            rcots: [0, 1].map(|p| self.rcots[p] + other.rcots[p]),
            bit_ots: [0, 1].map(|p| self.bit_ots[p] + other.bit_ots[p]),
        }
    }

    /// A stream: `lead` sends messages of the total `request`, and its peer answers each as it comes with
    /// messages of the total `reply`, while further requests are on their way; only the last replies
    /// are waited for ([`Channel::pipelined`](crate::Channel::pipelined)).
    pub fn pipeline(lead: Role, request: Self, reply: Self) -> Self {
        if request.is_silent() || reply.is_silent() {
            return request + reply;
        }
        let mut cost = Self::message(lead, 0, 1) + Self::message(lead.peer(), 0, 1);
        cost.sent = [0, 1].map(|p| request.sent[p] + reply.sent[p]);
        cost.rcots = [0, 1].map(|p| request.rcots[p] + reply.rcots[p]);
        cost.bit_ots = [0, 1].map(|p| request.bit_ots[p] + reply.bit_ots[p]);
        cost
    }

    /// `self`, `times` times in sequence.
    pub fn repeat(self, times: usize) -> Self {
        let (mut result, mut power, mut times) = (Self::ZERO, self, times);
        while times > 0 {
            if times & 1 == 1 {
                result = result + power;
            }
            power = power + power;
            times >>= 1;
        }
        result
    }

    /// Whether no message is sent; OTs may be drawn all the same.
    pub fn is_silent(&self) -> bool {
        self.waits.iter().all(|waits| !waits.acts)
    }

    /// Random correlated OTs that `sender` sends.
    pub fn rcots_from(&self, sender: Role) -> u64 {
        self.rcots[sender.index()]
    }

    /// Those of them of which bits of keys alone are used.
    pub fn bit_ots_from(&self, sender: Role) -> u64 {
        self.bit_ots[sender.index()]
    }

    /// Bytes that `from` sends, headers included.
    pub fn bytes_from(&self, from: Role) -> u64 {
        self.sent[from.index()]
    }

    /// Bytes of both directions.
    pub fn bytes(&self) -> u64 {
        self.sent[0] + self.sent[1]
    }

    /// How often `party` waits for its peer after sending, on a fresh channel.
    pub fn rounds_of(&self, party: Role) -> u64 {
        self.waits[party.index()].rounds
    }

    /// The larger of the two parties' rounds.
    pub fn rounds(&self) -> u64 {
        self.waits[0].rounds.max(self.waits[1].rounds)
    }

    /// One-way network delays on the critical path; half of them are round trips.
    pub fn delays(&self) -> u64 {
        self.delay.iter().flatten().copied().max().unwrap_or(0).max(0) as u64
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, next: Self) -> Self {
        let product = |to: usize, from: usize| {
            (0..2).map(|mid| next.delay[to][mid] + self.delay[mid][from]).max().unwrap_or(NEVER).max(NEVER)
        };
        Self {
            sent: [0, 1].map(|p| self.sent[p] + next.sent[p]),
            waits: [0, 1].map(|p| self.waits[p].then(next.waits[p])),
            delay: [0, 1].map(|to| [0, 1].map(|from| product(to, from))),
            rcots: [0, 1].map(|p| self.rcots[p] + next.rcots[p]),
            bit_ots: [0, 1].map(|p| self.bit_ots[p] + next.bit_ots[p]),
        }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_waits_after_sending() {
        let to_p1 = Cost::message(Role::P0, 3, 5);
        let to_p0 = Cost::message(Role::P1, 3, 5);
        assert_eq!((to_p1.bytes(), to_p1.rounds(), to_p1.delays()), (10, 0, 1));
        let ask = to_p0 + to_p1;
        assert_eq!((ask.rounds_of(Role::P0), ask.rounds_of(Role::P1), ask.delays()), (0, 1, 2));
        assert_eq!((ask + ask).rounds_of(Role::P0), 1);
        assert_eq!((to_p1 + to_p1 + to_p1).delays(), 1);
        assert_eq!(ask.repeat(5), ask + ask + ask + ask + ask);
        assert_eq!(Cost::exchange(1, 1).repeat(3).rounds(), 3);
        assert_eq!(Cost::exchange(1, 1).repeat(3).delays(), 3);
        assert_eq!(ask.repeat(0), Cost::ZERO);
    }

    #[test]
    fn ots_are_counted_and_are_no_messages() {
        let (ots, message) = (Cost::rcots(Role::P1, 7), Cost::message(Role::P0, 3, 5));
        assert!(ots.is_silent() && Cost::ZERO.is_silent() && !message.is_silent());
        assert!(!Cost::message(Role::P0, 0, 1).is_silent());
        assert_eq!((ots.bytes(), ots.rounds(), ots.delays()), (0, 0, 0));
        let drawn = |cost: Cost| [Role::P0, Role::P1].map(|sender| cost.rcots_from(sender));
        let bits = Cost::bit_ots(Role::P1, 3);
        let some = (ots + bits + message).beside(message).repeat(2) + Cost::pipeline(Role::P0, bits, message);
        assert!(bits.is_silent() && (some.bit_ots_from(Role::P0), some.bit_ots_from(Role::P1)) == (0, 9));
        for both in [ots.beside(message), message.beside(ots), Cost::pipeline(Role::P0, ots, message)] {
            assert_eq!((drawn(both), both.rounds(), both.delays()), ([0, 7], 0, 1));
        }
        let ask = Cost::rcots(Role::P0, 2) + Cost::message(Role::P1, 1, 1) + ots;
        assert_eq!(drawn(Cost::pipeline(Role::P1, ask, message)), [2, 7]);
        assert_eq!(drawn(ask.beside(message)), [2, 7]);
        assert_eq!(drawn(ask.repeat(5)), [10, 35]);
    }
}
