//! One party of a protocol against whatever bytes there are.

use copriv_channel::{Channel, Transport, memory};
use copriv_testkit::record;
use copriv_wire::{Result, Role};
use std::io;

/// A transport whose peer has said all it will ever say.
pub struct FromBytes {
    bytes: Vec<u8>,
    read: usize,
}

impl FromBytes {
    /// The peer said `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), read: 0 }
    }
}

impl Transport for FromBytes {
    fn send(&mut self, _bytes: Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let Some(next) = self.bytes.get(self.read..self.read + buffer.len()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        buffer.copy_from_slice(next);
        self.read += next.len();
        Ok(())
    }
}

/// A party's part in a protocol, in the role that is its own.
pub type Party = (Role, fn(Channel) -> Result<()>);

/// The party that is fuzzed and the one that it is meant to talk to, both with fixed randomness.
pub struct Conversation {
    pub victim: Party,
    pub peer: Party,
}

impl Conversation {
    /// The victim hears `bytes`.
    pub fn against(&self, bytes: &[u8]) -> Result<()> {
        let (role, party) = self.victim;
        party(Channel::new(role, FromBytes::new(bytes)))
    }

    /// What the honest peer says.
    pub fn transcript(&self) -> Vec<u8> {
        let (here, there) = memory();
        let (there, said) = record(there);
        let (victim, peer) = (self.victim, self.peer);
        std::thread::scope(|scope| {
            let other = scope.spawn(move || peer.1(Channel::new(peer.0, there)));
            let own = victim.1(Channel::new(victim.0, here));
            let both = own.and(other.join().expect("the honest peer does not panic"));
            both.expect("honest parties finish");
        });
        let said = said.lock().expect("both parties are done");
        said.clone()
    }
}
