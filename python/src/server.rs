//! A server of private inferences over TCP.

use crate::error::Fault;
use crate::network::Options;
use crate::{net, work};
use copriv_runner::{Model, Served, Server as Session, Stock, Store, entropy};
use copriv_wire::Role;
use pyo3::prelude::*;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Clients served at the same time; others wait until one leaves.
const CLIENTS: usize = 4;
/// How often the listener is asked.
const RETRY: Duration = Duration::from_millis(10);
/// Failures that are remembered.
const FAILURES: usize = 100;

/// What a server has and nobody uses now.
struct Idle {
    listener: TcpListener,
    model: Model,
}

enum State {
    Idle(Box<Idle>),
    Serving,
    Closed,
}

/// What was done so far, as a dict.
#[derive(Clone, Default, IntoPyObject)]
struct Counts {
    sessions: u64,
    inferences: u64,
    preprocessings: u64,
    failures: u64,
}

struct Shared {
    state: Mutex<State>,
    /// Notified when the state is no longer [`State::Serving`].
    changed: Condvar,
    stop: AtomicBool,
    /// Connections of clients that are being served, by number.
    open: Mutex<HashMap<u64, TcpStream>>,
    counts: Mutex<Counts>,
    failures: Mutex<VecDeque<String>>,
    timeout: Duration,
}

/// A panic elsewhere leaves these values whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to serve, given back when it is dropped.
struct Serving {
    shared: Arc<Shared>,
    /// Gone when it is dropped.
    idle: Option<Box<Idle>>,
}

impl Serving {
    fn begin(shared: &Arc<Shared>) -> Result<Self, Fault> {
        let mut state = lock(&shared.state);
        match std::mem::replace(&mut *state, State::Serving) {
            State::Idle(idle) => Ok(Self { shared: shared.clone(), idle: Some(idle) }),
            State::Serving => Err(Fault::other("the server is serving already")),
            State::Closed => {
                *state = State::Closed;
                Err(Fault::other("the server is closed"))
            }
        }
    }

    /// Serves `sessions` clients, or as many as come, and waits until they have left.
    fn serve(self, sessions: Option<u64>) {
        if let Some(idle) = &self.idle {
            self.shared.serve(idle, sessions);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        let open = !self.shared.stop.load(Ordering::SeqCst);
        *state = self.idle.take().filter(|_| open).map_or(State::Closed, State::Idle);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, idle: &Idle, sessions: Option<u64>) {
        let mut running: Vec<thread::JoinHandle<()>> = Vec::new();
        let mut begun = 0;
        while !self.stop.load(Ordering::SeqCst) && sessions.is_none_or(|sessions| begun < sessions) {
            running.retain(|session| !session.is_finished());
            let accepted = match running.len() < CLIENTS {
                true => idle.listener.accept(),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
            match accepted {
                Ok((stream, client)) => {
                    begun += 1;
                    let (shared, model, number) = (self.clone(), idle.model.clone(), begun);
                    let session = move || shared.session(&model, number, stream, client);
                    match thread::Builder::new().name(client.to_string()).spawn(session) {
                        Ok(session) => running.push(session),
                        Err(e) => self.failed(Fault::from(e).of(&client.to_string())),
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(e) => {
                    // Out of file descriptors, say; one client less may help.
                    self.failed(Fault::from(e).of("a client could not be accepted"));
                    thread::sleep(20 * RETRY);
                }
            }
        }
        for session in running {
            // A session reports its own panic.
            let _ = session.join();
        }
    }

    /// One client, until it leaves.
    fn session(&self, model: &Model, number: u64, stream: TcpStream, client: SocketAddr) {
        lock(&self.counts).sessions += 1;
        let served = std::panic::AssertUnwindSafe(|| self.client(model, number, stream));
        let outcome = std::panic::catch_unwind(served).unwrap_or_else(|panic| Err(work::panicked(&*panic)));
        lock(&self.open).remove(&number);
        if let Err(fault) = outcome
            && !self.stop.load(Ordering::SeqCst)
        {
            self.failed(fault.of(&client.to_string()));
        }
    }

    fn client(&self, model: &Model, number: u64, stream: TcpStream) -> Result<(), Fault> {
        // Inherited from the listener on some systems.
        stream.set_nonblocking(false)?;
        lock(&self.open).insert(number, stream.try_clone()?);
        if self.stop.load(Ordering::SeqCst) {
            return Ok(());
        }
        let channel = net::channel(Role::P0, stream, self.timeout)?;
        let mut session = Session::accept(channel, entropy()?, model)?;
        while let Some(served) = session.serve(&mut |_| ())? {
            let mut counts = lock(&self.counts);
            match served {
                Served::Inference(_) => counts.inferences += 1,
                Served::Preprocessing(_) => counts.preprocessings += 1,
            }
        }
        Ok(())
    }

    fn failed(&self, fault: Fault) {
        lock(&self.counts).failures += 1;
        let mut failures = lock(&self.failures);
        if failures.len() == FAILURES {
            failures.pop_front();
        }
        failures.push_back(fault.message().to_owned());
    }

    /// Takes no more clients and ends the sessions there are.
    fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        for stream in lock(&self.open).values() {
            // A connection that is gone already needs no end.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops, and waits until nobody serves.
    fn close(&self) {
        self.stop();
        let mut state = lock(&self.state);
        while matches!(*state, State::Serving) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        *state = State::Closed;
    }
}

/// A server that listens.
#[pyclass(frozen, module = "copriv._native")]
pub struct Server {
    shared: Arc<Shared>,
    address: String,
}

#[pymethods]
impl Server {
    #[new]
    fn new(
        py: Python<'_>,
        options: Options,
        listen: &str,
        store: Option<PathBuf>,
        stock: usize,
        timeout: f64,
    ) -> PyResult<Self> {
        let timeout = net::timeout(timeout)?;
        let make = || {
            let settings = options.settings()?;
            let listener = TcpListener::bind(&net::resolve(listen)?[..])
                .map_err(|e| Fault::from(e).of(&format!("cannot listen on {listen}")))?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?.to_string();
            let mut model = Model::new(&options.load()?.1, &settings)?;
            if let Some(path) = &store {
                model = model.with_stock(Stock::new(Store::open(path)?, stock)?)?;
            }
            Ok((Box::new(Idle { listener, model }), address))
        };
        let (idle, address) = work::run(py, || (), make)?;
        let shared = Shared {
            state: Mutex::new(State::Idle(idle)),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            open: Mutex::default(),
            counts: Mutex::default(),
            failures: Mutex::default(),
            timeout,
        };
        Ok(Self { shared: Arc::new(shared), address })
    }

    #[getter]
    fn address(&self) -> &str {
        &self.address
    }

    fn serve(&self, py: Python<'_>, sessions: Option<u64>) -> PyResult<()> {
        let serving = Serving::begin(&self.shared)?;
        let serve = || {
            serving.serve(sessions);
            Ok(())
        };
        work::run(py, || self.shared.stop(), serve)
    }

    fn start(&self) -> PyResult<()> {
        let serving = Serving::begin(&self.shared)?;
        let spawned = thread::Builder::new().name("copriv-serve".into()).spawn(|| serving.serve(None));
        Ok(spawned.map(drop).map_err(Fault::from)?)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.shared.close());
    }

    fn counts(&self) -> Counts {
        lock(&self.shared.counts).clone()
    }

    fn failures(&self) -> Vec<String> {
        lock(&self.shared.failures).iter().cloned().collect()
    }
}

impl Drop for Server {
    /// Does not wait.
    fn drop(&mut self) {
        self.shared.stop();
    }
}
