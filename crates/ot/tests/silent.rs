//! Silent OT: the law of RCOTs over many iterations and all sets, its exact cost, liars, the bytes on the wire.

use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost, Transport, memory};
use copriv_ot::iknp::{BASE_OTS, IknpReceiver, IknpSender};
use copriv_ot::silent::{Schedule, Set, SilentReceiver, SilentSender, State, setup_cost};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender, base, rot};
use copriv_prg::Prg;
use copriv_testkit::{Tamper, Tampering, channel_pair, dealer, record, run_channels};
use copriv_wire::{Result, Role};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Sets without security, for speed.
const NARROW: Set = Set { log_k: 6, trees: 8, height: 5, wide: false };
const WIDE: Set = Set { log_k: 3, trees: 6, height: 6, wide: true };
const ONE: Set = Set { log_k: 5, trees: 8, height: 7, wide: false };

fn toys() -> [Schedule; 4] {
    [
        Schedule::new(&[NARROW]),
        Schedule::new(&[NARROW, WIDE]),
        Schedule::new(&[ONE, NARROW, ONE, WIDE]),
        Schedule::new(&[ONE]),
    ]
}

fn prg(seed: u64) -> Prg {
    Prg::from_seed(Block::new(seed, 97))
}

/// Both ends over the dealer, and their channels: the sender never waits, so one thread will do.
struct Ends {
    channels: (Channel, Channel),
    sender: SilentSender,
    receiver: SilentReceiver,
}

fn ends(schedule: Schedule, seed: u64) -> Ends {
    let (mut c0, mut c1) = channel_pair();
    let (mut s, mut r) = dealer(Block::new(seed, 1));
    let sender = SilentSender::new(&mut c0, &mut s, prg(seed), schedule).expect("a sender");
    let receiver = SilentReceiver::new(&mut c1, &mut r, schedule).expect("a receiver");
    Ends { channels: (c0, c1), sender, receiver }
}

impl Ends {
    /// Draws `count` OTs into the buffers and checks them; the choices.
    fn draw(&mut self, q: &mut Vec<Block>, t: &mut Vec<Block>, count: usize) -> BitVec {
        [&mut *q, t].into_iter().for_each(|x| x.resize(count, Block::ONES));
        self.sender.extend(&mut self.channels.0, q).expect("OTs sent");
        let b = self.receiver.extend(&mut self.channels.1, t).expect("OTs received");
        let delta = self.sender.delta();
        assert!(delta.bit(0) && b.len() == count);
        assert!((0..count).all(|i| t[i] == q[i] ^ delta.select(b.bit(i))), "t = q ⊕ b·Δ");
        assert!((0..count).all(|i| q[i].low() & 1 == 0), "the lowest bit of q");
        b
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn rcots_over_many_iterations(counts in prop::collection::vec(0usize..1500, 1..25), seed: u64, which in 0usize..4) {
        let schedule = toys()[which];
        let (mut ends, mut state) = (ends(schedule, seed), State::new(schedule));
        let (mut q, mut t, mut all) = (vec![], vec![], vec![]);
        for count in counts {
            let before = [&ends.channels.0, &ends.channels.1].map(Channel::traffic);
            prop_assert_eq!(ends.sender.state(), &state);
            ends.draw(&mut q, &mut t, count);
            let cost = state.draw(Role::P0, count);
            let [sent, got] =
                [(&ends.channels.0, before[0]), (&ends.channels.1, before[1])].map(|(c, b)| c.traffic().since(b));
            prop_assert_eq!((sent.sent, got.received), (cost.bytes_from(Role::P0), cost.bytes_from(Role::P0)));
            prop_assert_eq!((sent.received, got.sent, cost.bytes_from(Role::P1)), (0, 0, 0));
            prop_assert_eq!(ends.receiver.state(), &state);
            all.extend_from_slice(&q);
        }
        all.sort_by_key(|q| u128::from(*q));
        prop_assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "an output came twice");
    }
}

#[test]
fn every_schedule_is_correct_past_its_first_iteration() {
    for schedule in [Schedule::TINY, Schedule::SMALL, Schedule::MEDIUM, Schedule::LARGE] {
        let mut ends = ends(schedule, 8);
        let (mut q, mut t) = (vec![], vec![]);
        let (mut left, mut ones, mut state) = (schedule.sets()[schedule.sets().len() - 1].outputs(), 0, 0);
        let total = left;
        while left > 0 {
            let b = ends.draw(&mut q, &mut t, left.min(100_003));
            ones += b.iter().filter(|b| *b).count();
            state ^= q.iter().fold(0, |sum, q| sum ^ q.high());
            left -= b.len();
        }
        assert!(state != 0);
        assert!(ends.sender.memory().max(ends.receiver.memory()) < 60 << 20, "60 MiB");
        // Six standard deviations.
        let off = ones.abs_diff(total / 2);
        assert!(off * off < 9 * total, "{ones} of {total} choices are 1");
    }
}

