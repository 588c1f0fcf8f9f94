//! Typed, counted message channel between two parties, with costs
