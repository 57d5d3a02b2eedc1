//! Several servers that share one store and one chain.

use std::{
    collections::BTreeMap,
    io,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use devchain::{Account, DevChain, accounts};

use crate::{
    Books, Challenge, Connection, Delivery, Environment, FUNDS, Framework, MERCHANT, PAYER, Payer, Payment,
    Request, Response, Server, Shop, paid_runs,
};

/// Servers with the same prices, the same store and the same quote key, and a gas account each.
#[derive(Debug)]
pub struct Fleet {
    /// The servers. First, so that they end before their chain.
    pub servers: Vec<Server>,
    /// The chain.
    pub chain: DevChain,
    /// Who buys.
    pub payer: Payer,
}

/// What came back for one of many requests, and after how long.
#[derive(Debug)]
pub struct Answered {
    /// The response, or why there is none.
    pub response: io::Result<Response>,
    /// From the first byte sent to the last one received.
    pub took: Duration,
}

impl Fleet {
    /// Opens one server per framework over the store at `store_url`.
    ///
    /// # Panics
    /// When chain or servers do not start, or there are more servers than gas accounts.
    #[must_use]
    pub fn open(frameworks: &[Framework], store_url: &str) -> Self {
        Self::open_with(frameworks, store_url, |environment| environment)
    }

    /// Opens with another environment.
    ///
    /// # Panics
    /// As [`open`](Self::open).
    #[must_use]
    pub fn open_with(
        frameworks: &[Framework],
        store_url: &str,
        adjust: impl Fn(Environment) -> Environment,
    ) -> Self {
        assert!(frameworks.len() <= GAS_ACCOUNTS.len(), "a gas account belongs to one process");
        let chain = DevChain::start().expect("the chain starts");
        let payer = Payer::of(PAYER);
        chain.mint(payer.address(), FUNDS).expect("the payer gets money");
        let start = |(framework, gas): (&Framework, &Account)| {
            let environment = Shop::environment()
                // With hundreds of requests at once the rest would be all there is to see.
                .set("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".into()))
                .set("RPC_URL", chain.url())
                .set("SIGNER_KEY", gas.key)
                .set("STORE_URL", store_url)
                .set("ORIGIN", ORIGIN);
            Server::start(*framework, adjust(environment))
        };
        let servers = frameworks.iter().zip(&GAS_ACCOUNTS).map(start).collect();
        Self { servers, chain, payer }
    }

    /// Asks a server for a path without paying.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, server: usize, path: &str) -> Challenge {
        Challenge::of(&self.servers[server].send(&Request::get(path)))
    }

    /// An honest version 2 payment for a path, quoted by the first server and not presented yet.
    #[must_use]
    #[track_caller]
    pub fn payment_for(&self, path: &str) -> Payment {
        self.payer.v2(&self.ask(0, path))
    }

    /// Sends all requests at the same moment, to one server after the other in turn.
    ///
    /// # Panics
    /// When a thread does.
    #[must_use]
    pub fn at_once(&self, requests: &[Request]) -> Vec<Answered> {
        let ready = Barrier::new(requests.len());
        thread::scope(|scope| {
            let servers = self.servers.iter().cycle();
            let send = |(request, server): (_, &Server)| {
                let (address, ready) = (server.address(), &ready);
                scope.spawn(move || send_together(request, address, ready))
            };
            let threads: Vec<_> = requests.iter().zip(servers).map(send).collect();
            threads.into_iter().map(|thread| thread.join().expect("sending does not panic")).collect()
        })
    }

    /// What can be counted so far, over all servers.
    ///
    /// # Panics
    /// When a server or the chain does not tell.
    #[must_use]
    #[track_caller]
    pub fn books(&self) -> Books {
        let mut runs = BTreeMap::new();
        for (route, times) in self.servers.iter().flat_map(paid_runs) {
            *runs.entry(route).or_default() += times;
        }
        let transfers = self.chain.transfer_count(self.payer.address(), MERCHANT.address);
        Books {
            runs,
            transfers: transfers.expect("the chain tells transfers"),
            income: self.chain.balance(MERCHANT.address).expect("the chain tells balances"),
        }
    }

    /// The delivery logs of all servers.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.servers.iter().flat_map(Server::deliveries).collect()
    }
}

fn send_together(request: &Request, to: std::net::SocketAddr, ready: &Barrier) -> Answered {
    let connection = Connection::open(to);
    ready.wait();
    let start = Instant::now();
    let response = connection.and_then(|mut connection| {
        connection.write(&request.bytes())?;
        connection.response(request.is_head())
    });
    Answered { response, took: start.elapsed() }
}

/// What clients know the servers by, whichever of them they meet.
const ORIGIN: &str = "https://shop.example";
/// Who pays for gas, by server.
const GAS_ACCOUNTS: [Account; 4] = [accounts()[0], accounts()[2], accounts()[4], accounts()[5]];
