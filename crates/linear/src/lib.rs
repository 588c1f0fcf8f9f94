//! Matrix products and convolutions over secret shares by oblivious transfer
