mod linear;
mod nonlinear;
mod ot;
mod parties;

use crate::error::Error;
use crate::format::duration;
use crate::machine::{Machine, machine};
use crate::output;
use crate::progress::Bar;
use crate::table::{Column, Table};
use clap::{Args, ValueEnum};
use nonlinear::Drawn;
use parties::Link;
use serde::Serialize;
use std::time::Duration;

/// The rings that are measured: the default and two narrower ones.
const WIDTHS: [u32; 3] = [41, 37, 32];

/// Measure what the protocols do on this machine.
///
/// Both parties run in this process, a thread each, over TCP on loopback; so the numbers are those of two parties that
/// share this machine. Each protocol runs in batches for the given time, once more before to warm up. `counts` measures no
/// time, and is the same on every machine.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv bench ot\n  \
    copriv bench nonlinear --seconds 5 --json\n  \
    copriv bench nonlinear --only ReLU\n  \
    copriv bench counts")]
pub struct Bench {
    /// What to measure.
    #[arg(value_enum)]
    what: What,
    /// How long to measure each protocol.
    #[arg(long, value_name = "S", default_value = "1", value_parser = crate::args::seconds)]
    seconds: Duration,
    /// Measure only what has this text in its name, such as `ReLU`.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    only: String,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum What {
    /// Oblivious transfers.
    Ot,
    /// Matrix products; one is one multiplication of a weight with a value.
    Linear,
    /// ReLU, truncation, max pool and argmax, with the OTs of the suites `cryptflow2` and `best`.
    Nonlinear,
    /// Bits and rounds of what `nonlinear` measures, without the time.
    Counts,
}

/// What was measured of a protocol.
trait Row: Serialize {
    const COLUMNS: &'static [Column<'static>];
    fn cells(&self) -> Vec<String>;
}

/// The answer.
#[derive(Serialize)]
struct Measured<R> {
    /// Where time was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<Machine>,
    /// What OTs that are drawn before are counted as.
    #[serde(skip_serializing_if = "Option::is_none")]
    drawn: Option<Drawn>,
    rows: Vec<R>,
}

impl Bench {
    pub fn run(self) -> Result<(), Error> {
        let bar = Bar::spinner("measuring");
        let (machine, drawn) = (Some(machine()), Some(Drawn::amortised()));
        let (only, seconds) = (self.only.as_str(), self.seconds);
        match self.what {
            What::Ot => {
                self.print(Measured { machine, drawn: None, rows: ot::rows(&bar, only, seconds)? }, bar)
            }
            What::Linear => {
                self.print(Measured { machine, drawn: None, rows: linear::rows(&bar, only, seconds)? }, bar)
            }
            What::Nonlinear => {
                let rows = nonlinear::rows(&bar, only, Link::Tcp, Some(seconds))?;
                self.print(Measured { machine, drawn, rows }, bar)
            }
            What::Counts => {
                let rows = nonlinear::rows(&bar, only, Link::Memory, None)?;
                self.print(Measured { machine: None, drawn, rows }, bar)
            }
        }
    }

    fn print<R: Row>(&self, measured: Measured<R>, bar: Bar) -> Result<(), Error> {
        drop(bar);
        if measured.rows.is_empty() {
            let Self { only, .. } = self;
            return Err(Error::other(format!(
                "nothing has {only:?} in its name; without --only everything is measured"
            )));
        }
        if self.json {
            return output::json(&measured);
        }
        if let Some(Machine { cpu, cores }) = &measured.machine {
            let cpu = cpu.as_deref().unwrap_or("unknown processor");
            let each = duration(self.seconds);
            output::line(format_args!("{cpu}, {cores} cores; {each} each, both parties here"))?;
        }
        if let Some(drawn) = &measured.drawn {
            output::line(drawn)?;
        }
        let mut table = Table::new(R::COLUMNS);
        measured.rows.iter().for_each(|row| table.row(row.cells()));
        output::line(table)
    }
}
