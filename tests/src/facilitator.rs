//! A remote facilitator that does what it is told, for faults that no honest one has on demand.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::listener::{self, Received};

/// A facilitator whose ledger is a list of nonces: no chain behind it.
#[derive(Clone, Debug)]
pub struct ScriptedFacilitator {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What a call gets.
#[derive(Clone, Debug)]
pub enum Answer {
    /// What the protocol asks for.
    Honest,
    /// This JSON with this status.
    Json(u16, Value),
    /// These bytes in place of an HTTP response.
    Bytes(Vec<u8>),
    /// No answer; the connection is closed.
    HangUp,
    /// An honest answer, so much later.
    Late(Duration),
    /// An honest answer, once [`ScriptedFacilitator::let_go`] is called.
    Held,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    let_go: Condvar,
}

#[derive(Debug, Default)]
struct State {
    verify: VecDeque<Answer>,
    settle: VecDeque<(Answer, bool)>,
    forgetful: bool,
    released: bool,
    verified: usize,
    /// Calls to settle, and moves of money, by nonce.
    calls: HashMap<String, usize>,
    moves: HashMap<String, usize>,
    /// How much moved, in order.
    amounts: Vec<u64>,
}

impl ScriptedFacilitator {
    /// Starts one that is honest until told otherwise.
    #[must_use]
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listening = Arc::clone(&shared);
        Self { address: listener::listen(move |received| listening.answer(received)), shared }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next verification gets this; told twice, the second is for the one after.
    pub fn on_verify(&self, answer: Answer) {
        self.state().verify.push_back(answer);
    }

    /// The next settlement gets this, and moves the money or not.
    pub fn on_settle(&self, answer: Answer, moves: bool) {
        self.state().settle.push_back((answer, moves));
    }

    /// Answers a second settlement of the same authorization with `nonce_already_used`, as those without a memory of
    /// their own do, in place of the first receipt.
    pub fn be_forgetful(&self) {
        self.state().forgetful = true;
    }

    /// Ends the waiting of all [`Answer::Held`].
    pub fn let_go(&self) {
        self.state().released = true;
        self.shared.let_go.notify_all();
    }

    /// How many verifications were asked for.
    #[must_use]
    pub fn verified(&self) -> usize {
        self.state().verified
    }

    /// How many settlements were asked for.
    #[must_use]
    pub fn settle_calls(&self) -> usize {
        self.state().calls.values().sum()
    }

    /// How often money moved.
    #[must_use]
    pub fn moves(&self) -> usize {
        self.state().moves.values().sum()
    }

    /// How much moved each time, in order.
    #[must_use]
    pub fn amounts(&self) -> Vec<u64> {
        self.state().amounts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn answer(&self, received: &Received) -> Option<Vec<u8>> {
        let target = received.line.split(' ').nth(1).unwrap_or_default();
        let request: Value = serde_json::from_slice(&received.body).unwrap_or_default();
        match target {
            "/supported" => Some(listener::json(200, &supported())),
            "/verify" => {
                let answer = {
                    let mut state = self.state();
                    state.verified += 1;
                    state.verify.pop_front().unwrap_or(Answer::Honest)
                };
                let honest = json!({ "isValid": true, "payer": authorization(&request)["from"] });
                self.give(answer, &honest)
            }
            "/settle" => {
                let (answer, honest) = self.state().settle(&request);
                self.give(answer, &honest)
            }
            _ => Some(listener::json(404, b"{}")),
        }
    }

    fn give(&self, answer: Answer, honest: &Value) -> Option<Vec<u8>> {
        let honest = listener::json(200, honest.to_string().as_bytes());
        match answer {
            Answer::Honest => Some(honest),
            Answer::Json(status, body) => Some(listener::json(status, body.to_string().as_bytes())),
            Answer::Bytes(bytes) => Some(bytes),
            Answer::HangUp => None,
            Answer::Late(by) => {
                thread::sleep(by);
                Some(honest)
            }
            Answer::Held => {
                drop(self.let_go.wait_while(self.state(), |state| !state.released));
                Some(honest)
            }
        }
    }
}

impl State {
    fn settle(&mut self, request: &Value) -> (Answer, Value) {
        let (answer, moves) = self.settle.pop_front().unwrap_or((Answer::Honest, true));
        let nonce = authorization(request)["nonce"].as_str().unwrap_or_default().to_lowercase();
        *self.calls.entry(nonce.clone()).or_default() += 1;
        let before = self.moves.get(&nonce).copied().unwrap_or(0);
        let requirements = &request["paymentRequirements"];
        let mut receipt = json!({
            "success": true,
            "payer": authorization(request)["from"],
            "transaction": transaction(&nonce),
            "network": requirements["network"],
        });
        match (before, moves) {
            (0, true) => {
                let asked = requirements["amount"].as_str().and_then(|amount| amount.parse().ok());
                self.amounts.push(asked.unwrap_or_default());
                self.moves.insert(nonce, 1);
            }
            (0, false) => {}
            _ if self.forgetful => {
                receipt["success"] = false.into();
                receipt["transaction"] = "".into();
                receipt["errorReason"] = "invalid_exact_evm_nonce_already_used".into();
            }
            _ => {}
        }
        (answer, receipt)
    }
}

/// As long as a transaction's hash is: nonces of Permit2 are decimal numbers.
fn transaction(nonce: &str) -> String {
    let digits = nonce.strip_prefix("0x").unwrap_or(nonce);
    format!("0x{:0>64}", &digits[digits.len().saturating_sub(64)..])
}

fn authorization(request: &Value) -> &Value {
    let payload = &request["paymentPayload"]["payload"];
    match &payload["permit2Authorization"] {
        Value::Null => &payload["authorization"],
        permit2 => permit2,
    }
}

fn supported() -> Vec<u8> {
    json!({
        "kinds": [
            { "x402Version": 2, "scheme": "exact", "network": "eip155:84532" },
            { "x402Version": 2, "scheme": "upto", "network": "eip155:84532" },
            { "x402Version": 1, "scheme": "exact", "network": "base-sepolia" },
        ],
        "extensions": [],
        "signers": {},
    })
    .to_string()
    .into_bytes()
}
