//! Every kind of message, and the packing under it: what is accepted is the only encoding of its value.

use crate::{FromBytes, Target};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, memory};
use copriv_ring::Width;
use copriv_testkit::record;
use copriv_wire::{HEADER_BYTES, Result, Role, messages, pack, unpack, unpack_with};

messages! {
    /// Any bits.
    AnyBits: Bits = 0xFF01;
    /// Any ring elements.
    AnyRing: Ring = 0xFF02;
    /// Any blocks.
    AnyBlocks: Blocks = 0xFF03;
    /// Any bytes.
    AnyBytes: Bytes = 0xFF04;
}

pub const TARGETS: &[Target] = &[
    Target::parser("message_bits", bits, || {
        seed(|c| c.send_bits::<AnyBits>(&BitVec::from_fn(77, |i| i % 3 == 0)))
    }),
    Target::parser("message_ring", ring, || seed(|c| c.send_words::<AnyRing>(Width::of(41), &[7; 600]))),
    Target::parser("message_blocks", blocks, || seed(|c| c.send_blocks::<AnyBlocks>(&[Block::ONES; 5]))),
    Target::parser("message_bytes", bytes, || seed(|c| c.send_bytes::<AnyBytes>(b"some bytes"))),
    Target::parser("wire_unpack", unpacked, || vec![[&[36, 88, 2][..], &pack(&[5; 600], 37)].concat()]),
];

fn bits(data: &[u8]) -> bool {
    let (_, count) = shape(data);
    round_trip(data, |from| from.recv_bits::<AnyBits>(count), |bits, to| to.send_bits::<AnyBits>(bits))
}

fn ring(data: &[u8]) -> bool {
    let (width, count) = shape(data);
    round_trip(data, |from| from.recv_ring::<AnyRing>(width, count), |x, to| to.send_ring::<AnyRing>(x))
}

fn blocks(data: &[u8]) -> bool {
    let (_, count) = shape(data);
    let receive = |from: &mut Channel| {
        let mut blocks = vec![Block::ZERO; count];
        from.recv_blocks::<AnyBlocks>(&mut blocks).map(|()| blocks)
    };
    round_trip(data, receive, |blocks, to| to.send_blocks::<AnyBlocks>(blocks))
}

fn bytes(data: &[u8]) -> bool {
    let (_, count) = shape(data);
    round_trip(data, |from| from.recv_bytes::<AnyBytes>(count), |bytes, to| to.send_bytes::<AnyBytes>(bytes))
}

fn unpacked(data: &[u8]) -> bool {
    let [width, low, high, packed @ ..] = data else { return false };
    let (width, count) = (u32::from(width % 64) + 1, usize::from(*low) | usize::from(high % 8) << 8);
    let mut parts = Vec::new();
    let in_parts = unpack_with(packed, count, width, |start, part| {
        assert_eq!(start, parts.len(), "parts come in order");
        parts.extend_from_slice(part);
    });
    match unpack(packed, count, width) {
        Ok(elements) => {
            assert!(in_parts.is_ok() && parts == elements, "parts make the whole");
            assert!(pack(&elements, width) == packed, "an encoding is the only one of its elements");
        }
        Err(_) => assert!(in_parts.is_err(), "parts fail where the whole does"),
    }
    in_parts.is_ok()
}

/// The shape that the header in `data` states, cut to what a receiver might expect.
fn shape(data: &[u8]) -> (Width, usize) {
    let header = data.first_chunk::<HEADER_BYTES>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (Width::of(((header >> 16 & 0xFF) as u32 + 63) % 64 + 1), (header >> 24) as usize % 2048)
}

/// Receives a value from `data` and, where one came, asserts that sending it gives the bytes it came from.
fn round_trip<T>(
    data: &[u8],
    receive: impl FnOnce(&mut Channel) -> Result<T>,
    send: impl FnOnce(&T, &mut Channel) -> Result<()>,
) -> bool {
    let mut from = Channel::new(Role::P0, FromBytes::new(data));
    let Ok(value) = receive(&mut from) else { return false };
    let said = said(|to| send(&value, to));
    assert_eq!(from.traffic().received, said.len() as u64, "what came is counted");
    assert!(data.starts_with(&said), "an encoding is the only one of its value");
    true
}

fn seed(send: impl FnOnce(&mut Channel) -> Result<()>) -> Vec<Vec<u8>> {
    vec![said(send)]
}

/// What `send` puts on the wire.
fn said(send: impl FnOnce(&mut Channel) -> Result<()>) -> Vec<u8> {
    let (to, _open) = memory();
    let (to, said) = record(to);
    send(&mut Channel::new(Role::P1, to)).expect("the other end is open");
    let said = said.lock().expect("nobody else has it");
    said.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use copriv_wire::packed_bytes;

    #[test]
    fn seeds_name_their_own_shape() {
        let ring = seed(|c| c.send_words::<AnyRing>(Width::of(41), &[7; 600]));
        assert_eq!(ring[0].len(), HEADER_BYTES + packed_bytes(600, 41));
        assert_eq!(shape(&ring[0]), (Width::of(41), 600));
    }
}
