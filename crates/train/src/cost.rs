//! Bytes of a network.
