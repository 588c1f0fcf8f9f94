//! The tests of `copriv-ir`.

mod common;
mod hostile;
mod lower;
mod preprocessing;
mod shapes;
mod simplify;
