//! The rooms of spotpool that talk to the outside. What thinks lives in `spotpool-core`.
//!
//! ```text
//! cli ──▶ controller ──▶ api, cloud ──▶ spotpool_core::planner ──▶ units
//! cli ──▶ azure ──────▶ cloud
//! cli ──▶ simulator ──▶ spotpool_core::world
//! ```
#![forbid(unsafe_code)]

pub mod api;
pub mod azure;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod controller;
pub mod simulator;
