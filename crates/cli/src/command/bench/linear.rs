//! Matrix products.

use super::parties::{Link, Parties, WARM_UP};
use super::{Row, WIDTHS};
use crate::error::Error;
use crate::format::count;
use crate::progress::Bar;
use crate::table::Column::{self, Number, Words};
use copriv_linear::{Chooser, Product, product};
use copriv_ring::{RingVec, Width};
use copriv_runner::entropy;
use copriv_session::{Params, Session};
use serde::Serialize;
use std::time::Duration;

const WEIGHT_BITS: u32 = 12;

/// What was measured of a product.
#[derive(Serialize)]
pub struct Measured {
    protocol: String,
    /// l.
    width: u32,
    /// Of each party.
    threads: usize,
    /// Multiplications in a batch.
    count: usize,
    per_second: f64,
    /// On the wire, both directions.
    bytes_each: f64,
}

impl Row for Measured {
    const COLUMNS: &'static [Column<'static>] = &[
        Words("protocol"),
        Number("l"),
        Number("threads"),
        Number("batch"),
        Number("per second"),
        Number("bytes each"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.protocol.clone(),
            self.width.to_string(),
            self.threads.to_string(),
            self.count.to_string(),
            count(self.per_second as u64),
            format!("{:.2}", self.bytes_each),
        ]
    }
}

/// Measures each product with `only` in its name for `seconds`.
pub fn rows(bar: &Bar, only: &str, seconds: Duration) -> Result<Vec<Measured>, Error> {
    let mut prg = entropy()?;
    let mut parties =
        Parties::connect(Link::Tcp, |channel, prg| Session::setup(channel, prg, Params::CRYPTFLOW2))?;
    let mut rows = Vec::new();
    for width in WIDTHS.map(Width::of) {
        for (protocol, chooser) in [
            ("product, activations choose".to_owned(), Chooser::Activations),
            (
                format!("product, weights of {WEIGHT_BITS} bits choose"),
                Chooser::Weights { bits: WEIGHT_BITS },
            ),
        ] {
            if !protocol.contains(only) {
                continue;
            }
            bar.at(&*protocol);
            let product = Product { groups: 1, rows: 64, inner: 64, cols: 64, width, chooser };
            let signed = prg.ring(Width::of(WEIGHT_BITS), 64 * 64).to_signed();
            let own = [RingVec::from_signed(width, &signed), prg.ring(width, 64 * 64)];
            let batch = |s: &mut Session, times: usize| {
                let own = own[s.role().index()].words();
                (0..times).try_for_each(|_| product::matmul(s, &product, own).map(drop))
            };
            let count = 64 * 64 * 64;
            let before = parties.0[0].channel.traffic();
            let (times, took) = parties.measure(seconds, batch)?;
            let traffic = parties.0[0].channel.traffic().since(before);
            rows.push(Measured {
                protocol,
                width: width.bits(),
                threads: 1,
                count,
                per_second: (count * times) as f64 / took.as_secs_f64(),
                bytes_each: (traffic.sent + traffic.received) as f64 / (count * (times + WARM_UP)) as f64,
            });
        }
    }
    Ok(rows)
}
