//! Networks are rewritten into what they should be, and cost what is said.

#[path = "structure/blocks.rs"]
mod blocks;
#[path = "structure/channels.rs"]
mod channels;
#[path = "structure/common.rs"]
mod common;
#[path = "structure/cost.rs"]
mod cost;
