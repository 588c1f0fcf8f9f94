use crate::Transport;
use std::io;
use std::time::{Duration, Instant};

/// A network link: bandwidth per direction and round-trip time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Link {
    /// Bits per second in each direction.
    pub bits_per_second: f64,
    /// Round-trip time; each message is delayed by half of it.
    pub round_trip: Duration,
}

impl Link {
    /// 3 Gbit/s, 0.8 ms.
    pub const LAN: Self = Self { bits_per_second: 3e9, round_trip: Duration::from_micros(800) };
    /// 200 Mbit/s, 40 ms.
    pub const WAN: Self = Self { bits_per_second: 200e6, round_trip: Duration::from_millis(40) };

    /// How long `bytes` occupy the link.
    pub fn occupied(&self, bytes: usize) -> Duration {
        Duration::try_from_secs_f64(bytes as f64 * 8.0 / self.bits_per_second).unwrap_or(Duration::MAX)
    }
}

/// A transport whose sends go as over a [`Link`]: each message leaves when the link is free, takes its bytes over
/// the bandwidth, and arrives half a round trip later. Both ends are to be shaped. Sending does not wait.
pub struct Shaped<T> {
    inner: T,
    link: Link,
    /// When the last message has left.
    free: Instant,
}

impl<T: Transport> Shaped<T> {
    /// `inner` behind `link`.
    ///
    /// # Errors
    /// When the bandwidth is not a positive number.
    pub fn new(inner: T, link: Link) -> io::Result<Self> {
        if link.bits_per_second > 0.0 {
            Ok(Self { inner, link, free: Instant::now() })
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "a link has a bandwidth above 0 bits per second"))
        }
    }
}

impl<T: Transport> Transport for Shaped<T> {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.send_at(bytes, Instant::now())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.recv(buffer)
    }

    fn send_at(&mut self, bytes: Vec<u8>, due: Instant) -> io::Result<()> {
        let arrival = || {
            let left = self.free.max(due).checked_add(self.link.occupied(bytes.len()))?;
            Some((left, left.checked_add(self.link.round_trip / 2)?))
        };
        let never = || io::Error::new(io::ErrorKind::InvalidInput, "the message would never arrive");
        let (free, arrival) = arrival().ok_or_else(never)?;
        self.free = free;
        self.inner.send_at(bytes, arrival)
    }

    fn spare(&mut self) -> Vec<u8> {
        self.inner.spare()
    }
}
