//! Where the project's own program is, for whoever wants to start it with [`super::process::Process`].

use std::path::PathBuf;

use super::{Result, error};

/// The `spotpool` program of this build.
///
/// Cargo names it for integration tests and benchmarks; for an example it is looked for beside the example's
/// directory (`target/<profile>/spotpool`), where `cargo build` has put it.
///
/// # Errors
/// If it is not there, with the command that makes it.
pub fn spotpool_binary() -> Result<PathBuf> {
    if let Some(path) = option_env!("CARGO_BIN_EXE_spotpool") {
        return Ok(PathBuf::from(path));
    }
    let this = std::env::current_exe()?;
    let beside = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("spotpool"))
        .find(|path| path.is_file());
    beside.ok_or_else(|| {
        error(format!(
            "there is no spotpool program beside {}: run `cargo build --bin spotpool` first",
            this.display()
        ))
    })
}
