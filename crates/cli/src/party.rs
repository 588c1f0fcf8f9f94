//! The two parties as processes: connections, and the server that a command starts for itself.

use crate::args::{FixedArgs, Link, ModelArgs, Network, ProtocolArgs};
use crate::error::Error;
use crate::format;
use crate::machine;
use crate::progress::Bar;
use copriv_channel::{Channel, Shaped, Tcp};
use copriv_ring::RingVec;
use copriv_runner::{Client, Offer, Output, Plan, Report, Source, Store, Suite, entropy};
use copriv_wire::Role;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server process may take to load its network.
const LOADING: Duration = Duration::from_secs(600);
/// How long it may take to end once its client has left.
const ENDING: Duration = Duration::from_secs(10);

/// `role`'s end of a connection.
pub fn channel(role: Role, stream: TcpStream, link: Link) -> io::Result<Channel> {
    let tcp = Tcp::new(stream, link.timeout)?;
    Ok(match link.network {
        Network::None => Channel::new(role, tcp),
        Network::Lan => Channel::new(role, Shaped::new(tcp, copriv_channel::Link::LAN)?),
        Network::Wan => Channel::new(role, Shaped::new(tcp, copriv_channel::Link::WAN)?),
    })
}

/// The addresses that `address` (HOST:PORT) stands for.
pub fn resolve(address: &str) -> Result<Vec<SocketAddr>, Error> {
    let wrong = |why: &dyn std::fmt::Display| {
        Error::other(format!("{address:?} is no address ({why}); write HOST:PORT, such as 127.0.0.1:7878"))
    };
    let found: Vec<SocketAddr> = address.to_socket_addrs().map_err(|e| wrong(&e))?.collect();
    if found.is_empty() { Err(wrong(&"unknown host")) } else { Ok(found) }
}

/// A client with its connection.
pub struct Connected {
    /// The session.
    pub client: Client,
    /// Where the server is.
    peer: SocketAddr,
}

impl Connected {
    /// Connects to a server and greets it.
    pub fn open(address: &str, insist: Option<Suite>, link: Link) -> Result<Self, Error> {
        let _bar = Bar::spinner("connecting");
        let mut refused = Error::other(format!("{address:?} is no address"));
        for peer in resolve(address)? {
            match connect(peer, link.timeout) {
                Ok(stream) => {
                    let channel = channel(Role::P1, stream, link)
                        .map_err(|e| Error::Peer { peer, why: e.to_string() })?;
                    let client =
                        Client::connect(channel, entropy()?, insist).map_err(|e| Error::session(peer, e))?;
                    return Ok(Self { client, peer });
                }
                Err(e) => refused = unreachable(peer, link.timeout, &e),
            }
        }
        Err(refused)
    }

    /// What the server has told.
    pub fn offer(&self) -> &Offer {
        self.client.offer()
    }

    /// One inference.
    pub fn infer(&mut self, input: &RingVec, source: Source<'_>, what: &str) -> Result<Inference, Error> {
        let bar = Bar::steps(what);
        let result = self.client.infer(input, source, &mut |progress| bar.inference(progress));
        drop(bar);
        let done = result.map_err(|e| Error::session(self.peer, e))?;
        let copriv_runner::Inference { output, plan, report } = done;
        let differences = plan.differences(&report);
        Ok(Inference { output, plan, report, differences })
    }

    /// Preprocesses one entry for `store`: what was planned and what was counted.
    pub fn preprocess(&mut self, store: &Store, what: &str) -> Result<(Plan, Report), Error> {
        let bar = Bar::steps(what);
        let result = self.client.preprocess(store, &mut |progress| bar.inference(progress));
        drop(bar);
        result.map_err(|e| Error::session(self.peer, e))
    }
}

/// What one inference gave.
pub struct Inference {
    /// What the client learnt.
    pub output: Output,
    /// What was predicted.
    pub plan: Plan,
    /// What was counted.
    pub report: Report,
    /// Where the two differ.
    pub differences: Vec<String>,
}

fn connect(peer: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&peer, timeout)?;
    // A free port of this machine can be given to the very socket that asks for it.
    if stream.local_addr()? == peer { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(stream) }
}

