//! RCOTs drawn before: the same OTs later, each once, with tweaks of their own.

use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ot::stored::{
    ReceiverBatch, SenderBatch, StoredReceiver, StoredSender, TWEAKS_PER_OT, draw_receiver, draw_sender,
};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender, chosen, cot};
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_testkit::{channel_pair, dealer, run_pair, survive_tampering};
use copriv_wire::{Error, Result, Role};
use proptest::prelude::*;
use std::io::ErrorKind;

const IKNP: Params = Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };
const STORED: Params = Params { rcot: RcotBackend::Stored, ..IKNP };

fn prg(seed: u64) -> Prg {
    Prg::from_seed(Block::new(seed, 98))
}

/// Batches of the given sizes, drawn one after the other.
fn batches(sizes: &[usize]) -> (Vec<SenderBatch>, Vec<ReceiverBatch>) {
    let (mut channel, _other) = channel_pair();
    let (mut s, mut r) = dealer(Block::ONES);
    s.take_tweaks(77);
    r.take_tweaks(77);
    let sent = sizes
        .iter()
        .map(|&n| draw_sender(&mut channel, &mut s, n).expect("the dealer sends nothing"))
        .collect();
    (
        sent,
        sizes
            .iter()
            .map(|&n| draw_receiver(&mut channel, &mut r, n).expect("the dealer sends nothing"))
            .collect(),
    )
}

fn streams(sizes: &[usize]) -> (StoredSender, StoredReceiver) {
    let (sent, got) = batches(sizes);
    let (mut sent, mut got) = (sent.into_iter(), got.into_iter());
    let first = (sent.next().expect("a batch"), got.next().expect("a batch"));
    (
        StoredSender::stream(first.0, move || Ok(sent.next())),
        StoredReceiver::stream(first.1, move || Ok(got.next())),
    )
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result.map(drop) {
        Err(Error::Io(error)) => error.kind(),
        other => panic!("an I/O error is expected, not {other:?}"),
    }
}

#[test]
fn batches_hand_out_what_was_drawn_and_then_end() {
    let (mut channel, _other) = channel_pair();
    let (sent, got) = batches(&[10, 1, 0, 100]);
    let q: Vec<Block> = sent.iter().flat_map(|batch| batch.q.clone()).collect();
    let t: Vec<Block> = got.iter().flat_map(|batch| batch.t.clone()).collect();
    let b = BitVec::concat(got.iter().map(|batch| &batch.choices));
    assert!((0..111).all(|i| t[i] == q[i] ^ sent[0].delta.select(b.bit(i))));
    let (mut s, mut r) = streams(&[10, 1, 0, 100]);
    assert_eq!(s.delta(), sent[0].delta);
    let mut start = 0;
    for n in [0, 3, 7, 5, 96] {
        let [mut now_q, mut now_t] = [(); 2].map(|()| vec![Block::ZERO; n]);
        s.extend(&mut channel, &mut now_q).unwrap();
        assert_eq!(r.extend(&mut channel, &mut now_t).unwrap(), b.slice(start..start + n));
        assert!(now_q == q[start..][..n] && now_t == t[start..][..n]);
        start += n;
        let ready = if start < 11 { 10 - start } else { 111 - start };
        assert_eq!((s.ready(), r.ready()), (ready, ready));
    }
    assert_eq!(kind(s.extend(&mut channel, &mut [Block::ZERO])), ErrorKind::UnexpectedEof);
    assert_eq!(kind(r.extend(&mut channel, &mut [Block::ZERO])), ErrorKind::UnexpectedEof);
    let mut one = StoredSender::new(batches(&[5]).0.remove(0));
    let error = one.extend(&mut channel, &mut [Block::ZERO; 8]).unwrap_err().to_string();
    assert!(error.contains("used up, 3 more are needed"), "{error}");
}

#[test]
fn a_source_is_checked() {
    let (mut channel, _other) = channel_pair();
    for (sizes, order) in [([4, 5, 6], [0, 2]), ([4, 5, 6], [1, 0]), ([4, 4, 4], [0, 0])] {
        let pick = |i: usize| {
            let (mut sent, mut got) = batches(&sizes);
            (sent.swap_remove(order[i]), got.swap_remove(order[i]))
        };
        let (first, second) = (pick(0), pick(1));
        let (mut later_s, mut later_r) = (Some(second.0), Some(second.1));
        let mut s = StoredSender::stream(first.0, move || Ok(later_s.take()));
        let mut r = StoredReceiver::stream(first.1, move || Ok(later_r.take()));
        assert_eq!(kind(s.extend(&mut channel, &mut [Block::ZERO; 7])), ErrorKind::InvalidData);
        assert_eq!(kind(r.extend(&mut channel, &mut [Block::ZERO; 7])), ErrorKind::InvalidData);
    }
    let [mut first, mut other] = batches(&[2, 2]).0.try_into().unwrap();
    other.delta = Block::ONES;
    let mut s = StoredSender::stream(first_of(&mut first), move || Ok(Some(first_of(&mut other))));
    assert_eq!(kind(s.extend(&mut channel, &mut [Block::ZERO; 3])), ErrorKind::InvalidData);
    let mut failing =
        StoredSender::stream(first, || Err(std::io::Error::from(ErrorKind::PermissionDenied).into()));
    assert_eq!(kind(failing.extend(&mut channel, &mut [Block::ZERO; 3])), ErrorKind::PermissionDenied);
}

