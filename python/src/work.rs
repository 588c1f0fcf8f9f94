//! Long work: without the interpreter's lock, and ended by Ctrl-C.

use crate::error::Fault;
use pyo3::prelude::*;
use std::any::Any;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How often the calling thread looks for signals.
const TICK: Duration = Duration::from_millis(50);

/// Does `work` on a thread of its own while others run Python. A signal whose handler raises (Ctrl-C) calls `stop`, which
/// must make `work` return soon, and waits for that.
///
/// # Errors
/// What `work` or the handler says. A panic of `work` is `copriv.Error`.
pub fn run<T: Send>(
    py: Python<'_>,
    stop: impl Fn() + Sync + Send,
    work: impl FnOnce() -> Result<T, Fault> + Send,
) -> PyResult<T> {
    let outcome = py.detach(|| {
        thread::scope(|scope| {
            let (done, ended) = channel::<()>();
            let worker = scope.spawn(move || {
                // Dropped when the work ends, however that is.
                let _done = done;
                work()
            });
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
                // None when the interpreter is ending: nobody is left to raise it to.
                if let Some(Err(raised)) = Python::try_attach(|py| py.check_signals()) {
                    stop();
                    // What it says of being stopped is of no interest.
                    let _ = worker.join();
                    return Err(raised);
                }
            }
            Ok(worker.join())
        })
    });
    Ok(outcome?.unwrap_or_else(|panic| Err(panicked(&*panic)))?)
}

/// A panic, which is a bug, in words.
pub fn panicked(panic: &(dyn Any + Send)) -> Fault {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Fault::Other(format!("a panic, which is a bug of copriv: {text}"))
}
