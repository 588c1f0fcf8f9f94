//! Both parties in this process.

use crate::error::Fault;
use crate::network::{Input, Options};
use crate::outcome::Outcome;
use crate::work;
use copriv_channel::{Channel, Transport, memory};
use copriv_runner::{Client, Inference, Model, Server, Source, entropy, planner};
use copriv_wire::Role;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A transport that fails once its flag is set.
struct Stoppable<T>(T, Arc<AtomicBool>);

impl<T> Stoppable<T> {
    fn check(&self) -> io::Result<()> {
        if self.1.load(Ordering::Relaxed) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl<T: Transport> Transport for Stoppable<T> {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.check()?;
        self.0.send(bytes)
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.check()?;
        self.0.recv(buffer)
    }

    fn send_at(&mut self, bytes: Vec<u8>, due: Instant) -> io::Result<()> {
        self.check()?;
        self.0.send_at(bytes, due)
    }

    fn spare(&mut self) -> Vec<u8> {
        self.0.spare()
    }
}

/// One inference over a channel in memory, and with `check` the same in the clear.
///
/// # Errors
/// When the options or the input do not fit, or a party fails, such as for setting `stop`.
pub fn run(
    options: &Options,
    input: &Input,
    check: bool,
    timeout: Duration,
    stop: &Arc<AtomicBool>,
) -> Result<Outcome, Fault> {
    let settings = options.settings()?;
    let (_, lowered) = options.load()?;
    let input = input.encode(&lowered.architecture)?;
    let model = Model::new(&lowered, &settings)?;
    let (server, client) = memory();
    let channel = |role, end| Channel::new(role, Stoppable(end, stop.clone()));
    let server = channel(Role::P0, server.with_timeout(timeout));
    let client = channel(Role::P1, client.with_timeout(timeout));
    let (mut done, served) = thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut server = Server::accept(server, entropy()?, &model)?;
            while server.serve(&mut |_| ())?.is_some() {}
            Ok::<(), Fault>(())
        });
        let client = || -> Result<Inference, Fault> {
            let mut client = Client::connect(client, entropy()?, Some(settings.suite))?;
            Ok(client.infer(&input, Source::OnTheFly, &mut |_| ())?)
        };
        (client(), server.join())
    });
    let served = served.unwrap_or_else(|panic| Err(work::panicked(&*panic)));
    if let (Err(Fault::System(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe, _)), Err(why)) =
        (&done, served)
    {
        done = Err(why);
    }
    let mut done = done?;
    done.plan.model.clone_from(&options.model);
    let clear = match check && !stop.load(Ordering::Relaxed) {
        true => Some(copriv_plain::evaluate_output(&planner::prepare(&lowered, &settings)?, &input)?),
        false => None,
    };
    Outcome::new(&model.offer().architecture, done, clear)
}
