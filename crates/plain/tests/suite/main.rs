//! The tests of `copriv-plain`.

mod conv;
mod layers;
mod random;
mod simplify;
