//! Copies of one payment, at once and everywhere: one handler run, one transfer, one response.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use devservices::{Postgres, Redis, RedisCluster};
use x402_tests::{Answered, Books, Fleet, Framework, Request, Response};

use crate::stage::{FOUR, TWO, alone, rounds, say};

#[test]
fn two_hundred_copies_over_two_instances_on_one_redis() {
    let redis = Redis::start().unwrap();
    two_hundred_copies("redis", &redis.url());
}

#[test]
fn two_hundred_copies_over_two_instances_on_one_postgres() {
    let url = Postgres::shared().and_then(Postgres::database).unwrap();
    two_hundred_copies("postgres", &url);
}

#[test]
fn two_hundred_copies_over_two_instances_on_one_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    two_hundred_copies("sqlite", &format!("sqlite:{}", folder.path().join("orders.db").display()));
}

#[test]
fn a_thousand_copies_over_four_instances_on_a_cluster() {
    let cluster = RedisCluster::start().unwrap();
    many_copies("cluster", &cluster.urls().join(","), &FOUR, 1000, 5);
}

#[test]
fn a_thousand_payments_in_five_copies_over_four_instances_on_a_cluster() {
    let cluster = RedisCluster::start().unwrap();
    let _alone = alone();
    let fleet = Fleet::open(&FOUR, &cluster.urls().join(","));
    let (all, start) = (rounds(20) * AT_ONCE, Instant::now());
    let mut tally = Tally::default();
    for _ in 0..all / AT_ONCE {
        let payments: Vec<_> =
            (0..AT_ONCE).map(|_| Request::get("/exact").paying(&fleet.payment_for("/exact"))).collect();
        // The copies of a payment go to different instances.
        let copies: Vec<_> = payments.iter().flat_map(|payment| vec![payment.clone(); COPIES]).collect();
        let answers = fleet.at_once(&copies);
        tally += Tally::of(&answers);
        for copies in responses(answers).chunks(COPIES) {
            one_response(copies);
        }
    }
    sold(&fleet, all);
    report("cluster", &FOUR, &format!("{all} payments in {COPIES} copies"), start, &tally);
}

fn two_hundred_copies(store: &str, url: &str) {
    many_copies(store, url, &TWO, 200, 50);
}

fn many_copies(store: &str, url: &str, frameworks: &[Framework], copies: usize, at_first: usize) {
    let _alone = alone();
    let fleet = Fleet::open(frameworks, url);
    let rounds = rounds(at_first);
    let (mut tally, start) = (Tally::default(), Instant::now());
    for _ in 0..rounds {
        let request = Request::get("/exact").paying(&fleet.payment_for("/exact"));
        let answers = fleet.at_once(&vec![request; copies]);
        tally += Tally::of(&answers);
        one_response(&responses(answers));
    }
    sold(&fleet, rounds);
    report(store, frameworks, &format!("{copies} copies, {rounds} rounds"), start, &tally);
}

fn report(store: &str, frameworks: &[Framework], what: &str, start: Instant, tally: &Tally) {
    let (instances, took) = (frameworks.len(), start.elapsed());
    say(&format!("{store}, {instances} instances, {what} in {took:.1?}: {tally}\n"));
}

fn responses(answers: Vec<Answered>) -> Vec<Response> {
    answers.into_iter().map(|answered| answered.response.expect("everybody gets an answer")).collect()
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

/// So many payments at once, in so many copies each.
const AT_ONCE: usize = 50;
const COPIES: usize = 5;
