//! A line to the chain that can be cut.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::{Request, listener};

/// Passes JSON-RPC calls on to a node, until it is told not to.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// It gets through, and its answer is lost.
    Answer,
    /// It does not get through.
    Call,
}

#[derive(Debug, Default)]
struct State {
    dead: bool,
    /// The method that meets a cut, and whether the line is dead from then on.
    armed: Option<(&'static str, Cut, bool)>,
    calls: Vec<String>,
}

impl Line {
    /// A line to the node at `url`, an `http://host:port`.
    ///
    /// # Panics
    /// When the URL is another.
    #[must_use]
    pub fn to(url: &str) -> Self {
        let node: SocketAddr = url
            .strip_prefix("http://")
            .and_then(|rest| rest.trim_end_matches('/').parse().ok())
            .expect("a URL");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let address = listener::listen(move |received| {
            let forward = || {
                let request = Request::new("POST", "/").json(&received.body);
                request.send(node).ok().map(|answer| listener::json(answer.status, &answer.body))
            };
            match shared.lock().expect("nobody panics with it").meet(&received.body) {
                None => forward(),
                Some(Cut::Call) => None,
                Some(Cut::Answer) => forward().and(None),
            }
        });
        Self { address, state }
    }

    /// The URL of this end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts the next call of `method`.
    pub fn cut(&self, method: &'static str, what: Cut) {
        self.state().armed = Some((method, what, false));
    }

    /// Cuts the next call of `method`, and everything after it until [`mend`](Self::mend).
    pub fn cut_and_stay_dead(&self, method: &'static str, what: Cut) {
        self.state().armed = Some((method, what, true));
    }

    /// Lets nothing through any more.
    pub fn kill(&self) {
        self.state().dead = true;
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        let mut state = self.state();
        state.dead = false;
        state.armed = None;
    }

    /// How often a method was called, whatever became of the calls.
    #[must_use]
    pub fn calls(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|call| *call == method).count()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

impl State {
    fn meet(&mut self, body: &[u8]) -> Option<Cut> {
        let call: Value = serde_json::from_slice(body).unwrap_or_default();
        let batch = call.as_array().map_or(std::slice::from_ref(&call), Vec::as_slice);
        let methods: Vec<_> =
            batch.iter().filter_map(|call| call["method"].as_str().map(str::to_owned)).collect();
        let armed = self.armed.filter(|(method, ..)| methods.iter().any(|called| called == method));
        self.calls.extend(methods);
        if self.dead {
            return Some(Cut::Call);
        }
        let (_, what, stays_dead) = armed?;
        (self.armed, self.dead) = (None, stays_dead);
        Some(what)
    }
}
