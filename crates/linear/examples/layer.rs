//! One convolution between two processes over loopback: bytes, time, CPU time and peak memory of each party.
//!
//! `cargo run --release -p copriv-linear --example layer -- [in out size kernel stride l b]`, b the bits of a weight
//! (then the weights choose) or 0 (the activations choose).

#![expect(clippy::print_stdout, reason = "a program")]

use copriv_bits::Block;
use copriv_channel::{Channel, Tcp};
use copriv_linear::{Chooser, Conv2d, Direct, Kernels, LinearLayer, Padding, Producer, conv2d};
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_wire::Role;
use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "client") {
        let stream = TcpStream::connect(&args[1])?;
        return party(Role::P1, stream, &args[2..]);
    }
    if args.is_empty() {
        args = "256 256 8 3 1 41 0".split(' ').map(String::from).collect();
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = Command::new(std::env::current_exe()?);
    let mut client = client.arg("client").arg(listener.local_addr()?.to_string()).args(&args).spawn()?;
    party(Role::P0, listener.accept()?.0, &args)?;
    client.wait()?;
    Ok(())
}

fn party(role: Role, stream: TcpStream, args: &[String]) -> Result<(), Box<dyn Error>> {
    let args: Vec<usize> = args.iter().map(|a| a.parse()).collect::<Result<_, _>>()?;
    let &[in_channels, out_channels, size, kernel, stride, width, bits] = &args[..] else {
        return Err("in out size kernel stride l b".into());
    };
    let conv = Conv2d {
        in_channels,
        out_channels,
        groups: 1,
        input: (size, size),
        kernel: (kernel, kernel),
        stride: (stride, stride),
        padding: Padding::even(kernel / 2),
    };
    let (width, bits) = (Width::new(width as u32)?, bits as u32);
    let chooser = if bits == 0 { Chooser::Activations } else { Chooser::Weights { bits } };
    let mut prg = Prg::from_seed(Block::new(1, role.index() as u64));
    let x = Arithmetic::new(prg.ring(width, conv.input_len()));
    let narrow = Width::new(if bits == 0 { width.bits() } else { bits })?;
    let weights = RingVec::from_signed(width, &prg.ring(narrow, conv.weights_len()).to_signed());
    let mut s = Session::setup(
        Channel::new(role, Tcp::new(stream, Duration::from_secs(60))?),
        prg,
        Params::CRYPTFLOW2,
    )?;
    let (before, start, [user, system]) = (s.channel.traffic(), Instant::now(), cpu()?);
    let kernels = (role == Role::P0).then(|| Kernels { weights: weights.words(), bias: None });
    let producer = Direct::new(LinearLayer::new(conv, width), chooser);
    let y = conv2d(&mut s, &producer, kernels, &x)?;
    let (traffic, seconds) = (s.channel.traffic().since(before), start.elapsed().as_secs_f64());
    let [user, system] = cpu().map(|[u, s]| [u - user, s - system])?;
    let products = conv.weights_len() * y.len() / out_channels;
    println!(
        "{role:?}: {} bytes (predicted {}), {seconds:.2} s, CPU {user:.2} user + {system:.2} system s, {:.1} M products/s \
         of CPU, peak {} MiB",
        traffic.sent + traffic.received,
        producer.cost(s.params.rcot).bytes(),
        products as f64 / (user + system) / 1e6,
        peak_memory()? >> 20,
    );
    Ok(())
}

/// User and system time of this process, in seconds (the kernel counts in hundredths).
fn cpu() -> Result<[f64; 2], Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    Ok([fields[11].parse::<f64>()? / 100.0, fields[12].parse::<f64>()? / 100.0])
}

/// The largest resident set so far, in bytes.
fn peak_memory() -> Result<usize, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? << 10)
}
