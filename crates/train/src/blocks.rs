//! Blocks of activations, and networks without some of them.
