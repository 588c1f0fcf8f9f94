//! The tests of `copriv-plain`.

mod conv;
mod layers;
mod merge;
mod random;
mod simplify;
