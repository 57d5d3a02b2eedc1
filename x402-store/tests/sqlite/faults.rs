//! What may fail while orders are sold: nothing that was answered is lost, nothing is answered that was not written.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use x402_core::{
    order::{
        Event, OpenRequest, Opened, OrderStore, OwnerToken, PaymentId, PaymentState, StoredResponse, Worker,
    },
    testing::store_contract::Payments,
};
use x402_store::SqliteStore;

use crate::{disk::SmallDisk, new_file, open, other, why};

fn large() -> Event {
    let response = StoredResponse::new(200, Vec::new(), vec![7; 64 * 1024].into());
    Event::SettleStarted { response: Some(response.into()) }
}

/// Sells until the file can hold no more, and returns how many were sold before.
async fn fill(payments: &Payments) -> (u32, String) {
    for number in 0..10_000 {
        let (lease, _) = match payments.store.open(&payments.request(number), payments.now).await {
            Ok(Opened::New(lease, order)) => (lease, order),
            other => return (number, why(other)),
        };
        for event in [Event::VerifyOk, Event::HandlerStarted, large()] {
            if let Err(error) = payments.store.advance(&lease, &event, payments.now).await {
                return (number, why::<()>(Err(error)));
            }
        }
    }
    panic!("there is always room");
}

#[tokio::test]
async fn an_intent_that_finds_no_room_is_not_written_and_nothing_is_lost() {
    let file = new_file();
    let small = SqliteStore::builder().max_bytes(1024 * 1024).open(&file).unwrap();
    let payments = Payments::new(Arc::new(small.clone()));
    let (sold, full) = fill(&payments).await;
    assert!(sold > 3 && full.contains("there is no room for it"), "{sold}: {full}");
    for number in 0..sold {
        assert_eq!(payments.find(&payments.request(number)).await.state.payment, PaymentState::Settling);
    }
    let last = payments.found(&payments.request(sold), payments.now).await;
    assert!(last.is_none_or(|order| order.state.payment != PaymentState::Settling));

    let larger = SqliteStore::open(&file).unwrap();
    let another = payments.request(20_000);
    let mut elsewhere = payments.clone();
    elsewhere.store = Arc::new(larger);
    elsewhere.settle(&another, None).await;
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    // Where disks cannot be made, the file's own limit above has to do.
    let Some(disk) = SmallDisk::mount() else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 400 * 1024]).unwrap();
    let (_store, payments) = open(&disk.path().join("orders.db"));
    let (sold, full) = fill(&payments).await;
    assert!(full.contains("there is no room for it") || full.contains("the disk failed"), "{full}");
    for number in 0..sold {
        assert_eq!(payments.find(&payments.request(number)).await.state.payment, PaymentState::Settling);
    }
    fs::remove_file(ballast).unwrap();
    // The same handle goes on.
    payments.settle(&payments.request(20_000), None).await;
    for number in 0..sold {
        assert!(payments.store.response(&payments.request(number).key).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_step_waits_for_another_process_and_not_for_ever() {
    let file = new_file();
    drop(SqliteStore::open(&file).unwrap());
    let store = SqliteStore::builder().patience(Duration::from_millis(300)).open(&file).unwrap();
    let payments = Payments::new(Arc::new(store.clone()));
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let begun = Instant::now();
    let locked = other(&file);
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = why(store.advance(&lease, &Event::VerifyOk, payments.now).await);
    assert!(refused.contains("another process keeps the file locked"), "{refused}");
    assert!(why(store.ping().await).contains("locked"), "readiness tells of it");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(payments.find(&request).await.state.payment, PaymentState::Verifying, "reading goes on");
    locked.execute_batch("COMMIT").unwrap();
    payments.report(&lease, [Event::VerifyOk]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_removed_or_replaced_is_not_written_to() {
    let file = new_file();
    let (store, payments) = open(&file);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let away = file.with_extension("away");
    fs::rename(&file, &away).unwrap();
    for replaced in [false, true] {
        if replaced {
            fs::write(&file, "").unwrap();
        }
        let refused = why(store.advance(&lease, &Event::VerifyOk, payments.now).await);
        assert!(refused.contains("removed or replaced"), "{refused}");
        why(store.find(&request.key, payments.now).await);
        why(store.ping().await);
    }
    fs::rename(&away, &file).unwrap();
    payments.report(&lease, [Event::VerifyOk]).await;
}

#[tokio::test]
async fn of_steps_written_together_a_refused_one_undoes_itself_and_no_other() {
    let file = new_file();
    let (store, payments) = open(&file);
    let name = PaymentId::new("breakfast-of-monday").ok();
    let released = OpenRequest { payment_id: name.clone(), ..payments.request(0) };
    let (lease, _) = payments.create(&released).await;
    payments.report(&lease, [Event::VerifyRejected { reason: "insufficient_funds".into() }]).await;
    let locked = other(&file);
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let steps: Vec<_> = (1..=20)
        .map(|number| {
            let mut request = payments.request(number);
            if number == 10 {
                // It takes over an identifier, and then finds that the name of its order is another order's.
                let payer = Arc::clone(&released.payer);
                request = OpenRequest { id: released.id, payment_id: name.clone(), payer, ..request };
            }
            let (store, now) = (store.clone(), payments.now);
            tokio::spawn(async move { store.open(&request, now).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    locked.execute_batch("COMMIT").unwrap();
    for (number, step) in (1..).zip(steps) {
        let opened = step.await.unwrap();
        let found = payments.found(&payments.request(number), payments.now).await;
        if number == 10 {
            assert!(why(opened).contains("its record does not allow this"));
            assert!(found.is_none());
        } else {
            opened.unwrap();
            assert!(found.is_some());
        }
    }
    let named = "SELECT count(*) FROM orders WHERE payment_id IS NOT NULL";
    assert_eq!(locked.query_row(named, [], |row| row.get::<_, u32>(0)).unwrap(), 1, "it took nothing over");
}

#[tokio::test]
async fn a_step_nobody_waits_for_is_not_taken() {
    let file = new_file();
    let (store, payments) = open(&file);
    let locked = other(&file);
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The first one keeps the writer busy, the second waits.
    let (first, second) = (payments.request(0), payments.request(1));
    let begun = tokio::spawn({
        let (store, now) = (store.clone(), payments.now);
        async move { store.open(&first, now).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let given_up = tokio::time::timeout(Duration::from_millis(50), store.open(&second, payments.now)).await;
    assert!(given_up.is_err());
    locked.execute_batch("COMMIT").unwrap();
    begun.await.unwrap().unwrap();
    store.ping().await.unwrap();
    assert!(payments.found(&second, payments.now).await.is_none());
}

#[tokio::test]
async fn an_order_that_cannot_be_read_does_not_keep_the_worker_from_others() {
    let file = new_file();
    let (store, payments) = open(&file);
    for number in 0..3 {
        payments.create(&payments.request(number)).await;
    }
    let damage = "UPDATE orders SET document = '{}', due_at = 0 WHERE number = 1";
    other(&file).execute_batch(damage).unwrap();
    let later = payments.now.after(Duration::from_secs(86_400));
    let worker = Worker { owner: OwnerToken::new([7; 16]), lease: Duration::from_secs(30) };
    assert_eq!(store.due(&worker, 10, later).await.unwrap().len(), 2);
}
