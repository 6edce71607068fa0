//! The command line: one file a subcommand, and the only place where `azure` meets `controller`.

mod azure;
pub mod controller;
pub mod crd;
pub mod simulator;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps fault-tolerant workloads on Azure Spot capacity.
#[derive(Parser, Debug)]
#[command(name = "spotpool", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Controller(Box<controller::ControllerArgs>),
    Simulator(Box<simulator::SimulatorArgs>),
    Crd(crd::CrdArgs),
}

/// Runs what the arguments ask for.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Controller(args) => block_on(controller::run(*args)),
        Command::Simulator(args) => block_on(simulator::run(*args)),
        Command::Crd(args) => match crd::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
    }
}

fn block_on(program: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(program),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
