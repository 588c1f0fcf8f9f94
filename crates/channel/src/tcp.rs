use crate::Transport;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const READ_BUFFER: usize = 256 << 10;

/// TCP: a thread of its own writes what is queued, so that sending never waits for the peer.
pub struct Tcp {
    reader: BufReader<TcpStream>,
    queue: Option<Sender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
}

impl Tcp {
    /// Speaks over `stream`; a read or write that makes no progress for `timeout` is an error.
    ///
    /// # Errors
    /// When the socket's options cannot be set.
    pub fn new(stream: TcpStream, timeout: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let mut out = stream.try_clone()?;
        let (queue, queued) = channel::<Vec<u8>>();
        let writer = std::thread::Builder::new().name("copriv-send".into()).spawn(move || {
            // On a failure the queue's receiver is dropped, and the next send reports it.
            let written = queued.iter().try_for_each(|bytes| out.write_all(&bytes));
            let how = if written.is_ok() { Shutdown::Write } else { Shutdown::Both };
            // The peer may have closed already; there is nobody left to tell.
            let _ = out.shutdown(how);
        })?;
        let reader = BufReader::with_capacity(READ_BUFFER, stream);
        Ok(Self { reader, queue: Some(queue), writer: Some(writer) })
    }
}

impl Transport for Tcp {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the peer has closed the connection");
        self.queue.as_ref().ok_or_else(gone)?.send(bytes).map_err(|_| gone())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                io::Error::new(io::ErrorKind::TimedOut, "nothing came from the peer in time")
            }
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(io::ErrorKind::UnexpectedEof, "the peer has closed the connection")
            }
            _ => e,
        })
    }
}

impl Drop for Tcp {
    /// Waits until everything queued is written (or the write times out).
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has nothing to say to us.
            let _ = writer.join();
        }
    }
}
