//! Operations with gradients.
