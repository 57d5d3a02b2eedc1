//! Customers who buy all the time, from two instances, while something happens to the store.

mod customer;
mod report;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use x402_tests::{Fleet, Request};

pub(crate) use self::report::Report;
use self::{customer::Customer, report::Purchase};
use crate::stage::alone;

/// When the store was gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    /// From here on nothing can be sold.
    from: Instant,
    /// From here on the store is on its way back.
    to: Instant,
    /// From here on it works again.
    back: Instant,
    /// How long the servers took after that to say that they are ready.
    ready_after: Duration,
}

impl Outage {
    /// Takes the store away, looks whether the servers notice, and gives it back.
    pub(crate) fn of(fleet: &Fleet, take: impl FnOnce(), give_back: impl FnOnce()) -> Self {
        take();
        let from = Instant::now();
        for server in &fleet.servers {
            let told = server.send(&Request::get("/ready"));
            assert_eq!(told.status, 503, "{}", told.text());
            assert!(told.text().contains("store"), "{}", told.text());
        }
        thread::sleep(LENGTH.saturating_sub(from.elapsed()));
        let to = Instant::now();
        give_back();
        let back = Instant::now();
        for server in &fleet.servers {
            while server.send(&Request::get("/ready")).status != 200 {
                assert!(back.elapsed() < RECOVERY, "not ready again: {}", server.stderr());
                thread::sleep(Duration::from_millis(20));
            }
        }
        Self { from, to, back, ready_after: back.elapsed() }
    }

    /// Something that takes no time.
    pub(crate) fn none(what: impl FnOnce()) -> Self {
        what();
        let now = Instant::now();
        Self { from: now, to: now, back: now, ready_after: Duration::ZERO }
    }
}

/// Lets customers shop, strikes, lets them shop on, and waits until all have what they paid for, or were told why not.
pub(crate) fn storm(fleet: &Fleet, strike: impl FnOnce() -> Outage) -> Report {
    let alone = alone();
    let closing = AtomicBool::new(false);
    let (outage, purchases) = thread::scope(|scope| {
        let shop = |number| {
            let closing = &closing;
            scope.spawn(move || Customer::new(fleet, number).shop_until(|| closing.load(Ordering::Relaxed)))
        };
        let customers: Vec<_> = (0..CUSTOMERS).map(shop).collect();
        thread::sleep(CALM);
        let outage = strike();
        thread::sleep(CALM);
        closing.store(true, Ordering::Relaxed);
        drop(alone); // whoever still waits for a lease to run out loads nothing
        let purchases =
            customers.into_iter().flat_map(|customer| customer.join().expect("they do not panic"));
        (outage, purchases.collect::<Vec<Purchase>>())
    });
    Report::new(fleet, outage, purchases)
}

const CUSTOMERS: usize = 12;
const CALM: Duration = Duration::from_millis(1500);
const LENGTH: Duration = Duration::from_millis(2500);
/// The longest until servers work again by themselves.
const RECOVERY: Duration = Duration::from_secs(10);
