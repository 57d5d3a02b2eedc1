use std::{fmt, process::Command, thread};

use clap::ValueEnum;

use super::{Done, Failure, Tally, features, fuzz, sizes, tally::tallied};
use crate::{
    job, simulate,
    workspace::{Metadata, cargo},
};

/// One part of the gate. They run in this order.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Step {
    /// Formatting
    Fmt,
    /// Lints, on everything
    Clippy,
    /// Tests of every crate but the end-to-end one
    Unit,
    /// The examples in the documentation and in the README
    Examples,
    /// Documentation without warnings
    Docs,
    /// One list of stories through every adapter
    Scenarios,
    /// Real sockets and a real chain
    E2e,
    /// Several instances over one store, which fails meanwhile
    Many,
    /// Servers are killed, stopped and asked to end
    Crash,
    /// The stock clients pay us
    Interop,
    /// Each feature compiles alone
    Features,
    /// How many crates users compile
    Sizes,
    /// The crates can be packaged
    Package,
    /// Allocations and times within their budgets, in an optimised build
    Budgets,
    /// Ten thousand seeds of the simulation, in an optimised build
    Simulate,
    /// Ten seconds of each fuzz target
    Fuzz,
}

impl Step {
    pub(super) fn run(self) -> Result<Done, Failure> {
        match self {
            Self::Fmt => quiet(&mut cargo(["fmt", "--all", "--check"])),
            Self::Clippy => quiet(&mut cargo(CLIPPY)),
            Self::Unit => waiting(&UNIT),
            Self::Examples => tests(&EXAMPLES),
            Self::Docs => quiet(cargo(DOCS).env("RUSTDOCFLAGS", "-D warnings")),
            Self::Scenarios => waiting(&end_to_end("scenarios")),
            Self::E2e => waiting(&end_to_end("e2e")),
            Self::Many => tests(&end_to_end("many")),
            Self::Crash => {
                devchain::interop_dir()?;
                // Its tests mostly wait for leases to lapse.
                let tests = ["test"].into_iter().chain(end_to_end("crash"));
                tallied(cargo(tests).env("RUST_TEST_THREADS", "5")).map(Done::Passed)
            }
            Self::Interop => {
                let clients = devchain::interop_dir()?;
                job::run(Command::new("node").arg("--test").current_dir(clients))?;
                tests(&end_to_end("interop"))
            }
            Self::Features => features::check(),
            Self::Sizes => sizes::check(),
            Self::Package => package(),
            Self::Budgets => tallied(&mut cargo(BUDGETS)).map(Done::Passed),
            Self::Simulate => tallied(&mut simulate::gate()).map(Done::Passed),
            Self::Fuzz => fuzz::run(),
        }
    }
}

impl Step {
    /// Whether its tests need Redis and PostgreSQL.
    #[cfg(unix)]
    pub(super) const fn starts_services(self) -> bool {
        matches!(
            self,
            Self::Unit
                | Self::Scenarios
                | Self::E2e
                | Self::Many
                | Self::Crash
                | Self::Interop
                | Self::Budgets
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no step is hidden").get_name())
    }
}

fn quiet(command: &mut Command) -> Result<Done, Failure> {
    job::run(command)?;
    Ok(Done::Passed(Tally::default()))
}

/// The npm packages first: the chain is one of them, and what is missing is said before anything is built.
fn tests(arguments: &[&str]) -> Result<Done, Failure> {
    devchain::interop_dir()?;
    tallied(cargo(["test"]).args(arguments)).map(Done::Passed)
}

/// Tests of which most wait for most of their time, for processes, blocks and limits: two for each processor.
fn waiting(arguments: &[&str]) -> Result<Done, Failure> {
    devchain::interop_dir()?;
    let threads = 2 * thread::available_parallelism().map_or(1, usize::from);
    let mut command = cargo(["test"]);
    tallied(command.args(arguments).env("RUST_TEST_THREADS", threads.to_string())).map(Done::Passed)
}

/// With the features of the whole workspace, so that nothing is compiled twice.
const fn end_to_end(name: &str) -> [&str; 4] {
    ["--workspace", "--all-features", "--test", name]
}

/// One call for all: cargo then takes the crates from each other, not from the registry.
fn package() -> Result<Done, Failure> {
    let metadata = Metadata::read()?;
    let published = metadata.published().flat_map(|name| ["--package", name]);
    quiet(cargo(["package", "--no-verify", "--allow-dirty"]).args(published))
}

const END_TO_END: &str = "x402-tests";
/// The profile of benchmarks, so that both are built once.
const BUDGETS: [&str; 6] = ["test", "--profile", "bench", "--package", "x402-benches", "--tests"];
const CLIPPY: [&str; 7] =
    ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
const UNIT: [&str; 5] = ["--workspace", "--all-features", "--exclude", END_TO_END, "--tests"];
const EXAMPLES: [&str; 3] = ["--workspace", "--all-features", "--doc"];
const DOCS: [&str; 4] = ["doc", "--workspace", "--no-deps", "--all-features"];
