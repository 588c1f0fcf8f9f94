use crate::error::Error;
use crate::format::{count, duration};
use crate::machine::{Machine, machine};
use crate::output;
use crate::progress::Bar;
use crate::table::Column::{Number, Words};
use crate::table::Table;
use clap::{Args, ValueEnum};
use copriv_bits::Block;
use copriv_channel::{Channel, Tcp};
use copriv_linear::{Chooser, Product, product};
use copriv_nonlinear::truncate::{trunc_faithful, trunc_faithful_sirnn, trunc_one_bit, trunc_reduce};
use copriv_nonlinear::{Sign, relu};
use copriv_ot::rot;
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_runner::entropy;
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::Role;
use serde::Serialize;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The rings that are measured: the default and two narrower ones.
const WIDTHS: [u32; 3] = [41, 37, 32];
const SHIFT: u32 = 12;
const WEIGHT_BITS: u32 = 12;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Measure what the protocols do on this machine.
///
/// Both parties run in this process, a thread each, over TCP on loopback; so the numbers are those of two parties that
/// share this machine. Each protocol runs in batches for the given time, once more before to warm up.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv bench ot\n  \
    copriv bench nonlinear --seconds 5 --json")]
pub struct Bench {
    /// What to measure.
    #[arg(value_enum)]
    what: What,
    /// How long to measure each protocol.
    #[arg(long, value_name = "S", default_value = "1", value_parser = crate::args::seconds)]
    seconds: Duration,
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
    /// ReLU and the forms of truncation.
    Nonlinear,
}

/// The answer.
#[derive(Serialize)]
struct Measured {
    machine: Machine,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    protocol: String,
    /// l, where the protocol works on ring elements.
    width: Option<u32>,
    /// Of each party.
    threads: usize,
    /// In a batch.
    count: usize,
    per_second: f64,
    /// On the wire, both directions.
    bytes_each: f64,
}

type Batch = Box<dyn Fn(&mut Session) -> copriv_wire::Result<()> + Sync>;

/// A protocol to measure: `batch` runs it `count` times at either party.
struct Task {
    protocol: String,
    width: Option<u32>,
    count: usize,
    batch: Batch,
}

impl Bench {
    pub fn run(self) -> Result<(), Error> {
        let bar = Bar::spinner("measuring");
        let mut prg = entropy()?;
        let tasks = match self.what {
            What::Ot => ot(&mut prg),
            What::Linear => linear(&mut prg),
            What::Nonlinear => nonlinear(&mut prg),
        };
        let mut parties = Parties::connect()?;
        let mut rows = Vec::new();
        for task in tasks {
            bar.at(&*task.protocol);
            rows.push(parties.measure(task, self.seconds)?);
        }
        drop(bar);
        let measured = Measured { machine: machine(), rows };
        if self.json { output::json(&measured) } else { measured.print(self.seconds) }
    }
}

impl Measured {
    fn print(&self, seconds: Duration) -> Result<(), Error> {
        let Machine { cpu, cores } = &self.machine;
        let cpu = cpu.as_deref().unwrap_or("unknown processor");
        output::line(format_args!("{cpu}, {cores} cores; {} each, both parties here", duration(seconds)))?;
        let mut table = Table::new(&[
            Words("protocol"),
            Number("l"),
            Number("threads"),
            Number("batch"),
            Number("per second"),
            Number("bytes each"),
        ]);
        for row in &self.rows {
            table.row([
                row.protocol.clone(),
                row.width.map_or(String::new(), |l| l.to_string()),
                row.threads.to_string(),
                row.count.to_string(),
                count(row.per_second as u64),
                format!("{:.2}", row.bytes_each),
            ]);
        }
        output::line(table)
    }
}

/// Both parties, connected.
struct Parties([Session; 2]);

impl Parties {
    fn connect() -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let p1 = TcpStream::connect(listener.local_addr()?)?;
        let p0 = listener.accept()?.0;
        let session = |role, stream, prg: Prg| -> copriv_wire::Result<Session> {
            Session::setup(Channel::new(role, Tcp::new(stream, TIMEOUT)?), prg, Params::CRYPTFLOW2)
        };
        let (prg0, prg1) = (entropy()?, entropy()?);
        let (first, second) = thread::scope(|scope| {
            let first = scope.spawn(|| session(Role::P0, p0, prg0));
            (session(Role::P1, p1, prg1), first.join())
        });
        Ok(Self([joined(second)?, first.map_err(failed)?]))
    }

    /// Runs `task` `times` times; the time it took.
    fn run(&mut self, task: &Task, times: usize) -> Result<Duration, Error> {
        let [p0, p1] = &mut self.0;
        let party = |s: &mut Session| (0..times).try_for_each(|_| (task.batch)(s));
        let start = Instant::now();
        let (first, second) = thread::scope(|scope| {
            let first = scope.spawn(|| party(p0));
            (party(p1), first.join())
        });
        joined(second)?;
        first.map_err(failed)?;
        Ok(start.elapsed())
    }

    fn measure(&mut self, task: Task, seconds: Duration) -> Result<Row, Error> {
        self.run(&task, 1)?;
        let once = self.run(&task, 1)?.as_secs_f64().max(1e-6);
        let times = (seconds.as_secs_f64() / once).ceil().max(1.0) as usize;
        let before = self.0[1].channel.traffic();
        let took = self.run(&task, times)?.as_secs_f64();
        let traffic = self.0[1].channel.traffic().since(before);
        let done = (task.count * times) as f64;
        Ok(Row {
            protocol: task.protocol,
            width: task.width,
            threads: 1,
            count: task.count,
            per_second: done / took,
            bytes_each: (traffic.sent + traffic.received) as f64 / done,
        })
    }
}

