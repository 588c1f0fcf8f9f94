//! A graph as a network to train.
