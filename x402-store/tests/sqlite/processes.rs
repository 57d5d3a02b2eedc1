//! Several stores on one file, in one process and in several.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use x402_core::{
    order::{Event, OpenRequest, Opened, OrderId, OrderStore, OwnerToken, PaymentId, PaymentState},
    scheme::PaymentKey,
    testing::store_contract::Payments,
    time::UnixSeconds,
};
use x402_store::SqliteStore;

use crate::{new_file, open};

#[tokio::test(flavor = "multi_thread")]
async fn of_claims_through_two_stores_one_is_new() {
    let file = new_file();
    let stores = [SqliteStore::open(&file).unwrap(), SqliteStore::open(&file).unwrap()];
    let payments = Payments::new(Arc::new(stores[0].clone()));
    let name = PaymentId::new("breakfast-of-monday").ok();
    for round in 0..10 {
        let request = OpenRequest { payment_id: name.clone(), ..payments.request(round) };
        let tasks: Vec<_> = (0..50)
            .map(|holder| {
                let (store, now) = (stores[holder as usize % 2].clone(), payments.now);
                // Half of them are another payment of this payer under the same identifier.
                let key = if holder % 4 < 2 { request.key } else { payments.request(1000 + round).key };
                let OpenRequest { id, owner, .. } = payments.request(10_000 + round * 100 + holder);
                let request = OpenRequest { id, key, owner, ..request.clone() };
                tokio::spawn(async move { store.open(&request, now).await })
            })
            .collect();
        let mut new = 0;
        for task in tasks {
            new += u32::from(matches!(task.await.unwrap().unwrap(), Opened::New(..)));
        }
        assert_eq!(new, 1);
    }
}

#[tokio::test]
async fn what_one_store_wrote_the_other_one_sees_at_once() {
    let file = new_file();
    let (_one, here) = open(&file);
    let mut there = here.clone();
    there.store = Arc::new(SqliteStore::open(&file).unwrap());
    let request = here.request(0);
    let (lease, _) = here.create(&request).await;
    for event in [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response: None }] {
        let order = here.report(&lease, [event]).await;
        assert_eq!(there.find(&request).await.state, order.state);
    }
    // Taken over there; what is remembered here does not count.
    there.resume(&there.again(&request, 1), there.lapsed()).await;
    let late = here.store.advance(&lease, &here.settled(&request), here.now).await;
    assert!(matches!(late, Err(x402_core::order::StoreError::Overtaken)), "{late:?}");
}

#[test]
fn of_claims_by_three_processes_one_is_new() {
    let file = new_file();
    let children: Vec<_> = (1..=3).map(|holder| start("claims_many", &file, holder)).collect();
    let mut won = 0;
    for mut child in children {
        won += lines(&mut child).filter(|line| line.starts_with("won ")).count();
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(won, 100);
}

/// The other half of the test above, and of the one below: does nothing unless it is started by them.
#[test]
fn claims_many() {
    in_child(|store, holder, now| async move {
        for number in 0..100 {
            if let Opened::New(lease, _) = store.open(&request(number, holder, now), now).await.unwrap() {
                store.advance(&lease, &Event::VerifyOk, now).await.unwrap();
                println!("won {number}");
            }
        }
    });
}

/// Killed between any two instructions, what was answered is there.
#[test]
fn what_was_answered_survives_a_kill() {
    let file = new_file();
    for round in 1..=5 {
        let mut child = start("writes_until_killed", &file, round);
        let mut answered: Vec<u32> = Vec::new();
        for line in lines(&mut child) {
            answered.extend(line.strip_prefix("intent ").and_then(|number| number.parse::<u32>().ok()));
            if answered.len() == 20 * usize::from(round) {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(answered.len() >= 20);
        let store = SqliteStore::open(&file).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for number in answered {
            let request = request(number, round, UnixSeconds::new(NOW));
            let order = runtime.block_on(store.find(&request.key, UnixSeconds::new(NOW))).unwrap().unwrap();
            assert_eq!(order.state.payment, PaymentState::Settling);
        }
    }
}

#[test]
fn writes_until_killed() {
    in_child(|store, holder, now| async move {
        let tasks: Vec<_> = (0..8_u32)
            .map(|seller| {
                let store = store.clone();
                tokio::spawn(async move {
                    for number in (0..).map(|turn| u32::from(holder) * 100_000 + turn * 8 + seller) {
                        let request = request(number, holder, now);
                        let Opened::New(lease, _) = store.open(&request, now).await.unwrap() else {
                            panic!("{number} was there")
                        };
                        for event in
                            [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response: None }]
                        {
                            store.advance(&lease, &event, now).await.unwrap();
                        }
                        println!("intent {number}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// A payment that is the same in all processes.
fn request(number: u32, holder: u8, now: UnixSeconds) -> OpenRequest {
    let wide = |byte: u8| {
        let mut bytes = [byte; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    let mut digest = [0; 32];
    digest[28..].copy_from_slice(&number.to_be_bytes());
    let payments = Payments::new(Arc::new(x402_core::order::MemoryStore::new()));
    OpenRequest {
        id: OrderId::new(wide(holder)),
        key: PaymentKey::of_payer(b"payer", digest),
        owner: OwnerToken::new(wide(holder + 100)),
        keep_until: now,
        ..payments.request(number)
    }
}

/// Starts another process of this program, in which only this test runs.
fn start(test: &str, file: &Path, holder: u8) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("processes::{test}"), "--nocapture"])
        .env(FILE, file)
        .env(HOLDER, holder.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok)
}

fn in_child<F: Future<Output = ()>>(work: impl FnOnce(SqliteStore, u8, UnixSeconds) -> F) {
    let (Ok(file), Ok(holder)) = (std::env::var(FILE), std::env::var(HOLDER)) else { return };
    let store = SqliteStore::builder().patience(std::time::Duration::from_secs(20)).open(file).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    println!();
    runtime.block_on(work(store, holder.parse().unwrap(), UnixSeconds::new(NOW)));
}

const FILE: &str = "X402_TEST_FILE";
const HOLDER: &str = "X402_TEST_HOLDER";
const NOW: u64 = 1_800_000_000;
