//! A chain, a server that sells on it, and somebody with money: what most stories start from.

use std::{
    collections::BTreeMap,
    io, thread,
    time::{Duration, Instant},
};

use devchain::{Account, DevChain, accounts};
use serde_json::json;

use crate::{
    Challenge, Environment, Framework, Payer, Payment, Request, Response, ScriptedFacilitator, Server,
};

/// A server that settles on a chain of its own.
#[derive(Debug)]
pub struct Shop {
    /// The server. First, so that it ends before its chain.
    pub server: Server,
    /// The chain.
    pub chain: DevChain,
    /// Who buys.
    pub payer: Payer,
}

/// What can be counted after a story.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Books {
    /// Runs of priced handlers, by route; routes that did not run are left out.
    pub runs: BTreeMap<String, u64>,
    /// Transfers from the payer to the merchant.
    pub transfers: usize,
    /// What the merchant holds.
    pub income: u128,
}

impl Books {
    /// Nothing ran and nobody paid.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(&[], 0, 0)
    }

    /// These runs, transfers and this income.
    #[must_use]
    pub fn of(runs: &[(&str, u64)], transfers: usize, income: u128) -> Self {
        let runs = runs.iter().map(|(route, times)| ((*route).to_owned(), *times)).collect();
        Self { runs, transfers, income }
    }
}

impl Shop {
    /// Opens with the payment settled after the handler.
    ///
    /// # Panics
    /// When chain or server do not start.
    #[must_use]
    pub fn open(framework: Framework) -> Self {
        Self::open_with(framework, |_, environment| environment)
    }

    /// Opens with the payment settled before the handler.
    #[must_use]
    pub fn open_settling_before(framework: Framework) -> Self {
        Self::open_with(framework, |_, environment| environment.set("SETTLE", "before"))
    }

    /// Opens with another environment.
    ///
    /// # Panics
    /// When chain or server do not start.
    #[must_use]
    pub fn open_with(
        framework: Framework,
        adjust: impl FnOnce(&DevChain, Environment) -> Environment,
    ) -> Self {
        let chain = DevChain::start().expect("the chain starts");
        let payer = Payer::of(PAYER);
        chain.mint(payer.address(), FUNDS).expect("the payer gets money");
        let environment =
            adjust(&chain, Self::environment().set("RPC_URL", chain.url()).set("SIGNER_KEY", GAS.key));
        Self { server: Server::start(framework, environment), chain, payer }
    }

    /// A server that leaves everything to a facilitator, and looks at a chain of its own for what that one says it settled.
    ///
    /// # Panics
    /// When chain or server do not start.
    #[must_use]
    pub fn witnessed(facilitator: &ScriptedFacilitator, framework: Framework) -> Self {
        let chain = DevChain::start().expect("the chain starts");
        let payer = Payer::of(PAYER);
        chain.mint(payer.address(), FUNDS).expect("the payer gets money");
        let environment = Self::environment()
            .set("FACILITATOR_URL", facilitator.url())
            .set("WITNESS_URL", chain.url())
            .set("RESOLVE_WITHIN", "1");
        Self { server: Server::start(framework, environment), chain, payer }
    }

    /// A server without a chain, that leaves everything to a facilitator.
    #[must_use]
    pub fn through(facilitator: &ScriptedFacilitator, framework: Framework) -> (Server, Payer) {
        let environment = Self::environment().set("FACILITATOR_URL", facilitator.url());
        (Server::start(framework, environment), Payer::of(PAYER))
    }

    /// What every server's environment has.
    #[must_use]
    pub fn environment() -> Environment {
        Environment::default()
            .set("PAY_TO", MERCHANT.address)
            .set("SETTLE", "after")
            .set("QUOTE_KEY", QUOTE_KEY)
    }

