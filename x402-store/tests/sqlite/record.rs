//! What the file keeps, and what it does not let go or change.

use std::{fs, sync::Arc, time::Duration};

use x402_core::{
    order::{Event, KeptPayment, OrderStore, StoredResponse},
    testing::store_contract::Payments,
    wire::v2::ResourceInfo,
};
use x402_store::SqliteStore;

use crate::{new_file, open, other};

#[tokio::test]
async fn the_file_itself_refuses_to_change_what_is_final() {
    let file = new_file();
    let (_store, payments) = open(&file);
    let (lease, _) = payments.settle(&payments.request(0), None).await;
    payments.report(&lease, [Event::Delivered]).await;
    let other = other(&file);
    for (text, refusal) in [
        ("DELETE FROM orders", "orders are never deleted"),
        ("DELETE FROM transitions", "transitions are never deleted"),
        ("UPDATE transitions SET at = 0", "transitions never change"),
        ("UPDATE orders SET transaction_hash = '0x00'", "a settlement never changes"),
        ("UPDATE orders SET transaction_hash = NULL", "a settlement never changes"),
        ("UPDATE orders SET log_index = 1", "a settlement never changes"),
        (
            "UPDATE orders SET document = json_set(document, '$.settlement.amount', '1')",
            "a settlement never changes",
        ),
        ("UPDATE orders SET payment = 'failed'", "a final state never changes"),
        ("UPDATE orders SET delivery = 'errored'", "a final state never changes"),
        ("UPDATE orders SET id = randomblob(16)", "keeps its name"),
        ("UPDATE orders SET payer = '0x00'", "keeps its name"),
        ("UPDATE orders SET payment_id = 'another-name-for-it'", "keeps its name"),
    ] {
        let refused = other.execute_batch(text).unwrap_err().to_string();
        assert!(refused.contains(refusal), "{text}: {refused}");
    }
}

async fn with_response(payments: &Payments, number: u32, bytes: usize) {
    let response = StoredResponse::new(200, Vec::new(), vec![b'x'; bytes].into());
    payments.settle(&payments.request(number), Some(response)).await;
}

#[tokio::test]
async fn a_response_is_kept_for_its_time_and_then_tidied_away() {
    let file = new_file();
    let store = SqliteStore::builder().response_lifetime(Duration::from_secs(60)).open(&file).unwrap();
    let payments = Payments::new(Arc::new(store.clone()));
    for number in 0..100 {
        with_response(&payments, number, 10).await;
    }
    let kept = || async {
        let mut kept = 0;
        for number in 0..100 {
            let key = payments.request(number).key;
            kept += u32::from(store.response(&key).await.unwrap().is_some());
        }
        kept
    };
    store.tidy(payments.now.after(Duration::from_secs(59))).await.unwrap();
    assert_eq!(kept().await, 100);
    store.tidy(payments.now.after(Duration::from_secs(60))).await.unwrap();
    assert_eq!(kept().await, 0);
    assert!(payments.find(&payments.request(0)).await.response_kept, "the order stays as it was");
}

#[tokio::test]
async fn responses_take_no_more_room_than_they_may() {
    let store = SqliteStore::builder().response_bytes(10_000).open(new_file()).unwrap();
    let payments = Payments::new(Arc::new(store.clone()));
    let is_kept = async |number| store.response(&payments.request(number).key).await.unwrap().is_some();
    for number in 0..4 {
        with_response(&payments, number, 3_000).await;
    }
    assert!(!is_kept(0).await, "the oldest made room");
    assert!(is_kept(1).await && is_kept(2).await && is_kept(3).await);
    with_response(&payments, 4, 20_000).await;
    assert!(!is_kept(4).await && is_kept(3).await, "what never fits drives nothing out");
    assert!(payments.find(&payments.request(4)).await.is_settled());
}

#[tokio::test]
async fn a_signature_leaves_the_file_with_the_debt() {
    let file = new_file();
    let (store, payments) = open(&file);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let resource = ResourceInfo { url: "https://api.example.com/".into(), ..ResourceInfo::default() };
    let payment = Arc::new(KeptPayment::new(format!(r#"{{"signature":"{SIGNATURE}"}}"#).into(), resource));
    let deferred = Event::SettleDeferred { response: None, payment };
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, deferred]).await;
    assert!(contains(&file.with_extension("db-wal")) || contains(&file));
    payments.report(&lease, [Event::Delivered, payments.settled(&request)]).await;
    assert!(store.payment(&request.key).await.unwrap().is_none());
    drop((store, payments));
    assert!(!contains(&file));
}

fn contains(file: &std::path::Path) -> bool {
    fs::read(file).unwrap().windows(SIGNATURE.len()).any(|bytes| bytes == SIGNATURE.as_bytes())
}

const SIGNATURE: &str = "0x5ec2e7-not-for-the-record";
