//! Large messages, both ways at once, over every transport; connecting; links.

use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Link, Shaped, Tcp, Transport, memory};
use copriv_ring::Width;
use copriv_wire::{Result, Role, messages};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

messages! {
    /// Bits.
    Flips: Bits = 0xFFC0;
    /// Ring elements.
    Masked: Ring = 0xFFC1;
    /// Blocks.
    Seeds: Blocks = 0xFFC2;
    /// Bytes.
    Hello: Bytes = 0xFFC3;
}

const TIMEOUT: Duration = Duration::from_secs(60);

fn tcp() -> (Tcp, Tcp) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    let other = thread::spawn(move || Tcp::connect(address, TIMEOUT).expect("somebody listens"));
    (Tcp::accept(&listener, TIMEOUT).expect("somebody connects"), other.join().expect("no panic"))
}

fn pair<T: Send>(
    ends: (impl Transport + 'static, impl Transport + 'static),
    body: impl Fn(&mut Channel) -> Result<T> + Sync,
) -> [T; 2] {
    let (mut p0, mut p1) = (Channel::new(Role::P0, ends.0), Channel::new(Role::P1, ends.1));
    thread::scope(|scope| {
        let other = scope.spawn(|| body(&mut p1).expect("honest"));
        [body(&mut p0).expect("honest"), other.join().expect("no panic")]
    })
}

/// Messages of many pieces and odd lengths, sent by both before either receives.
fn everything(channel: &mut Channel) -> Result<()> {
    let mix = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let widths = [1, 21, 41, 64].map(|bits| Width::new(bits).expect("1 to 64"));
    let n = 150_001;
    let words = |width: Width| -> Vec<u64> { (0..n).map(|i| mix(i) >> (64 - width.bits())).collect() };
    let bits = BitVec::from_fn(5_000_003, |i| mix(i) >> 63 == 1);
    let blocks: Vec<Block> = (0..n).map(|i| Block::new(mix(i), mix(i + n))).collect();
    let bytes: Vec<u8> = (0..n).map(|i| mix(i) as u8).collect();
    for _ in 0..2 {
        channel.send_bits::<Flips>(&bits)?;
        channel.send_blocks::<Seeds>(&blocks)?;
        channel.send_bytes::<Hello>(&bytes)?;
        for width in widths {
            channel.send_words::<Masked>(width, &words(width))?;
            channel.send_words_with::<Masked>(width, n, |start, part| {
                for (i, word) in part.iter_mut().enumerate() {
                    *word = mix(start + i) >> (64 - width.bits());
                }
            })?;
        }
    }
    for _ in 0..2 {
        assert_eq!(channel.recv_bits::<Flips>(bits.len())?, bits);
        let mut got = vec![Block::ZERO; n];
        channel.recv_blocks::<Seeds>(&mut got)?;
        assert!(got == blocks);
        assert_eq!(channel.recv_bytes::<Hello>(n)?, bytes);
        for width in widths {
            let mut got = Vec::new();
            channel.recv_words_with::<Masked>(width, n, |start, part| {
                assert_eq!(start, got.len());
                got.extend_from_slice(part);
            })?;
            assert_eq!(got, words(width));
            let mut got = vec![0; n];
            channel.recv_words::<Masked>(width, &mut got)?;
            assert_eq!(got, words(width));
        }
    }
    Ok(())
}

#[test]
fn everything_arrives_over_memory() {
    pair(memory(), everything);
}

#[test]
fn everything_arrives_over_tcp() {
    pair(tcp(), everything);
}

#[test]
fn everything_arrives_over_a_link() {
    let link = Link { bits_per_second: 50e9, round_trip: Duration::from_millis(2) };
    let shape = |end| Shaped::new(end, link).expect("a bandwidth");
    let (a, b) = memory();
    pair((shape(a), shape(b)), everything);
    let shape = |end| Shaped::new(end, link).expect("a bandwidth");
    let (a, b) = tcp();
    pair((shape(a), shape(b)), everything);
}

