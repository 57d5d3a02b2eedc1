//! The steps over rows that fail.

mod fake;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use x402_core::{
    order::{
        DeliveryState, Event, KeptPayment, OpenRequest, Opened, OrderStore, OwnerToken, PaymentId,
        PaymentState, StoreError, Worker,
    },
    testing::store_contract::Payments,
    wire::v2::ResourceInfo,
};

use self::fake::{Fake, Fault};
use super::Steps;
use crate::{forward::order_store, rows::Rows};

struct Store {
    steps: Steps<Fake>,
}

order_store!(Store, is_shared: true, may_forget: false);

fn store() -> Store {
    Store { steps: Steps::new(Fake::default(), Duration::from_millis(100)) }
}

x402_core::store_contract!(over_rows_in_memory, store());
x402_core::permanent_store_contract!(for_ever_over_rows_in_memory, store());

fn setup() -> (Arc<Store>, Payments) {
    let store = Arc::new(store());
    let payments = Payments::new(Arc::clone(&store) as Arc<dyn OrderStore>);
    (store, payments)
}

fn is_unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

fn deferred() -> Event {
    let resource = ResourceInfo { url: "https://api.example.com/".into(), ..ResourceInfo::default() };
    Event::SettleDeferred { response: None, payment: Arc::new(KeptPayment::new("{}".into(), resource)) }
}

fn rejected() -> Event {
    Event::VerifyRejected { reason: "insufficient_funds".into() }
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_is_ours_if_it_was_written() {
    for fault in [Fault::Unheard, Fault::Silent, Fault::Twice] {
        let (store, payments) = setup();
        store.steps.rows.fail([fault]);
        let (lease, _) = payments.create(&payments.request(0)).await;
        payments.report(&lease, [Event::VerifyOk]).await;
    }
    let (store, payments) = setup();
    store.steps.rows.fail([Fault::NotDone]);
    let request = payments.request(0);
    assert!(is_unavailable(&store.open(&request, payments.now).await));
    assert!(payments.found(&request, payments.now).await.is_none());
}

#[tokio::test]
async fn a_step_whose_answer_is_lost_is_done_once() {
    for fault in [Fault::Unheard, Fault::Silent, Fault::Twice] {
        let (store, payments) = setup();
        let request = payments.request(0);
        let (lease, _) = payments.create(&request).await;
        payments.report(&lease, [Event::VerifyOk]).await;
        store.steps.rows.fail([fault]);
        let order = payments.report(&lease, [Event::HandlerStarted]).await;
        assert_eq!(order.state.attempts, 1);
        assert_eq!(format!("{:?}", payments.find(&request).await), format!("{order:?}"));
        let history = store.history(&request.key).await.unwrap();
        assert_eq!(history.len(), 3, "{history:?}");
        payments.report(&lease, [Event::SettleStarted { response: None }]).await;
    }
}

#[tokio::test]
async fn a_step_that_did_not_arrive_is_not_said_to_be_done() {
    let (store, payments) = setup();
    let (lease, _) = payments.create(&payments.request(0)).await;
    store.steps.rows.fail([Fault::NotDone]);
    assert!(is_unavailable(&store.advance(&lease, &Event::VerifyOk, payments.now).await));
    payments.report(&lease, [Event::VerifyOk]).await;
}

/// Both halves are reported under one lease: a row with our owner and the version we wrote may be the other half's.
#[tokio::test]
async fn one_half_of_a_deferred_order_does_not_take_the_other_half_for_its_own() {
    let (store, payments) = setup();
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, deferred()]).await;
    let (key, owner, now) = (request.key, lease.owner, payments.now);
    store.steps.rows.fail([Fault::NotDoneBut(Box::new(move |table| {
        table.change(&key, owner, |order| order.apply(&Event::Delivered, now).unwrap());
    }))]);
    assert!(is_unavailable(&store.advance(&lease, &payments.settled(&request), now).await));
    let order = payments.report(&lease, [payments.settled(&request)]).await;
    assert_eq!(
        (order.state.payment, order.state.delivery),
        (PaymentState::Settled, DeliveryState::Delivered)
    );
    assert_eq!(payments.find(&request).await.state, order.state);
}

