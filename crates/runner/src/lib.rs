//! Plan, execute and report private inference of a whole network
