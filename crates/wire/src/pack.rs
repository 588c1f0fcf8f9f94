//! Bit packing: `count` elements of `width` bits (1..=64) in exactly ceil(count · width / 8) bytes.
//!
//! # Layout
//!
//! Words are 64 bits, little-endian on the wire. The elements are cut into blocks of [`PACK_BLOCK`] = 512;
//! what is left over, 0 to 511 elements, is the tail.
//!
//! *A block* has 8 lanes of 64 elements: element e of the block is row i = e / 8 of lane j = e % 8. The rows of
//! a lane follow each other without gaps, low bits first, and take `width` words; word k of lane j is word
//! 8k + j of the block. So bit b of row i is bit p % 64 of word 8(p / 64) + j, where p = i · width + b, and a
//! block takes 64 · width bytes. With 64 bits an element this is the order of the elements themselves.
//!
//! *The tail* is one lane: bit b of its element e is bit p % 8 of its byte p / 8, where p = e · width + b. The
//! bits of the last byte that belong to no element, the padding, are zero.
//!
//! As blocks end on whole bytes, a sequence can be packed in parts: the parts' bytes one after the other are
//! those of the whole when every part but the last has a multiple of 512 elements.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::{Error, Result};

/// Elements of a block of the packed layout. Parts of a multiple of it can be packed one after the other.
pub const PACK_BLOCK: usize = 512;

/// A block's elements, row after row: element `LANES * i + j` is row i of lane j.
type Block = [u64; PACK_BLOCK];

/// Lanes of a block.
const LANES: usize = 8;

/// Rows of a lane: as many elements as a word has bits, so that a lane fills whole words at every width.
const ROWS: usize = 64;

/// The bytes that `count` elements of `width` bits take.
pub const fn packed_bytes(count: usize, width: u32) -> usize {
    // count < 2^40 and width <= 128 by the header, so this does not overflow.
    (count * width as usize).div_ceil(8)
}

/// `elements`, each of `width` bits (1..=64), packed without gaps.
///
/// # Panics
/// As [`pack_into`].
pub fn pack(elements: &[u64], width: u32) -> Vec<u8> {
    let mut out = Vec::new();
    pack_into(elements, width, &mut out);
    out
}

/// Appends the packed `elements` to `out`.
///
/// # Panics
/// When the width is not in 1..=64; in debug builds, when an element has more bits.
pub fn pack_into(elements: &[u64], width: u32, out: &mut Vec<u8>) {
    check_width(width);
    debug_assert!(
        elements.iter().fold(0, |or, e| or | e) <= u64::MAX >> (64 - width),
        "elements are canonical"
    );
    out.reserve(packed_bytes(elements.len(), width));
    let (blocks, tail) = elements.as_chunks();
    pack_blocks(blocks, width, out);
    for part in tail.chunks(ROWS) {
        let mut rows = [0; ROWS];
        rows[..part.len()].copy_from_slice(part);
        let words = portable::pack_lanes(rows.as_chunks().0, width);
        let bytes = words.map(|[word]| word.to_le_bytes());
        out.extend_from_slice(&bytes.as_flattened()[..packed_bytes(part.len(), width)]);
    }
}

/// Appends `count` packed elements to `out` which `fill` writes a part at a time, so that computed elements need
/// not all be stored: `fill(start, part)` writes elements `start..start + part.len()`. A part has at most
/// [`PACK_BLOCK`] elements; each must be written.
///
/// # Panics
/// As [`pack_into`].
pub fn pack_with(count: usize, width: u32, out: &mut Vec<u8>, mut fill: impl FnMut(usize, &mut [u64])) {
    check_width(width);
    out.reserve(packed_bytes(count, width));
    let mut block = [0; PACK_BLOCK];
    for start in (0..count).step_by(PACK_BLOCK) {
        let part = &mut block[..PACK_BLOCK.min(count - start)];
        fill(start, part);
        pack_into(part, width, out);
    }
}

/// The `count` elements of `width` bits in `bytes`.
///
/// # Errors
/// As [`unpack_into`].
///
/// # Panics
/// As [`unpack_into`].
pub fn unpack(bytes: &[u8], count: usize, width: u32) -> Result<Vec<u64>> {
    check_length(bytes, count, width)?;
    let mut out = vec![0; count];
    unpack_into(bytes, width, &mut out)?;
    Ok(out)
}

