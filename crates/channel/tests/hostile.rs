//! A peer that sends anything: always a clear error or other values, never a panic, a hang or a large allocation.

use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Tcp, Transport, memory};
use copriv_ring::{RingVec, Width};
use copriv_wire::{Error, Header, Message, Result, Role, messages};
use proptest::prelude::*;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

messages! {
    /// Bits.
    Flips: Bits = 0xFFD0;
    /// Ring elements.
    Masked: Ring = 0xFFD1;
    /// Blocks.
    Seeds: Blocks = 0xFFD2;
    /// Bytes.
    Hello: Bytes = 0xFFD3;
}

const TIMEOUT: Duration = Duration::from_millis(300);
const NEVER: Duration = Duration::from_secs(60);

fn width() -> Width {
    Width::new(5).expect("1 to 64")
}

fn one(channel: &mut Channel) -> Result<()> {
    channel.send_bytes::<Hello>(b"hello")?;
    channel.send_bits::<Flips>(&BitVec::from_fn(11, |i| i % 2 == 0))?;
    channel.send_ring::<Masked>(&RingVec::from_words(width(), (0..7).collect()))?;
    channel.send_blocks::<Seeds>(&[Block::ONES; 2])
}

fn other(channel: &mut Channel) -> Result<()> {
    channel.recv_bytes::<Hello>(5)?;
    channel.recv_bits::<Flips>(11)?;
    channel.recv_ring::<Masked>(width(), 7)?;
    channel.recv_blocks::<Seeds>(&mut [Block::ZERO; 2])
}

/// The bytes of `one`.
fn honest() -> Vec<u8> {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    one(&mut Channel::new(Role::P0, Tape(bytes.clone()))).expect("a tape takes everything");
    let bytes = bytes.lock().expect("not poisoned");
    bytes.clone()
}

/// What is sent; what is received when nothing is left is the end.
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Transport for Tape {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.0.lock().expect("not poisoned").extend(bytes);
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut all = self.0.lock().expect("not poisoned");
        if all.len() < buffer.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        buffer.copy_from_slice(&all[..buffer.len()]);
        all.drain(..buffer.len());
        Ok(())
    }
}

fn receive(bytes: Vec<u8>) -> Result<()> {
    other(&mut Channel::new(Role::P1, Tape(Arc::new(Mutex::new(bytes)))))
}

/// The offsets of the headers' bytes.
fn headers() -> Vec<usize> {
    [0, 13, 23, 36].into_iter().flat_map(|start| start..start + 8).collect()
}

#[test]
fn the_conversation_is_as_assumed() {
    assert_eq!(honest().len(), 8 + 5 + 8 + 2 + 8 + 5 + 8 + 32);
    receive(honest()).expect("honest");
}

#[test]
fn truncated_anywhere_is_an_end() {
    for len in 0..honest().len() {
        let error = receive(honest()[..len].to_vec()).expect_err("too short");
        assert!(matches!(error, Error::Io(e) if e.kind() == ErrorKind::UnexpectedEof), "{len}");
    }
}

#[test]
fn a_byte_more_anywhere_is_found_at_the_next_header() {
    // What follows the last message is not read.
    for at in 0..honest().len() - 32 {
        let mut bytes = honest();
        bytes.insert(at, 0x5A);
        let error = receive(bytes).expect_err("out of step");
        assert!(matches!(error, Error::Wire { .. }), "{at}: {error}");
    }
}

#[test]
fn any_bit_of_a_header_is_checked() {
    for bit in headers().into_iter().flat_map(|byte| 8 * byte..8 * byte + 8) {
        let mut bytes = honest();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = receive(bytes).expect_err("another header");
        assert!(matches!(error, Error::Wire { .. }), "{bit}: {error}");
        assert!(error.to_string().contains("expected tag 0xffd"), "{error}");
    }
}

#[test]
fn padding_bits_are_checked_and_named() {
    // 11 bits in bytes 21 and 22; 35 bits in bytes 31 to 35.
    for (bits, message) in [(22 * 8 + 3..23 * 8, "Flips"), (35 * 8 + 3..36 * 8, "Masked")] {
        for bit in bits {
            let mut bytes = honest();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = receive(bytes).expect_err("padding");
            let text = error.to_string();
            assert!(text.contains(message) && text.contains("padding"), "{bit}: {text}");
        }
    }
}

