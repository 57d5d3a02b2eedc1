use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{ServiceError, account::Account, folder::Folder, wait};

/// A running service that does not outlive this process.
///
/// Dropping it ends it, also when a test panics. Where nothing is dropped (a signal, `abort`, Ctrl-C) its leash, a
/// pipe, closes with this process, and a waiting shell at the other end ends the service and removes its folder.
/// Linux's parent-death signal would be shorter, but it fires when the *thread* that started the child ends, and
/// every test is a thread.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    leash: ChildStdin,
    last_resort: Signal,
}

impl Process {
    /// Starts a program with its output in the folder's log. `last_resort` is what ends it at once and cleanly.
    pub(crate) fn spawn(
        binary: &Path,
        arguments: &[&str],
        folder: &Folder,
        account: &Account,
        last_resort: Signal,
    ) -> Result<Self, ServiceError> {
        let log = folder.log()?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LEASHED, "sh", last_resort.as_str().trim_start_matches("SIG")]);
        command.arg(folder.path()).arg(binary).args(arguments);
        account.apply(&mut command);
        command
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(ServiceError::io("opening a log file"))?)
            .stderr(log);
        let mut child = command.spawn().map_err(ServiceError::io("starting a service"))?;
        let leash = child.stdin.take().expect("stdin is piped");
        Ok(Self { child, leash, last_resort })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), ServiceError> {
        let id = Pid::from_raw(i32::try_from(self.id()).expect("process ids are positive and small"));
        kill(id, signal).map_err(|errno| ServiceError::io("sending a signal")(errno.into()))
    }

    /// Sends a signal, wakes a paused process for it, and waits until it is gone. Redis refuses to stop while it writes
    /// its first file: it is told again.
    pub(crate) fn end(mut self, signal: Signal) -> Result<(), ServiceError> {
        let end = Instant::now() + END_LIMIT;
        while !self.has_ended() && Instant::now() < end {
            self.signal(signal)?;
            self.signal(Signal::SIGCONT)?;
            self.gone_within(AGAIN);
        }
        Ok(()) // the drop kills what is left
    }

    /// Stops it for a while; the system takes a moment to do so.
    pub(crate) fn pause(&self) -> Result<(), ServiceError> {
        self.signal(Signal::SIGSTOP)?;
        wait::until("the process to pause", END_LIMIT, || {
            Ok(match stat(self.id()) {
                Some((state, _)) if state != 'T' => Err(format!("its state is {state}")),
                _ => Ok(()),
            })
        })
    }

    /// Kills it and the processes it started, before any of them notices.
    pub(crate) fn kill_with_children(self) -> Result<(), ServiceError> {
        self.pause()?; // it starts no more
        let children = children(self.id());
        self.end(Signal::SIGKILL)?;
        for child in children {
            let _ = kill(child, Signal::SIGKILL); // fails only if it is gone already
        }
        Ok(())
    }

    fn gone_within(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        while !self.has_ended() && Instant::now() < end {
            thread::sleep(POLL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Each of these fails only if the process is gone already.
        if !self.has_ended() {
            let _ = self.signal(self.last_resort);
            let _ = self.signal(Signal::SIGCONT);
            self.gone_within(LAST_LIMIT);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.leash.write_all(LET_GO);
    }
}

fn children(parent: u32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let ours = ids.filter(|id: &u32| stat(*id).is_some_and(|(_, found)| found == parent));
    ours.filter_map(|id| i32::try_from(id).ok()).map(Pid::from_raw).collect()
}

/// A process's state and its parent, from `/proc`; nothing where there is none.
fn stat(id: u32) -> Option<(char, u32)> {
    let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?; // `id (name) state parent ..`, where the name may hold anything
    let mut words = rest.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

/// `$1` is the signal that ends the program, `$2` its folder. A line means that all is well and the watcher may go.
const LEASHED: &str = r#"exec 3<&0
{
  trap '' HUP INT TERM
  read -r _ && exit
  kill -s "$1" $$ && kill -s CONT $$
  if [ "$1" != KILL ]; then
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 $$ || break; sleep 0.2; done
    kill -s KILL $$
  fi
  for _ in 1 2 3 4 5; do rm -rf "$2" && break; sleep 0.2; done
} <&3 >/dev/null 2>&1 &
shift 2
exec "$@" </dev/null 3<&-"#;
const LET_GO: &[u8] = b"\n";
const END_LIMIT: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(500);
const LAST_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(2);
