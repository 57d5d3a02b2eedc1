//! `cargo xtask bench`.

use clap::Args;

use crate::{BoxError, job, workspace::cargo};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Part of the names of the benchmarks to run
    filter: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), BoxError> {
    let benches = ["bench", "--package", "x402-benches", "--all-features", "--bench", "*", "--"];
    job::run(cargo(benches).args(&arguments.filter))?;
    if arguments.filter.as_deref().is_none_or(|filter| REDIS[6].contains(filter)) {
        job::run(&mut cargo(REDIS))?;
    }
    Ok(())
}

/// Beside its back end, as it measures that alone.
const REDIS: [&str; 7] = ["bench", "--package", "x402-store", "--features", "redis", "--bench", "redis_open"];
