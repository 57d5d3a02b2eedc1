//! The store goes away and comes back, or forgets, in the middle of business.

use devservices::{Postgres, Redis, RedisCluster};
use x402_core::scheme::PaymentKey;
use x402_tests::Fleet;

use crate::{
    stage::TWO,
    storm::{Outage, storm},
};

#[test]
fn a_redis_that_is_killed_and_reads_its_file_again_loses_nothing() {
    let redis = Redis::start().unwrap();
    let fleet = Fleet::open(&TWO, &redis.url());
    let report = storm(&fleet, || Outage::of(&fleet, || redis.kill().unwrap(), || redis.restart().unwrap()));
    report.tell("redis killed, restarted with its file").keeps_the_promises().loses_nothing();
}

#[test]
fn a_redis_that_hangs_loses_nothing() {
    let redis = Redis::start().unwrap();
    let fleet = Fleet::open(&TWO, &redis.url());
    let report = storm(&fleet, || Outage::of(&fleet, || redis.pause().unwrap(), || redis.resume().unwrap()));
    report.tell("redis hanging").keeps_the_promises().loses_nothing();
}

#[test]
fn a_redis_that_is_restarted_without_its_data_delivers_nothing_twice() {
    let redis = Redis::options().append_only(false).start().unwrap();
    let fleet = Fleet::open(&TWO, &redis.url());
    let report = storm(&fleet, || Outage::of(&fleet, || redis.stop().unwrap(), || redis.restart().unwrap()));
    report.tell("redis stopped, restarted without data").keeps_the_promises();
}

#[test]
fn a_redis_that_is_flushed_delivers_nothing_twice() {
    let redis = Redis::start().unwrap();
    let fleet = Fleet::open(&TWO, &redis.url());
    let report = storm(&fleet, || Outage::none(|| redis.flush().unwrap()));
    report.tell("redis flushed").keeps_the_promises();
}

#[test]
fn a_redis_whose_replica_takes_over_delivers_nothing_twice() {
    let redis = Redis::start().unwrap();
    let replica = Redis::start_replica_of(&redis).unwrap();
    let fleet = Fleet::open(&TWO, &redis.url());
    let report = storm(&fleet, || Outage::none(|| replica.take_over(&redis).unwrap()));
    report.tell("redis failed over to its replica").keeps_the_promises();
}

#[test]
fn a_cluster_whose_master_dies_delivers_nothing_twice() {
    let cluster = RedisCluster::start_with_replicas().unwrap();
    let fleet = Fleet::open(&TWO, &cluster.urls().join(","));
    let master = cluster.master_of(&shard(fleet.payer.address())).unwrap();
    let report =
        storm(&fleet, || Outage::of(&fleet, || master.kill().unwrap(), || cluster.wait_until_ok().unwrap()));
    report.tell("cluster, a master killed").keeps_the_promises();
}

#[test]
fn a_postgres_that_is_restarted_loses_nothing() {
    let postgres = Postgres::start().unwrap();
    let fleet = Fleet::open(&TWO, &postgres.database().unwrap());
    let report =
        storm(&fleet, || Outage::of(&fleet, || postgres.stop().unwrap(), || postgres.restart().unwrap()));
    report.tell("postgres stopped (fast), restarted").keeps_the_promises().loses_nothing();
}

#[test]
fn a_postgres_that_is_killed_loses_nothing() {
    let postgres = Postgres::start().unwrap();
    let fleet = Fleet::open(&TWO, &postgres.database().unwrap());
    let report =
        storm(&fleet, || Outage::of(&fleet, || postgres.kill().unwrap(), || postgres.restart().unwrap()));
    report.tell("postgres killed, restarted").keeps_the_promises().loses_nothing();
}

/// Money first: what was settled when the store went away is found, and delivered.
#[test]
fn a_redis_that_is_killed_loses_nothing_that_was_settled_before_the_handler() {
    let redis = Redis::start().unwrap();
    let fleet = settling("before", &redis.url());
    let report = storm(&fleet, || Outage::of(&fleet, || redis.kill().unwrap(), || redis.restart().unwrap()));
    report.tell("redis killed, settling before the handler").keeps_the_promises().loses_nothing();
}

/// Response first: what was delivered is settled later, by whoever is there.
#[test]
fn a_postgres_that_is_killed_loses_nothing_that_is_settled_after_the_response() {
    let postgres = Postgres::start().unwrap();
    let fleet = settling("deferred", &postgres.database().unwrap());
    let report =
        storm(&fleet, || Outage::of(&fleet, || postgres.kill().unwrap(), || postgres.restart().unwrap()));
    report.tell("postgres killed, settling after the response").keeps_the_promises().loses_nothing();
}

fn settling(when: &str, store: &str) -> Fleet {
    Fleet::open_with(&TWO, store, |environment| environment.set("SETTLE", when))
}

/// Where a cluster keeps a payer's orders.
fn shard(payer: &str) -> String {
    let bytes: Vec<_> = (2..payer.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&payer[at..at + 2], 16).expect("an address is hexadecimal"))
        .collect();
    let payer = bytes.try_into().expect("an address has 20 bytes");
    format!("{{{:02}}}", PaymentKey::new(0, &[0; 20], &payer, &[0; 32]).shard())
}