/// Fills `out` with the elements of `width` bits in `bytes`.
///
/// # Errors
/// [`Error::Wire`] when the length is not that of `out.len()` elements or the padding bits are not zero.
///
/// # Panics
/// When the width is not in 1..=64.
pub fn unpack_into(bytes: &[u8], width: u32, out: &mut [u64]) -> Result<()> {
    check_width(width);
    check_length(bytes, out.len(), width)?;
    let (blocks, tail) = out.as_chunks_mut();
    let (bytes, tail_bytes) = bytes.split_at(packed_bytes(blocks.len() * PACK_BLOCK, width));
    unpack_blocks(bytes, width, blocks);
    for (part, bytes) in tail.chunks_mut(ROWS).zip(tail_bytes.chunks(packed_bytes(ROWS, width))) {
        let mut words = [[0; 8]; ROWS];
        words.as_flattened_mut()[..bytes.len()].copy_from_slice(bytes);
        let rows = portable::unpack_lanes(&words.map(|word| [u64::from_le_bytes(word)]), width);
        let (elements, padding) = rows.as_flattened().split_at(part.len());
        part.copy_from_slice(elements);
        if padding.iter().any(|&row| row != 0) {
            return Err(Error::wire("packed elements", "zero padding bits", "other bits"));
        }
    }
    Ok(())
}

/// Hands the `count` elements of `width` bits in `bytes` to `take` a part at a time: `take(start, part)` gets
/// elements `start..start + part.len()`, at most [`PACK_BLOCK`] of them.
///
/// # Errors
/// As [`unpack_into`]; padding that is not zero is found only at the last part.
///
/// # Panics
/// When the width is not in 1..=64.
pub fn unpack_with(
    bytes: &[u8],
    count: usize,
    width: u32,
    mut take: impl FnMut(usize, &[u64]),
) -> Result<()> {
    check_width(width);
    check_length(bytes, count, width)?;
    let mut block = [0; PACK_BLOCK];
    for (i, bytes) in bytes.chunks(packed_bytes(PACK_BLOCK, width)).enumerate() {
        let part = &mut block[..PACK_BLOCK.min(count - i * PACK_BLOCK)];
        unpack_into(bytes, width, part)?;
        take(i * PACK_BLOCK, part);
    }
    Ok(())
}

fn check_width(width: u32) {
    assert!((1..=64).contains(&width), "elements have 1 to 64 bits");
}

fn check_length(bytes: &[u8], count: usize, width: u32) -> Result<()> {
    let expected = packed_bytes(count, width);
    if bytes.len() == expected { Ok(()) } else { Err(Error::wire("packed elements", expected, bytes.len())) }
}

/// Appends whole blocks.
fn pack_blocks(blocks: &[Block], width: u32, out: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = x86::Avx512::detect() {
        return token.pack(blocks, width, out);
    } else if let Some(token) = x86::Avx2::detect() {
        return token.pack(blocks, width, out);
    }
    portable::pack(blocks, width, out);
}

