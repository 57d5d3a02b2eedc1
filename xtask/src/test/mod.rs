//! `cargo xtask test`: the steps, one after the other, and a table at the end.

mod disk;
mod features;
mod fuzz;
mod sizes;
mod steps;
mod tally;

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};

use self::{steps::Step, tally::Tally};
use crate::BoxError;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The steps to run, in the order below; all of them if none is named
    #[arg(value_enum)]
    names: Vec<Step>,
    /// Run the remaining steps after one has failed
    #[arg(long)]
    keep_going: bool,
}

/// What a step that did not fail has to say.
#[derive(Debug)]
enum Done {
    Passed(Tally),
    /// The step cannot run on this machine, and may be left out.
    Skipped(&'static str),
}

/// What happened to a step.
#[derive(Debug)]
enum Outcome {
    Passed,
    Skipped(&'static str),
    Failed,
    NotRun,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
            Self::Failed => f.write_str("FAILED"),
            Self::NotRun => f.write_str("not run"),
        }
    }
}

/// Runs the steps and prints the table; its last line is the last word, so a failed step is told by the code.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, BoxError> {
    disk::check(arguments.names.is_empty())?;
    #[cfg(unix)]
    if Step::value_variants().iter().any(|step| arguments.wants(*step) && step.starts_services()) {
        crate::services::install()?;
    }
    let mut report = Report::default();
    for step in Step::value_variants().iter().filter(|step| arguments.wants(**step)) {
        if report.failed && !arguments.keep_going {
            report.rows.push((*step, Outcome::NotRun, Duration::ZERO));
        } else {
            report.run(*step)?;
        }
    }
    report.print()?;
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Arguments {
    fn wants(&self, step: Step) -> bool {
        self.names.is_empty() || self.names.contains(&step)
    }
}

#[derive(Debug, Default)]
struct Report {
    rows: Vec<(Step, Outcome, Duration)>,
    tally: Tally,
    failed: bool,
}

impl Report {
    fn run(&mut self, step: Step) -> io::Result<()> {
        writeln!(io::stdout(), "\n== {step}")?;
        let start = Instant::now();
        let outcome = match step.run() {
            Ok(Done::Passed(tally)) => {
                self.tally += tally;
                Outcome::Passed
            }
            Ok(Done::Skipped(why)) => Outcome::Skipped(why),
            Err(failure) => {
                eprintln!("error: {}", failure.error);
                self.tally += failure.tally.or_one_failed();
                self.failed = true;
                Outcome::Failed
            }
        };
        let took = start.elapsed();
        writeln!(io::stdout(), "== {step}: {outcome} in {:.1} s", took.as_secs_f32())?;
        self.rows.push((step, outcome, took));
        Ok(())
    }

    /// The last line is for machines: the sums of the test runners' own result lines.
    fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "\n{:<10} {:>8}  result", "step", "seconds")?;
        for (step, outcome, took) in &self.rows {
            writeln!(out, "{:<10} {:>8.1}  {outcome}", step.to_string(), took.as_secs_f32())?;
        }
        writeln!(out, "\n{}", self.tally)
    }
}

/// Why a step failed, and what its runner had counted until then.
#[derive(Debug)]
struct Failure {
    error: BoxError,
    tally: Tally,
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), tally: Tally::default() }
    }
}
