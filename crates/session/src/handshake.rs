//! The first messages of a connection: who speaks what, and whether both mean the same.

use copriv_channel::{Channel, Cost};
use copriv_wire::{Error, Result, Role, messages};

messages! {
    /// The program's mark, the protocol's version and the sender's role.
    Hello: Bytes = 0x0101;
    /// A digest of every AGREEMENT and SECURITY parameter.
    Agreement: Bytes = 0x0102;
}

/// The version of the wire protocol; both parties must have the same.
pub const VERSION: u16 = 4;

const MARK: [u8; 6] = *b"CoPriv";
const HELLO: usize = 9;
const DIGEST: usize = 32;

/// Exchanges the first message.
///
/// # Errors
/// [`Error::Peer`] when the peer is no CoPriv, speaks another version or has the same role.
pub fn hello(channel: &mut Channel) -> Result<()> {
    let own = |role: Role| {
        let mut bytes = [0; HELLO];
        bytes[..6].copy_from_slice(&MARK);
        bytes[6..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8] = role.index() as u8;
        bytes
    };
    channel.send_bytes::<Hello>(&own(channel.role()))?;
    let got = channel.recv_bytes::<Hello>(HELLO)?;
    let version = u16::from_le_bytes([got[6], got[7]]);
    if got[..6] != MARK {
        return Err(Error::peer("program", "CoPriv", "another"));
    }
    if version != VERSION {
        return Err(Error::peer("protocol version", VERSION, version));
    }
    if got[8] != channel.role().peer().index() as u8 {
        return Err(Error::peer("role", format!("{:?}", channel.role().peer()), "the same as ours"));
    }
    Ok(())
}

/// The cost of [`hello`].
pub fn hello_cost() -> Cost {
    Cost::exchange(HELLO, 8)
}

/// Exchanges digests of `what` and compares them.
///
/// # Errors
/// [`Error::Peer`] when they differ.
pub fn agree(channel: &mut Channel, what: &'static str, digest: [u8; DIGEST]) -> Result<()> {
    channel.send_bytes::<Agreement>(&digest)?;
    let got = channel.recv_bytes::<Agreement>(DIGEST)?;
    let hex = |bytes: &[u8]| bytes[..8].iter().map(|b| format!("{b:02x}")).collect::<String>();
    if got == digest { Ok(()) } else { Err(Error::peer(what, hex(&digest), hex(&got))) }
}

/// The cost of [`agree`].
pub fn agree_cost() -> Cost {
    Cost::exchange(DIGEST, 8)
}
