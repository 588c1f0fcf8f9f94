//! Bits of keys drawn before: the same later, each once.

use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_ot::key_bits::{
    BitsReceiver, BitsSender, PLANES, ReceiverBits, SenderBits, draw_receiver, draw_sender,
};
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ot::silent::{Schedule, SilentReceiver, SilentSender, State};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender};
use copriv_prg::Prg;
use copriv_session::{Params, Session};
use copriv_testkit::{channel_pair, dealer, run_pair};
use copriv_wire::{Error, Result, Role};
use proptest::prelude::*;
use std::io::ErrorKind;

const SOFTSPOKEN: Params =
    Params { rcot: RcotBackend::Softspoken { k: 4 }, one_of_n: OneOfNBackend::Rcot, digit_bits: 2 };

fn prg(seed: u64) -> Prg {
    Prg::from_seed(Block::new(seed, 97))
}

/// Both parties' bits of `count` OTs of the ideal dealer.
fn drawn(count: usize) -> (SenderBits, ReceiverBits) {
    let (mut channel, _other) = channel_pair();
    let (mut s, mut r) = dealer(Block::ONES);
    let sent = draw_sender(&mut channel, &mut s, count).expect("the dealer sends nothing");
    (sent, draw_receiver(&mut channel, &mut r, count).expect("the dealer sends nothing"))
}

/// Backends with these bits, and no more than an ideal dealer besides.
fn backends(sent: SenderBits, got: ReceiverBits) -> (impl RcotSender, impl RcotReceiver) {
    let (s, r) = dealer(Block::ZERO);
    (BitsSender::new(s, sent), BitsReceiver::new(r, got))
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result.map(drop) {
        Err(Error::Io(error)) => error.kind(),
        other => panic!("an I/O error is expected, not {other:?}"),
    }
}

fn are_keys(choices: &BitVec, [k0, k1]: &[Vec<BitVec>; 2], k: &[BitVec]) -> bool {
    k0.iter().zip(k1).zip(k).all(|((k0, k1), k)| *k == k0 ^ &(choices & &(k0 ^ k1)))
}

#[test]
fn they_are_handed_out_once_and_then_end() {
    let (mut channel, _other) = channel_pair();
    let (mut live_s, mut live_r) = dealer(Block::ONES);
    let sent = live_s.random_planes(&mut channel, 1000, PLANES).unwrap();
    let (choices, got) = live_r.random_planes(&mut channel, 1000, PLANES).unwrap();
    assert!(are_keys(&choices, &sent, &got));

    let (bits_s, bits_r) = drawn(1000);
    let (mut s, mut r) = backends(bits_s, bits_r);
    let mut start = 0;
    for (n, planes) in [(0, 1), (1, 4), (63, 2), (64, 3), (500, 1), (372, 4)] {
        let range = start..start + n;
        start += n;
        let of = |all: &[BitVec]| -> Vec<BitVec> {
            all[..planes as usize].iter().map(|plane| plane.slice(range.clone())).collect()
        };
        let now = s.random_planes(&mut channel, n, planes).unwrap();
        assert!(now == [of(&sent[0]), of(&sent[1])], "{range:?}");
        let (now_choices, now) = r.random_planes(&mut channel, n, planes).unwrap();
        assert!(now_choices == choices.slice(range.clone()) && now == of(&got));
        // What is handed out does not disturb whole OTs.
        let [mut q, mut t] = [[Block::ZERO; 3]; 2];
        s.extend(&mut channel, &mut q).unwrap();
        let b = r.extend(&mut channel, &mut t).unwrap();
        assert!((0..3).all(|i| t[i] == q[i] ^ s.delta().select(b.bit(i))));
    }
    assert_eq!(kind(s.random_planes(&mut channel, 1, 1)), ErrorKind::UnexpectedEof);
    let error = r.random_planes(&mut channel, 7, 1).unwrap_err().to_string();
    assert!(error.contains("used up, 7 more are needed"), "{error}");
}

#[test]
fn choices_are_corrected_by_a_bit() {
    let n = 777;
    let choices = prg(1).bits(n);
    let (sent, got) = drawn(n);
    let (c0, c1) = channel_pair();
    let mut ends = (c0, c1);
    let (mut s, mut r) = backends(sent, got);
    let k = r.chosen_planes(&mut ends.1, &choices, 2).unwrap();
    let keys = s.chosen_planes(&mut ends.0, n, 2).unwrap();
    assert!(are_keys(&choices, &keys, &k));
    assert_eq!(ends.1.traffic().sent as usize, 8 + n.div_ceil(8));
}

