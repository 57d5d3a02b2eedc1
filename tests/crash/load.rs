//! Customers who buy and buy, at whichever server answers, and come back when they are told to.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use devchain::{Account, accounts};
use x402_tests::{Challenge, FUNDS, Fleet, Payer, Request};

use crate::{
    moments::Moments,
    stage::{RECOVERY, patiently},
};

/// People with money, two customers each.
#[derive(Debug)]
pub(crate) struct Customers {
    payers: Vec<Payer>,
    seed: u64,
    /// What they buy.
    path: &'static str,
    /// Whether one in five of those who were interrupted never comes back.
    some_give_up: bool,
}

/// What one customer got for one payment.
#[derive(Debug)]
pub(crate) struct Sale {
    /// The response's token; `None` when the customer gave up.
    pub(crate) token: Option<String>,
    /// When the connection last broke under a request.
    pub(crate) interrupted: Option<Instant>,
    /// From then, or else from the first presentation, to the answer.
    pub(crate) took: Duration,
}

impl Customers {
    pub(crate) fn of(fleet: &Fleet, seed: u64, path: &'static str) -> Self {
        let mut payers = vec![fleet.payer.clone()];
        for account in OTHERS {
            let payer = Payer::of(account);
            fleet.chain.mint(payer.address(), FUNDS).expect("payers get money");
            payers.push(payer);
        }
        Self { payers, seed, path, some_give_up: false }
    }

    pub(crate) fn some_give_up(self) -> Self {
        Self { some_give_up: true, ..self }
    }

    /// Lets all of them buy while `meanwhile` runs; what they begun is finished after it.
    pub(crate) fn buy(&self, servers: &[SocketAddr], meanwhile: impl FnOnce()) -> Vec<Sale> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let customers: Vec<_> = (0..2 * self.payers.len())
                .map(|number| {
                    let payer = &self.payers[number / 2];
                    let moments = Moments::of(self.seed, number as u64);
                    let over = &over;
                    scope.spawn(move || Customer { all: self, payer, servers, moments }.shop(over))
                })
                .collect();
            // However that ends, the customers go home.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
            over.store(true, Ordering::Relaxed);
            let sales =
                customers.into_iter().flat_map(|customer| customer.join().expect("nobody is wronged"));
            let sales = sales.collect();
            done.expect("what went on meanwhile went well");
            sales
        })
    }
}

struct Customer<'a> {
    all: &'a Customers,
    payer: &'a Payer,
    servers: &'a [SocketAddr],
    moments: Moments,
}

impl Customer<'_> {
    fn shop(&mut self, over: &AtomicBool) -> Vec<Sale> {
        let mut sales = Vec::new();
        while !over.load(Ordering::Relaxed) {
            if let Some(challenge) = self.ask() {
                let payment = self.payer.v2(&challenge);
                sales.push(self.pay(&Request::get(self.all.path).paying(&payment)));
            }
        }
        sales
    }

    fn ask(&mut self) -> Option<Challenge> {
        match Request::get(self.all.path).send(self.any()) {
            Ok(response) if response.status == 402 => Some(Challenge::of(&response)),
            Ok(response) => {
                assert_eq!(response.status, 503, "{}", response.text());
                None
            }
            Err(_) => {
                thread::sleep(AFTER_NOBODY);
                None
            }
        }
    }

    fn pay(&mut self, request: &Request) -> Sale {
        let presented = Instant::now();
        let mut interrupted = None;
        let token = loop {
            assert!(presented.elapsed() < 5 * RECOVERY, "a payment that nobody takes");
            match request.send(self.any()) {
                Ok(response) => {
                    if let Some(served) = patiently(response) {
                        break served.header("delivery-token").map(str::to_owned);
                    }
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::ConnectionRefused {
                        interrupted = Some(Instant::now());
                        if self.all.some_give_up && self.moments.below(5) == 0 {
                            break None;
                        }
                    }
                    thread::sleep(AFTER_NOBODY);
                }
            }
        };
        let sale = Sale { took: interrupted.unwrap_or(presented).elapsed(), token, interrupted };
        if sale.token.is_some() && interrupted.is_some() {
            self.ask_again(request, &sale);
        }
        sale
    }

    /// Whoever was interrupted and served asks once more, and gets the same.
    fn ask_again(&mut self, request: &Request, sale: &Sale) {
        if let Ok(response) = request.send(self.any())
            && response.status == 200
        {
            assert_eq!(response.header("delivery-token"), sale.token.as_deref(), "a second delivery");
        }
    }

    fn any(&mut self) -> SocketAddr {
        let number = self.moments.below(self.servers.len() as u64);
        self.servers[usize::try_from(number).expect("there are few servers")]
    }
}

const OTHERS: [&Account; 3] = [&accounts()[3], &accounts()[6], &accounts()[8]];
const AFTER_NOBODY: Duration = Duration::from_millis(50);