fn first_of(batch: &mut SenderBatch) -> SenderBatch {
    SenderBatch { delta: batch.delta, first_tweak: batch.first_tweak, q: batch.q.clone() }
}

/// The ranges of tweaks that a backend, its batches and what is made of them take, in any order, are disjoint.
#[test]
fn tweaks_never_come_twice() {
    let (mut channel, _other) = channel_pair();
    let (mut live, _) = dealer(Block::ZERO);
    let mut taken: Vec<(u64, u64)> = Vec::new();
    let mut stores = Vec::new();
    for n in [3, 40, 1] {
        taken.push((live.take_tweaks(n), n as u64));
        stores.push((n, StoredSender::new(draw_sender(&mut channel, &mut live, n).unwrap())));
    }
    for (n, mut store) in stores {
        for _ in 0..n {
            store.extend(&mut channel, &mut [Block::ZERO]).unwrap();
            for count in [1, 33, TWEAKS_PER_OT - 34] {
                taken.push((store.take_tweaks(count), count as u64));
            }
        }
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.take_tweaks(1))).is_err());
    }
    taken.push((live.take_tweaks(9), 9));
    taken.sort_unstable();
    assert!(taken.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
}

/// Both parties' streams of RCOTs out of a session on IKNP, through bytes, into another session.
#[test]
fn a_run_on_what_another_run_has_drawn() {
    let draw = |s: &mut Session| {
        let sent = draw_sender(&mut s.channel, s.rcot_sender.as_mut(), 400);
        let got = draw_receiver(&mut s.channel, s.rcot_receiver.as_mut(), 400);
        Ok((sent?.to_bytes(), got?.to_bytes()))
    };
    // P0 sends first, P1 receives first.
    let turned = |s: &mut Session| {
        let got = draw_receiver(&mut s.channel, s.rcot_receiver.as_mut(), 400);
        let sent = draw_sender(&mut s.channel, s.rcot_sender.as_mut(), 400);
        Ok((sent?.to_bytes(), got?.to_bytes()))
    };
    let out = run_pair(IKNP, 1, draw, turned);
    let (c0, c1) = channel_pair();
    let (d, choices) = (prg(1).ring(Width::of(41), 200), prg(2).bits(200));
    let party = |channel: Channel,
                 (sent, got): (zeroize::Zeroizing<Vec<u8>>, zeroize::Zeroizing<Vec<u8>>)| {
        let (d, choices) = (d.clone(), choices.clone());
        move || -> Result<_> {
            let sender = StoredSender::new(SenderBatch::from_bytes(&sent)?);
            let receiver = StoredReceiver::new(ReceiverBatch::from_bytes(&got)?);
            let one_of_n =
                (copriv_ot::one_of_n::OneOfNSender::Rcot, copriv_ot::one_of_n::OneOfNReceiver::Rcot);
            let rcot: (Box<dyn RcotSender>, Box<dyn RcotReceiver>) = (Box::new(sender), Box::new(receiver));
            let mut s = Session::from_parts(channel, prg(3), STORED, rcot, one_of_n);
            let both = s.cot_both(&choices, &d)?;
            let more = s.cot_both(&choices, &d)?;
            assert_ne!(both, more, "other pads");
            Ok((both, s.cot_both(&prg(2).bits(1), &prg(1).ring(Width::of(9), 1)).is_err()))
        }
    };
    let p1 = std::thread::spawn(party(c1, out.p1));
    let ((got0, sent0), end0) = party(c0, out.p0)().unwrap();
    let ((got1, sent1), end1) = p1.join().unwrap().unwrap();
    assert!(end0 && end1);
    for (got, sent) in [(got0, sent1), (got1, sent0)] {
        let sum = &got + &sent;
        assert!((0..200).all(|i| sum.words()[i] == d.words()[i] * choices.bit(i)));
    }
}