/// Drawn from each other, and from silent OT, for what the costs say.
#[test]
fn live_backends_draw_them() {
    let n = 40_000;
    let draw = |s: &mut Session| match s.role() {
        Role::P0 => draw_sender(&mut s.channel, s.rcot_sender.as_mut(), n).map(|sent| (Some(sent), None)),
        Role::P1 => draw_receiver(&mut s.channel, s.rcot_receiver.as_mut(), n).map(|got| (None, Some(got))),
    };
    let check = |(sent, _): (Option<SenderBits>, Option<ReceiverBits>),
                 (_, got): (Option<SenderBits>, Option<ReceiverBits>)| {
        let (mut channel, _other) = channel_pair();
        let (mut s, mut r) = backends(sent.unwrap(), got.unwrap());
        let keys = s.random_planes(&mut channel, n, PLANES).unwrap();
        let (choices, k) = r.random_planes(&mut channel, n, PLANES).unwrap();
        assert!(are_keys(&choices, &keys, &k));
        let ones = choices.iter().filter(|&b| b).count();
        assert!((n / 2 - 600..n / 2 + 600).contains(&ones), "{ones}");
    };
    let out = run_pair(SOFTSPOKEN, 3, draw, draw);
    out.assert_cost(SOFTSPOKEN.rcot.cost_planes(Role::P0, n));
    check(out.p0, out.p1);

    let schedule = Schedule::SMALL;
    let silent = |s: &mut Session| {
        match s.role() {
            Role::P0 => {
                let ot = SilentSender::new(&mut s.channel, s.rcot_sender.as_mut(), prg(2), schedule)?;
                s.rcot_sender = Box::new(ot);
            }
            Role::P1 => {
                let ot = SilentReceiver::new(&mut s.channel, s.rcot_receiver.as_mut(), schedule)?;
                s.rcot_receiver = Box::new(ot);
            }
        }
        let before = s.channel.traffic();
        let drawn = draw(s)?;
        Ok((drawn, s.channel.traffic().since(before)))
    };
    let out = run_pair(SOFTSPOKEN, 4, silent, silent);
    let cost = State::new(schedule).draw_planes(Role::P0, n);
    assert_eq!(cost.bytes_from(Role::P0), out.p0.1.sent);
    assert_eq!((cost.rcots_from(Role::P0), cost.bit_ots_from(Role::P0)), (n as u64, n as u64));
    check(out.p0.0, out.p1.0);
}

#[test]
fn damage_has_a_name() {
    let (sent, got) = drawn(13);
    let mut bytes = sent.to_bytes();
    bytes[17] |= 0x80;
    let error = SenderBits::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("after the last"), "{error}");
    bytes[8..16].fill(0xFF);
    let error = SenderBits::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("cut off or damaged"), "{error}");
    assert_eq!(kind(SenderBits::from_bytes(&got.to_bytes())), ErrorKind::InvalidData);
    assert_eq!(kind(ReceiverBits::from_bytes(&sent.to_bytes())), ErrorKind::InvalidData);
    assert_eq!(format!("{sent:?} {got:?}"), "SenderBits(13 OTs) ReceiverBits(13 OTs)");
}

/// One after the other is all of them.
#[test]
fn draws_are_joined() {
    let (mut channel, _other) = channel_pair();
    let (mut s, mut r) = dealer(Block::ONES);
    let (mut sent, mut got) = (SenderBits::default(), ReceiverBits::default());
    assert!(sent.is_empty() && got.is_empty());
    for n in [0, 70, 1, 100] {
        sent.append(&draw_sender(&mut channel, &mut s, n).unwrap());
        got.append(&draw_receiver(&mut channel, &mut r, n).unwrap());
    }
    assert_eq!((sent.len(), got.len()), (171, 171));
    let (mut s, mut r) = backends(sent, got);
    let keys = s.random_planes(&mut channel, 171, PLANES).unwrap();
    let (choices, k) = r.random_planes(&mut channel, 171, PLANES).unwrap();
    assert!(are_keys(&choices, &keys, &k));
}

fn bytes_of(channel: &mut Channel, n: usize, seed: u64) -> [Vec<u8>; 2] {
    let (mut s, mut r) = dealer(Block::new(seed, 1));
    let sent = draw_sender(channel, &mut s, n).expect("the dealer sends nothing");
    let got = draw_receiver(channel, &mut r, n).expect("the dealer sends nothing");
    [sent.to_bytes().to_vec(), got.to_bytes().to_vec()]
}

proptest! {
    #[test]
    fn bytes_are_bits_again(n in 0usize..300, seed: u64) {
        let (mut channel, _other) = channel_pair();
        let [sent, got] = bytes_of(&mut channel, n, seed);
        prop_assert!(SenderBits::from_bytes(&sent).unwrap().to_bytes()[..] == sent);
        prop_assert!(ReceiverBits::from_bytes(&got).unwrap().to_bytes()[..] == got);
        prop_assert_eq!(SenderBits::from_bytes(&sent).unwrap().len(), n);
        for cut in [0, 7, 15, 16, sent.len() - 1] {
            if cut < sent.len() {
                prop_assert_eq!(kind(SenderBits::from_bytes(&sent[..cut])), ErrorKind::InvalidData);
            }
            if cut < got.len() {
                prop_assert_eq!(kind(ReceiverBits::from_bytes(&got[..cut])), ErrorKind::InvalidData);
            }
        }
    }

    /// Whatever is accepted is the only encoding of its value.
    #[test]
    fn any_bytes_are_bits_or_an_error(
        receiver: bool,
        ots in prop_oneof![0u64..40, any::<u64>()],
        rest in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mark = if receiver { *b"CoPrvKBr" } else { *b"CoPrvKBs" };
        let bytes = [&mark[..], &ots.to_le_bytes(), &rest].concat();
        if let Ok(bits) = SenderBits::from_bytes(&bytes) {
            prop_assert!(bits.to_bytes()[..] == bytes);
        }
        if let Ok(bits) = ReceiverBits::from_bytes(&bytes) {
            prop_assert!(bits.to_bytes()[..] == bytes);
        }
    }
}