#[test]
fn the_lean_schedule_and_the_other_wide_set_are_correct() {
    for schedule in [Schedule::LEAN, Schedule::FAST] {
        let mut ends = ends(schedule, 9);
        let (mut q, mut t) = (vec![], vec![]);
        ends.draw(&mut q, &mut t, 300_000);
        ends.draw(&mut q, &mut t, 5);
    }
}

#[test]
fn bits_of_outputs_are_balanced_and_uncorrelated() {
    let mut ends = ends(Schedule::SMALL, 10);
    let (mut q, mut t) = (vec![], vec![]);
    let n = 40_000;
    let b = ends.draw(&mut q, &mut t, n);
    let near_half = |count: usize| count.abs_diff(n / 2).pow(2) < 9 * n;
    assert!((1..128).all(|i| near_half(q.iter().filter(|q| q.bit(i)).count())));
    assert!((1..128).all(|i| near_half((0..n).filter(|&j| t[j].bit(i) ^ b.get(j)).count())));
    assert!((1..64).all(|lag| near_half((lag..n).filter(|&j| b.get(j) ^ b.get(j - lag)).count())));
}

/// From base OTs, with everything counted: set-up, random and real choices, random OTs on top.
#[test]
fn from_iknp_at_the_exact_cost() {
    let schedule = Schedule::TINY;
    let sizes = [1usize, 100, 20_000, 7];
    let (delta, choices) = (prg(1).block(), prg(2).bits(1000));
    let send = |c: &mut Channel| -> Result<_> {
        let keys = base::receive(c, &mut prg(3), &BitVec::from_words(delta.words().to_vec(), 128))?;
        let mut ot = SilentSender::new(c, &mut IknpSender::new(delta, &keys), prg(4), schedule)?;
        let mut q = vec![Block::ZERO; 1000];
        for n in sizes {
            ot.extend(c, &mut vec![Block::ZERO; n])?;
        }
        ot.extend_chosen(c, &mut q)?;
        Ok((q, ot.delta(), rot::send(c, &mut ot, 1000)?))
    };
    let receive = |c: &mut Channel| -> Result<_> {
        let keys: Vec<_> = base::send(c, &mut prg(5), BASE_OTS)?;
        let mut ot = SilentReceiver::new(c, &mut IknpReceiver::new(&keys, prg(6)), schedule)?;
        let mut t = vec![Block::ZERO; 1000];
        for n in sizes {
            ot.extend(c, &mut vec![Block::ZERO; n])?;
        }
        ot.extend_chosen(c, &choices, &mut t)?;
        Ok((t, rot::receive(c, &mut ot, &choices)?))
    };
    let cost = |sender: Role| {
        let mut state = State::new(schedule);
        let drawn: Cost = sizes.iter().map(|&n| state.draw(sender, n)).sum();
        let chosen = |state: &mut State| state.draw(sender, 1000) + Cost::message(sender.peer(), 1000, 1);
        let start = base::cost(sender.peer(), BASE_OTS) + setup_cost(schedule, RcotBackend::Iknp, sender);
        start + drawn + chosen(&mut state) + chosen(&mut state)
    };
    let check = |(q, delta, pairs): (Vec<Block>, Block, [Vec<Block>; 2]),
                 (t, keys): (Vec<Block>, Vec<Block>)| {
        for i in 0..1000 {
            assert!(t[i] == q[i] ^ delta.select(choices.bit(i)));
            assert!(
                keys[i] == pairs[choices.bit(i) as usize][i]
                    && keys[i] != pairs[1 - choices.bit(i) as usize][i]
            );
        }
    };
    let out = run_channels(memory(), send, receive);
    out.assert_cost(cost(Role::P0));
    check(out.p0.unwrap(), out.p1.unwrap());
    let out = run_channels(memory(), receive, send);
    out.assert_cost(cost(Role::P1));
    check(out.p1.unwrap(), out.p0.unwrap());
}

#[test]
fn a_bit_an_ot_at_ten_million() {
    let total = |schedule: Schedule, count: usize| {
        let mut state = State::new(schedule);
        let chunks: u64 = (0..count / 100_000).map(|_| state.draw(Role::P0, 100_000).bytes()).sum();
        setup_cost(schedule, RcotBackend::Iknp, Role::P0).bytes() + chunks
    };
    let bits = |schedule, count: usize| 8.0 * total(schedule, count) as f64 / count as f64;
    assert!(bits(Schedule::for_count(10_000_000), 10_000_000) < 1.0);
    assert!(bits(Schedule::LARGE, 100_000_000) < 0.8);
    assert!(bits(Schedule::FAST, 100_000_000) < 1.5);
    assert!(bits(Schedule::LEAN, 100_000_000) < 0.5);
    assert!(total(Schedule::for_count(100_000), 100_000) < 200_000);
    assert!(Schedule::for_count(1000).inputs() == Schedule::TINY.inputs());
}

#[test]
fn tweaks_go_on_and_never_meet_those_of_the_base() {
    let mut ends = ends(Schedule::TINY, 3);
    for n in [0, 5, 1, 1000] {
        let (a, b) = (ends.sender.take_tweaks(n), ends.receiver.take_tweaks(n));
        assert!(a == b && a >= 1 << 63);
        assert_eq!(ends.sender.take_tweaks(0), a + n as u64);
    }
}

