//! The official facilitator on a development chain, in a process of its own, which fails on demand.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use devchain::DevChain;
use serde_json::{Value, json};

use crate::{GAS, Payment, Request};

/// The official facilitator. Ends with its value, and with this process however that ends.
#[derive(Debug)]
pub struct OfficialFacilitator {
    child: Child,
    address: SocketAddr,
}

/// How one call goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// `settle` or `verify`.
    pub endpoint: &'static str,
    /// A kind of `tests/interop/faults.mjs`.
    pub kind: &'static str,
    /// Whether the money moves first.
    pub moved: bool,
    /// How much later, for those that are about time.
    pub late: Duration,
}

/// How often it was called.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Calls {
    /// What it supports.
    pub supported: u64,
    /// To verify.
    pub verify: u64,
    /// To settle.
    pub settle: u64,
}

impl OfficialFacilitator {
    /// Starts one on a chain.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(chain: &DevChain) -> Self {
        let folder = devchain::interop_dir().expect("the official packages are installed");
        let mut child = devchain::tethered(Path::new("node"))
            .arg("facilitator.mjs")
            .current_dir(folder)
            .env("RPC_URL", chain.url())
            .env("GAS_KEY", GAS.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests need Node.js 20 or later on the PATH");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            for line in lines(stdout) {
                if let Some(address) =
                    line.strip_prefix("listening on http://").and_then(|at| at.parse().ok())
                {
                    let _ = found.send(address); // nobody waits any more after START_LIMIT
                }
            }
        });
        let address = address.recv_timeout(START_LIMIT).expect("the official facilitator listens");
        Self { child, address }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next call of the fault's endpoint for this payment goes wrong.
    ///
    /// # Panics
    /// When it cannot be told.
    #[track_caller]
    pub fn fail(&self, payment: &Payment, fault: Fault) {
        let told = json!({
            "endpoint": fault.endpoint,
            "nonce": payment.nonce(),
            "kind": fault.kind,
            "moved": fault.moved,
            "ms": fault.late.as_millis(),
        });
        let request = Request::new("POST", "/faults").json(told.to_string().as_bytes());
        assert_eq!(request.send(self.address).expect("it listens").status, 200, "{fault:?}");
    }

    /// How often it was called so far.
    ///
    /// # Panics
    /// When it does not tell.
    #[must_use]
    #[track_caller]
    pub fn calls(&self) -> Calls {
        let told: Value = Request::get("/calls").send(self.address).expect("it listens").json();
        let count = |name: &str| told[name].as_u64().expect("a count");
        Calls { supported: count("supported"), verify: count("verify"), settle: count("settle") }
    }
}

impl Drop for OfficialFacilitator {
    fn drop(&mut self) {
        // Either call fails only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(from).lines().map_while(Result::ok)
}

const START_LIMIT: Duration = Duration::from_secs(60);
