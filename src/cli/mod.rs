//! The command line: one file a subcommand, and the only place where `azure` meets `controller`.

pub mod crd;
pub mod simulator;

use std::process::ExitCode;

/// Runs what the arguments ask for.
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
