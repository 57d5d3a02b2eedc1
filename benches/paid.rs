//! The whole paid path over each store, and how many times as long it takes as over memory.
//!
//! Signatures are real and checked here; the facilitator is a stub that settles at once. So what differs is the store.
//! Redis syncs its file every second, SQLite and PostgreSQL each commit: what their clients are told, survives the machine.

use std::{env, path::Path, time::Duration};

use criterion::{Criterion, SamplingMode};
use devservices::{Postgres, Redis};
use tokio::runtime::{Builder, Runtime};
use x402_benches::{Sales, Shop};
use x402_core::{error::BoxError, order::MemoryStore};
use x402_store::{PostgresStore, RedisStore, SqliteStore};

fn main() -> Result<(), BoxError> {
    // Servers are not started for somebody else's benchmark.
    if !env::args().skip(1).all(|word| word.starts_with('-') || NAME.contains(&word) || word.contains(NAME)) {
        return Ok(());
    }
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // On the disk of the build, where that for temporary files may be none.
    let folder = tempfile::tempdir_in(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let (redis, postgres) = (Redis::start()?, Postgres::start()?);
    let in_redis = runtime.block_on(RedisStore::connect(&redis.url()))?;
    let in_postgres = runtime.block_on(PostgresStore::connect(postgres.database()?))?;
    let shops = [
        ("memory", Shop::over(MemoryStore::new())),
        ("SQLite", Shop::over(SqliteStore::open(folder.path().join("orders.db"))?)),
        ("Redis", Shop::over(in_redis)),
        ("PostgreSQL", Shop::over(in_postgres)),
    ];

    let mut criterion = Criterion::default().configure_from_args();
    for in_flight in IN_FLIGHT {
        let mut group = criterion.benchmark_group(format!("{NAME}, {in_flight} in flight"));
        group.sampling_mode(SamplingMode::Flat).sample_size(10).measurement_time(Duration::from_secs(3));
        for (name, shop) in &shops {
            group.bench_function(*name, |bencher| {
                bencher.iter_custom(|payments| {
                    let payments = u32::try_from(payments).expect("a sample is short");
                    runtime.block_on(shop.sell(payments, in_flight)).took
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();

    println!("\nin turn, {ROUNDS} rounds; us per payment, and us that its client waits for the response");
    println!(
        "{:>10} {:<12} {:>8} {:>7} {:>9} {:>7} {:>10} {:>10}",
        "in flight", "", "median", "ratio", "best", "ratio", "waits p50", "p99"
    );
    for in_flight in IN_FLIGHT {
        let mut memory = None;
        for ((name, _), mut sales) in shops.iter().zip(in_turn(&runtime, &shops, in_flight)) {
            let [best, median] =
                [0, 50].map(|part| micros(percentile(&mut sales.rounds, part)) / f64::from(slice(in_flight)));
            let [p50, p99] = [50, 99].map(|part| micros(percentile(&mut sales.answered, part)));
            let (of_best, of_median) = *memory.get_or_insert((best, median));
            let (to_best, to_median) = (best / of_best, median / of_median);
            println!(
                "{in_flight:>10} {name:<12} {median:>8.1} {to_median:>6.1}x {best:>9.1} {to_best:>6.1}x \
                 {p50:>10.1} {p99:>10.1}"
            );
        }
    }
    Ok(())
}

/// What one store needed in all rounds.
#[derive(Default)]
struct Standing {
    rounds: Vec<Duration>,
    answered: Vec<Duration>,
}

/// Lets the shops take turns, so that who else uses the machine meanwhile slows all of them.
fn in_turn(runtime: &Runtime, shops: &[(&str, Shop)], in_flight: u32) -> Vec<Standing> {
    let mut standings: Vec<_> = shops.iter().map(|_| Standing::default()).collect();
    for _ in 0..ROUNDS {
        for ((_, shop), standing) in shops.iter().zip(&mut standings) {
            let Sales { took, answered } = runtime.block_on(shop.sell(slice(in_flight), in_flight));
            standing.rounds.push(took);
            standing.answered.extend(answered);
        }
    }
    standings
}

/// How many payments are sold in one turn.
const fn slice(in_flight: u32) -> u32 {
    if in_flight == 1 { 50 } else { 16 * in_flight }
}

fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort_unstable();
    times[times.len() * part / 100]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

const NAME: &str = "paid path";
const IN_FLIGHT: [u32; 2] = [1, 64];
const ROUNDS: usize = 15;
