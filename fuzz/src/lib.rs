//! The fuzz targets as plain functions, so that tests run them without a fuzzer.
//!
//! A target takes any bytes and must come back: with a value or an error, never with a panic, a hang or an
//! allocation that the bytes do not warrant. Every target has seeds: bytes that it accepts, which a fuzzer starts from.

mod draw;
mod files;
mod messages;
mod model;
mod network;
mod party;
mod proto;
mod protocols;

pub use party::FromBytes;
use party::{Conversation, Party};

/// Something that bytes of others reach.
pub struct Target {
    /// Of its program, its corpus and its folder under `findings`.
    pub name: &'static str,
    kind: Kind,
}

enum Kind {
    /// A parser.
    Parser { run: fn(&[u8]) -> bool, seeds: fn() -> Vec<Vec<u8>> },
    /// One party of a protocol; the bytes are all that its peer ever says.
    Party(Conversation),
}

impl Target {
    const fn parser(name: &'static str, run: fn(&[u8]) -> bool, seeds: fn() -> Vec<Vec<u8>>) -> Self {
        Self { name, kind: Kind::Parser { run, seeds } }
    }

    const fn party(name: &'static str, victim: Party, peer: Party) -> Self {
        Self { name, kind: Kind::Party(Conversation { victim, peer }) }
    }

    /// Takes `bytes`; whether it accepts them.
    ///
    /// # Panics
    /// When there is something to find.
    pub fn run(&self, bytes: &[u8]) -> bool {
        match &self.kind {
            Kind::Parser { run, .. } => run(bytes),
            Kind::Party(conversation) => conversation.against(bytes).is_ok(),
        }
    }

    /// Bytes that the target accepts.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        match &self.kind {
            Kind::Parser { seeds, .. } => seeds(),
            Kind::Party(conversation) => vec![conversation.transcript()],
        }
    }
}

/// All targets.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    messages::TARGETS.iter().chain(protocols::TARGETS).chain(files::TARGETS)
}

/// Runs the target called `name` on `bytes`.
///
/// # Panics
/// When there is no such target, or something to find.
pub fn run(name: &str, bytes: &[u8]) {
    match targets().find(|target| target.name == name) {
        Some(target) => drop(target.run(bytes)),
        None => panic!("there is no target {name}"),
    }
}
