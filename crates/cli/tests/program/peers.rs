//! Peers that are something else, speak another version, or vanish.

use crate::common::{Serving, copriv, digit, infer, peer, proxy};
use copriv_session::VERSION;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

/// The first message, as bytes: header (tag, width, count), mark, version, role.
fn hello(version: u16, role: u8) -> Vec<u8> {
    let mut bytes = message(0x0101, b"CoPriv");
    bytes[3] = 9;
    bytes.extend(version.to_le_bytes());
    bytes.push(role);
    bytes
}

/// A message of bytes: tag (2), width (1), count (5), payload.
fn message(tag: u16, payload: &[u8]) -> Vec<u8> {
    let header = u64::from(tag) | 8 << 16 | (payload.len() as u64) << 24;
    [&header.to_le_bytes(), payload].concat()
}

/// Answers with `bytes` and waits until the other end has gone.
fn answers(bytes: Vec<u8>) -> impl FnOnce(TcpStream) + Send {
    move |mut stream| {
        let _ = stream.write_all(&bytes);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let mut rest = [0; 1000];
        while stream.read(&mut rest).is_ok_and(|n| n > 0) {}
    }
}

#[test]
fn servers_that_are_none() {
    let args = ["--input", &digit(1), "--timeout", "1"];
    let http = peer(answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()));
    infer(&http, &args).fails(1, &[&http, "no copriv"]);
    let noise = peer(answers((0..100_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect()));
    infer(&noise, &args).fails(1, &[&noise, "no copriv"]);
    let silent = peer(answers(Vec::new()));
    infer(&silent, &args).fails(1, &[&silent, "nothing came", "--timeout"]);
    let short = peer(answers(hello(VERSION, 0)[..5].to_vec()));
    infer(&short, &args).fails(1, &[&short, "nothing came"]);
    let closing = peer(drop);
    infer(&closing, &args).fails(1, &[&closing, "closed"]);
}

#[test]
fn servers_that_speak_otherwise() {
    let args = ["--input", &digit(1), "--timeout", "5"];
    let newer = peer(answers(hello(9, 0)));
    infer(&newer, &args).fails(1, &[&newer, "version 9", "same release"]);
    let client = peer(answers(hello(VERSION, 1)));
    infer(&client, &args).fails(1, &[&client, "role"]);
    // An offer of protocols that this release does not have, and one that would fill the memory.
    let offer =
        br#"{"settings":{"suite":"\u001b[2Jtomorrow","ot":"iknp","reveal":"logits"},"architecture":{}}"#;
    let length = message(0x0501, &(offer.len() as u64).to_le_bytes());
    let future = peer(answers([hello(VERSION, 0), length, message(0x0502, offer)].concat()));
    infer(&future, &args).fails(1, &["tomorrow", "same version"]);
    let length = message(0x0501, &(1u64 << 60).to_le_bytes());
    let greedy = peer(answers([hello(VERSION, 0), length].concat()));
    infer(&greedy, &args).fails(1, &["length of the offer"]);
}

#[test]
fn connections_cut_anywhere() {
    let server = Serving::start(&["zoo:digits"]);
    let args = ["--input", &digit(4), "--quiet", "--timeout", "20"];
    let total = &copriv(&["plan", "zoo:digits", "--json"]).json()["total"];
    let sent = ["preprocessing", "online"].map(|phase| total[phase]["bytes_p0_to_p1"].as_u64().unwrap());
    let all = sent.iter().sum::<u64>() as usize;
    for limit in [0, 5, 17, 100, 3000, 17_000, all / 2, all - 1] {
        let cut = proxy(&server.address, limit, || {});
        infer(&cut, &args).fails(1, &[&cut, "closed"]);
        server.says("connected");
    }
    assert_eq!(server.infer(&args).ok(), "label 4\n");
    server.complains("127.0.0.1:");
}

#[test]
fn a_server_that_is_killed() {
    let server = Serving::start(&["zoo:digits"]);
    let id = server.child.id().to_string();
    let kill = move || drop(Command::new("kill").args(["-9", &id]).status());
    let through = proxy(&server.address, 200_000, kill);
    infer(&through, &["--input", &digit(4), "--quiet"]).fails(1, &[&through, "closed"]);
}

#[test]
fn clients_that_are_none() {
    let server = Serving::start(&["zoo:digits", "--timeout", "1"]);
    let connect = || TcpStream::connect(&server.address).unwrap();
    connect().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    server.complains("no copriv");
    connect().write_all(&hello(7, 1)).unwrap();
    server.complains("version 7");
    let silent = connect();
    server.complains("nothing came");
    drop(silent);
    drop(connect());
    server.complains("closed");
    // More silent ones than places, and still it serves.
    let crowd: Vec<TcpStream> = (0..9).map(|_| connect()).collect();
    assert_eq!(server.infer(&["--input", &digit(1), "--quiet"]).ok(), "label 1\n");
    drop(crowd);
}
