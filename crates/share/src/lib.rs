//! Arithmetic and boolean secret shares of two parties
