//! The official facilitator on a development chain, which fails on demand.

use std::time::Duration;

use devchain::DevChain;
use serde_json::{Value, json};

use crate::{GAS, Payment, Request, Script};

/// The official facilitator.
#[derive(Debug)]
pub struct OfficialFacilitator(Script);

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
        Self(Script::start("facilitator.mjs", &[("RPC_URL", chain.url()), ("GAS_KEY", GAS.key)]))
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url("")
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
        assert_eq!(self.0.send(&request).status, 200, "{fault:?}");
    }

    /// How often it was called so far.
    ///
    /// # Panics
    /// When it does not tell.
    #[must_use]
    #[track_caller]
    pub fn calls(&self) -> Calls {
        let told: Value = self.0.send(&Request::get("/calls")).json();
        let count = |name: &str| told[name].as_u64().expect("a count");
        Calls { supported: count("supported"), verify: count("verify"), settle: count("settle") }
    }
}
