//! `cargo xtask simulate`.

use std::process::Command;

use clap::Args;

use crate::{BoxError, job, workspace::cargo};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = GATE, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// One seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// Tell everything that happens; meant for one seed
    #[arg(long)]
    trace: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), BoxError> {
    let (from, seeds) = arguments.seed.map_or((arguments.from, arguments.seeds), |seed| (seed, 1));
    let mut command = command(from, seeds);
    if arguments.trace {
        command.env("SIMULATE_TRACE", "1");
    }
    job::run(&mut command)
}

/// The seeds of the gate.
pub(crate) fn gate() -> Command {
    command(0, GATE)
}

/// In an optimised build, in the profile of the budgets.
fn command(from: u64, seeds: u64) -> Command {
    let mut command = cargo(["test", "--profile", "bench", "--package", "x402-core", "--test", "simulation"]);
    command.args(["--", "--nocapture"]).env("SIMULATE", format!("{from}..{}", from.saturating_add(seeds)));
    command
}

const GATE: u64 = 10_000;
