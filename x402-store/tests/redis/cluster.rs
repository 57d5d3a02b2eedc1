//! A cluster that loses nodes, moves slots and fails over.

use std::time::Duration;

use devservices::{Redis, RedisCluster};
use x402_core::{
    order::{Event, Opened, OrderStore as _, StoreError},
    testing::store_contract::Payments,
};

use super::{
    CLUSTER,
    faults::{copies_over_two_instances, payments_on, recovers},
};

/// A key of the part in which a payment is.
fn part(payments: &Payments, number: u32) -> String {
    format!("x402:{{{:02}}}:x", payments.request(number).key.shard())
}

/// The number of a payment that this node serves.
fn served_by(cluster: &RedisCluster, node: &Redis, payments: &Payments) -> u32 {
    (0..1000)
        .find(|number| cluster.master_of(&part(payments, *number)).unwrap().port() == node.port())
        .expect("payers are spread over nodes")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_copies_over_two_instances_of_a_cluster_one_is_new() {
    copies_over_two_instances(&CLUSTER.urls().join(","), 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_lost_a_node_is_unavailable_until_it_is_back() {
    let cluster = RedisCluster::start().unwrap();
    let payments = payments_on(&cluster.urls().join(",")).await;
    let node = &cluster.nodes()[1];
    let number = served_by(&cluster, node, &payments);
    payments.create(&payments.request(number)).await;
    node.kill().unwrap();
    let began = std::time::Instant::now();
    let error = payments.store.open(&payments.again(&payments.request(number), 1), payments.now).await;
    assert!(error.is_err() && began.elapsed() < Duration::from_secs(1), "{error:?} {:?}", began.elapsed());
    assert!(payments.store.ping().await.is_err());
    node.restart().unwrap();
    cluster.wait_until_ok().unwrap();
    recovers(&payments, 2000, Duration::from_secs(5)).await;
    let held = payments.store.open(&payments.again(&payments.request(number), 2), payments.now).await;
    assert!(matches!(held, Ok(Opened::Held(_))), "{held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_is_followed_after_a_death_and_after_a_hang() {
    let cluster = RedisCluster::start_with_replicas().unwrap();
    let payments = payments_on(&cluster.urls().join(",")).await;
    for (index, hangs) in [(0, false), (1, true)] {
        let (node, replica) = (&cluster.nodes()[index], &cluster.nodes()[index + 3]);
        let number = served_by(&cluster, node, &payments);
        let (lease, _) = payments.create(&payments.request(number)).await;
        replica.synced(node).unwrap();
        if hangs {
            node.pause().unwrap()
        } else {
            node.kill().unwrap()
        }
        let took = recovers(&payments, number, Duration::from_secs(30)).await;
        println!("hangs: {hangs}; followed after {took:?}");
        let held = payments.store.open(&payments.again(&payments.request(number), 1), payments.now).await;
        assert!(matches!(held, Ok(Opened::Held(_))), "the claim was copied: {held:?}");
        payments.report(&lease, [Event::VerifyOk]).await;
        if hangs {
            node.resume().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_read_while_their_slot_moves_and_followed_after() {
    let cluster = RedisCluster::start().unwrap();
    let payments = payments_on(&cluster.urls().join(",")).await;
    let (from, to) = (&cluster.nodes()[0], &cluster.nodes()[2]);
    let number = served_by(&cluster, from, &payments);
    let request = payments.request(number);
    let (lease, _) = payments.create(&request).await;
    let slot = from.command(&["CLUSTER", "KEYSLOT", &part(&payments, number)]).unwrap();
    let [from_id, to_id] = [from, to].map(|node| node.command(&["CLUSTER", "MYID"]).unwrap());
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]).unwrap();
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]).unwrap();
    let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).unwrap();
    for key in keys.lines() {
        from.command(&["MIGRATE", "127.0.0.1", &to.port().to_string(), key, "0", "5000"]).unwrap();
    }
    let found = payments.store.find(&request.key, payments.now).await.unwrap();
    assert!(found.is_some(), "asked for at its new node");
    match payments.store.advance(&lease, &Event::VerifyOk, payments.now).await {
        Err(StoreError::Unavailable(why)) => assert!(why.to_string().contains("being moved"), "{why}"),
        other => panic!("Redis takes no steps over several keys while it moves them: {other:?}"),
    }
    for node in [to, from, &cluster.nodes()[1]] {
        node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]).unwrap();
    }
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    let again = payments.store.open(&payments.again(&request, 1), payments.now).await;
    assert!(matches!(again, Ok(Opened::Held(_))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_cluster_forgets_orders_and_scripts_and_goes_on() {
    let cluster = RedisCluster::start().unwrap();
    let payments = payments_on(&cluster.urls().join(",")).await;
    for number in 0..10 {
        payments.create(&payments.request(number)).await;
    }
    cluster.flush().unwrap();
    for node in cluster.nodes() {
        node.command(&["SCRIPT", "FLUSH"]).unwrap();
    }
    for number in 0..10 {
        payments.create(&payments.request(number)).await;
    }
}
