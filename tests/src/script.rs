//! A server of `tests/interop`, in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{Request, Response};

/// A running script. Ends with its value, and with this process however that ends.
#[derive(Debug)]
pub struct Script {
    child: Child,
    address: SocketAddr,
}

impl Script {
    /// Starts one and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let folder = devchain::interop_dir().expect("the official packages are installed");
        let mut child = devchain::tethered(Path::new("node"))
            .arg(name)
            .current_dir(folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests need Node.js 20 or later on the PATH");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(at) = line.strip_prefix("listening on http://").and_then(|at| at.parse().ok()) {
                    let _ = found.send(at); // nobody waits any more after START_LIMIT
                }
            }
        });
        let address = address.recv_timeout(START_LIMIT).unwrap_or_else(|_| panic!("{name} does not listen"));
        Self { child, address }
    }

    /// The URL of a path on it; of the server itself where the path is empty.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When no response comes back.
    #[must_use]
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        request.send(self.address).expect("the script answers")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Either call fails only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const START_LIMIT: Duration = Duration::from_secs(60);
