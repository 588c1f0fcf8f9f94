//! Which blocks to remove.
