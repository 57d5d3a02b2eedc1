//! What a worker gets, and what it leaves to others.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::payments::{LEASE, Payments, is_overtaken, response};
use crate::{
    order::{Event, Lease, OpenRequest, Order, OrderStore, PaymentState},
    scheme::PaymentKey,
    time::UnixSeconds,
};

/// Every order is due at the second its [table](Order::due) says and not before, comes to the worker as it is then, and
/// to no other one as long as that one holds it.
pub async fn orders_are_due_when_their_table_says(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let mut expected = HashMap::new();
    let rows = rows(&payments);
    for (number, (name, events, due)) in (0..).zip(rows) {
        let request = payments.request(number);
        let (lease, order) = payments.create(&request).await;
        let order = if events.is_empty() { order } else { payments.report(&lease, events).await };
        let due = due.map(|seconds| payments.now.after(Duration::from_secs(seconds)));
        assert_eq!(order.due(), due, "{name}");
        expected.insert(request.key, (name, due, order));
    }
    let worker = payments.worker(0, Duration::from_secs(1_000_000));
    for seconds in [0, 1, 2, 29, 30, 31, 59, 60, 61, 304, 305, 306, 590] {
        let now = payments.now.after(Duration::from_secs(seconds));
        for (lease, order) in payments.due(&worker, 1000, now).await {
            let Some((name, due, before)) = expected.remove(&lease.key) else {
                panic!("an order was taken that is none of ours, or twice: {order:?}")
            };
            assert_eq!(due, Some(now), "{name}");
            let mut after = before;
            let taken = after.take_for(&worker, now);
            assert_eq!((lease.owner, lease.fence), (taken.owner, taken.fence), "{name}");
            assert_same(&order, &after, name);
            let found = payments.store.find(&lease.key, now).await.expect("the store answers");
            assert_same(&found.expect("it is remembered"), &after, name);
        }
    }
    for (name, due, _) in expected.into_values() {
        assert_eq!(due, None, "{name} was due and not taken");
    }
}

/// Of 16 workers that come at once none gets an order that another one got; together they get all.
pub async fn a_due_order_is_taken_once_by_one_of_16_workers(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let mut fences = HashMap::new();
    for number in 0..24 {
        let (lease, _) = unresolved(&payments, &payments.request(number)).await;
        fences.insert(lease.key, lease.fence);
    }
    let workers: Vec<_> = (0..16).map(|number| payments.worker(number, LEASE)).collect();
    let now = payments.lapsed();
    let tasks: Vec<_> = workers
        .iter()
        .map(|worker| {
            let (store, worker) = (Arc::clone(&payments.store), *worker);
            tokio::spawn(async move { store.due(&worker, 100, now).await })
        })
        .collect();
    let mut taken = Vec::new();
    for (task, worker) in tasks.into_iter().zip(&workers) {
        let got = task.await.expect("no task panics").expect("the store answers");
        assert!(got.iter().all(|(lease, _)| lease.owner == worker.owner));
        taken.extend(got);
    }
    // What workers left to one another.
    taken.extend(payments.due(&workers[0], 100, now).await);
    for (lease, order) in taken {
        let before = fences.remove(&lease.key).expect("an order was taken twice");
        assert!(lease.fence > before && order.fence == lease.fence);
    }
    assert!(fences.is_empty(), "{} orders were left", fences.len());
}

/// A worker overtakes whoever held the order before, and is overtaken when its own lease lapses; until then nobody else
/// gets it.
pub async fn a_worker_overtakes_and_is_overtaken(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (first, _) = unresolved(&payments, &request).await;
    let now = payments.lapsed();
    let (second, order) = take_one(&payments, 0, &request, now).await;
    assert!(second.fence > first.fence);
    let report = payments.settled(&request);
    assert!(is_overtaken(&payments.store.advance(&first, &report, now).await), "it was taken over");
    assert!(is_overtaken(&payments.store.renew(&first, LEASE, now).await), "it was taken over");
    let last_second = now.after(LEASE).before(Duration::from_secs(1));
    let held = payments.held(&payments.again(&request, 1), last_second).await;
    assert_eq!(held.fence, order.fence);
    assert!(payments.due(&payments.worker(1, LEASE), 10, last_second).await.is_empty(), "a worker holds it");
    let later = now.after(Duration::from_secs(1_000));
    let (third, _) = take_one(&payments, 1, &request, later).await;
    assert!(third.fence > second.fence);
    assert!(is_overtaken(&payments.store.advance(&second, &report, later).await), "it was taken over");
    let settled = payments.report_at(&third, [report], later).await;
    assert!(settled.is_settled());
}

/// Who renews keeps its order from workers, and so does who takes it over to finish it.
pub async fn an_order_somebody_works_on_is_not_due(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let (renewed, resumed) = (payments.request(0), payments.request(1));
    let (lease, _) = unresolved(&payments, &renewed).await;
    unresolved(&payments, &resumed).await;
    let now = payments.lapsed();
    payments.store.renew(&lease, LEASE * 2, now).await.expect("nobody took over");
    payments.resume(&OpenRequest { lease: LEASE * 2, ..payments.again(&resumed, 1) }, now).await;
    let worker = payments.worker(0, LEASE);
    for seconds in [0, 30, 59] {
        let taken = payments.due(&worker, 10, now.after(Duration::from_secs(seconds))).await;
        assert!(taken.is_empty(), "{taken:?}");
    }
    assert_eq!(payments.due(&worker, 10, now.after(Duration::from_secs(60))).await.len(), 2);
}