/// Lower bounds of `rounds` times there and back and of `bytes` both ways at once; the upper ones find hangs only.
fn measure<T: Transport + 'static>(ends: (T, T), link: Link, rounds: u32, bytes: usize) {
    let shape = |end| Shaped::new(end, link).expect("a bandwidth");
    let times = pair((shape(ends.0), shape(ends.1)), |channel| {
        let start = Instant::now();
        for _ in 0..rounds {
            if channel.role() == Role::P0 {
                channel.send_bytes::<Hello>(b"?")?;
                channel.recv_bytes::<Hello>(1)?;
            } else {
                channel.recv_bytes::<Hello>(1)?;
                channel.send_bytes::<Hello>(b"!")?;
            }
        }
        let load = vec![1; bytes];
        let sending = Instant::now();
        // In several messages, which queue behind each other.
        for part in load.chunks(bytes / 4) {
            channel.send_bytes::<Hello>(part)?;
        }
        let sent = Instant::now();
        for part in load.chunks(bytes / 4) {
            assert_eq!(channel.recv_bytes::<Hello>(part.len())?, part);
        }
        Ok((sending - start, sending, sent, Instant::now()))
    });
    let [(turns, ..), _] = times;
    assert!(turns >= link.round_trip * rounds, "{turns:?}");
    assert!(turns < link.round_trip * rounds + TIMEOUT);
    for (sender, receiver) in [(0, 1), (1, 0)] {
        let ((_, sending, sent, _), (.., received)) = (times[sender], times[receiver]);
        let least = link.occupied(bytes) + link.round_trip / 2;
        assert!(received - sending >= least, "{:?}", received - sending);
        assert!(received - sending < least + TIMEOUT);
        assert!(sent - sending < TIMEOUT);
    }
}

#[test]
fn links_delay_and_bound() {
    let link = Link { bits_per_second: 80e6, round_trip: Duration::from_millis(5) };
    measure(memory(), link, 10, 400_000);
    measure(tcp(), link, 10, 400_000);
}

#[test]
fn sending_over_a_link_does_not_wait() {
    let slow = Link { bits_per_second: 8.0, round_trip: Duration::from_millis(1) };
    let (a, b) = memory();
    let mut channel = Channel::new(Role::P0, Shaped::new(a, slow).expect("a bandwidth"));
    let start = Instant::now();
    // Would take more than twelve days.
    channel.send_bytes::<Hello>(&vec![0; 1 << 20]).expect("queued");
    assert!(start.elapsed() < TIMEOUT);
    let patience = Duration::from_millis(10);
    let error = Channel::new(Role::P1, b.with_timeout(patience)).recv_bytes::<Hello>(1 << 20);
    assert!(error.is_err_and(|e| e.to_string().contains("in time")));
    assert!(Shaped::new(memory().0, Link { bits_per_second: 0.0, ..slow }).is_err());
    let never = Link { bits_per_second: f64::MIN_POSITIVE, ..slow };
    let mut channel = Channel::new(Role::P0, Shaped::new(memory().0, never).expect("a bandwidth"));
    assert!(channel.send_bytes::<Hello>(b"?").is_err());
}

#[test]
fn connecting_waits_for_the_listener_and_says_what_failed() {
    // An address that no other test's connection gets a port of, where there is one.
    let bind = |ip| TcpListener::bind((ip, 0));
    let listener = bind("127.83.12.9").or_else(|_| bind("127.0.0.1")).expect("loopback");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let error = Tcp::connect(address, Duration::from_millis(50)).err().expect("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let early = thread::spawn(move || Tcp::connect(address, TIMEOUT));
    thread::sleep(Duration::from_millis(50));
    let listener = TcpListener::bind(address).expect("free again");
    let late = Tcp::accept(&listener, TIMEOUT).expect("somebody connects");
    pair((early.join().expect("no panic").expect("somebody listens"), late), |channel| {
        channel.send_bytes::<Hello>(b"here")?;
        channel.recv_bytes::<Hello>(4)
    });
    let error = Tcp::accept(&listener, Duration::from_millis(30)).err().expect("nobody connects");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(Tcp::connect(address, Duration::ZERO).is_err());
}

#[test]
fn a_peer_that_does_not_read_does_not_fill_the_memory() {
    let (mut sender, deaf) = tcp();
    // More than the bound and what the sockets take: the sender must hear of it, whatever its own pace.
    let refused = (0..80).find_map(|_| sender.send(vec![0; 8 << 20]).err());
    let error = refused.expect("640 MiB are not queued");
    assert!(error.to_string().contains("does not read"), "{error}");
    drop(deaf);
}
