//! Messages, bit packing and the one error type of the protocol crates
