//! Services go away with the process that started them, however it ends.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use devservices::{Postgres, Redis, RedisCluster};

/// Run by the test below in a process of its own, which is then killed; alone it does nothing.
#[test]
fn child_of_a_killed_process() {
    if std::env::var_os(CHILD).is_some() {
        let [redis, paused] = [Redis::start().unwrap(), Redis::start().unwrap()];
        let cluster = RedisCluster::start().unwrap();
        let postgres = Postgres::shared().unwrap();
        let data = postgres.sql(&postgres.url("postgres"), "SHOW data_directory").unwrap();
        let mut folders = vec![data.strip_suffix("/data").unwrap().to_owned()];
        let mut ports = vec![postgres.port()];
        for redis in cluster.nodes().iter().chain([&redis, &paused]) {
            folders.push(redis.command(&["CONFIG", "GET", "dir"]).unwrap().replace("dir\n", ""));
            ports.push(redis.port());
        }
        paused.pause().unwrap();
        for (port, folder) in ports.iter().zip(folders) {
            println!("\nservice {port} {folder}");
        }
        println!("\nservice");
        thread::park();
    }
}

#[test]
fn services_of_a_killed_process_end_too_and_leave_nothing() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_of_a_killed_process", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let services: Vec<(u16, PathBuf)> = lines
        .filter_map(|line| line.strip_prefix("service").map(str::to_owned))
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let (port, folder) = line.trim().split_once(' ').unwrap();
            (port.parse().unwrap(), folder.into())
        })
        .collect();
    assert_eq!(services.len(), 6);
    assert!(services.iter().all(|(port, folder)| listens(*port) && folder.exists()));
    child.kill().unwrap(); // SIGKILL: nothing is dropped
    child.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while services.iter().any(|(port, folder)| listens(*port) || folder.exists()) {
        assert!(Instant::now() < end, "a service outlived its process: {services:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

const CHILD: &str = "DEVSERVICES_TEST_CHILD";
