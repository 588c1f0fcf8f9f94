//! The bit-exact oracle of a lowered network, and the float evaluator
