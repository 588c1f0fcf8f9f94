//! Functionality, cost, wire bytes and behaviour under tampering of every protocol.

mod baseline;
mod common;
mod hostile;
mod laws;
mod protocols;
mod wire;
