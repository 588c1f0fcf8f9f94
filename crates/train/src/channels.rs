//! Networks with fewer channels.