    /// Sends a request.
    #[must_use]
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        self.server.send(request)
    }

    /// Asks for a path without paying.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, path: &str) -> Challenge {
        Challenge::of(&self.send(&Request::get(path)))
    }

    /// An honest version 2 payment for a path, not presented yet.
    #[must_use]
    #[track_caller]
    pub fn payment_for(&self, path: &str) -> Payment {
        self.payer.v2(&self.ask(path))
    }

    /// Asks, pays in version 2, and gets.
    #[must_use]
    #[track_caller]
    pub fn buy(&self, path: &str) -> Response {
        let payment = self.payment_for(path);
        self.send(&Request::get(path).paying(&payment))
    }

    /// Sends all requests at the same time.
    ///
    /// # Panics
    /// When a thread does.
    #[must_use]
    pub fn send_at_once(&self, requests: &[Request]) -> Vec<io::Result<Response>> {
        send_at_once(&self.server, requests)
    }

    /// Somebody else submits a payment's authorization to the chain.
    ///
    /// # Panics
    /// When the chain does not take it.
    #[track_caller]
    pub fn submit(&self, payment: &Payment) {
        let payload = &payment.json["payload"];
        let signature = payload["signature"].as_str().expect("a signature").trim_start_matches("0x");
        let (rs, v) = signature.split_at(128);
        let field =
            |name: &str| payload["authorization"][name].as_str().expect("a member of an authorization");
        let hex = |name: &str| format!("{:0>64}", field(name).trim_start_matches("0x"));
        let number = |name: &str| format!("{:064x}", field(name).parse::<u128>().expect("a decimal number"));
        let words = [
            hex("from"),
            hex("to"),
            number("value"),
            number("validAfter"),
            number("validBefore"),
            hex("nonce"),
            format!("{v:0>64}"),
            rs.to_owned(),
        ];
        let call = json!({
            "from": accounts()[6].address,
            "to": devchain::TOKEN,
            "data": format!("{TRANSFER_WITH_AUTHORIZATION}{}", words.concat()),
        });
        let before = self.transfers();
        self.chain.rpc("eth_sendTransaction", json!([call])).expect("the chain takes it");
        eventually("somebody's transaction is mined", || self.transfers() == before + 1);
    }

    /// What can be counted so far.
    ///
    /// # Panics
    /// When server or chain do not tell.
    #[must_use]
    #[track_caller]
    pub fn books(&self) -> Books {
        Books {
            runs: paid_runs(&self.server),
            transfers: self.transfers(),
            income: self.chain.balance(MERCHANT.address).expect("the chain tells balances"),
        }
    }

    /// Transfers from the payer to the merchant.
    ///
    /// # Panics
    /// When the chain does not tell.
    #[must_use]
    #[track_caller]
    pub fn transfers(&self) -> usize {
        self.chain.transfer_count(self.payer.address(), MERCHANT.address).expect("the chain tells transfers")
    }
}

/// Sends all requests at the same time.
///
/// # Panics
/// When a thread does.
#[must_use]
pub fn send_at_once(server: &Server, requests: &[Request]) -> Vec<io::Result<Response>> {
    let address = server.address();
    thread::scope(|scope| {
        let threads: Vec<_> =
            requests.iter().map(|request| scope.spawn(move || request.send(address))).collect();
        threads.into_iter().map(|thread| thread.join().expect("sending does not panic")).collect()
    })
}

/// Presents the same payment until it is not told to come back, as a patient client does, and asserts that it is never
/// asked to sign again meanwhile.
///
/// # Panics
/// When it is, or when ten tries are not enough.
#[must_use]
#[track_caller]
pub fn persist(server: &Server, request: &Request) -> Response {
    for _ in 0..10 {
        let response = server.send(request);
        if !matches!(response.status, 409 | 503) || response.header("retry-after").is_none() {
            return response;
        }
        assert_eq!(response.header("payment-required"), None, "they would pay twice");
        assert_eq!(response.header("delivery-token"), None);
        thread::sleep(Duration::from_millis(200)); // what the header asks for is meant for clients far away
    }
    panic!("ten tries and no outcome: {}", server.stderr())
}

/// Runs of priced handlers, by route; routes that did not run are left out.
///
/// # Panics
/// When the server does not tell.
#[must_use]
#[track_caller]
pub fn paid_runs(server: &Server) -> BTreeMap<String, u64> {
    let stats = server.stats();
    let runs = stats.as_object().expect("stats are an object").iter();
    runs.filter_map(|(route, runs)| Some((route.clone(), runs.as_u64()?)))
        .filter(|(route, runs)| *runs > 0 && !FREE.contains(&route.as_str()))
        .collect()
}

/// Who pays for gas.
pub const GAS: &Account = &accounts()[0];
/// Who buys.
pub const PAYER: &Account = &accounts()[1];
/// Who sells.
pub const MERCHANT: &Account = &accounts()[7];
/// What the payer starts with, in atomic units.
pub const FUNDS: u128 = 10_000_000;
/// What seals the quotes, so that tests can make quotes of any age.
pub const QUOTE_KEY: &str = "0x202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";
/// `transferWithAuthorization` with v, r and s.
const TRANSFER_WITH_AUTHORIZATION: &str = "0xe3ee160e";
const FREE: [&str; 2] = ["GET /free", "GET /stats"];

/// Waits until something is so, and looks every few milliseconds.
///
/// # Panics
/// When it is not so within ten seconds.
#[track_caller]
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < until, "not within ten seconds: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
