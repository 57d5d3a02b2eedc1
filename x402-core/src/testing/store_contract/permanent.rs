//! What stores do besides that are the permanent record of their orders.

use std::{sync::Arc, time::Duration};

use super::{
    histories::{follow, history},
    payments::{Payments, is_overtaken, response},
};
use crate::{
    facilitator::Settlement,
    order::{Event, Lease, OrderStore, StoreError},
    price::NetworkId,
};

/// A transfer settles one order. To settle another one with it is refused, and changes nothing.
pub async fn a_transfer_settles_one_order(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let first = transfer(&payments, "eip155:84532", 0, Some(7));
    let lease = settling(&payments, 0).await;
    payments.report(&lease, [settled(&first)]).await;
    let lease = settling(&payments, 1).await;
    let before = format!("{:?}", payments.find(&payments.request(1)).await);
    // A hash is the same in capitals.
    let shouted = format!("0x{}", first.transaction[2..].to_uppercase());
    let shouted = Settlement { transaction: shouted, ..first.clone() };
    for again in [&first, &first, &shouted] {
        let refused = payments.store.advance(&lease, &settled(again), payments.now).await;
        assert!(matches!(refused, Err(StoreError::TransferTaken)), "{refused:?}");
    }
    assert_eq!(format!("{:?}", payments.find(&payments.request(1)).await), before);
    // One transaction makes several transfers, and chains number theirs without one another.
    for (number, other) in [
        (1, transfer(&payments, "eip155:84532", 0, Some(8))),
        (2, transfer(&payments, "eip155:8453", 0, Some(7))),
        (3, transfer(&payments, "eip155:84532", 1, Some(7))),
    ] {
        let lease = if number == 1 { lease.clone() } else { settling(&payments, number).await };
        let order = payments.report(&lease, [settled(&other)]).await;
        assert_eq!(order.settlement.as_deref(), Some(&other));
        let found = payments.find(&payments.request(number)).await.settlement;
        assert_eq!(found.as_deref(), Some(&other));
    }
}

/// Where nobody knows which log tells of a transfer, the transaction alone says nothing.
pub async fn transfers_of_unknown_place_are_not_compared(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let unknown = transfer(&payments, "eip155:84532", 0, None);
    for number in 0..3 {
        let lease = settling(&payments, number).await;
        payments.report(&lease, [settled(&unknown)]).await;
    }
    let lease = settling(&payments, 3).await;
    payments.report(&lease, [settled(&transfer(&payments, "eip155:84532", 0, Some(0)))]).await;
}

/// Of 16 orders that one transfer is to settle at the same time, one is settled.
pub async fn of_16_parallel_settlements_with_one_transfer_one_succeeds(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let event = settled(&transfer(&payments, "eip155:84532", 0, Some(7)));
    let mut tasks = Vec::new();
    for number in 0..16 {
        let lease = settling(&payments, number).await;
        let (store, event, now) = (Arc::clone(&payments.store), event.clone(), payments.now);
        tasks.push(async move { store.advance(&lease, &event, now).await });
    }
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut succeeded = 0;
    for task in tasks {
        match task.await.expect("no task panics") {
            Ok(order) if order.is_settled() => succeeded += 1,
            Err(StoreError::TransferTaken) => {}
            other => panic!("wanted a settled order or a refusal, got {other:?}"),
        }
    }
    assert_eq!(succeeded, 1);
}

/// Orders are there for ever, whatever became of them, and their payments are never taken for new ones.
pub async fn orders_are_remembered_for_ever(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let failed = Event::SettleFailed { reason: "insufficient_funds".into(), dead: true, transaction: None };
    let ends = [
        vec![settled(&transfer(&payments, "eip155:84532", 0, Some(0))), Event::Delivered],
        vec![settled(&transfer(&payments, "eip155:84532", 1, Some(0))), Event::Undelivered],
        vec![failed],
        vec![Event::SettleUnclear { transaction: None }, Event::Released],
    ];
    let mut leases: Vec<Lease> = Vec::new();
    for (number, end) in (0..).zip(ends) {
        let lease = settling(&payments, number).await;
        payments.report(&lease, end).await;
        leases.push(lease);
    }
    let (expired, _) = payments.create(&payments.request(4)).await;
    payments.report(&expired, [Event::Expired]).await;
    leases.push(expired);
    let much_later = payments.now.after(Duration::from_secs(10 * 365 * 24 * 60 * 60));
    payments.store.tidy(much_later).await.expect("the store answers");
    for (number, lease) in (0..).zip(leases) {
        let request = payments.request(number);
        let order = payments.found(&request, much_later).await.expect("it is remembered");
        assert_eq!((order.id, order.fence), (request.id, lease.fence));
        assert!(is_overtaken(&payments.store.advance(&lease, &Event::VerifyOk, much_later).await));
        match number {
            1 | 3 => drop(payments.resume(&payments.again(&request, 1), much_later).await),
            _ => drop(payments.held(&payments.again(&request, 1), much_later).await),
        }
    }
}

/// Every change leaves a line.
pub async fn a_history_is_kept(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    assert!(!follow(&payments).await.is_empty());
}

/// A claim that was refused and is made again goes on with its history.
pub async fn a_claim_made_again_keeps_its_history(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyRejected { reason: "insufficient_funds".into() }]).await;
    let before = history(&payments, &request).await;
    assert_eq!(before.iter().map(|line| &*line.event).collect::<Vec<_>>(), ["opened", "rejected"]);
    let (lease, _) = payments.create(&payments.elsewhere(&request)).await;
    let after = history(&payments, &request).await;
    assert_eq!(after[..2], before, "nothing is lost");
    assert_eq!((after.len(), &*after[2].event, after[2].fence), (3, "opened", lease.fence));
}

/// Where an order comes from is kept.
pub async fn provenance_is_kept(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.traced(0);
    let (lease, order) = payments.create(&request).await;
    assert_eq!(order.provenance, request.provenance);
    let order = payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    assert_eq!(order.provenance, request.provenance);
    let (_, order) = payments.resume(&payments.again(&request, 1), payments.lapsed()).await;
    assert_eq!(order.provenance, request.provenance);
    assert_eq!(payments.find(&request).await.provenance, request.provenance);
}

/// An order whose settlement was begun.
async fn settling(payments: &Payments, number: u32) -> Lease {
    let (lease, _) = payments.create(&payments.request(number)).await;
    let started = Event::SettleStarted { response: Some(Arc::new(response())) };
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, started]).await;
    lease
}

/// A transfer that no other test has.
fn transfer(payments: &Payments, network: &str, transaction: u32, log_index: Option<u64>) -> Settlement {
    let request = payments.request(transaction);
    let network = NetworkId::new(network).expect("a network");
    let amount = request.terms.option.amount;
    let mut settlement =
        Settlement::new(format!("0x{}", request.key), network, request.payer.to_string(), amount);
    settlement.log_index = log_index;
    settlement.block = log_index.map(|_| 31_337);
    settlement
}

fn settled(settlement: &Settlement) -> Event {
    Event::SettleOk { settlement: Arc::new(settlement.clone()) }
}
