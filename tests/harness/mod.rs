//! What the end-to-end tests, the benchmark and the demo share: a real Kubernetes control plane and the
//! project's own programs, started on loopback and gone when their handle is dropped. No test stands here.
//!
//! Included by each target with `#[path = "../harness/mod.rs"] mod harness;`.
#![allow(dead_code)]

pub mod access;
pub mod control_plane;
pub mod pki;
pub mod ports;
pub mod process;
pub mod spotpool;

/// Whatever went wrong, in words for the person who reads the test's output.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What everything here returns.
pub type Result<T> = std::result::Result<T, Error>;
