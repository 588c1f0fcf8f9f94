//! Blocks, bit vectors and bit-matrix transposition for two-party protocols
