//! `cargo xtask bench`.

use clap::Args;

use crate::{BoxError, job, workspace::cargo};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Part of the names of the benchmarks to run
    filter: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), BoxError> {
    job::run(cargo(BENCHES).args(&arguments.filter))
}

/// All features, for those that start Redis, PostgreSQL or a chain.
const BENCHES: [&str; 11] = [
    "bench",
    "--package",
    "x402-benches",
    "--package",
    "x402-evm",
    "--package",
    "x402-store",
    "--all-features",
    "--bench",
    "*",
    "--",
];
