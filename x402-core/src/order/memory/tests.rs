mod due;
mod model;
mod sweeps;
mod table;
mod threads;

use std::thread;

use super::*;
use crate::testing::store_contract::Payments;

crate::store_contract!(contract, MemoryStore::new());

fn payments(store: &MemoryStore) -> Payments {
    Payments::new(Arc::new(store.clone()))
}

fn is_new(opened: &Result<Opened, StoreError>) -> bool {
    matches!(opened, Ok(Opened::New(..)))
}

#[test]
fn an_order_that_is_over_gives_way_to_a_new_one_with_the_next_fence_or_none() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let request = payments.request(0);
    let Ok(Opened::New(lease, _)) = store.inner.open(&request, payments.now) else { panic!("a new order") };
    let late = request.keep_until;
    let again =
        OpenRequest { keep_until: late.after(Duration::from_secs(600)), ..payments.again(&request, 1) };
    assert!(is_new(&store.inner.open(&again, late)));
    let refused = store.inner.advance(&lease, &Event::VerifyOk, late);
    assert!(matches!(refused, Err(StoreError::Overtaken)), "the first holder comes too late");
}

#[test]
fn equal_terms_are_kept_once() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let mut seen = std::collections::HashSet::new();
    for number in 0..1_000 {
        // Every request brings a copy of its own.
        let request = payments.request(number);
        assert!(is_new(&store.inner.open(&request, payments.now)));
        let order = store.inner.shard(&request.key).unwrap().find(&request.key, payments.now).unwrap();
        assert_eq!(order.terms, request.terms);
        seen.insert(Arc::as_ptr(&order.terms));
    }
    assert!(seen.len() <= store.inner.shards.len());
}

#[test]
fn the_largest_responses_leave_room_for_the_newest() {
    let store = MemoryStore::builder().response_bytes(100_000).build();
    let payments = payments(&store);
    let keep = |number| {
        let request = payments.request(number);
        let Ok(Opened::New(lease, _)) = store.inner.open(&request, payments.now) else {
            panic!("a new order")
        };
        let response = Some(Arc::new(StoredResponse::new(200, Vec::new(), vec![0; 20_000].into())));
        for event in [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response }] {
            store.inner.advance(&lease, &event, payments.now).unwrap();
        }
        store.inner.responses.run_pending_tasks();
        request.key
    };
    let keys: Vec<_> = (0..20).map(keep).collect();
    assert!(store.inner.responses.get(keys.last().unwrap()).is_some());
    assert!(store.inner.responses.get(&keys[0]).is_none());
    assert!(store.inner.responses.weighted_size() <= 100_000);
}

#[test]
fn a_shard_whose_thread_panicked_is_closed() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let request = payments.request(0);
    let panicked = thread::scope(|scope| {
        let hold_and_panic = || {
            let _shard = store.inner.shard(&request.key);
            panic!("as told");
        };
        scope.spawn(hold_and_panic).join()
    });
    assert!(panicked.is_err());
    let refused = store.inner.open(&request, payments.now);
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

#[test]
fn debug_output_tells_nothing_of_payers() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let request = payments.request(0);
    assert!(is_new(&store.inner.open(&request, payments.now)));
    let shown = format!("{store:?}");
    assert!(shown.contains("orders: 1") && !shown.contains(&*request.payer), "{shown}");
}
