//! The law of costs: what is executed over two channels is counted exactly as composed.

use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost, memory};
use copriv_ring::{RingVec, Width};
use copriv_wire::{Result, Role, messages};
use proptest::prelude::*;
use std::thread;

messages! {
    /// One bit each.
    Bits: Bits = 0xFFE0;
    /// Ring elements.
    Elements: Ring = 0xFFE1;
    /// Blocks.
    Wide: Blocks = 0xFFE2;
    /// Bytes.
    Plain: Bytes = 0xFFE3;
}

/// A message's shape.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Bits(usize),
    Ring(usize, u32),
    Blocks(usize),
    Bytes(usize),
}

#[derive(Clone, Debug)]
enum Step {
    Message(Role, Shape),
    Exchange(Shape, Shape),
    /// As many requests ahead, requests, their shape, the replies' shape.
    Pipeline(Role, usize, usize, Shape, Shape),
    Repeat(Vec<Step>, usize),
}

fn width(bits: u32) -> Width {
    Width::new(bits).expect("1 to 64")
}

impl Shape {
    fn cost(self, from: Role) -> Cost {
        match self {
            Self::Bits(n) => Cost::message(from, n, 1),
            Self::Ring(n, bits) => Cost::message(from, n, bits),
            Self::Blocks(n) => Cost::message(from, n, 128),
            Self::Bytes(n) => Cost::message(from, n, 8),
        }
    }

    fn send(self, channel: &mut Channel) -> Result<()> {
        match self {
            Self::Bits(n) => channel.send_bits::<Bits>(&BitVec::from_fn(n, |i| i % 3 == 0)),
            Self::Ring(n, bits) => channel.send_ring::<Elements>(&RingVec::zeros(width(bits), n)),
            Self::Blocks(n) => channel.send_blocks::<Wide>(&vec![Block::ONES; n]),
            Self::Bytes(n) => channel.send_bytes::<Plain>(&vec![7; n]),
        }
    }

    fn recv(self, channel: &mut Channel) -> Result<()> {
        match self {
            Self::Bits(n) => {
                assert_eq!(channel.recv_bits::<Bits>(n)?, BitVec::from_fn(n, |i| i % 3 == 0));
            }
            Self::Ring(n, bits) => {
                assert_eq!(channel.recv_ring::<Elements>(width(bits), n)?, RingVec::zeros(width(bits), n));
            }
            Self::Blocks(n) => {
                let mut blocks = vec![Block::ZERO; n];
                channel.recv_blocks::<Wide>(&mut blocks)?;
                assert_eq!(blocks, vec![Block::ONES; n]);
            }
            Self::Bytes(n) => assert_eq!(channel.recv_bytes::<Plain>(n)?, vec![7; n]),
        }
        Ok(())
    }
}

impl Step {
    fn cost(&self) -> Cost {
        match self {
            Self::Message(from, shape) => shape.cost(*from),
            Self::Exchange(a, b) => a.cost(Role::P0).beside(b.cost(Role::P1)),
            Self::Pipeline(lead, _, n, request, reply) => {
                let (request, reply) = (request.cost(*lead), reply.cost(lead.peer()));
                Cost::pipeline(*lead, request.repeat(*n), reply.repeat(*n))
            }
            Self::Repeat(steps, times) => steps.iter().map(Self::cost).sum::<Cost>().repeat(*times),
        }
    }

    fn run(&self, channel: &mut Channel) -> Result<()> {
        match self {
            Self::Message(from, shape) if *from == channel.role() => shape.send(channel),
            Self::Message(_, shape) => shape.recv(channel),
            Self::Exchange(a, b) => {
                let (mine, theirs) = if channel.role() == Role::P0 { (a, b) } else { (b, a) };
                mine.send(channel)?;
                theirs.recv(channel)
            }
            Self::Pipeline(lead, ahead, n, request, reply) => channel.pipelined(|channel| {
                if *lead != channel.role() {
                    for _ in 0..*n {
                        request.recv(channel)?;
                        reply.send(channel)?;
                    }
                    return Ok(());
                }
                for i in 0..n + ahead {
                    if i < *n {
                        request.send(channel)?;
                    }
                    if i >= *ahead {
                        reply.recv(channel)?;
                    }
                }
                Ok(())
            }),
            Self::Repeat(steps, times) => {
                (0..*times).try_for_each(|_| steps.iter().try_for_each(|step| step.run(channel)))
            }
        }
    }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::P0), Just(Role::P1)]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        (0usize..300).prop_map(Shape::Bits),
        (0usize..1200, 1u32..=64).prop_map(|(n, bits)| Shape::Ring(n, bits)),
        (0usize..50).prop_map(Shape::Blocks),
        (0usize..50).prop_map(Shape::Bytes),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let leaf = prop_oneof![
        (role(), shape()).prop_map(|(from, shape)| Step::Message(from, shape)),
        (shape(), shape()).prop_map(|(a, b)| Step::Exchange(a, b)),
        (role(), 0usize..4, 0usize..6, shape(), shape())
            .prop_map(|(lead, ahead, n, request, reply)| Step::Pipeline(lead, ahead, n, request, reply)),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        (prop::collection::vec(inner, 0..4), 0usize..4).prop_map(|(steps, times)| Step::Repeat(steps, times))
    })
}

fn cost() -> impl Strategy<Value = Cost> {
    prop::collection::vec(step(), 0..5).prop_map(|steps| steps.iter().map(Step::cost).sum())
}

proptest! {
    #[test]
    fn addition_is_associative_with_zero(a in cost(), b in cost(), c in cost()) {
        prop_assert_eq!((a + b) + c, a + (b + c));
        prop_assert_eq!(a + Cost::ZERO, a);
        prop_assert_eq!(Cost::ZERO + a, a);
    }

    #[test]
    fn repetition_is_a_sum(a in cost(), n in 0usize..20, m in 0usize..20) {
        prop_assert_eq!(a.repeat(n), (0..n).map(|_| a).sum());
        prop_assert_eq!(a.repeat(n) + a.repeat(m), a.repeat(n + m));
        prop_assert_eq!(a.repeat(n).repeat(m), a.repeat(n * m));
    }

    #[test]
    fn channels_count_what_costs_predict(steps in prop::collection::vec(step(), 0..12)) {
        let (a, b) = memory();
        let run = |mut channel: Channel| {
            steps.iter().try_for_each(|step| step.run(&mut channel)).map(|()| channel.traffic())
        };
        let traffic = thread::scope(|scope| {
            let p1 = scope.spawn(|| run(Channel::new(Role::P1, b)));
            [run(Channel::new(Role::P0, a)), p1.join().expect("no panic")]
        });
        let cost: Cost = steps.iter().map(Step::cost).sum();
        for (role, traffic) in [Role::P0, Role::P1].into_iter().zip(traffic) {
            let traffic = traffic.expect("both are honest");
            prop_assert_eq!(traffic.sent, cost.bytes_from(role));
            prop_assert_eq!(traffic.received, cost.bytes_from(role.peer()));
            prop_assert_eq!(traffic.rounds, cost.rounds_of(role));
        }
    }
}