#[test]
fn other_shapes_and_tags_are_refused_before_any_payload() {
    fn ask<M: Message>(count: usize, width: u32) -> Error {
        let (mut peer, us) = memory();
        // Never followed by a payload.
        peer.send(Header::new::<M>(count, width).to_bytes().to_vec()).expect("memory");
        let mut channel = Channel::new(Role::P0, us.with_timeout(TIMEOUT));
        channel.recv_ring::<Masked>(self::width(), 7).expect_err("another shape")
    }
    for error in [
        ask::<Masked>(8, 5),
        ask::<Masked>(0, 5),
        ask::<Masked>(7, 6),
        ask::<Masked>((1 << 40) - 1, 128),
        ask::<Flips>(7, 5),
        ask::<Seeds>(7, 128),
    ] {
        assert!(matches!(error, Error::Wire { message: "Masked", .. }), "{error}");
    }
    let (mut peer, us) = memory();
    peer.send(Header::new::<Masked>(7, 5).to_bytes().to_vec()).expect("memory");
    let error = Channel::new(Role::P0, us.with_timeout(TIMEOUT)).recv_ring::<Masked>(width(), 7);
    assert!(matches!(error, Err(Error::Io(e)) if e.kind() == ErrorKind::TimedOut));
}

/// Our end of a connection whose other end is `peer`.
fn tcp(timeout: Duration, peer: impl FnOnce(TcpStream) + Send + 'static) -> Tcp {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || peer(TcpStream::connect(address).expect("loopback")));
    let (stream, _) = listener.accept().expect("the peer connects");
    Tcp::new(stream, timeout).expect("a socket")
}

#[test]
fn a_connection_closed_at_any_byte_is_an_end() {
    for len in (0..honest().len()).step_by(5) {
        let tcp = tcp(NEVER, move |mut stream| stream.write_all(&honest()[..len]).expect("we read"));
        let error = other(&mut Channel::new(Role::P1, tcp)).expect_err("too short");
        assert!(matches!(error, Error::Io(e) if e.kind() == ErrorKind::UnexpectedEof), "{len}");
    }
}

#[test]
fn silence_and_a_trickle_are_cut() {
    let wait = |mut stream: TcpStream| drop(stream.read_to_end(&mut Vec::new()));
    let start = Instant::now();
    let error = other(&mut Channel::new(Role::P1, tcp(TIMEOUT, wait))).expect_err("silence");
    assert!(matches!(error, Error::Io(e) if e.kind() == ErrorKind::TimedOut));
    let trickle = |mut stream: TcpStream| {
        let mut bytes = Header::new::<Masked>(1000, 5).to_bytes().to_vec();
        bytes.resize(bytes.len() + 625, 0);
        for byte in bytes {
            thread::sleep(TIMEOUT / 4);
            if stream.write_all(&[byte]).is_err() {
                return;
            }
        }
    };
    let error = Channel::new(Role::P1, tcp(TIMEOUT, trickle)).recv_ring::<Masked>(width(), 1000);
    assert!(matches!(error, Err(Error::Io(e)) if e.kind() == ErrorKind::TimedOut));
    assert!(start.elapsed() < NEVER);
}

#[test]
fn dropping_beside_a_peer_that_does_not_read_ends() {
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let tcp = tcp(TIMEOUT, move |stream| {
        let _ = finished.recv();
        drop(stream);
    });
    let mut channel = Channel::new(Role::P0, tcp);
    channel.send_bytes::<Hello>(&vec![0; 64 << 20]).expect("queued");
    let start = Instant::now();
    drop(channel);
    assert!(start.elapsed() < NEVER);
    drop(finish);
}

#[test]
fn a_peer_that_is_gone_is_noticed_when_sending() {
    let mut channel = Channel::new(Role::P0, tcp(NEVER, drop));
    let start = Instant::now();
    while channel.send_bytes::<Hello>(b"anybody?").is_ok() {
        assert!(start.elapsed() < NEVER, "nothing was noticed");
        thread::sleep(Duration::from_millis(1));
    }
}

proptest! {
    #[test]
    fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(receive(bytes).is_err());
    }

    #[test]
    fn garbage_in_a_payload_is_an_error_or_other_values(at in 0usize..68, with in any::<u8>()) {
        let mut bytes = honest();
        bytes[at] = with;
        let _ = receive(bytes);
    }
}
