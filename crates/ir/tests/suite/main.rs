//! The tests of `copriv-ir`.

mod common;
mod hostile;
mod lower;
mod shapes;
mod simplify;