fn failed(error: copriv_wire::Error) -> Error {
    Error::other(format!("the two parties could not be measured: {error}"))
}

fn joined<T>(result: thread::Result<copriv_wire::Result<T>>) -> Result<T, Error> {
    match result {
        Ok(result) => result.map_err(failed),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn ot(prg: &mut Prg) -> Vec<Task> {
    let task = |protocol: &str, count, batch| Task { protocol: protocol.into(), width: None, count, batch };
    let count = 1 << 18;
    let rcot: Batch = Box::new(move |s| {
        let mut blocks = vec![Block::ZERO; count];
        match s.role() {
            Role::P0 => s.rcot_sender.extend(&mut s.channel, &mut blocks),
            Role::P1 => s.rcot_receiver.extend(&mut s.channel, &mut blocks).map(drop),
        }
    });
    let choices = prg.bits(count);
    let random: Batch = Box::new(move |s| match s.role() {
        Role::P0 => rot::send(&mut s.channel, s.rcot_sender.as_mut(), choices.len()).map(drop),
        Role::P1 => rot::receive(&mut s.channel, s.rcot_receiver.as_mut(), &choices).map(drop),
    });
    let few = 1 << 16;
    let digits: Vec<u8> = prg.ring(Width::of(4), few).words().iter().map(|&digit| digit as u8).collect();
    let one_of_16: Batch = Box::new(move |s| match s.role() {
        Role::P0 => s.one_of_n_send(4, Width::of(2), digits.len(), |i, table| {
            table.iter_mut().enumerate().for_each(|(j, entry)| *entry = (i ^ j) as u64 & 3);
        }),
        Role::P1 => s.one_of_n_receive(4, Width::of(2), &digits).map(drop),
    });
    vec![
        task("random correlated OT, IKNP", count, rcot),
        task("random OT, IKNP", count, random),
        task("1-of-16 OT of 2 bits, KK13", few, one_of_16),
    ]
}

fn linear(prg: &mut Prg) -> Vec<Task> {
    let mut tasks = Vec::new();
    for bits in WIDTHS {
        let width = Width::of(bits);
        for (protocol, chooser) in [
            ("product, activations choose".to_owned(), Chooser::Activations),
            (
                format!("product, weights of {WEIGHT_BITS} bits choose"),
                Chooser::Weights { bits: WEIGHT_BITS },
            ),
        ] {
            let product = Product { groups: 1, rows: 64, inner: 64, cols: 64, width, chooser };
            let signed = prg.ring(Width::of(WEIGHT_BITS), 64 * 64).to_signed();
            let own = [RingVec::from_signed(width, &signed), prg.ring(width, 64 * 64)];
            let batch: Batch =
                Box::new(move |s| product::matmul(s, &product, own[s.role().index()].words()).map(drop));
            tasks.push(Task { protocol, width: Some(bits), count: 64 * 64 * 64, batch });
        }
    }
    tasks
}

fn nonlinear(prg: &mut Prg) -> Vec<Task> {
    type Protocol = fn(&mut Session, &Arithmetic) -> copriv_wire::Result<()>;
    let protocols: [(&str, Protocol); 6] = [
        ("ReLU", |s, x| relu::relu(s, x).map(drop)),
        ("truncation by 12, faithful", |s, x| trunc_faithful(s, x, SHIFT, Sign::Unknown).map(drop)),
        ("truncation by 12, faithful, one comparison", |s, x| trunc_faithful_sirnn(s, x, SHIFT).map(drop)),
        ("truncation by 12, faithful, x >= 0 known", |s, x| {
            trunc_faithful(s, x, SHIFT, Sign::NonNegative).map(drop)
        }),
        ("truncation by 12, last bit may be off", |s, x| trunc_one_bit(s, x, SHIFT, Sign::Unknown).map(drop)),
        ("truncation by 12 into l - 12 bits", |s, x| trunc_reduce(s, x, SHIFT).map(drop)),
    ];
    let count = 1 << 14;
    let mut tasks = Vec::new();
    for bits in WIDTHS {
        for (protocol, run) in protocols {
            let shares = [(); 2].map(|()| Arithmetic::new(prg.ring(Width::of(bits), count)));
            let batch: Batch = Box::new(move |s| run(s, &shares[s.role().index()]));
            tasks.push(Task { protocol: protocol.into(), width: Some(bits), count, batch });
        }
    }
    tasks
}
