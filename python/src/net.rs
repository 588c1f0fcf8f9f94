//! Connections.

use crate::error::Fault;
use copriv_channel::{Channel, Tcp};
use copriv_wire::Role;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A time limit in seconds: positive, and at most a day.
pub fn timeout(seconds: f64) -> Result<Duration, Fault> {
    if (0.001..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(Fault::Argument(format!("timeout is {seconds}, not between 0.001 and 86400 seconds")))
    }
}

/// The addresses that `address` (HOST:PORT) stands for.
pub fn resolve(address: &str) -> Result<Vec<SocketAddr>, Fault> {
    let found = address.to_socket_addrs().map_err(|e| {
        let why = format!("{address:?} is no address ({e}); write HOST:PORT, such as 127.0.0.1:7878");
        match e.kind() {
            io::ErrorKind::InvalidInput => Fault::Argument(why),
            kind => Fault::System(kind, why),
        }
    })?;
    Ok(found.collect())
}

/// A connection to the first of `addresses` that answers.
pub fn connect(address: &str, timeout: Duration) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut refused = Fault::Argument(format!("{address:?} is no address"));
    for peer in resolve(address)? {
        let connected = TcpStream::connect_timeout(&peer, timeout).and_then(|stream| {
            // A free port of this machine can be given to the very socket that asks for it.
            let own = stream.local_addr()? == peer;
            if own { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(stream) }
        });
        match connected {
            Ok(stream) => return Ok((stream, peer)),
            Err(e) => refused = Fault::from(e).of(&peer.to_string()),
        }
    }
    Err(refused)
}

/// `role`'s end of a connection.
pub fn channel(role: Role, stream: TcpStream, timeout: Duration) -> Result<Channel, Fault> {
    Ok(Channel::new(role, Tcp::new(stream, timeout)?))
}