fn sender(c: &mut Channel, sizes: &[usize]) -> Result<()> {
    let (mut base, _) = dealer(Block::new(5, 5));
    let mut ot = SilentSender::new(c, &mut base, prg(7), toys()[1])?;
    sizes.iter().try_for_each(|&n| ot.extend_chosen(c, &mut vec![Block::ZERO; n]))
}

fn receiver(c: &mut Channel, sizes: &[usize]) -> Result<()> {
    let (_, mut base) = dealer(Block::new(5, 5));
    let mut ot = SilentReceiver::new(c, &mut base, toys()[1])?;
    sizes.iter().try_for_each(|&n| ot.extend_chosen(c, &prg(8).bits(n), &mut vec![Block::ZERO; n]))
}

#[test]
fn no_tampering_panics_or_hangs() {
    let sizes = [3, 500, 1200];
    let patience = Duration::from_secs(1);
    let mut runs = 0;
    for (liar, tamper) in [0, 1].into_iter().flat_map(|liar| Tamper::ALL.map(|tamper| (liar, tamper))) {
        for at in 0.. {
            let (a, b) = memory();
            let lying =
                |end: usize, inner| Tampering::new(inner, tamper, if end == liar { at } else { usize::MAX });
            let ends = (lying(0, a.with_timeout(patience)), lying(1, b.with_timeout(patience)));
            let sent = [ends.0.counter(), ends.1.counter()][liar].clone();
            run_channels(ends, |c| sender(c, &sizes), |c| receiver(c, &sizes));
            runs += 1;
            if sent.load(Ordering::Relaxed) <= at {
                break;
            }
        }
    }
    assert!(runs > 60, "{runs}");
}

#[test]
fn a_rotation_by_too_much_is_refused() {
    let (mut c0, mut c1) = channel_pair();
    c0.send_bytes::<copriv_ot::silent::Rotation>(&[128]).unwrap();
    let (_, mut base) = dealer(Block::ONES);
    let error = SilentReceiver::new(&mut c1, &mut base, Schedule::TINY).map(drop).unwrap_err();
    assert!(error.to_string().contains("less than 128"), "{error}");
}

/// SHA-256 of what each party sends, for toy sets and for real ones; written anew with COPRIV_BLESS set.
#[test]
fn wire_bytes_are_as_before() {
    type Body<'a> = &'a (dyn Fn(&mut Channel) -> Result<()> + Sync);
    let cases: [(&str, [Body<'_>; 2]); 2] = [
        ("toy", [&|c| sender(c, &[3, 500, 1200]), &|c| receiver(c, &[3, 500, 1200])]),
        (
            "small",
            [
                &|c| {
                    let base = &mut dealer(Block::ONES).0;
                    SilentSender::new(c, base, prg(1), Schedule::SMALL)?
                        .extend(c, &mut vec![Block::ZERO; 60_000])
                },
                &|c| {
                    let base = &mut dealer(Block::ONES).1;
                    let mut ot = SilentReceiver::new(c, base, Schedule::SMALL)?;
                    ot.extend(c, &mut vec![Block::ZERO; 60_000]).map(drop)
                },
            ],
        ),
    ];
    let mut now = String::new();
    for (name, [p0, p1]) in cases {
        let (a, b) = memory();
        let ((a, sent0), (b, sent1)) = (record(a), record(b));
        let out = run_channels((a, b), p0, p1);
        assert!(out.p0.is_ok() && out.p1.is_ok(), "{name}");
        for (party, sent) in [("P0", sent0), ("P1", sent1)] {
            let digest = Sha256::digest(sent.lock().unwrap().as_slice());
            let digest: String = digest.iter().map(|b| format!("{b:02x}")).collect();
            now += &format!("{name} {party}: {digest}\n");
        }
    }
    if std::env::var_os("COPRIV_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/silent.txt"), &now).unwrap();
    } else {
        assert_eq!(now, include_str!("silent.txt"), "the bytes on the wire are others than before");
    }
}

/// Nothing grows with the number of OTs: the same buffers after one iteration and after five.
#[test]
fn a_transport_without_end_is_enough() {
    struct Sink;
    impl Transport for Sink {
        fn send(&mut self, _bytes: Vec<u8>) -> std::io::Result<()> {
            Ok(())
        }
        fn recv(&mut self, _buffer: &mut [u8]) -> std::io::Result<()> {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }
    let mut channel = Channel::new(Role::P0, Sink);
    let mut ot = SilentSender::new(&mut channel, &mut dealer(Block::ONES).0, prg(1), toys()[1]).unwrap();
    let mut q = vec![Block::ZERO; 1000];
    let mut sizes = vec![];
    for _ in 0..20 {
        ot.extend(&mut channel, &mut q).unwrap();
        sizes.push(ot.memory());
    }
    assert!(sizes[5..].windows(2).all(|pair| pair[0] == pair[1]), "{sizes:?}");
}
