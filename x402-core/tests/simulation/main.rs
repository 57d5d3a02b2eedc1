//! Two servers over one store, one facilitator and one chain: all of it models, around the real engine, in simulated
//! time.
//!
//! Every seed is one small world, in which a few payers buy while messages are late or lost, processes die, stand still
//! and start again, clocks disagree, and the store may forget. When the storm is over all is honest again, payers come
//! for what they are owed, and the books are held against the chain. The same seed is the same world, to the byte.
//!
//! `cargo xtask simulate` runs more seeds than the tests do, or one of them with its trace.

mod chain;
mod check;
mod client;
mod deliveries;
mod facilitator;
mod process;
mod request;
mod rng;
mod server;
mod store;
mod storm;
mod world;

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;
use x402_core::testing::{TestPayer, predictable};

use self::{
    client::Client,
    server::Server,
    world::{Report, SkewedClock, World},
};

/// Other seeds by hand: `SIMULATE=17..18`, with their traces if `SIMULATE_TRACE` is set.
#[test]
fn money_moves_once_and_what_it_bought_arrives_once() {
    let seeds = by_hand("SIMULATE").map_or(0..200, |seeds| range(&seeds));
    let traced = by_hand("SIMULATE_TRACE").is_some();
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let counts = Mutex::new(BTreeMap::<&str, u64>::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || failed.lock().unwrap().len() >= MOST_FAILURES {
                break;
            }
            let report = run(seed, traced);
            for (what, count) in &report.counts {
                *counts.lock().unwrap().entry(what).or_default() += count;
            }
            if let Some(trace) = &report.trace {
                println!("{trace}");
            }
            if !report.broken.is_empty() {
                failed.lock().unwrap().push((seed, report.broken));
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    for (what, count) in counts.into_inner().unwrap() {
        println!("{count:>9} {what}");
    }
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    for (seed, broken) in &failed {
        println!("seed {seed}:");
        broken.iter().for_each(|what| println!("  {what}"));
    }
    assert!(failed.is_empty(), "again with `cargo xtask simulate --seed {} --trace`", failed[0].0);
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    for seed in 0..20 {
        let again = std::thread::spawn(move || run(seed, true).trace);
        assert_eq!(run(seed, true).trace, again.join().unwrap(), "seed {seed}");
    }
}

fn run(seed: u64, traced: bool) -> Report {
    predictable(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulate(seed, traced))
}

async fn simulate(seed: u64, traced: bool) -> Report {
    let world = World::new(seed, traced);
    let rng = &world.rng;
    let servers: Arc<[Server]> = (0..2).map(|number| Server::start(&world, number)).collect();
    let clock = SkewedClock::new(&world);
    let payer = |number: u64| Arc::new(TestPayer::new(&format!("payer {number}")).clock(clock.clone()));
    let payers: Vec<_> = (0..rng.between(1, 2)).map(payer).collect();
    let client = |number| Arc::new(Client::new(&world, &servers, rng.pick(&payers), number));
    let clients: Vec<_> = (0..rng.between(1, 5)).map(client).collect();
    let mut at_work: Vec<_> = clients.iter().map(|client| tokio::spawn(Arc::clone(client).buy())).collect();
    at_work.push(tokio::spawn(storm::blow(Arc::clone(&world), Arc::clone(&servers), clients.clone())));
    at_work.push(tokio::spawn(storm::forget(Arc::clone(&world))));
    sleep(STORM).await;
    world.calm();
    for one in at_work {
        if let Err(error) = one.await {
            world.broken(format!("a task of the simulation failed: {error}"));
        }
    }
    for server in &*servers {
        let life = server.life();
        life.process.put_out_fuse();
        if life.process.is_dead() {
            server.restart();
        }
    }
    sleep(QUIET).await;
    for client in &clients {
        client.collect().await;
    }
    sleep(QUIET).await;
    check::check(&world, &clients);
    for server in &*servers {
        if !server.stop(Duration::from_secs(30)).await {
            world.broken("work is left when there is none");
        }
    }
    world.report()
}

fn by_hand(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn range(seeds: &str) -> Range<u64> {
    let (from, to) = seeds.split_once("..").expect("a range such as 0..100");
    from.parse().expect("it begins with a number")..to.parse().expect("it ends with a number")
}

/// For how long payers begin to buy, and things go wrong.
const STORM: Duration = Duration::from_secs(120);
/// Authorizations end, leases lapse, workers find what was left.
const QUIET: Duration = Duration::from_secs(120);
/// Seeds that fail until the rest is left out.
const MOST_FAILURES: usize = 5;
