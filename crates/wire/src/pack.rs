use crate::{Error, Result};

/// The bytes that `count` elements of `width` bits take.
pub const fn packed_bytes(count: usize, width: u32) -> usize {
    // count < 2^40 and width <= 128 by the header, so this does not overflow.
    (count * width as usize).div_ceil(8)
}

/// `elements`, each of `width` bits (1..=64), packed without gaps, low bits first.
pub fn pack(elements: &[u64], width: u32) -> Vec<u8> {
    let mut out = Vec::new();
    pack_into(elements, width, &mut out);
    out
}

/// Appends the packed `elements` to `out`.
pub fn pack_into(elements: &[u64], width: u32, out: &mut Vec<u8>) {
    assert!((1..=64).contains(&width), "elements have 1 to 64 bits");
    out.reserve(packed_bytes(elements.len(), width));
    let (mut buffer, mut filled) = (0u128, 0u32);
    for &element in elements {
        debug_assert!(width == 64 || element >> width == 0, "elements are canonical");
        buffer |= u128::from(element) << filled;
        filled += width;
        while filled >= 8 {
            out.push(buffer as u8);
            buffer >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(buffer as u8);
    }
}

/// The `count` elements of `width` bits in `bytes`.
///
/// # Errors
/// As [`unpack_into`].
pub fn unpack(bytes: &[u8], count: usize, width: u32) -> Result<Vec<u64>> {
    if bytes.len() != packed_bytes(count, width) {
        return Err(Error::wire("packed elements", packed_bytes(count, width), bytes.len()));
    }
    let mut out = vec![0; count];
    unpack_into(bytes, width, &mut out)?;
    Ok(out)
}

/// Fills `out` with the elements of `width` bits in `bytes`.
///
/// # Errors
/// [`Error::Wire`] when the length is not that of `out.len()` elements or the padding bits are not zero.
pub fn unpack_into(bytes: &[u8], width: u32, out: &mut [u64]) -> Result<()> {
    assert!((1..=64).contains(&width), "elements have 1 to 64 bits");
    if bytes.len() != packed_bytes(out.len(), width) {
        return Err(Error::wire("packed elements", packed_bytes(out.len(), width), bytes.len()));
    }
    let mask = u128::from(u64::MAX >> (64 - width));
    let (mut buffer, mut filled, mut rest) = (0u128, 0u32, bytes.iter());
    for element in out {
        while filled < width {
            buffer |= u128::from(rest.next().copied().unwrap_or(0)) << filled;
            filled += 8;
        }
        *element = (buffer & mask) as u64;
        buffer >>= width;
        filled -= width;
    }
    if buffer == 0 { Ok(()) } else { Err(Error::wire("packed elements", "zero padding bits", "other bits")) }
}
