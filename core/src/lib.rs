//! What thinks: the planner between what is wanted and what was seen, a world to try it in, and the laws that judge it.
//!
//! Nothing here does I/O, reads a clock or is async; `Cargo.toml` (serde alone) proves it. That is why a decision can be
//! tested by table, by exhausting small worlds and by a million random histories.
#![forbid(unsafe_code)]

pub mod laws;
pub mod planner;
pub mod twin;
pub mod units;
pub mod world;
