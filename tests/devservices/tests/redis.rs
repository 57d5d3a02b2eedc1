//! Redis starts, hangs, dies, comes back and changes places as tests ask it to.

use std::{fs, net::TcpStream, path::Path, time::Instant};

use devservices::{Redis, ServiceError};

#[test]
fn data_survives_a_stop_and_a_kill() {
    let redis = Redis::start().unwrap();
    assert_eq!(redis.command(&["PING"]).unwrap(), "PONG");
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));
    let (url, id) = (redis.url(), redis.process_id().unwrap());
    redis.command(&["SET", "a", "1"]).unwrap();
    redis.stop().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", redis.port())).is_err());
    assert!(matches!(redis.kill(), Err(ServiceError::NotRunning(_))));
    redis.restart().unwrap();
    redis.command(&["SET", "b", "2"]).unwrap();
    redis.kill().unwrap();
    redis.restart().unwrap();
    assert_eq!(redis.command(&["MGET", "a", "b"]).unwrap(), "1\n2");
    assert_eq!(redis.url(), url);
    assert_ne!(redis.process_id().unwrap(), id);
    redis.flush().unwrap();
    redis.restart().unwrap();
    assert_eq!(redis.command(&["DBSIZE"]).unwrap(), "0");
}

#[test]
fn options_reach_the_server() {
    let redis = Redis::options()
        .max_memory("8mb")
        .max_memory_policy("allkeys-lru")
        .append_only(false)
        .save("")
        .password("swordfish")
        .start()
        .unwrap();
    let policy = redis.command(&["CONFIG", "GET", "maxmemory*"]).unwrap();
    assert!(policy.contains("maxmemory-policy\nallkeys-lru") && policy.contains("8388608"), "{policy}");
    assert_eq!(redis.url(), format!("redis://:swordfish@127.0.0.1:{}", redis.port()));
    redis.command(&["SET", "a", "1"]).unwrap();
    redis.restart().unwrap();
    assert_eq!(redis.command(&["DBSIZE"]).unwrap(), "0", "nothing was persisted");
}

#[test]
fn unknown_directive_is_told_with_the_end_of_the_log() {
    let error = Redis::options().directive("no-such-directive", "1").start().unwrap_err();
    assert!(error.to_string().contains("no-such-directive"), "{error}");
}

#[test]
fn refused_command_is_told_with_the_answer() {
    let redis = Redis::start().unwrap();
    let error = redis.command(&["GET"]).unwrap_err().to_string();
    assert!(error.starts_with("GET was refused: ERR wrong number of arguments"), "{error}");
}

#[test]
fn paused_server_hangs_until_it_is_resumed_or_killed() {
    let redis = Redis::start().unwrap();
    redis.pause().unwrap();
    assert!(process_state(redis.process_id().unwrap()).starts_with('T'));
    redis.resume().unwrap();
    assert_eq!(redis.command(&["PING"]).unwrap(), "PONG");
    redis.pause().unwrap();
    let start = Instant::now();
    redis.stop().unwrap();
    assert!(start.elapsed().as_secs() < 5, "a stop wakes it");
    redis.restart().unwrap();
    redis.pause().unwrap();
    redis.kill().unwrap();
}

#[test]
fn replica_has_the_data_and_can_be_promoted() {
    let primary = Redis::options().password("swordfish").start().unwrap();
    primary.command(&["SET", "a", "1"]).unwrap();
    let replica = Redis::start_replica_of(&primary).unwrap();
    assert_eq!(replica.command(&["GET", "a"]).unwrap(), "1");
    assert!(replica.command(&["SET", "a", "2"]).unwrap_err().to_string().contains("READONLY"));
    primary.kill().unwrap();
    replica.promote().unwrap();
    replica.command(&["SET", "a", "2"]).unwrap();
    replica.restart().unwrap();
    assert_eq!(replica.command(&["GET", "a"]).unwrap(), "2", "it stays promoted");
}

#[test]
fn replica_takes_over_the_primary_s_address() {
    let primary = Redis::start().unwrap();
    let replica = Redis::start_replica_of(&primary).unwrap();
    primary.command(&["SET", "a", "1"]).unwrap();
    replica.synced(&primary).unwrap();
    replica.take_over(&primary).unwrap();
    assert_eq!(replica.url(), primary.url());
    assert_eq!(primary.command(&["GET", "a"]).unwrap(), "1", "the same address, another server");
    replica.restart().unwrap();
    assert_eq!(primary.command(&["GET", "a"]).unwrap(), "1");
}

#[test]
fn dropping_the_server_ends_it_and_removes_its_folder() {
    let redis = Redis::start().unwrap();
    let folder = redis.command(&["CONFIG", "GET", "dir"]).unwrap();
    let folder = Path::new(folder.strip_prefix("dir\n").unwrap());
    let (port, id) = (redis.port(), redis.process_id().unwrap());
    assert!(folder.join("redis.conf").exists());
    drop(redis);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!Path::new(&format!("/proc/{id}")).exists());
    assert!(!folder.exists());
}

fn process_state(id: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("State:")).unwrap().trim().to_owned()
}