#[test]
fn protocols_on_stored_ots() {
    let width = Width::of(37);
    for n in [1, 999, 1000, 2500] {
        let (choices, d) = (prg(n as u64).bits(n), prg(5).ring(width, n));
        let out = run_pair(
            STORED,
            3,
            |s| {
                let sent = cot::send(&mut s.channel, s.rcot_sender.as_mut(), 1, &d)?;
                chosen::send(&mut s.channel, s.rcot_sender.as_mut(), [&d, &sent])?;
                s.one_of_n_send(8, width, n, |i, table| table.fill(i as u64))?;
                Ok(sent)
            },
            |s| {
                let got = cot::receive(&mut s.channel, s.rcot_receiver.as_mut(), width, 1, &choices)?;
                let open = chosen::receive(&mut s.channel, s.rcot_receiver.as_mut(), width, &choices)?;
                Ok((got, open, s.one_of_n_receive(8, width, &vec![200; n])?))
            },
        );
        out.assert_cost(
            cot::cost(STORED.rcot, Role::P0, n, 1, width)
                + chosen::cost(STORED.rcot, Role::P0, n, width)
                + STORED.one_of_n_cost(Role::P0, n, 8, width),
        );
        let (got, open, entries) = &out.p1;
        assert!(entries.iter().enumerate().all(|(i, &x)| x == i as u64));
        let sum = &out.p0 + got;
        for i in 0..n {
            let (c, d, sent) = (choices.bit(i), d.words()[i], out.p0.words()[i]);
            assert_eq!((sum.words()[i], open.words()[i]), (c * d, if c == 1 { sent } else { d }));
        }
        let out = run_pair(STORED, 4, |s| s.bit_triples(n), |s| s.bit_triples(n));
        out.assert_cost(STORED.bit_triples_cost(n));
    }
    assert_eq!(STORED.rcot.cost_chosen(Role::P0, 80).bytes(), 8 + 10);
    assert!(STORED.rcot.cost(Role::P0, 80).is_silent());
}

#[test]
fn no_tampering_panics_or_hangs() {
    let runs = survive_tampering(STORED, |s| {
        s.bit_triples(10)?;
        let (choices, d) = (prg(1).bits(10), prg(2).ring(Width::of(5), 10));
        s.cot_both(&choices, &d).map(drop)
    });
    assert!(runs > 20);
}

proptest! {
    #[test]
    fn bytes_are_a_batch_again(n in 0usize..200, first_tweak in 0u64..1 << 50, seed: u64) {
        let mut prg = prg(seed);
        let q = (0..n).map(|_| prg.block()).collect();
        let sent = SenderBatch { delta: prg.block(), first_tweak, q };
        let bytes = sent.to_bytes();
        prop_assert_eq!(bytes.len(), SenderBatch::byte_len(n));
        let again = SenderBatch::from_bytes(&bytes).unwrap();
        prop_assert!(again.delta == sent.delta && again.first_tweak == first_tweak && again.q == sent.q);
        let t = (0..n).map(|_| prg.block()).collect();
        let got = ReceiverBatch { first_tweak, choices: prg.bits(n), t };
        let other = got.to_bytes();
        prop_assert_eq!(other.len(), ReceiverBatch::byte_len(n));
        let again = ReceiverBatch::from_bytes(&other).unwrap();
        prop_assert!(again.choices == got.choices && again.first_tweak == first_tweak && again.t == got.t);
        prop_assert_eq!(kind(SenderBatch::from_bytes(&other)), ErrorKind::InvalidData);
        prop_assert_eq!(kind(ReceiverBatch::from_bytes(&bytes)), ErrorKind::InvalidData);
        for cut in [0, 7, 8, 23, 24, bytes.len() - 1] {
            prop_assert_eq!(kind(SenderBatch::from_bytes(&bytes[..cut])), ErrorKind::InvalidData);
            let cut = cut.min(other.len() - 1);
            prop_assert_eq!(kind(ReceiverBatch::from_bytes(&other[..cut])), ErrorKind::InvalidData);
        }
    }

    /// Whatever is accepted is the only encoding of its value.
    #[test]
    fn any_bytes_are_a_batch_or_an_error(
        receiver: bool,
        ots in prop_oneof![0u64..4, any::<u64>()],
        rest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mark = if receiver { *b"CoPrvOTr" } else { *b"CoPrvOTs" };
        let bytes = [&mark[..], &ots.to_le_bytes(), &rest].concat();
        if let Ok(batch) = SenderBatch::from_bytes(&bytes) {
            prop_assert!(batch.to_bytes()[..] == bytes);
        }
        if let Ok(batch) = ReceiverBatch::from_bytes(&bytes) {
            prop_assert!(batch.to_bytes()[..] == bytes);
        }
    }
}

#[test]
fn damage_has_a_name() {
    let (sent, got) = batches(&[13]);
    let mut bytes = got[0].to_bytes();
    *bytes.last_mut().unwrap() |= 0x80;
    let error = ReceiverBatch::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("after the last choice"), "{error}");
    let mut bytes = sent[0].to_bytes();
    bytes[16..24].fill(0xFF);
    let error = SenderBatch::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("tweaks"), "{error}");
    bytes[8..16].fill(0xFF);
    let error = SenderBatch::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("cut off or damaged"), "{error}");
    assert_eq!(format!("{:?} {:?}", sent[0], got[0]), "SenderBatch(13 OTs) ReceiverBatch(13 OTs)");
}
