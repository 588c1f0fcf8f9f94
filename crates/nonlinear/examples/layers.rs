//! The nonlinear layers on 65,536 elements between two threads over memory: bytes, rounds, and CPU time of each party.
//!
//! `cargo run --release -p copriv-nonlinear --example layers -- [elements l shift]`

#![expect(clippy::print_stdout, reason = "a program")]

use copriv_bits::Block;
use copriv_channel::{Channel, Memory, memory};
use copriv_nonlinear::{Sign, Windows, argmax, maxpool, relu, truncate};
use copriv_ot::RcotBackend;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::{Result, Role};
use std::time::{Duration, Instant};

type Layer<'a> = (&'a str, &'a (dyn Fn(&mut Session, &Arithmetic) -> Result<Arithmetic> + Sync));

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let arg = |i: usize, default| args.get(i).copied().unwrap_or(default);
    let (n, width, shift) = (arg(0, 65_536), Width::new(arg(1, 41) as u32)?, arg(2, 12) as u32);
    let (pool, rows) = (Windows::rows(n / 4, 4), Windows::rows(n / 100, 100));
    let index = argmax::index_width(&rows);
    let layers: [Layer; 6] = [
        ("relu", &|s, x| Ok(relu::relu(s, x)?.0)),
        ("truncation, sign unknown", &|s, x| truncate::trunc_faithful(s, x, shift, Sign::Unknown)),
        ("truncation, not negative", &|s, x| truncate::trunc_faithful(s, x, shift, Sign::NonNegative)),
        ("truncation, SiRNN form", &|s, x| truncate::trunc_faithful_sirnn(s, x, shift)),
        ("max pool of 4", &|s, x| maxpool::maxpool(s, x, &pool)),
        ("argmax of 100", &|s, x| argmax::argmax(s, x, &rows, index)),
    ];
    let iknp = Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };
    for (suite, params) in [("cryptflow2", Params::CRYPTFLOW2), ("iknp", iknp)] {
        let (a, b) = memory();
        std::thread::scope(|scope| {
            scope.spawn(|| party(Role::P0, a, params, suite, &layers, n, width));
            party(Role::P1, b, params, suite, &layers, n, width)
        })?;
    }
    Ok(())
}

fn party(
    role: Role,
    end: Memory,
    params: Params,
    suite: &str,
    layers: &[Layer],
    n: usize,
    width: Width,
) -> Result<()> {
    let mut prg = Prg::from_seed(Block::new(1, role.index() as u64));
    let x = Arithmetic::new(prg.ring(width, n));
    let mut s = Session::setup(Channel::new(role, end), prg, params)?;
    for (name, layer) in layers {
        layer(&mut s, &x)?; // Memory is warm afterwards.
        let (before, start, cpu_before) = (s.channel.traffic(), Instant::now(), cpu());
        layer(&mut s, &x)?;
        let (traffic, wall, cpu) = (s.channel.traffic().since(before), start.elapsed(), cpu() - cpu_before);
        println!(
            "{suite}, {name}, {role:?}: {} bytes, {} rounds, {cpu:.2?} of CPU, {wall:.2?}",
            traffic.sent + traffic.received,
            traffic.rounds,
        );
    }
    Ok(())
}

/// Time that this thread was running, where the kernel says so.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}
