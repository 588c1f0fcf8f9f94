use crate::Transport;
use crate::pool::Pool;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// A message, and when it may arrive.
pub type Queued = (Vec<u8>, Option<Instant>);

/// One end of a connection inside this process.
pub struct Memory {
    outgoing: Sender<Queued>,
    incoming: Receiver<Queued>,
    current: Vec<u8>,
    read: usize,
    timeout: Duration,
    pool: Pool,
}

/// Two connected ends; a read gives up after 60 seconds.
pub fn memory() -> (Memory, Memory) {
    let ((to_b, from_a), (to_a, from_b)) = (channel(), channel());
    let pool = Pool::default();
    let end = |outgoing, incoming| Memory {
        outgoing,
        incoming,
        current: Vec::new(),
        read: 0,
        timeout: Duration::from_secs(60),
        pool: pool.clone(),
    };
    (end(to_b, from_b), end(to_a, from_a))
}

impl Memory {
    /// The same end, with reads that give up after `timeout`.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn queue(&mut self, queued: Queued) -> io::Result<()> {
        self.outgoing.send(queued).map_err(|_| closed())
    }

    fn next(&mut self) -> io::Result<()> {
        let timed_out = || io::Error::new(io::ErrorKind::TimedOut, "nothing came from the peer in time");
        let (bytes, due) = self.incoming.recv_timeout(self.timeout).map_err(|e| match e {
            RecvTimeoutError::Timeout => timed_out(),
            RecvTimeoutError::Disconnected => {
                io::Error::new(io::ErrorKind::UnexpectedEof, "the peer has closed the connection")
            }
        })?;
        if let Some(due) = due {
            if due.saturating_duration_since(Instant::now()) > self.timeout {
                return Err(timed_out());
            }
            wait_until(due);
        }
        self.pool.give(std::mem::replace(&mut self.current, bytes));
        self.read = 0;
        Ok(())
    }
}

impl Transport for Memory {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.queue((bytes, None))
    }

    fn recv(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            if self.read == self.current.len() {
                self.next()?;
            }
            let n = buffer.len().min(self.current.len() - self.read);
            let (now, later) = buffer.split_at_mut(n);
            now.copy_from_slice(&self.current[self.read..][..n]);
            self.read += n;
            buffer = later;
        }
        Ok(())
    }

    fn send_at(&mut self, bytes: Vec<u8>, due: Instant) -> io::Result<()> {
        self.queue((bytes, Some(due)))
    }

    fn spare(&mut self) -> Vec<u8> {
        self.pool.take()
    }
}

/// The error of sending to a peer that is gone.
pub fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the peer has closed the connection")
}

/// Sleeps until `due`; a sleep wakes late, so the last stretch is spun.
pub fn wait_until(due: Instant) {
    const SPIN: Duration = Duration::from_micros(100);
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        } else if left > SPIN {
            std::thread::sleep(left - SPIN);
        } else {
            std::hint::spin_loop();
        }
    }
}
