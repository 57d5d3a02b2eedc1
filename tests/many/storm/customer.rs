//! An honest customer: presents a payment until somebody says what became of it, and never signs a second one for it
//! unless told to.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use x402_tests::{Challenge, Fleet, Request, Response};

use super::report::{Presentation, Purchase, Told};

pub(super) struct Customer<'a> {
    fleet: &'a Fleet,
    number: usize,
}

impl<'a> Customer<'a> {
    pub(super) const fn new(fleet: &'a Fleet, number: usize) -> Self {
        Self { fleet, number }
    }

    pub(super) fn shop_until(&self, closing: impl Fn() -> bool) -> Vec<Purchase> {
        let mut purchases = Vec::new();
        while !closing() {
            purchases.push(self.buy(self.number + purchases.len()));
        }
        purchases
    }

    fn buy(&self, number: usize) -> Purchase {
        let path = PATHS[number % PATHS.len()];
        let first = number % self.fleet.servers.len();
        let payment = self.fleet.payer.v2(&Challenge::of(&self.ask(first, path)));
        let request = Request::get(path).paying(&payment);
        let nonce = payment.json["payload"]["authorization"]["nonce"].as_str().expect("a nonce").to_owned();
        let mut purchase = Purchase { nonce, request, presentations: Vec::new() };
        let began = Instant::now();
        for attempt in 0.. {
            let servers = self.fleet.servers.len();
            let at = (first + attempt) % servers;
            // Every third customer is impatient and asks everybody at once.
            let copies: Vec<_> = if number.is_multiple_of(3) {
                (0..servers).map(|more| (at + more) % servers).collect()
            } else {
                vec![at]
            };
            let told = self.present(&purchase.request, &copies);
            purchase.presentations.extend(told);
            let asked_for = copies.len();
            let last = &purchase.presentations[purchase.presentations.len() - asked_for..];
            if last.iter().any(|presentation| presentation.told.is_final()) || began.elapsed() > PATIENCE {
                break;
            }
            thread::sleep(BETWEEN);
        }
        purchase
    }

    fn ask(&self, server: usize, path: &str) -> Response {
        // Terms do not come from the store: they are there in every outage of it.
        self.fleet.servers[server].send(&Request::get(path))
    }

    fn present(&self, request: &Request, servers: &[usize]) -> Vec<Presentation> {
        let send = |server: usize| {
            let begun = Instant::now();
            let told = told(request.send(self.fleet.servers[server].address()));
            Presentation { begun, took: begun.elapsed(), told }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = servers.iter().map(|server| scope.spawn(move || send(*server))).collect();
            threads.into_iter().map(|thread| thread.join().expect("sending does not panic")).collect()
        })
    }
}

pub(super) fn told(sent: io::Result<Response>) -> Told {
    let Ok(response) = sent else { return Told::Nothing };
    let challenge = response.header("payment-required").is_some();
    let come_back = response.header("retry-after").is_some();
    let token = response.header("delivery-token").map(str::to_owned);
    match (response.status, token) {
        (200, Some(token)) => Told::Served { token, again: response.header("idempotent-replayed").is_some() },
        (503, None) if come_back && !challenge => Told::Unavailable,
        (409, None) if come_back && !challenge => Told::InFlight,
        (409, None) if !challenge => Told::Used(response.code()),
        (402, None) if challenge => Told::SignAgain(response.code()),
        _ => Told::Wrong(format!("{} {:?} {}", response.status, response.headers, response.text())),
    }
}

const PATHS: [&str; 4] = ["/exact", "/slow?ms=60", "/exact", "/slow?ms=400"];
const BETWEEN: Duration = Duration::from_millis(150);
/// Longer than a lease.
const PATIENCE: Duration = Duration::from_secs(60);