#[tokio::test]
async fn both_halves_of_a_deferred_order_are_reported_at_once() {
    let (store, payments) = setup();
    for number in 0..64 {
        let request = payments.request(number);
        let (lease, _) = payments.create(&request).await;
        payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted, deferred()]).await;
        let halves = [Event::Delivered, payments.settled(&request)].map(|event| {
            let (store, lease, now) = (Arc::clone(&store), lease.clone(), payments.now);
            tokio::spawn(async move { store.advance(&lease, &event, now).await.map(drop) })
        });
        for half in halves {
            half.await.unwrap().unwrap();
        }
        let order = payments.find(&request).await;
        assert!(order.is_settled() && order.leased_until.is_none(), "{order:?}");
        assert!(store.payment(&request.key).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn what_is_remembered_saves_a_read_and_refuses_nothing() {
    let (store, payments) = setup();
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    assert_eq!(store.steps.rows.loads.load(Ordering::Relaxed), 0);
    // Renewed through another instance, which this one has not seen.
    let elsewhere = payments.now.after(Duration::from_secs(300));
    let settle = Event::SettleStarted { response: None };
    store.steps.rows.table(|table| {
        table.change(&request.key, lease.owner, |order| order.leased_until = Some(elsewhere));
    });
    assert_eq!(
        store.advance(&lease, &settle, payments.lapsed()).await.unwrap().leased_until,
        Some(elsewhere)
    );
}

#[tokio::test]
async fn who_was_overtaken_elsewhere_learns_it() {
    let (store, payments) = setup();
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let again = payments.again(&request, 1);
    store.steps.rows.table(|table| {
        table.change(&request.key, again.owner, |order| order.take_over(&again, payments.lapsed()));
    });
    let overtaken = store.advance(&lease, &Event::VerifyOk, payments.now).await;
    assert!(matches!(overtaken, Err(StoreError::Overtaken)), "{overtaken:?}");
}

/// A back end that forgot everything may have got the same payment again, as many changes ago.
#[tokio::test]
async fn a_late_holder_changes_nothing_after_everything_was_forgotten() {
    let (store, payments) = setup();
    let request = payments.request(0);
    let (late, _) = payments.create(&request).await;
    let late_row = store.steps.rows.table(|table| table.row(&request.key));
    store.steps.rows.table(fake::Table::flush);
    let (lease, _) = payments.create(&payments.again(&request, 1)).await;
    store.steps.remember(late_row);
    let overtaken = store.advance(&late, &Event::VerifyOk, payments.now).await;
    assert!(matches!(overtaken, Err(StoreError::Overtaken)), "{overtaken:?}");
    payments.report(&lease, [Event::VerifyOk]).await;
}

#[tokio::test]
async fn a_released_claim_that_was_taken_meanwhile_is_not_displaced() {
    let (store, payments) = setup();
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [rejected()]).await;
    let (key, other, now) = (request.key, payments.elsewhere(&request), payments.now);
    let taken = Fault::After(Box::new(move |table| {
        table.change(&key, other.owner, |order| *order = x402_core::order::Order::opened(&other, 2, now));
    }));
    // The first write finds the rejected order, the second would displace it.
    store.steps.rows.fail([Fault::After(Box::new(|_| {})), taken]);
    payments.held(&payments.again(&request, 1), now).await;
}

#[tokio::test]
async fn an_identifier_whose_order_came_back_meanwhile_is_not_taken() {
    let (store, payments) = setup();
    let named = |number| OpenRequest {
        payment_id: PaymentId::new("breakfast-of-monday").ok(),
        ..payments.request(number)
    };
    let first = named(0);
    let (lease, _) = payments.create(&first).await;
    payments.report(&lease, [rejected()]).await;
    let second = OpenRequest { payer: Arc::clone(&first.payer), ..named(1) };
    let (again, now) = (payments.again(&first, 1), payments.now);
    let back = Fault::After(Box::new(move |table| {
        table.change(&again.key, again.owner, |order| {
            *order = x402_core::order::Order::opened(&again, 2, now)
        });
    }));
    store.steps.rows.fail([Fault::After(Box::new(|_| {})), back]);
    let held = payments.held(&second, now).await;
    assert_eq!(held.key, first.key);
}

#[tokio::test]
async fn an_order_that_always_changes_is_unavailable_in_the_end() {
    let (store, payments) = setup();
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let (key, owner) = (request.key, lease.owner);
    store
        .steps
        .rows
        .fail((0..64).map(|_| Fault::After(Box::new(move |table| table.change(&key, owner, |_| {})))));
    assert!(is_unavailable(&store.advance(&lease, &Event::VerifyOk, payments.now).await));
}

#[tokio::test]
async fn a_worker_keeps_what_it_took_before_the_store_went_away() {
    let (store, payments) = setup();
    for number in 0..3 {
        payments.create(&payments.request(number)).await;
    }
    let later = payments.now.after(Duration::from_secs(86_400));
    let worker = Worker { owner: OwnerToken::new([7; 16]), lease: Duration::from_secs(30) };
    store.steps.rows.fail([Fault::Unheard, Fault::NotDone, Fault::NotDone]);
    let taken = store.due(&worker, 10, later).await.unwrap();
    assert_eq!(taken.len(), 1, "its answer was lost, and it was read back");
    store.renew(&taken[0].0, worker.lease, later).await.unwrap();
    store.steps.rows.fail([Fault::NotDone, Fault::NotDone]);
    assert!(is_unavailable(&store.due(&worker, 10, later).await));
    assert_eq!(store.due(&worker, 10, later).await.unwrap().len(), 2);
}

/// One that somebody keeps locked, say, is first each time.
#[tokio::test]
async fn an_order_that_cannot_be_taken_over_does_not_stand_in_the_way_of_others() {
    let (store, payments) = setup();
    for number in 0..3 {
        payments.create(&payments.request(number)).await;
    }
    let later = payments.now.after(Duration::from_secs(86_400));
    let worker = Worker { owner: OwnerToken::new([7; 16]), lease: Duration::from_secs(30) };
    store.steps.rows.fail([Fault::NotDone]);
    assert_eq!(store.due(&worker, 10, later).await.unwrap().len(), 2);
    assert_eq!(store.due(&worker, 10, later).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_back_end_that_never_answers_is_given_up() {
    let (store, payments) = setup();
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    store.steps.rows.fail([Fault::Silent]);
    let never = store.steps.in_time(std::future::pending::<Result<(), StoreError>>()).await;
    assert!(is_unavailable(&never));
    payments.report(&lease, [Event::VerifyOk]).await;
    assert!(matches!(store.open(&request, payments.now).await, Ok(Opened::Held(_))));
    assert!(store.steps.rows.load(&request.key).await.unwrap().is_some());
}
