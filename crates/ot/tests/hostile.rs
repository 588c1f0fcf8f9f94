//! A lying, silent or vanishing peer: an error or a wrong answer, never a panic or a hang.

use copriv_bits::{BitVec, Block};
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ot::{RcotBackend, chosen, cot};
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_testkit::survive_tampering;
use copriv_wire::{Result, Role};

fn everything(s: &mut Session) -> Result<()> {
    let (width, n) = (Width::of(37), 130);
    let (choices, d) = (BitVec::from_fn(n, |i| i % 3 == 0), RingVec::zeros(width, n));
    match s.role() {
        Role::P0 => {
            cot::send(&mut s.channel, s.rcot_sender.as_mut(), 1, &d)?;
            chosen::send(&mut s.channel, s.rcot_sender.as_mut(), [&d, &d])?;
            s.one_of_n_send(4, Width::of(2), n, |_, table| table.fill(1))?;
        }
        Role::P1 => {
            cot::receive(&mut s.channel, s.rcot_receiver.as_mut(), width, 1, &choices)?;
            chosen::receive(&mut s.channel, s.rcot_receiver.as_mut(), width, &choices)?;
            s.one_of_n_receive(4, Width::of(2), &vec![3; n])?;
        }
    }
    s.cot_both(&choices, &d)?;
    s.bit_triples(n)?;
    Ok(())
}

#[test]
fn no_tampering_panics_or_hangs() {
    let iknp = Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };
    let softspoken = |k| Params { rcot: RcotBackend::Softspoken { k }, ..iknp };
    for params in [iknp, Params::CRYPTFLOW2, Params::IDEAL, softspoken(2), softspoken(8)] {
        // At least five messages of each party, six ways each.
        assert!(survive_tampering(params, everything) > 60);
    }
}

#[test]
fn bytes_that_are_no_point_are_refused() {
    let (mut c0, mut c1) = copriv_testkit::channel_pair();
    c1.send_bytes::<copriv_ot::base::ChoicePoints>(&[0xFF; 64]).unwrap();
    let mut prg = copriv_prg::Prg::from_seed(Block::ZERO);
    let error = copriv_ot::base::send(&mut c0, &mut prg, 1).unwrap_err();
    assert!(error.to_string().contains("Ristretto255"), "{error}");
}
