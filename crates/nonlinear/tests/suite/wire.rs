//! The bytes of each direction with a fixed seed, as SHA-256. After a deliberate change of the wire format run the
//! tests with COPRIV_BLESS=1, which writes the digests anew, and say in the change log what changed.

use crate::protocols::ALL;
use copriv_channel::memory;
use copriv_session::Params;
use copriv_testkit::{record, run_sessions};
use sha2::{Digest, Sha256};
use std::fmt::Write;

const GOLDEN: &str = include_str!("wire.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "{byte:02x}");
        all
    })
}

#[test]
fn wire_bytes_are_as_before() {
    let mut now = String::new();
    for (suite, params) in [("ideal", Params::IDEAL), ("cryptflow2", Params::CRYPTFLOW2)] {
        for (name, protocol) in ALL {
            let (a, b) = memory();
            let ((a, from_p0), (b, from_p1)) = (record(a), record(b));
            let out = run_sessions(params, 1, (a, b), protocol, protocol);
            assert!(out.p0.is_ok() && out.p1.is_ok(), "{name}");
            for (party, sent) in [("P0", from_p0), ("P1", from_p1)] {
                let sent = sent.lock().map_or_else(|_| Vec::new(), |sent| sent.clone());
                let _ = writeln!(now, "{suite} {name} {party}: {}", hex(&Sha256::digest(&sent)));
            }
        }
    }
    if std::env::var_os("COPRIV_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/wire.txt");
        assert!(std::fs::write(path, &now).is_ok(), "the digests could not be written");
        return;
    }
    for (now, golden) in now.lines().zip(GOLDEN.lines()) {
        assert_eq!(now, golden);
    }
    assert_eq!(now.lines().count(), GOLDEN.lines().count());
}
