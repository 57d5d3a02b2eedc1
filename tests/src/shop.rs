//! A chain, a server that sells on it, and somebody with money: what most stories start from.

use std::{collections::BTreeMap, io, thread};

use devchain::{Account, DevChain, accounts};

use crate::{Challenge, Environment, FakeFacilitator, Framework, Payer, Payment, Request, Response, Server};

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
        let environment = adjust(&chain, Self::environment().set("RPC_URL", chain.url()).set("SIGNER_KEY", GAS.key));
        Self { server: Server::start(framework, environment), chain, payer }
    }

    /// A server without a chain, that leaves everything to a facilitator.
    #[must_use]
    pub fn through(facilitator: &FakeFacilitator, framework: Framework) -> (Server, Payer) {
        let environment = Self::environment().set("FACILITATOR_URL", facilitator.url());
        (Server::start(framework, environment), Payer::of(PAYER))
    }

    /// What every server's environment has.
    #[must_use]
    pub fn environment() -> Environment {
        Environment::default().set("PAY_TO", MERCHANT.address).set("SETTLE", "after").set("QUOTE_KEY", QUOTE_KEY)
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
const FREE: [&str; 2] = ["GET /free", "GET /stats"];
