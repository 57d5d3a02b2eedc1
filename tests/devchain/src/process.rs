use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread,
    time::Duration,
};

use crate::{DevChainError, chain::CHAIN_ID};

/// A running anvil that does not outlive this process.
///
/// Dropping it kills it, also when a test panics. Where nothing is dropped (a signal, `abort`, Ctrl-C) the
/// pipe to its standard input closes with this process, and a waiting shell beside it, which reads that pipe,
/// kills it. Linux's parent-death signal would be shorter, but it fires when the *thread* that started the
/// child ends, and every test is a thread. On Windows only the drop works.
#[derive(Debug)]
pub(crate) struct Anvil {
    child: Child,
    port: u16,
}

impl Anvil {
    pub(crate) fn start(binary: &Path) -> Result<Self, DevChainError> {
        let mut child = tethered(binary)
            .args(["--host", "127.0.0.1", "--port", "0", "--chain-id", &CHAIN_ID.to_string()])
            // Or old states stay behind in the home folder, gigabytes after some runs.
            .args(["--max-persisted-states", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(DevChainError::io("starting anvil"))?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut anvil = Self { child, port: 0 };
        let (found, port) = mpsc::channel();
        thread::spawn(move || drain(stdout, &found));
        anvil.port = port.recv_timeout(START_LIMIT).map_err(|_| DevChainError::NotListening)?;
        Ok(anvil)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // Either call fails only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that does not outlive this process, provided that its standard input is piped and kept: the shell starts
/// the watcher, then becomes the binary, so that the child's id is the binary's.
#[cfg(unix)]
#[must_use]
pub fn tethered(binary: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(WATCHED).arg("sh").arg(binary);
    command
}

/// A command; on this platform only a drop ends it.
#[cfg(not(unix))]
#[must_use]
pub fn tethered(binary: &Path) -> Command {
    Command::new(binary)
}

/// Reports the port, then reads on for as long as anvil writes: it must not meet a closed or a full pipe.
fn drain(stdout: impl Read, found: &Sender<u16>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if let Some(port) = listening_on(&line) {
            let _ = found.send(port); // nobody waits any more after START_LIMIT
        }
    }
}

fn listening_on(line: &str) -> Option<u16> {
    line.trim().strip_prefix("Listening on ")?.rsplit_once(':')?.1.parse().ok()
}

#[cfg(unix)]
const WATCHED: &str = r#"exec 3<&0
{ read -r _; kill -9 $$; } <&3 >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-"#;
const START_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::listening_on;

    #[test]
    fn port_is_read_from_the_line_that_announces_it() {
        assert_eq!(listening_on("Listening on 127.0.0.1:41901"), Some(41901));
        assert_eq!(listening_on("Listening on nothing"), None);
        assert_eq!(listening_on("84532"), None);
    }
}
