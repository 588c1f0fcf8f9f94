//! A client of a server over TCP.

use crate::error::Fault;
use crate::network::Input;
use crate::outcome::{Answer, Outcome, json};
use crate::{net, work};
use copriv_runner::{Client as Session, Offer, Source, Store, entropy};
use copriv_wire::Role;
use numpy::PyReadonlyArrayDyn;
use pyo3::prelude::*;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// What is there until the client is closed.
struct Open {
    session: Session,
    store: Option<Store>,
}

/// A session with a server.
#[pyclass(frozen, module = "copriv._native")]
pub struct Client {
    open: Mutex<Option<Open>>,
    offer: Offer,
    /// The connection, to end it from another thread.
    stream: TcpStream,
    peer: String,
}

fn end(stream: &TcpStream) {
    // A connection that is gone already needs no end.
    let _ = stream.shutdown(Shutdown::Both);
}

impl Client {
    /// A panic in a session is its last: what is left of it refuses to go on.
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` with the session, unless it is closed.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Open) -> Result<T, Fault> + Send,
    ) -> PyResult<T> {
        let all = || {
            let mut open = self.lock();
            let open = open.as_mut().ok_or_else(|| Fault::other("the client is closed"))?;
            work(open).map_err(|fault| match fault {
                Fault::Argument(_) => fault,
                fault => fault.of(&self.peer),
            })
        };
        work::run(py, || end(&self.stream), all)
    }
}

#[pymethods]
impl Client {
    #[new]
    fn new(
        py: Python<'_>,
        address: &str,
        store: Option<PathBuf>,
        suite: Option<&str>,
        timeout: f64,
    ) -> PyResult<Self> {
        let timeout = net::timeout(timeout)?;
        let insist = suite.map(str::parse).transpose().map_err(Fault::from)?;
        let connection = OnceLock::<TcpStream>::new();
        let stop = || connection.get().into_iter().for_each(end);
        let (open, stream, peer) = work::run(py, stop, || {
            let store = store.as_deref().map(Store::open).transpose()?;
            let (stream, peer) = net::connect(address, timeout)?;
            let peer = peer.to_string();
            let own = stream.try_clone()?;
            // Set nowhere else.
            let _ = connection.set(stream.try_clone()?);
            let greet = || {
                let channel = net::channel(Role::P1, stream, timeout)?;
                Ok(Session::connect(channel, entropy()?, insist)?)
            };
            let session = greet().map_err(|fault: Fault| fault.of(&peer))?;
            Ok((Open { session, store }, own, peer))
        })?;
        let offer = open.session.offer().clone();
        Ok(Self { open: Mutex::new(Some(open)), offer, stream, peer })
    }

    #[getter]
    fn address(&self) -> &str {
        &self.peer
    }

    /// The offer as JSON.
    fn offer(&self) -> PyResult<String> {
        Ok(json(&self.offer)?)
    }

    /// (C, H, W).
    fn input_shape(&self) -> [usize; 3] {
        let shape = self.offer.architecture.input_shape();
        [shape.channels, shape.height, shape.width]
    }

    /// (C, H, W).
    fn output_shape(&self) -> [usize; 3] {
        let shape = self.offer.architecture.output_shape();
        [shape.channels, shape.height, shape.width]
    }

    /// The plan of the next inference as JSON.
    fn plan(&self, py: Python<'_>, stored: bool) -> PyResult<String> {
        self.with(py, |open| json(&open.session.plan(stored)?))
    }

    fn infer<'py>(
        &self,
        py: Python<'py>,
        input: PyReadonlyArrayDyn<'py, f64>,
        on_the_fly: bool,
    ) -> PyResult<Answer<'py>> {
        let input = Input::of(&input)?;
        let outcome = self.with(py, |open| {
            let input = input.encode(&self.offer.architecture)?;
            let source = match &open.store {
                None => Source::OnTheFly,
                Some(store) if on_the_fly => Source::StoreOrOnTheFly(store),
                Some(store) => Source::Store(store),
            };
            let done = open.session.infer(&input, source, &mut |_| ())?;
            Outcome::new(&self.offer.architecture, done, None)
        })?;
        Ok(outcome.into_python(py))
    }

    /// The report of one new entry as JSON.
    fn preprocess(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |open| {
            let store = open.store.as_ref();
            let store = store.ok_or_else(|| Fault::argument("the client has no store: give it one"))?;
            let (_, report) = open.session.preprocess(store, &mut |_| ())?;
            json(&report)
        })
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            if let Err(TryLockError::WouldBlock) = self.open.try_lock() {
                end(&self.stream);
            }
            *self.lock() = None;
        });
    }
}

impl Drop for Client {
    /// What is still to be sent is not waited for.
    fn drop(&mut self) {
        end(&self.stream);
    }
}
