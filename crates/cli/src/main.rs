//! The `copriv` program.
fn main() {}
