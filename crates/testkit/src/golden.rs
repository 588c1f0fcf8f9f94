use crate::{record, run_sessions};
use copriv_channel::memory;
use copriv_session::{Params, Session};
use copriv_wire::Result;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Compares the bytes that each party sends in each case, with a fixed seed and set-up included, with `golden`: lines
/// of the case's name, the party and the SHA-256. With COPRIV_BLESS set the lines are written to `path` instead.
///
/// # Panics
/// When a party fails, a digest is another or the file cannot be written.
pub fn check_wire<'a>(
    golden: &str,
    path: impl AsRef<Path>,
    cases: impl IntoIterator<Item = (&'a str, Params, fn(&mut Session) -> Result<()>)>,
) {
    let mut now = String::new();
    for (name, params, body) in cases {
        let (a, b) = memory();
        let ((a, sent0), (b, sent1)) = (record(a), record(b));
        let out = run_sessions(params, 9, (a, b), body, body);
        assert!(out.p0.is_ok() && out.p1.is_ok(), "{name}: P0 {:?}, P1 {:?}", out.p0, out.p1);
        for (party, sent) in [("P0", sent0), ("P1", sent1)] {
            let sent = sent.lock().unwrap_or_else(|e| e.into_inner());
            let digest: String = Sha256::digest(sent.as_slice()).iter().map(|b| format!("{b:02x}")).collect();
            now += &format!("{name} {party}: {digest}\n");
        }
    }
    if std::env::var_os("COPRIV_BLESS").is_some() {
        std::fs::write(path, &now).unwrap_or_else(|e| panic!("the digests could not be written: {e}"));
        return;
    }
    for (now, golden) in now.lines().zip(golden.lines()) {
        assert_eq!(now, golden, "the bytes on the wire are others than before");
    }
    assert_eq!(now.lines().count(), golden.lines().count(), "as many digests as cases");
}
