//! Tests of the importers against the definition of each operator, other implementations' results, and hostile files.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod forward;
mod hostile;
mod nodes;
mod onnx;
mod picture;
mod preprocessing;
mod safetensors;
mod third_party;
mod zoo;
