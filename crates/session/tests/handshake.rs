//! Who is at the other end: every disagreement has a clear name.

use copriv_channel::{Channel, memory};
use copriv_session::{VERSION, agree, agree_cost, hello, hello_cost};
use copriv_testkit::{channel_pair, run_channels};
use copriv_wire::{Error, Role, messages};

messages! {
    /// The greeting's tag, with another content.
    Hello: Bytes = 0x0101;
}

#[test]
fn both_ends_agree() {
    let party = |c: &mut Channel| hello(c).and_then(|()| agree(c, "the network", [7; 32]));
    let out = run_channels(memory(), party, party);
    out.assert_cost(hello_cost() + agree_cost());
    assert!(out.p0.is_ok() && out.p1.is_ok());
}

#[test]
fn other_digests_are_refused_by_both() {
    let out =
        run_channels(memory(), |c| agree(c, "the network", [1; 32]), |c| agree(c, "the network", [2; 32]));
    for error in [out.p0.unwrap_err(), out.p1.unwrap_err()] {
        assert!(matches!(error, Error::Peer { what: "the network", .. }), "{error}");
    }
}

#[test]
fn strangers_are_refused() {
    let greeting = |mark: &[u8; 6], version: u16, role: u8| {
        let mut bytes = mark.to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.push(role);
        bytes
    };
    for (bytes, what) in [
        (greeting(b"Others", VERSION, 1), "program"),
        (greeting(b"CoPriv", VERSION + 1, 1), "protocol version"),
        (greeting(b"CoPriv", VERSION, 0), "role"),
        (greeting(b"CoPriv", VERSION, 9), "role"),
    ] {
        let (mut c0, mut c1) = channel_pair();
        c1.send_bytes::<Hello>(&bytes).unwrap();
        let error = hello(&mut c0).unwrap_err();
        assert!(matches!(error, Error::Peer { what: got, .. } if got == what), "{error}");
    }
    let (mut c0, c1) = channel_pair();
    assert_eq!(c1.role(), Role::P1);
    drop(c1);
    assert!(matches!(hello(&mut c0).unwrap_err(), Error::Io(_)));
}