/// A worker gets as many orders as it asks for at most, and the others when it comes again.
pub async fn due_orders_come_in_portions(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    for number in 0..10 {
        unresolved(&payments, &payments.request(number)).await;
    }
    let worker = payments.worker(0, LEASE);
    let now = payments.lapsed();
    assert!(payments.due(&worker, 0, now).await.is_empty());
    let mut taken: Vec<PaymentKey> = Vec::new();
    for _ in 0..10 {
        let portion = payments.due(&worker, 3, now).await;
        taken.extend(portion.iter().map(|(lease, _)| lease.key));
    }
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 10, "nobody is left out");
}

/// What a worker finished is not due again; what it could not finish is, later.
pub async fn what_a_worker_reports_decides_when_it_is_due_again(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let requests: Vec<_> = (0..4).map(|number| payments.request(number)).collect();
    for request in &requests[..2] {
        unresolved(&payments, request).await;
    }
    let (lease, _) = payments.settle(&requests[2], None).await;
    payments.report(&lease, [Event::Undelivered]).await;
    payments.create(&requests[3]).await;
    let worker = payments.worker(0, LEASE);
    let now = requests[3].valid_before.after(Duration::from_secs(60));
    let taken = payments.due(&worker, 10, now).await;
    assert_eq!(taken.len(), 4);
    for (lease, order) in taken {
        let events = match order.state.payment {
            PaymentState::Settled => vec![Event::Noticed],
            PaymentState::Verifying => vec![Event::Expired],
            _ if order.key == requests[0].key => vec![payments.settled(&requests[0]), Event::Noticed],
            _ => vec![Event::SettleUnclear { transaction: None }, Event::Released],
        };
        payments.report_at(&lease, events, now).await;
    }
    assert!(payments.due(&worker, 10, now.after(Duration::from_secs(1))).await.is_empty());
    // Told of once, unless its payer comes for it and goes again.
    payments.resume(&payments.again(&requests[2], 1), now.after(Duration::from_secs(150))).await;
    // Half of the six minutes that it is old.
    take_one(&payments, 0, &requests[1], now.after(Duration::from_secs(180))).await;
    take_one(&payments, 0, &requests[2], now.after(Duration::from_secs(210))).await;
}

/// An order of each kind: what led to it, and after how many seconds it is due.
fn rows(payments: &Payments) -> Vec<(&'static str, Vec<Event>, Option<u64>)> {
    let reason = || "insufficient_funds".into();
    let unclear = || Event::SettleUnclear { transaction: None };
    let failed = || Event::SettleFailed { reason: reason(), dead: false, transaction: None };
    let deferred = || payments.deferred(&payments.request(0), Some(response()));
    let mut transfers = 1_000;
    // Each transfer settles one order.
    let mut settled = || {
        transfers += 1;
        payments.settled(&payments.request(transfers))
    };
    let running = |more: Vec<Event>| {
        let mut events = vec![Event::VerifyOk, Event::HandlerStarted];
        events.extend(more);
        events
    };
    let started = |more: Vec<Event>| {
        let mut events = running(vec![Event::SettleStarted { response: None }]);
        events.extend(more);
        events
    };
    // The lease is 30 s, the authorization runs out after 300 s, and clocks may be 5 s apart.
    vec![
        ("claimed", vec![], Some(305)),
        ("verified", vec![Event::VerifyOk], Some(305)),
        ("verified, released", vec![Event::VerifyOk, Event::Released], Some(305)),
        ("running", running(vec![]), Some(305)),
        ("handler failed", running(vec![Event::HandlerFailed]), Some(305)),
        ("settling", started(vec![]), Some(30)),
        ("settling, released", started(vec![Event::Released]), Some(1)),
        ("unresolved", started(vec![unclear()]), Some(30)),
        ("unresolved, released", started(vec![unclear(), Event::Released]), Some(1)),
        ("settled", started(vec![settled()]), Some(60)),
        ("settled, lost", started(vec![settled(), Event::Undelivered]), Some(60)),
        ("settled, reported", started(vec![settled(), Event::Noticed]), None),
        ("delivered", started(vec![settled(), Event::Delivered]), None),
        ("rejected", vec![Event::VerifyRejected { reason: reason() }], None),
        ("failed", started(vec![failed()]), None),
        ("expired", vec![Event::Expired], None),
        ("deferred", running(vec![deferred()]), Some(30)),
        ("deferred, delivered", running(vec![deferred(), Event::Delivered]), Some(30)),
        ("deferred, settled", running(vec![deferred(), settled()]), Some(60)),
        ("deferred, failed", running(vec![deferred(), failed()]), None),
    ]
}

/// An order whose settlement has no outcome, still held.
async fn unresolved(payments: &Payments, request: &OpenRequest) -> (Lease, Order) {
    let (lease, _) = payments.create(request).await;
    let events = [
        Event::VerifyOk,
        Event::HandlerStarted,
        Event::SettleStarted { response: Some(Arc::new(response())) },
        Event::SettleUnclear { transaction: None },
    ];
    let order = payments.report(&lease, events).await;
    (lease, order)
}

/// Takes what is due, which must be this order alone.
async fn take_one(
    payments: &Payments,
    worker: u32,
    request: &OpenRequest,
    now: UnixSeconds,
) -> (Lease, Order) {
    let mut taken = payments.due(&payments.worker(worker, LEASE), 10, now).await;
    assert_eq!(taken.iter().map(|(lease, _)| lease.key).collect::<Vec<_>>(), [request.key]);
    taken.pop().expect("there is one")
}

fn assert_same(order: &Order, wanted: &Order, name: &str) {
    assert_eq!(format!("{order:?}"), format!("{wanted:?}"), "{name}");
}
