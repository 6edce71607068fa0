//! Parse the command line and go.
fn main() -> std::process::ExitCode {
    spotpool::cli::run()
}
