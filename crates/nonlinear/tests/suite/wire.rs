//! The bytes of each direction with a fixed seed, as SHA-256. After a deliberate change of the wire format run the
//! tests with COPRIV_BLESS=1, which writes the digests anew, and say in the change log what changed.

use crate::protocols::ALL;
use copriv_session::Params;
use copriv_testkit::check_wire;

#[test]
fn wire_bytes_are_as_before() {
    let cases = [("ideal", Params::IDEAL), ("cryptflow2", Params::CRYPTFLOW2)]
        .iter()
        .flat_map(|(suite, params)| {
            ALL.iter().map(move |(name, body)| (format!("{suite} {name}"), *params, *body))
        })
        .collect::<Vec<_>>();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/wire.txt");
    check_wire(
        include_str!("wire.txt"),
        path,
        cases.iter().map(|(name, params, body)| (name.as_str(), *params, *body)),
    );
}
