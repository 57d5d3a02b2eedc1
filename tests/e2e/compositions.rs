//! However routers, scopes and prices are put together: the sum of what the handlers that ran cost is the sum of what
//! was charged.
//!
//! In process, since a target is tried in a moment that way and thousands are.

use std::sync::{Arc, Mutex};

use proptest::test_runner::{Config, TestRunner};
use x402_axum::{
    Engine, Price, Prices,
    core::testing::{FakeFacilitator, TestPayer},
};
use x402_tests::spelling;

mod axum_routers;
mod scopes;

/// What both frameworks are made to sell. `/free` and `/files/free.txt` cost nothing.
fn prices() -> Prices {
    let price = |units: u64| Price::atomic("eip155:84532", units);
    Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET /cheap", price(1))
        .charge("GET /api/report", price(20))
        .charge("GET /api/{id}", price(300))
        .charge("GET,POST /v1/deep/x", price(4000))
        .charge("GET /merged", price(50_000))
        .charge("GET /files/{*rest}", price(600_000))
        .free("GET /files/free.txt")
        .build()
        .unwrap()
}

const PATHS: [&str; 11] = [
    "cheap",
    "api/report",
    "api/7",
    "v1/deep/x",
    "merged",
    "files/a/b",
    "files/free.txt",
    "files/x/free.txt",
    "free",
    "api/free",
    "v1/free",
];

/// A shop in this process: what its handlers cost, as they run, and what was charged.
#[derive(Clone)]
struct Till {
    facilitator: FakeFacilitator,
    ran: Arc<Mutex<Vec<u64>>>,
}

impl Till {
    fn new() -> Self {
        Self { facilitator: FakeFacilitator::new().with_local_proof(), ran: Arc::default() }
    }

    fn engine(&self) -> Engine {
        Engine::builder(prices()).facilitator(self.facilitator.clone()).build().unwrap()
    }

    /// A handler that costs so much has run.
    fn run(&self, price: u64) {
        self.ran.lock().unwrap().push(price);
    }

    fn cost(&self) -> u64 {
        self.ran.lock().unwrap().iter().sum()
    }

    fn charged(&self) -> u64 {
        let amounts = self.facilitator.transfers();
        amounts.iter().map(|transfer| transfer.amount.to_string().parse::<u64>().unwrap()).sum()
    }
}

/// Sends spellings and noise, unpaid and paid for the cheapest route, and compares after each.
///
/// `send` takes a method, a target and a payment, and gives the body of the answer.
fn what_ran_was_charged(
    till: &Till,
    name: &str,
    send: impl Fn(&str, &str, Option<&[u8]>) -> Option<Vec<u8>>,
) {
    let payer = TestPayer::new(name);
    let targets = proptest::prop_oneof![
        3 => spelling::spelling(&PATHS),
        1 => spelling::noise(&PATHS),
    ];
    let mut runner = TestRunner::new(Config { cases: 1500, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&(spelling::method(), targets), |(method, target)| {
        let Ok(target) = String::from_utf8(target) else { return Ok(()) };
        send(method, &target, None);
        proptest::prop_assert_eq!(till.cost(), till.charged(), "{} {} unpaid, {}", method, &target, name);
        // Version 1 has no quote that would tell requests apart: only the price does.
        let challenge = send("GET", "/cheap", None).expect("the cheap route is there");
        send(method, &target, Some(&payer.pay_v1(&challenge)));
        proptest::prop_assert_eq!(
            till.cost(),
            till.charged(),
            "{} {} paid as cheap, {}",
            method,
            &target,
            name
        );
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
    let before = till.charged();
    let challenge = send("GET", "/cheap", None).expect("the cheap route is there");
    send("GET", "/cheap", Some(&payer.pay_v1(&challenge)));
    assert_eq!((till.cost(), till.charged()), (before + 1, before + 1), "{name}: honest clients are served");
}
