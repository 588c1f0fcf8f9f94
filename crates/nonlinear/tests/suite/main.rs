//! Functionality, cost, wire bytes and behaviour under tampering of every protocol.

mod common;
mod laws;
