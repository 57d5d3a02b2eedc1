//! Copies of one payment, at once and everywhere: one handler run, one transfer, one response.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use x402_tests::{Answered, Books, Fleet, Request, Response};

use crate::stage::{TWO, alone, rounds, say};

#[test]
fn two_hundred_copies_over_two_instances_on_one_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    two_hundred_copies("sqlite", &format!("sqlite:{}", folder.path().join("orders.db").display()));
}

fn two_hundred_copies(store: &str, url: &str) {
    let _alone = alone();
    let fleet = Fleet::open(&TWO, url);
    let rounds = rounds(50);
    let (mut tally, start) = (Tally::default(), Instant::now());
    for _ in 0..rounds {
        tally += one_sale(&fleet, 200);
    }
    sold(&fleet, rounds);
    say(&format!("{store}, 2 instances, 200 copies, {rounds} rounds in {:.1?}: {tally}\n", start.elapsed()));
}

/// Presents copies of a payment at once, and finds one response among the answers.
fn one_sale(fleet: &Fleet, copies: usize) -> Tally {
    let request = Request::get("/exact").paying(&fleet.payment_for("/exact"));
    let answers = fleet.at_once(&vec![request; copies]);
    let tally = Tally::of(&answers);
    let responses: Vec<_> =
        answers.into_iter().map(|answered| answered.response.expect("everybody gets an answer")).collect();
    one_response(&responses);
    tally
}

/// One response, for as many as got it; everybody else was told to come back.
fn one_response(responses: &[Response]) {
    let (served, refused): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == 200);
    let tokens: HashSet<_> = served.iter().map(|response| response.header("delivery-token")).collect();
    let transactions: HashSet<_> =
        served.iter().map(|response| response.receipt()["transaction"].to_string()).collect();
    assert_eq!((tokens.len(), transactions.len()), (1, 1), "everybody who is served gets the same");
    let firsts = served.iter().filter(|response| response.header("idempotent-replayed").is_none());
    assert_eq!(firsts.count(), 1, "one response is the first");
    for response in refused {
        assert_eq!(response.status, 409, "{}", response.text());
        assert_eq!(response.header("payment-required"), None, "they would pay twice");
    }
}

/// So many handler runs, log entries and transfers, and no more.
fn sold(fleet: &Fleet, sales: usize) {
    let books = Books::of(&[("GET /exact", sales as u64)], sales, 1000 * sales as u128);
    assert_eq!(fleet.books(), books);
    assert_eq!(fleet.deliveries().len(), sales);
}

/// What many clients were told.
#[derive(Debug, Default)]
struct Tally {
    served: usize,
    replayed: usize,
    told_to_wait: usize,
    times: Vec<Duration>,
}

impl Tally {
    fn of(answers: &[Answered]) -> Self {
        let mut tally = Self::default();
        for answered in answers {
            tally.times.push(answered.took);
            match &answered.response {
                Ok(response) if response.header("idempotent-replayed").is_some() => tally.replayed += 1,
                Ok(response) if response.status == 200 => tally.served += 1,
                Ok(response) if response.status == 409 => tally.told_to_wait += 1,
                _ => {}
            }
        }
        tally
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.served += other.served;
        self.replayed += other.replayed;
        self.told_to_wait += other.told_to_wait;
        self.times.extend(other.times);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        write!(
            f,
            "{} answers: {} first, {} replayed, {} told to wait; p50 {:.0?}, p99 {:.0?}, slowest {:.0?}",
            times.len(),
            self.served,
            self.replayed,
            self.told_to_wait,
            at(50),
            at(99),
            times.last().copied().unwrap_or_default()
        )
    }
}
