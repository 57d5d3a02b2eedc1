use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    ops::AddAssign,
    process::{Command, Stdio},
    thread,
};

use super::Failure;
use crate::job::{self, Job};

/// Tests that passed and failed, added up from `test result:` lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tally {
    passed: u32,
    failed: u32,
}

impl Tally {
    /// A step that failed counts, even where no test did: the last line must not read as a success.
    pub(super) fn or_one_failed(self) -> Self {
        Self { failed: self.failed.max(1), ..self }
    }

    /// Reads `test result: ok. 5 passed; 0 failed; ..`.
    fn from_line(line: &str) -> Option<Self> {
        let (_, counts) = line.split_once("test result: ")?;
        let count = |word: &str| {
            let piece = counts.split(';').find_map(|piece| piece.trim().strip_suffix(word))?;
            piece.split_whitespace().next_back()?.parse().ok()
        };
        Some(Self { passed: count("passed")?, failed: count("failed")? })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Runs a test runner, passes its output on and adds up its result lines.
pub(super) fn tallied(command: &mut Command) -> Result<Tally, Failure> {
    let mut job =
        Job::spawn(command.stdout(Stdio::piped())).map_err(|error| job::not_started(command, &error))?;
    let stdout = job.stdout().expect("stdout is piped");
    let reader = thread::spawn(move || pass_on(stdout));
    let status = job.wait()?; // ends what the tests left behind too, or the reader would wait for it
    let tally = reader.join().expect("the reader does not panic")?;
    job::check(command, status).map_err(|error| Failure { error, tally })?;
    Ok(tally)
}

fn pass_on(stdout: impl Read) -> io::Result<Tally> {
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    let mut tally = Tally::default();
    while lines.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        if let Some(found) = Tally::from_line(&String::from_utf8_lossy(&line)) {
            tally += found;
        }
        line.clear();
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let cases = [
            ("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", Some((12, 0))),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored; finished in 0.01s\n", Some((3, 2))),
            ("test result: \u{1b}[32mok\u{1b}[m. 7 passed; 0 failed; 0 ignored", Some((7, 0))),
            ("test reads_a_result ... ok", None),
            ("test result: ", None),
        ];
        for (line, wanted) in cases {
            let wanted = wanted.map(|(passed, failed)| Tally { passed, failed });
            assert_eq!(Tally::from_line(line), wanted, "{line}");
        }
    }

    #[test]
    fn failed_step_without_a_failed_test_counts_as_one() {
        assert_eq!(Tally { passed: 4, failed: 0 }.or_one_failed().to_string(), "4 passed, 1 failed");
        assert_eq!(Tally { passed: 4, failed: 3 }.or_one_failed().to_string(), "4 passed, 3 failed");
    }
}
