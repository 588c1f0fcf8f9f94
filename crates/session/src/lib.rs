//! Two parties in one session: handshake, oblivious transfers both ways, randomness
