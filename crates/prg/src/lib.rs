//! AES-CTR pseudorandom generator and fixed-key correlation-robust hashing
