//! Every message of either party truncated, extended, retagged, flipped, replayed or never sent: the other party ends with
//! an error or a wrong answer, in time.

use crate::protocols::ALL;
use copriv_channel::{Memory, memory};
use copriv_session::Params;
use copriv_testkit::{Tamper, Tampering, record, run_sessions};
use copriv_wire::HEADER_BYTES;
use std::time::Duration;

fn impatient() -> (Memory, Memory) {
    let (a, b) = memory();
    let patience = Duration::from_millis(200);
    (a.with_timeout(patience), b.with_timeout(patience))
}

/// The messages in what a party sent.
pub fn messages(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() {
        let header = u64::from_le_bytes(*header);
        let bits = (header >> 16 & 0xFF) * (header >> 24);
        bytes = rest.get(bits.div_ceil(8) as usize..).unwrap_or_default();
        count += 1;
    }
    count
}

#[test]
fn tampering_never_panics_or_hangs() {
    for (name, protocol) in ALL {
        let (a, b) = impatient();
        let ((a, from_p0), (b, from_p1)) = (record(a), record(b));
        let honest = run_sessions(Params::IDEAL, 1, (a, b), protocol, protocol);
        assert!(honest.p0.is_ok() && honest.p1.is_ok(), "{name}");
        let counts = [from_p0, from_p1].map(|sent| sent.lock().map_or(0, |sent| messages(&sent)));
        for (party, count) in counts.into_iter().enumerate() {
            assert!(count > 0, "{name}");
            for at in 0..count {
                for tamper in Tamper::ALL {
                    let (a, b) = impatient();
                    let never = usize::MAX;
                    let a = Tampering::new(a, tamper, if party == 0 { at } else { never });
                    let b = Tampering::new(b, tamper, if party == 1 { at } else { never });
                    let out = run_sessions(Params::IDEAL, 1, (a, b), protocol, protocol);
                    let other_failed = if party == 0 { out.p1.is_err() } else { out.p0.is_err() };
                    if matches!(tamper, Tamper::Truncate | Tamper::Retag | Tamper::Vanish) {
                        assert!(
                            other_failed,
                            "{name}: {tamper:?} of message {at} of P{party} went unnoticed"
                        );
                    }
                }
            }
        }
    }
}
