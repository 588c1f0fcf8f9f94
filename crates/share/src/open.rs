//! Making shares from a private input, and opening shares.

use crate::{Arithmetic, Boolean};
use copriv_bits::BitVec;
use copriv_channel::{Channel, Cost};
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_wire::{Result, Role, messages};

messages! {
    /// A fresh share of an input for the party that does not know it.
    InputShare: Ring = 0x0301;
    /// The sender's share, which opens the values to the receiver.
    OwnShare: Ring = 0x0302;
    /// Both parties' masked bits.
    OpenedBits: Bits = 0x0303;
}

/// Shares `input`, known to `owner` alone (`None` at the other party): `owner` sends uniform shares.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the owner gives no input, or one of another shape.
pub fn share_input(
    channel: &mut Channel,
    prg: &mut Prg,
    owner: Role,
    width: Width,
    len: usize,
    input: Option<&RingVec>,
) -> Result<Arithmetic> {
    if channel.role() != owner {
        return Ok(Arithmetic::new(channel.recv_ring::<InputShare>(width, len)?));
    }
    let Some(input) = input else { panic!("the owner has the input") };
    assert!(input.width() == width && input.len() == len, "the input has the agreed shape");
    let theirs = prg.ring(width, len);
    channel.send_ring::<InputShare>(&theirs)?;
    Ok(Arithmetic::new(input - &theirs))
}

/// The cost of [`share_input`].
pub fn share_input_cost(owner: Role, width: Width, len: usize) -> Cost {
    Cost::message(owner, len, width.bits())
}

/// Opens `shares` to `receiver` alone; the other party gets `None`.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn open_to(channel: &mut Channel, receiver: Role, shares: &Arithmetic) -> Result<Option<RingVec>> {
    if channel.role() == receiver {
        let theirs = channel.recv_ring::<OwnShare>(shares.width(), shares.len())?;
        return Ok(Some(shares.own() + &theirs));
    }
    channel.send_ring::<OwnShare>(shares.own())?;
    Ok(None)
}

/// The cost of [`open_to`].
pub fn open_cost(receiver: Role, width: Width, len: usize) -> Cost {
    Cost::message(receiver.peer(), len, width.bits())
}

/// Opens bits to both parties. The caller has masked them.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn reveal(channel: &mut Channel, shares: &Boolean) -> Result<BitVec> {
    channel.send_bits::<OpenedBits>(shares.own())?;
    Ok(shares.own() ^ &channel.recv_bits::<OpenedBits>(shares.len())?)
}

/// The cost of [`reveal`].
pub fn reveal_cost(len: usize) -> Cost {
    Cost::exchange(len, 1)
}
