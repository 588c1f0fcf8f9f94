//! The tests of `copriv-plain`.

mod conv;
mod layers;
mod merge;
mod partial;
mod random;
mod simplify;
