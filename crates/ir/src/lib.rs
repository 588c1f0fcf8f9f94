//! Network graph, shapes, validation and fixed-point lowering