/// Whole blocks from `packed_bytes(PACK_BLOCK, width)` bytes each.
fn unpack_blocks(bytes: &[u8], width: u32, blocks: &mut [Block]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = x86::Avx512::detect() {
        return token.unpack(bytes, width, blocks);
    } else if let Some(token) = x86::Avx2::detect() {
        return token.unpack(bytes, width, blocks);
    }
    portable::unpack(bytes, width, blocks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The layout as the module docs have it: where bit b of element e is, of `count` elements.
    fn position(e: usize, b: usize, count: usize, width: usize) -> usize {
        let block = e / PACK_BLOCK;
        if block == count / PACK_BLOCK {
            return e * width + b;
        }
        let (row, lane) = (e % PACK_BLOCK / 8, e % 8);
        let p = row * width + b;
        block * PACK_BLOCK * width + 64 * (8 * (p / 64) + lane) + p % 64
    }

    fn definition(elements: &[u64], width: u32) -> Vec<u8> {
        let mut bytes = vec![0; packed_bytes(elements.len(), width)];
        for (e, element) in elements.iter().enumerate() {
            for b in (0..width as usize).filter(|b| element >> b & 1 == 1) {
                let p = position(e, b, elements.len(), width as usize);
                bytes[p / 8] |= 1 << (p % 8);
            }
        }
        bytes
    }

    fn elements(count: usize, width: u32, seed: u64) -> Vec<u64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let x = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB) >> (64 - width)
        };
        (0..count).map(|_| next()).collect()
    }

    const COUNTS: [usize; 18] =
        [0, 1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1023, 1024, 1024 + 77];

    #[test]
    fn every_width_and_length_packs_as_defined() {
        for width in 1..=64 {
            for count in COUNTS {
                for x in [elements(count, width, 1), vec![u64::MAX >> (64 - width); count]] {
                    let bytes = pack(&x, width);
                    assert_eq!(bytes, definition(&x, width), "{count} elements of {width} bits");
                    assert_eq!(unpack(&bytes, count, width).expect("well-formed"), x);
                    let mut in_parts = vec![7];
                    pack_with(count, width, &mut in_parts, |start, part| {
                        part.copy_from_slice(&x[start..][..part.len()]);
                    });
                    assert_eq!(in_parts[1..], bytes);
                    let mut taken = Vec::new();
                    unpack_with(&bytes, count, width, |start, part| {
                        assert_eq!(start, taken.len());
                        taken.extend_from_slice(part);
                    })
                    .expect("well-formed");
                    assert_eq!(taken, x);
                }
            }
        }
    }

    #[test]
    fn every_backend_agrees_with_the_definition() {
        type Pack = fn(&[Block], u32, &mut Vec<u8>);
        type Unpack = fn(&[u8], u32, &mut [Block]);
        let mut backends: Vec<(&str, Pack, Unpack)> = vec![("portable", portable::pack, portable::unpack)];
        #[cfg(target_arch = "x86_64")]
        {
            if x86::Avx2::detect().is_some() {
                let pack: Pack = |x, w, out| x86::Avx2::detect().expect("detected").pack(x, w, out);
                let unpack: Unpack = |x, w, out| x86::Avx2::detect().expect("detected").unpack(x, w, out);
                backends.push(("avx2", pack, unpack));
            }
            if x86::Avx512::detect().is_some() {
                let pack: Pack = |x, w, out| x86::Avx512::detect().expect("detected").pack(x, w, out);
                let unpack: Unpack = |x, w, out| x86::Avx512::detect().expect("detected").unpack(x, w, out);
                backends.push(("avx512", pack, unpack));
            }
        }
        for (name, pack, unpack) in backends {
            for width in 1..=64 {
                for count in [0, PACK_BLOCK, 3 * PACK_BLOCK] {
                    let x = elements(count, width, 2);
                    // One byte in front: nothing may depend on alignment.
                    let mut bytes = vec![0xA5];
                    pack(x.as_chunks().0, width, &mut bytes);
                    assert_eq!(bytes[0], 0xA5);
                    assert_eq!(bytes[1..], definition(&x, width), "{name}, {count} elements of {width} bits");
                    let mut out = vec![0; count];
                    unpack(&bytes[1..], width, out.as_chunks_mut().0);
                    assert_eq!(out, x, "{name}, {count} elements of {width} bits");
                }
            }
        }
    }

    #[test]
    fn other_lengths_and_padding_bits_are_refused() {
        for width in 1..=64 {
            for count in COUNTS {
                let mut bytes = pack(&elements(count, width, 3), width);
                for padding in count * width as usize..8 * bytes.len() {
                    bytes[padding / 8] ^= 1 << (padding % 8);
                    assert!(matches!(unpack(&bytes, count, width), Err(Error::Wire { .. })));
                    assert!(matches!(unpack_with(&bytes, count, width, |_, _| ()), Err(Error::Wire { .. })));
                    bytes[padding / 8] ^= 1 << (padding % 8);
                }
                bytes.push(0);
                assert!(matches!(unpack(&bytes, count, width), Err(Error::Wire { .. })));
                assert!(matches!(unpack_with(&bytes, count, width, |_, _| ()), Err(Error::Wire { .. })));
                if count > 0 {
                    bytes.truncate(bytes.len() - 2);
                    assert!(matches!(unpack(&bytes, count, width), Err(Error::Wire { .. })));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn unpacking_inverts_packing(width in 1u32..=64, count in 0usize..3000, seed: u64) {
            let x = elements(count, width, seed);
            let bytes = pack(&x, width);
            prop_assert_eq!(bytes.len(), packed_bytes(count, width));
            prop_assert_eq!(unpack(&bytes, count, width).expect("well-formed"), x);
        }

        #[test]
        fn parts_of_whole_blocks_concatenate(width in 1u32..=64, blocks in 0usize..4, rest in 0usize..1500, seed: u64) {
            let x = elements(blocks * PACK_BLOCK + rest, width, seed);
            let (a, b) = x.split_at(blocks * PACK_BLOCK);
            prop_assert_eq!(pack(&x, width), [pack(a, width), pack(b, width)].concat());
        }

        #[test]
        fn arbitrary_bytes_unpack_to_what_packs_to_them(width in 1u32..=64, count in 0usize..1100, seed: u64) {
            let mut bytes: Vec<u8> =
                elements(packed_bytes(count, width), 8, seed).into_iter().map(|b| b as u8).collect();
            if let Ok(x) = unpack(&bytes, count, width) {
                prop_assert_eq!(pack(&x, width), bytes);
            } else if let Some(last) = bytes.last_mut() {
                *last &= u8::MAX >> ((8 - count * width as usize % 8) % 8);
                prop_assert!(unpack(&bytes, count, width).is_ok());
            }
        }
    }
}
