use crate::memory::wait_until;
use std::io;
use std::time::Instant;

/// A reliable, ordered stream of bytes in both directions. One call of [`send`](Self::send) is one message.
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

    /// Queues `bytes` to arrive not before `due`, for [`Shaped`](crate::Shaped); calls come in the order of
    /// `due`. A transport with a queue does not wait here; others may, as this definition does.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    fn send_at(&mut self, bytes: Vec<u8>, due: Instant) -> io::Result<()> {
        wait_until(due);
        self.send(bytes)
    }

    /// An empty vector for the next message, where possible one whose message has been delivered: fresh memory
    /// costs page faults.
    fn spare(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        (**self).send(bytes)
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        (**self).recv(buffer)
    }

    fn send_at(&mut self, bytes: Vec<u8>, due: Instant) -> io::Result<()> {
        (**self).send_at(bytes, due)
    }

    fn spare(&mut self) -> Vec<u8> {
        (**self).spare()
    }
}
