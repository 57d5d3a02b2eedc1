//! A cluster serves all slots, survives the restart of a node, and fails over where it has replicas.

use std::{
    thread,
    time::{Duration, Instant},
};

use devservices::RedisCluster;

#[test]
fn three_masters_serve_all_slots_and_a_node_comes_back() {
    let cluster = RedisCluster::start().unwrap();
    assert_eq!(cluster.urls().len(), 3);
    for key in ["a", "b", "c", "d", "e", "f", "g"] {
        let master = cluster.master_of(key).unwrap();
        assert_eq!(master.command(&["SET", key, "1"]).unwrap(), "OK");
        let other = cluster.nodes().iter().find(|node| node.port() != master.port()).unwrap();
        assert!(other.command(&["GET", key]).unwrap_err().to_string().contains("MOVED"));
    }
    let master = cluster.master_of("a").unwrap();
    master.kill().unwrap();
    cluster.master_of("a").expect("the others are asked");
    master.restart().unwrap();
    cluster.wait_until_ok().unwrap();
    assert_eq!(master.command(&["GET", "a"]).unwrap(), "1");
    cluster.flush().unwrap();
    assert_eq!(master.command(&["GET", "a"]).unwrap(), "");
}

#[test]
fn replica_takes_the_place_of_a_dead_master() {
    let cluster = RedisCluster::start_with_replicas().unwrap();
    assert_eq!(cluster.nodes().len(), 6);
    let master = cluster.master_of("a").unwrap();
    let index = cluster.nodes().iter().position(|node| node.port() == master.port()).unwrap();
    let replica = &cluster.nodes()[index + 3];
    master.command(&["SET", "a", "1"]).unwrap();
    replica.synced(master).unwrap();
    master.kill().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while replica.command(&["GET", "a"]).ok().as_deref() != Some("1") {
        assert!(
            Instant::now() < end,
            "{:?} {}",
            replica.command(&["GET", "a"]),
            replica.command(&["CLUSTER", "INFO"]).unwrap()
        );
        thread::sleep(Duration::from_millis(50));
    }
    cluster.wait_until_ok().unwrap();
    master.restart().unwrap();
    cluster.wait_until_ok().unwrap();
}
