//! What the end-to-end tests, the benchmark and the demo share: a real Kubernetes control plane and the
//! project's own programs, started on loopback and gone when their handle is dropped. No test stands here.
//!
//! Included by each target with `#[path = "../harness/mod.rs"] mod harness;`.
#![allow(dead_code)]

pub mod access;
pub mod azure;
pub mod control_plane;
pub mod machine;
pub mod pki;
pub mod ports;
pub mod process;
pub mod spotpool;
pub mod wiretap;

/// Whatever went wrong, in words for the person who reads the test's output.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What everything here returns.
pub type Result<T> = std::result::Result<T, Error>;

/// An error that is a text, and shows itself as one: the test runner prints errors with `{:?}`, and
/// the end of a log is unreadable with its line breaks escaped.
#[derive(Clone)]
struct Told(String);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Told {}

/// An [`Error`] that says `text`.
pub fn error(text: impl Into<String>) -> Error {
    Box::new(Told(text.into()))
}
