//! Child processes that end with us: each runs in a process group of its own.

use std::{
    io,
    process::{self, Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::Mutex,
};

use crate::BoxError;

/// A running child and everything it started. Dropping it ends them all.
#[derive(Debug)]
#[must_use = "the child ends when this is dropped"]
pub(crate) struct Job {
    child: Child,
}

impl Job {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut running = RUNNING.lock().expect("no holder panics");
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = command.stdin(Stdio::null()).spawn()?;
        running.push(child.id());
        Ok(Self { child })
    }

    /// The pipe from the child's standard output, if the command asked for one and it was not taken yet.
    pub(crate) const fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for the child, then ends what it left behind.
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().expect("no holder panics");
        end_group(self.child.id());
        let _ = self.child.kill(); // where there are no groups; fails only if it ended already
        let _ = self.child.wait();
        running.retain(|id| *id != self.child.id());
    }
}

/// Runs a command to its end.
///
/// # Errors
///
/// When it cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<(), BoxError> {
    let status = Job::spawn(command).and_then(Job::wait).map_err(|error| not_started(command, &error))?;
    check(command, status)
}

/// Runs a command to its end and gives what it wrote to its standard output.
///
/// # Errors
///
/// When it cannot be started, does not succeed, or writes something that is not UTF-8.
pub(crate) fn capture(command: &mut Command) -> Result<String, BoxError> {
    let mut job = Job::spawn(command.stdout(Stdio::piped())).map_err(|error| not_started(command, &error))?;
    let text = io::read_to_string(job.stdout().expect("stdout is piped"))?;
    check(command, job.wait()?)?;
    Ok(text)
}

/// Turns an exit status into an error that names the command.
pub(crate) fn check(command: &Command, status: ExitStatus) -> Result<(), BoxError> {
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", shown(command)).into()) }
}

pub(crate) fn not_started(command: &Command, error: &io::Error) -> BoxError {
    format!("{} did not start: {error}", shown(command)).into()
}

/// Ends every job and then this process on Ctrl-C, a termination request or a closed terminal.
pub(crate) fn end_children_on_interrupt() -> Result<(), BoxError> {
    ctrlc::set_handler(|| {
        // The lock is kept: nothing new may start.
        let running = RUNNING.lock().expect("no holder panics");
        running.iter().copied().for_each(end_group);
        process::exit(130);
    })?;
    Ok(())
}

#[cfg(unix)]
fn end_group(id: u32) {
    use nix::{
        sys::signal::{Signal, killpg},
        unistd::Pid,
    };
    let group = Pid::from_raw(i32::try_from(id).expect("process ids are positive and small"));
    let _ = killpg(group, Signal::SIGTERM); // fails only if nobody is left
}

#[cfg(not(unix))]
fn end_group(_id: u32) {} // a console's Ctrl-C reaches them by itself

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());
