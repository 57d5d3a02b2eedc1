//! Project commands: `cargo xtask <command>`.

mod bench;
mod chain;
mod demo;
mod deny;
mod job;
#[cfg(unix)]
mod services;
mod simulate;
mod test;
mod tools;
mod workspace;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

type BoxError = Box<dyn Error>;

/// Project commands.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job for real: a chain, a paid route, a payer
    Demo(demo::Arguments),
    /// Run the test steps: all, or those named
    Test(test::Arguments),
    /// Check licences, banned crates and sources
    Deny,
    /// Run the benchmarks: all, or those whose name contains the filter
    Bench(bench::Arguments),
    /// Run the simulation: two servers, a store, a facilitator and a chain, from seeds
    Simulate(simulate::Arguments),
    /// Start a development chain and leave it running until Ctrl-C
    Chain,
    /// Start Redis, a Redis Cluster and PostgreSQL and leave them running until Ctrl-C, or install them
    #[cfg(unix)]
    Services(services::Arguments),
}

fn main() -> ExitCode {
    match job::end_children_on_interrupt().and_then(|()| run(&Arguments::parse().command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode, BoxError> {
    match command {
        Command::Test(arguments) => return test::run(arguments),
        Command::Demo(arguments) => demo::run(arguments)?,
        Command::Deny => deny::run()?,
        Command::Bench(arguments) => bench::run(arguments)?,
        Command::Simulate(arguments) => simulate::run(arguments)?,
        Command::Chain => chain::run()?,
        #[cfg(unix)]
        Command::Services(arguments) => services::run(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
