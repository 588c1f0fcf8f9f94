//! The tests of `copriv-plain`.

mod conv;
mod layers;
mod merge;
mod networks;
mod partial;
mod random;
mod simplify;
