use crate::Transport;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
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
}

/// A transport that delivers as a [`Link`] would: each message leaves when the link is free, takes its bytes
/// over the bandwidth, and arrives half a round trip later.
pub struct Shaped<T> {
    inner: Arc<Mutex<T>>,
    queue: Sender<(Instant, Vec<u8>)>,
    link: Link,
    free: Instant,
}

impl<T> Shaped<T> {
    fn arrival(&mut self, bytes: usize) -> Instant {
        let duration = Duration::from_secs_f64(bytes as f64 * 8.0 / self.link.bits_per_second);
        self.free = self.free.max(Instant::now()) + duration;
        self.free + self.link.round_trip / 2
    }
}
