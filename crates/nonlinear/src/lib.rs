//! Comparison, ReLU, truncation, pooling and argmax over secret shares
