use crate::Transport;
use crate::memory::{Queued, closed, wait_until};
use crate::pool::Pool;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Headers and small messages go through this buffer, longer reads past it.
const READ_BUFFER: usize = 16 << 10;

/// A peer that moves fewer bytes a second, once it has begun, is given up after the time limit.
const SLOWEST: f64 = (16 << 10) as f64;

/// What may wait to be written, besides the newest message. Parties that follow a protocol stay below by what they send before
/// they read; a peer that does not read must not fill our memory.
const MOST_QUEUED: u64 = 256 << 20;

/// The rate at which a peer has to take what is left when a connection is closed.
const SLOWEST_AT_END: f64 = (1 << 20) as f64;

/// How often a refused connection is tried again, and a listener asked.
const RETRY: Duration = Duration::from_millis(10);

/// TCP: a thread of its own writes what is queued, so that sending never waits for the peer.
///
/// With a time limit of t, a read of n bytes fails when nothing comes for t, or when the bytes have not all come
/// t + n / (16 KiB/s) after the first of them. A send fails when more than 256 MiB wait to be written.
pub struct Tcp {
    reader: BufReader<TcpStream>,
    queue: Option<Sender<Queued>>,
    timeout: Duration,
    pool: Pool,
    /// Bytes queued so far.
    queued: u64,
    /// Bytes written so far.
    written: Arc<AtomicU64>,
    /// Disconnected when the writer has ended.
    writer: Receiver<()>,
}

impl Tcp {
    /// Speaks over `stream`, with the time limit `timeout`.
    ///
    /// # Errors
    /// When the socket's options cannot be set, such as a time limit of zero.
    pub fn new(stream: TcpStream, timeout: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let (queue, queued) = channel();
        let (alive, writer) = channel();
        let (pool, written) = (Pool::default(), Arc::default());
        let out = Outgoing { stream: stream.try_clone()?, pool: pool.clone(), written: Arc::clone(&written) };
        thread::Builder::new().name("copriv-send".into()).spawn(move || {
            out.write(queued);
            drop::<Sender<()>>(alive);
        })?;
        let reader = BufReader::with_capacity(READ_BUFFER, stream);
        Ok(Self { reader, queue: Some(queue), timeout, pool, queued: 0, written, writer })
    }

    /// Connects to `address`, trying again for up to `timeout` while nobody listens there: the parties may be
    /// started in either order. The time limit of the connection is `timeout` too.
    ///
    /// # Errors
    /// When the address stands for no host, or no connection is made in time; the message names the address.
    pub fn connect(address: impl ToSocketAddrs, timeout: Duration) -> io::Result<Self> {
        let start = Instant::now();
        let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
        let mut error = io::Error::new(ErrorKind::InvalidInput, "the address stands for no host");
        while !addresses.is_empty() {
            for &address in &addresses {
                let left = timeout.saturating_sub(start.elapsed()).max(RETRY);
                let failed = match TcpStream::connect_timeout(&address, left) {
                    // A port of one's own that nobody listens on can be given to the very socket that asks for it.
                    Ok(stream) if stream.local_addr()? == address => ErrorKind::ConnectionRefused.into(),
                    Ok(stream) => return Self::new(stream, timeout),
                    Err(failed) => failed,
                };
                error = io::Error::new(failed.kind(), format!("connecting to {address}: {failed}"));
            }
            if error.kind() != ErrorKind::ConnectionRefused || start.elapsed() + RETRY >= timeout {
                break;
            }
            thread::sleep(RETRY);
        }
        Err(error)
    }

    /// Waits up to `timeout` for a peer to connect to `listener`. The time limit of the connection is `timeout`
    /// too.
    ///
    /// # Errors
    /// When no peer connects in time, or the listener fails.
    pub fn accept(listener: &TcpListener, timeout: Duration) -> io::Result<Self> {
        let start = Instant::now();
        listener.set_nonblocking(true)?;
        let accepted = loop {
            match listener.accept() {
                Err(e) if e.kind() == ErrorKind::WouldBlock && start.elapsed() < timeout => {
                    thread::sleep(RETRY);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                accepted => break accepted,
            }
        };
        listener.set_nonblocking(false)?;
        let (stream, _) = accepted.map_err(|e| match e.kind() {
            ErrorKind::WouldBlock => {
                io::Error::new(ErrorKind::TimedOut, format!("no peer has connected within {timeout:?}"))
            }
            _ => e,
        })?;
        // Inherited from the listener on some systems.
        stream.set_nonblocking(false)?;
        Self::new(stream, timeout)
    }

    /// Bytes that wait to be written.
    fn waiting(&self) -> u64 {
        self.queued - self.written.load(Ordering::Relaxed)
    }

    fn queue(&mut self, queued: Queued) -> io::Result<()> {
        if self.waiting() > MOST_QUEUED {
            let why = format!("the peer does not read: {} MiB wait to be sent", self.waiting() >> 20);
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        self.queued += queued.0.len() as u64;
        self.queue.as_ref().ok_or_else(closed)?.send(queued).map_err(|_| closed())
    }
}

impl Transport for Tcp {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.queue((bytes, None))
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let (mut filled, mut begun) = (0, None::<Instant>);
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => {
                    return Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "the peer has closed the connection",
                    ));
                }
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let why = format!("nothing came from the peer for {:?}", self.timeout);
                    return Err(io::Error::new(ErrorKind::TimedOut, why));
                }
                Err(e) => return Err(e),
            }
            if filled < buffer.len() {
                let transfer = Duration::from_secs_f64(buffer.len() as f64 / SLOWEST);
                let patience = self.timeout.saturating_add(transfer);
                if begun.get_or_insert_with(Instant::now).elapsed() > patience {
                    let why = format!("the peer sent {filled} of {} bytes in {patience:?}", buffer.len());
                    return Err(io::Error::new(ErrorKind::TimedOut, why));
                }
            }
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

impl Drop for Tcp {
    /// Waits until everything queued is written, for at most the time limit and a second for each MiB.
    fn drop(&mut self) {
        self.queue = None;
        let transfer = Duration::from_secs_f64(self.waiting() as f64 / SLOWEST_AT_END);
        let patience = self.timeout.saturating_add(transfer);
        if let Err(RecvTimeoutError::Timeout) = self.writer.recv_timeout(patience) {
            // Ends the writer at its next write; an error says that it has ended.
            let _ = self.reader.get_ref().shutdown(Shutdown::Both);
        }
    }
}

/// The writer's half.
struct Outgoing {
    stream: TcpStream,
    pool: Pool,
    written: Arc<AtomicU64>,
}

impl Outgoing {
    /// Writes what is queued until the queue is closed or a write fails.
    fn write(mut self, queued: Receiver<Queued>) {
        let all = queued.iter().try_for_each(|(bytes, due)| {
            due.into_iter().for_each(wait_until);
            self.write_message(&bytes)?;
            self.pool.give(bytes);
            Ok::<(), io::Error>(())
        });
        // On a failure both directions end, so that the reader sees it too, and the queue's receiver is dropped, so
        // that the next send reports it. The peer may have closed already; there is nobody left to tell.
        let _ = self.stream.shutdown(if all.is_ok() { Shutdown::Write } else { Shutdown::Both });
    }

    fn write_message(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = &bytes[n..];
                    self.written.fetch_add(n as u64, Ordering::Relaxed);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
