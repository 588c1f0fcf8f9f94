//! The bytes on the wire with a fixed seed. A change of them is a change of the protocol: raise the session's version, run
//! with COPRIV_BLESS=1, which writes the digests anew, and say in the change log what changed.

use copriv_bits::Block;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_ot::{RcotBackend, chosen, cot, rot};
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_testkit::check_wire;
use copriv_wire::{Result, Role};

type Body = fn(&mut Session) -> Result<()>;

const N: usize = 300;
const IKNP: Params = Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };

fn prg() -> Prg {
    Prg::from_seed(Block::new(4, 2))
}

fn one_of_16(s: &mut Session) -> Result<()> {
    let choices: Vec<u8> = (0..N).map(|i| (i % 16) as u8).collect();
    match s.role() {
        Role::P0 => s.one_of_n_send(4, Width::of(2), N, |i, table| table.fill(i as u64 & 3)),
        Role::P1 => s.one_of_n_receive(4, Width::of(2), &choices).map(drop),
    }
}

const STORED: Params = Params { rcot: RcotBackend::Stored, ..IKNP };

const fn softspoken(k: usize) -> Params {
    Params { rcot: RcotBackend::Softspoken { k }, ..IKNP }
}

fn rcots(s: &mut Session) -> Result<()> {
    let mut blocks = vec![Block::ZERO; 8192 + N];
    match s.role() {
        Role::P0 => s.rcot_sender.extend(&mut s.channel, &mut blocks),
        Role::P1 => s.rcot_receiver.extend(&mut s.channel, &mut blocks).map(drop),
    }
}

const PROTOCOLS: [(&str, Params, Body); 13] = [
    ("set-up", Params::CRYPTFLOW2, |_| Ok(())),
    ("rot", IKNP, |s| match s.role() {
        Role::P0 => rot::send(&mut s.channel, s.rcot_sender.as_mut(), N).map(drop),
        Role::P1 => rot::receive(&mut s.channel, s.rcot_receiver.as_mut(), &prg().bits(N)).map(drop),
    }),
    ("cot", IKNP, |s| match s.role() {
        Role::P0 => {
            cot::send(&mut s.channel, s.rcot_sender.as_mut(), 3, &prg().ring(Width::of(41), 3 * N)).map(drop)
        }
        Role::P1 => {
            let choices = prg().bits(N);
            cot::receive(&mut s.channel, s.rcot_receiver.as_mut(), Width::of(41), 3, &choices).map(drop)
        }
    }),
    ("chosen", IKNP, |s| match s.role() {
        Role::P0 => {
            let m = prg().ring(Width::of(37), N);
            chosen::send(&mut s.channel, s.rcot_sender.as_mut(), [&m, &m])
        }
        Role::P1 => {
            chosen::receive(&mut s.channel, s.rcot_receiver.as_mut(), Width::of(37), &prg().bits(N)).map(drop)
        }
    }),
    ("1-of-16 kk13", Params::CRYPTFLOW2, one_of_16),
    ("1-of-16 rcot", IKNP, one_of_16),
    ("triples", Params::CRYPTFLOW2, |s| s.bit_triples(N).map(drop)),
    ("1-of-16 stored", STORED, one_of_16),
    ("rcot iknp", IKNP, rcots),
    ("rcot softspoken 2", softspoken(2), rcots),
    ("rcot softspoken 4", softspoken(4), rcots),
    ("rcot softspoken 8", softspoken(8), rcots),
    ("1-of-16 softspoken", softspoken(4), one_of_16),
];

#[test]
fn wire_bytes_are_as_before() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire.txt");
    check_wire(include_str!("wire.txt"), path, PROTOCOLS);
}