fn unreachable(peer: SocketAddr, timeout: Duration, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nobody listens there; start the server with: copriv serve MODEL --listen {peer}")
        }
        io::ErrorKind::TimedOut => format!("no answer within {}", format::duration(timeout)),
        _ => error.to_string(),
    };
    Error::Peer { peer, why }
}

/// The most memory each process has had resident, in bytes, where the operating system tells.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PeakMemory {
    /// The server's.
    pub server: Option<u64>,
    /// The client's.
    pub client: Option<u64>,
}

/// A server in a process of its own. It ends when its client leaves, and when this process does.
pub struct ServerProcess {
    child: Child,
    events: Receiver<Value>,
    address: String,
}

impl ServerProcess {
    /// Starts this program again as a server, and waits until it listens.
    pub fn start(model: &ModelArgs, protocol: ProtocolArgs, link: Link) -> Result<Self, Error> {
        let _bar = Bar::spinner("starting the server process");
        let failed = |e| Error::other(format!("the server process cannot be started: {e}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--once", "--json", "--until-stdin-closes"]);
        let ProtocolArgs { suite, ot, fixed: FixedArgs { bits, frac }, reveal, truncation, relu_drop_bits } =
            protocol;
        command.args(["--suite", suite.name(), "--ot", ot.name(), "--reveal", &reveal.to_string()]);
        for (flag, bits) in [("--bits", bits), ("--frac", frac)] {
            if let Some(bits) = bits {
                command.args([flag, &bits.to_string()]);
            }
        }
        command.args(["--truncation", truncation.name(), "--relu-drop-bits", &relu_drop_bits.to_string()]);
        command.args(["--network", link.network.name()]);
        command.args(["--timeout", &link.timeout.as_secs_f64().to_string()]);
        if let Some(dims) = &model.input_shape {
            command.args(["--input-shape", &dims.to_string()]);
        }
        if let Some(output) = &model.output {
            command.arg(format!("--output={output}"));
        }
        if let Some(weights) = &model.weights {
            command.arg("--weights").arg(weights as &Path);
        }
        command.arg("--").arg(&model.model);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(failed)?;
        let (report, events) = mpsc::channel();
        // The pipe was asked for, so it is there.
        if let Some(stdout) = child.stdout.take() {
            // Ends with the child.
            thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                let values = lines.filter_map(|line| serde_json::from_str(&line).ok());
                for value in values {
                    if report.send(value).is_err() {
                        break;
                    }
                }
            });
        }
        let mut server = Self { child, events, address: String::new() };
        server.address = server.listening()?;
        tracing::info!(process = server.child.id(), address = server.address, "the server process listens");
        Ok(server)
    }

    fn listening(&mut self) -> Result<String, Error> {
        let deadline = Instant::now() + LOADING;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    if let Some(address) = event["address"].as_str() {
                        return Ok(address.to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::other("the server process takes too long to load the network"));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended, its client having left, and says how much memory it took.
    pub fn finish(self, client: Option<u64>) -> Result<PeakMemory, Error> {
        let deadline = Instant::now() + ENDING;
        let mut server = None;
        while let Ok(event) = self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            server = event["peak_memory_bytes"].as_u64().or(server);
        }
        Ok(PeakMemory { server, client })
    }

    /// Why it is gone.
    fn ended(&mut self) -> Error {
        match self.wait(ENDING) {
            Some(status) if status.code().is_some() => Error::Told,
            Some(status) => {
                Error::other(format!("the server process was ended ({status}); was there enough memory?"))
            }
            None => Error::other("the server process has closed its output and does not end"),
        }
    }

    fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // A child that has ended already needs no killing; either way it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The client's process and the server's, in one session.
pub struct Pair {
    /// Declared first, so that its connection is closed before the server process is ended.
    pub client: Connected,
    /// The server.
    pub server: ServerProcess,
}

impl Pair {
    /// Starts a server process and connects to it.
    pub fn start(model: &ModelArgs, protocol: ProtocolArgs, link: Link) -> Result<Self, Error> {
        let server = ServerProcess::start(model, protocol, link)?;
        let client = Connected::open(server.address(), Some(protocol.suite), link)?;
        Ok(Self { client, server })
    }

    /// Ends the session and both parties' work.
    pub fn finish(self) -> Result<PeakMemory, Error> {
        let client = machine::peak_memory();
        drop(self.client);
        self.server.finish(client)
    }
}
