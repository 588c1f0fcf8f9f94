use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// A reliable, ordered stream of bytes in both directions.
pub trait Transport: Send {
    /// Queues `bytes`; never waits for the peer, so both parties may send at once.
    ///
    /// # Errors
    /// When the connection is known to be gone.
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()>;

    /// Fills `buffer` with the next bytes.
    ///
    /// # Errors
    /// When the connection is gone or nothing comes for the transport's time limit.
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()>;
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        (**self).send(bytes)
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        (**self).recv(buffer)
    }
}

/// One end of a connection inside this process.
pub struct Memory {
    outgoing: Sender<Vec<u8>>,
    incoming: Receiver<Vec<u8>>,
    current: Vec<u8>,
    read: usize,
    timeout: Duration,
}

/// Two connected ends; a read gives up after 60 seconds.
pub fn memory() -> (Memory, Memory) {
    let ((to_b, from_a), (to_a, from_b)) = (channel(), channel());
    let end = |outgoing, incoming| Memory {
        outgoing,
        incoming,
        current: Vec::new(),
        read: 0,
        timeout: Duration::from_secs(60),
    };
    (end(to_b, from_b), end(to_a, from_a))
}

impl Memory {
    /// The same end, with reads that give up after `timeout`.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

impl Transport for Memory {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the peer has closed the connection");
        self.outgoing.send(bytes).map_err(|_| gone())
    }

    fn recv(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            if self.read == self.current.len() {
                self.read = 0;
                self.current = self.incoming.recv_timeout(self.timeout).map_err(|e| match e {
                    RecvTimeoutError::Timeout => {
                        io::Error::new(io::ErrorKind::TimedOut, "nothing came from the peer in time")
                    }
                    RecvTimeoutError::Disconnected => {
                        io::Error::new(io::ErrorKind::UnexpectedEof, "the peer has closed the connection")
                    }
                })?;
            }
            let n = buffer.len().min(self.current.len() - self.read);
            let (now, later) = buffer.split_at_mut(n);
            now.copy_from_slice(&self.current[self.read..][..n]);
            self.read += n;
            buffer = later;
        }
        Ok(())
    }
}
