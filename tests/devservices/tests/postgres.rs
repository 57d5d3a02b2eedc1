//! PostgreSQL gives each test a database, keeps what was committed, and knows a wrong password.

use std::{net::TcpStream, path::Path};

use devservices::Postgres;

#[test]
fn each_test_has_an_empty_database_of_its_own() {
    let postgres = Postgres::shared().unwrap();
    let [one, other] = [postgres.database().unwrap(), postgres.database().unwrap()];
    assert_ne!(one, other);
    postgres.sql(&one, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(postgres.sql(&one, "SELECT a, a + 1 FROM t").unwrap(), "1|2");
    let error = postgres.sql(&other, "SELECT a FROM t").unwrap_err().to_string();
    assert!(error.starts_with("SELECT a FROM was refused: ERROR:  relation \"t\" does not exist"), "{error}");
    assert!(postgres.sql(&one, "SHOW server_version").unwrap().starts_with("15."));
}

#[test]
fn guarded_role_needs_its_password() {
    let postgres = Postgres::shared().unwrap();
    let url = postgres.database().unwrap();
    let right = postgres.guarded_url(&url, Postgres::PASSWORD);
    assert_eq!(postgres.sql(&right, "SELECT 1").unwrap(), "1");
    let wrong = postgres.guarded_url(&url, "incorrect");
    let error = postgres.sql(&wrong, "SELECT 1").unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
}

#[test]
fn committed_rows_survive_a_stop_and_a_kill() {
    let postgres = Postgres::options().setting("max_connections", "20").start().unwrap();
    let url = postgres.database().unwrap();
    assert_eq!(postgres.sql(&url, "SHOW max_connections").unwrap(), "20");
    assert_eq!(postgres.sql(&url, "SHOW fsync").unwrap(), "on");
    postgres.sql(&url, "CREATE TABLE t (a int)").unwrap();
    let stop = [Postgres::stop, Postgres::kill];
    for (row, stop) in stop.iter().enumerate() {
        postgres.sql(&url, &format!("INSERT INTO t VALUES ({row})")).unwrap();
        stop(&postgres).unwrap();
        assert!(TcpStream::connect(("127.0.0.1", postgres.port())).is_err());
        postgres.restart().unwrap();
    }
    postgres.restart().unwrap();
    assert_eq!(postgres.sql(&url, "SELECT a FROM t ORDER BY a").unwrap(), "0\n1");
}

#[test]
fn running_query_ends_with_a_killed_server() {
    let postgres = Postgres::options().fsync(false).start().unwrap();
    let url = postgres.database().unwrap();
    assert_eq!(postgres.sql(&url, "SHOW fsync").unwrap(), "off");
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| postgres.sql(&url, "SELECT count(*) FROM generate_series(1, 300000000)"));
        let running =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%series(1%' AND state = 'active'";
        while postgres.sql(&url, running).unwrap() == "1" {} // the query that looks counts itself
        postgres.kill().unwrap();
        postgres.restart().unwrap();
        assert_eq!(postgres.sql(&url, "SELECT 1").unwrap(), "1");
        assert!(busy.join().unwrap().is_err());
    });
}

#[test]
fn unknown_setting_is_told_with_the_end_of_the_log() {
    let error = Postgres::options().setting("no_such_setting", "1").start().unwrap_err().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
}

#[test]
fn dropping_the_server_ends_it_and_removes_its_folder() {
    let postgres = Postgres::start().unwrap();
    let folder = postgres.sql(&postgres.url("postgres"), "SHOW data_directory").unwrap();
    let folder = Path::new(&folder).parent().unwrap();
    assert!(folder.join("data").exists());
    let (port, id) = (postgres.port(), postgres.process_id().unwrap());
    drop(postgres);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!Path::new(&format!("/proc/{id}")).exists());
    assert!(!folder.exists());
}
