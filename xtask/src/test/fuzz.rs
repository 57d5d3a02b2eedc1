use std::process::Command;

use super::{Done, Failure, Tally};
use crate::{BoxError, job, tools, workspace::root};

/// Runs each target of `fuzz/` for ten seconds, from its seeds and from what earlier runs found. libFuzzer needs a nightly toolchain; without one the property
/// tests beside the code stand in for it.
pub(super) fn run() -> Result<Done, Failure> {
    if !nightly_is_installed() {
        return Ok(Done::Skipped("no nightly toolchain"));
    }
    let list = job::capture(cargo_fuzz()?.arg("list"))?;
    for target in list.split_whitespace() {
        let (found, seeds) = (format!("corpus/{target}"), format!("seeds/{target}"));
        std::fs::create_dir_all(root().join("fuzz").join(&found))?;
        // No sanitizer: there is no unsafe code of ours to watch, and the build is shorter.
        let target = ["run", "--sanitizer", "none", target, &found, &seeds];
        job::run(cargo_fuzz()?.args(target).args([
            "--",
            "-max_total_time=10",
            "-verbosity=0",
            "-print_final_stats=1",
        ]))?;
    }
    Ok(Done::Passed(Tally::default()))
}

fn nightly_is_installed() -> bool {
    let list = job::capture(Command::new("rustup").args(["toolchain", "list"]));
    list.is_ok_and(|list| list.lines().any(|toolchain| toolchain.starts_with("nightly")))
}

/// cargo-fuzz calls cargo itself; ours is told to be nightly, and forgets which cargo started xtask.
fn cargo_fuzz() -> Result<Command, BoxError> {
    let mut command = tools::FUZZ.command()?;
    command
        .arg("fuzz")
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .env_remove("CARGO")
        .current_dir(root().join("fuzz"));
    Ok(command)
}
