//! Two-party test harness: pairs, laws, ideal OT dealer, tampering, digests
