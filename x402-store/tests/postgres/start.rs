//! Starting: what is wrong is said at once, with what to do about it and without secrets.

use std::time::{Duration, Instant};

use devservices::{Postgres, Redis};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use x402_core::order::OrderStore as _;
use x402_store::PostgresStore;

use crate::support::{Log, connect, database, payments, refusal, server, shown};

#[tokio::test]
async fn wrong_credentials_are_named_as_such() {
    let url = server().guarded_url(&database(), "secret");
    let text = refusal(&url).await;
    assert!(text.contains("refuses user or password") && text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn an_unknown_database_is_to_be_created() {
    let text = refusal(&server().url("nowhere")).await;
    assert!(text.contains("no database of this name") && text.contains("/nowhere"), "{text}");
}

#[tokio::test]
async fn where_nobody_listens_there_is_no_store() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let text = refusal(&format!("postgres://x:secret@{free}/shop")).await;
    assert!(text.contains("refuses connections"), "{text}");
    let text = refusal("postgres://x:secret@no-such-host.invalid/shop").await;
    assert!(text.contains("no-such-host.invalid"), "{text}");
}

#[tokio::test]
async fn another_kind_of_server_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 1000];
        let read = client.read(&mut greeting).await.unwrap();
        assert!(read > 0);
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let text = refusal(&format!("postgres://x:secret@{at}/shop")).await;
    assert!(text.contains("does not speak PostgreSQL's protocol"), "{text}");
    let redis = Redis::start().unwrap_or_else(|error| panic!("{error}"));
    let at = redis.url().replace("redis://", "");
    let text = refusal(&format!("postgres://x:secret@{at}/shop")).await;
    assert!(text.contains("no PostgreSQL") || text.contains("does not speak"), "{text}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let begun = Instant::now();
    let text = refusal(&format!("postgres://x:secret@{}/shop", listener.local_addr().unwrap())).await;
    assert!(text.contains("does not answer in time"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_later_release_s_tables_are_left_alone() {
    let url = database();
    drop(connect(&url).await);
    let dump = "SELECT md5(string_agg(c::text, '' ORDER BY c::text)) FROM pg_class c WHERE relnamespace = 'x402'::regnamespace";
    server().sql(&url, "INSERT INTO x402.versions (version) VALUES (9)").unwrap();
    let before = server().sql(&url, dump).unwrap();
    let text = refusal(&url).await;
    assert!(text.contains("version 9") && text.contains("later release"), "{text}");
    assert_eq!(server().sql(&url, dump).unwrap(), before, "nothing was touched");
    PostgresStore::builder(&url).schema("another").connect().await.expect("another schema will do");
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_refused() {
    let url = database();
    let name = url.rsplit('/').next().unwrap();
    server().sql(&url, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).unwrap();
    let text = refusal(&url).await;
    assert!(text.contains("takes no writes") && text.contains("primary"), "{text}");
}

#[tokio::test]
async fn a_role_that_may_not_create_tables_can_use_those_that_are_there() {
    let url = database();
    let guarded = server().guarded_url(&url, Postgres::PASSWORD);
    let text = refusal(&guarded).await;
    assert!(text.contains("grant"), "{text}");
    assert_eq!(server().sql(&url, "SELECT count(*) FROM pg_namespace WHERE nspname = 'x402'").unwrap(), "0");
    drop(connect(&url).await);
    let text = refusal(&guarded).await;
    assert!(text.contains("grant"), "{text}");
    let grants = "GRANT USAGE ON SCHEMA x402 TO guarded;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA x402 TO guarded";
    server().sql(&url, grants).unwrap();
    let store = connect(&guarded).await;
    assert!(!format!("{store:?}").contains(Postgres::PASSWORD), "{store:?}");
    let payments = payments(&store);
    payments.settle(&payments.request(0), None).await;
    store.tidy(payments.now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_at_once_make_the_tables_once() {
    let url = database();
    let starting: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::builder(url).writers(1).connect().await })
        })
        .collect();
    for store in starting {
        store.await.unwrap().unwrap().ping().await.unwrap();
    }
    assert_eq!(server().sql(&url, "SELECT string_agg(version::text, ',') FROM x402.versions").unwrap(), "1");
}

#[tokio::test]
async fn a_full_server_is_told_from_one_that_is_down() {
    let server = Postgres::options().fsync(false).setting("max_connections", "8").start().unwrap();
    let url = server.database().unwrap();
    let store = connect(&url).await;
    // Three of them are reserved for superusers, which is what we are.
    let text = refusal(&url).await;
    assert!(text.contains("max_connections"), "{text}");
    store.ping().await.expect("who is in stays in");
}

#[tokio::test]
async fn a_server_that_can_lose_what_it_was_told_is_warned_of() {
    let url = database();
    let log = Log::default();
    let logging = tracing::subscriber::set_default(log.clone());
    drop(connect(&url).await);
    let warned = log.text();
    assert!(warned.contains("not durable") && warned.contains("fsync"), "{warned}");
    drop(logging);
    let sure = Postgres::options().start().unwrap_or_else(|error| panic!("{error}"));
    let url = sure.database().unwrap();
    let name = url.rsplit('/').next().unwrap();
    // Of this we take care ourselves.
    sure.sql(&url, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).unwrap();
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    drop(connect(&url).await);
    assert!(!log.text().contains("not durable"), "{}", log.text());
}

#[tokio::test]
async fn options_are_checked() {
    let text = shown(PostgresStore::builder("postgres://x:secret@localhost").schema("X").connect().await);
    assert!(text.contains("a-z"), "{text}");
    let text = shown(PostgresStore::builder("postgres://x:secret@localhost").writers(0).connect().await);
    assert!(text.contains("a writer at least"), "{text}");
    let builder = PostgresStore::builder("postgres://x:secret@localhost");
    assert!(!format!("{builder:?}").contains("secret"));
}
