//! Kills at random moments, under load.

use std::{
    collections::{HashMap, HashSet},
    env, thread,
    time::Instant,
};

use x402_core::{order::PaymentState, time::UnixSeconds};
use x402_tests::{Fleet, Framework, Server, now};

use crate::{
    load::Customers,
    moments::Moments,
    records::Records,
    stage::{Kind, RECOVERY, recovers, say},
};

#[test]
fn killed_at_random_moments_over_sqlite() {
    killed_at_random(Kind::Sqlite, "after");
}

#[test]
fn killed_at_random_moments_over_postgres() {
    killed_at_random(Kind::Postgres, "deferred");
}

#[test]
fn killed_at_random_moments_over_redis() {
    killed_at_random(Kind::Redis, "before");
}

fn killed_at_random(kind: Kind, timing: &str) {
    let timing = env::var("SETTLE").unwrap_or_else(|_| timing.to_owned());
    let kills = env::var("KILLS").map_or(GATE, |kills| kills.parse().expect("KILLS is a number"));
    let seed = Moments::seed();
    say(&format!("{}, {timing} the handler: {kills} kills, SEED={seed}\n", kind.name()));
    let place = kind.place();
    let mut fleet = Fleet::open_with(&[Framework::Axum, Framework::Tower], place.url(), |environment| {
        // Redis may forget by itself; here it does not.
        let environment = environment.set("SETTLE", &timing).set("DEFER_OVER_FORGETFUL_STORE", "yes");
        environment.set("RUST_LOG", "error")
    });
    let customers = Customers::of(&fleet, seed, "/exact").some_give_up();
    let servers: Vec<_> = fleet.servers.iter().map(Server::address).collect();
    let mut moments = Moments::of(seed, u64::MAX);
    let begun = Instant::now();
    let sales = customers.buy(&servers, || {
        for _ in 0..kills {
            thread::sleep(moments.between(100, 1500));
            let victim = usize::from(moments.below(2) == 1);
            fleet.servers[victim].restart();
        }
    });
    let took = begun.elapsed();
    let records = Records::of(&place);
    recovers("what was begun is over", || {
        let open = records.orders();
        let now = UnixSeconds::new(now());
        let open: Vec<_> = open
            .into_iter()
            .filter(|order| {
                order.is_leased(now)
                    || order.owes_settlement()
                    || order.state.payment == PaymentState::Settling
            })
            .collect();
        if open.is_empty() { Ok(()) } else { Err(open) }
    });
    let tally = records.tally();
    let standing = records.agree_with(&fleet.chain);
    let served: Vec<_> = sales.iter().filter_map(|sale| sale.token.as_deref()).collect();
    let tokens: HashSet<_> = served.iter().collect();
    assert_eq!(tokens.len(), served.len(), "everybody has a response of their own");
    // Runs by their tokens: the payment of each response that somebody got.
    let runs: HashMap<_, _> = fleet.deliveries().into_iter().map(|run| (run.token, run.payment)).collect();
    let paid: HashSet<_> = records
        .orders()
        .iter()
        .filter(|order| order.is_settled())
        .map(|order| order.key.to_string())
        .collect();
    assert!(served.iter().all(|token| paid.contains(&runs[*token])), "who was served has paid: {tally:?}");
    let mut waits: Vec<_> = sales
        .iter()
        .filter(|sale| sale.interrupted.is_some() && sale.token.is_some())
        .map(|sale| sale.took)
        .collect();
    waits.sort_unstable();
    let at =
        |percent: usize| waits.get(waits.len() * percent / 100).or(waits.last()).copied().unwrap_or_default();
    say(&format!(
        "{}, {timing} the handler: {kills} kills in {took:.0?}: {} presented, {} served, {} of them after an \
         interruption (back after p50 {:.1?}, p90 {:.1?}, at most {:.1?}); {standing:?}; {tally:?}\n",
        kind.name(),
        sales.len(),
        served.len(),
        waits.len(),
        at(50),
        at(90),
        at(100),
    ));
    assert!(at(100) <= RECOVERY, "interrupted for {:?}", at(100));
}

/// How many kills there are unless `KILLS` says otherwise.
const GATE: usize = 20;
