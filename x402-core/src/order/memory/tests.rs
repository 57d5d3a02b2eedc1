use std::{
    collections::HashMap,
    sync::atomic::{AtomicI64, AtomicU64},
    thread,
};

use proptest::prelude::*;

use super::{record::Record, table::Table, *};
use crate::{
    order::{OwnerToken, PaymentState},
    testing::store_contract::Payments,
};

crate::store_contract!(contract, MemoryStore::new());

fn payments(store: &MemoryStore) -> Payments {
    Payments::new(Arc::new(store.clone()))
}

fn is_new(opened: &Result<Opened, StoreError>) -> bool {
    matches!(opened, Ok(Opened::New(..)))
}

#[test]
fn a_full_store_refuses_and_drops_nothing() {
    let store = MemoryStore::builder().capacity(100).build();
    let payments = payments(&store);
    let (now, inner) = (payments.now, &store.inner);
    for number in 0..100 {
        assert!(is_new(&inner.open(&payments.request(number), now)));
    }
    for number in 100..200 {
        assert!(matches!(inner.open(&payments.request(number), now), Err(StoreError::Full)));
    }
    assert_eq!(store.len(), 100);
    for number in 0..100 {
        assert!(matches!(inner.open(&payments.request(number), now), Ok(Opened::Held(_))), "{number}");
    }
}

#[test]
fn a_full_store_makes_room_by_forgetting_what_is_over() {
    let store = MemoryStore::builder().capacity(100).build();
    let payments = payments(&store);
    for number in 0..100 {
        assert!(is_new(&store.inner.open(&payments.request(number), payments.now)));
    }
    let over = payments.request(0).keep_until;
    let fresh = OpenRequest { keep_until: over.after(Duration::from_secs(600)), ..payments.request(100) };
    assert!(is_new(&store.inner.open(&fresh, over)));
    assert!(store.len() <= 100);
    assert!(matches!(store.inner.open(&fresh, over), Ok(Opened::Held(_))));
}

#[test]
fn a_claim_of_64_threads_on_the_last_place_is_granted_once() {
    for _ in 0..20 {
        let store = MemoryStore::builder().capacity(10).build();
        let payments = payments(&store);
        for number in 0..9 {
            assert!(is_new(&store.inner.open(&payments.request(number), payments.now)));
        }
        let granted = thread::scope(|scope| {
            let claims: Vec<_> = (9..73)
                .map(|number| {
                    let (inner, payments) = (&store.inner, &payments);
                    scope.spawn(move || is_new(&inner.open(&payments.request(number), payments.now)))
                })
                .collect();
            claims.into_iter().map(|claim| claim.join().unwrap()).filter(|new| *new).count()
        });
        assert_eq!(granted, 1);
    }
}

#[test]
fn orders_are_forgotten_by_traffic_alone() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let inner = &store.inner;
    for number in 0..1_000 {
        assert!(is_new(&inner.open(&payments.request(number), payments.now)));
    }
    let over = payments.request(0).keep_until;
    for number in 1_000..2_000 {
        let fresh =
            OpenRequest { keep_until: over.after(Duration::from_secs(600)), ..payments.request(number) };
        assert!(is_new(&inner.open(&fresh, over)));
    }
    assert!(store.len() < 1_100, "{} orders are left", store.len());
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
fn a_held_order_outlives_its_time() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let request = payments.request(0);
    let Ok(Opened::New(lease, _)) = store.inner.open(&request, payments.now) else { panic!("a new order") };
    store.inner.renew(&lease, Duration::from_secs(30), request.keep_until).unwrap();
    assert_eq!(store.expire(request.keep_until), 0);
    store.inner.advance(&lease, &Event::VerifyOk, request.keep_until).unwrap();
    assert_eq!(store.expire(request.keep_until.after(Duration::from_secs(30))), 1);
}

#[test]
fn a_rejected_order_is_soon_forgotten() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let request = payments.request(0);
    let Ok(Opened::New(lease, _)) = store.inner.open(&request, payments.now) else { panic!("a new order") };
    let rejected = Event::VerifyRejected { reason: "insufficient_funds".into() };
    store.inner.advance(&lease, &rejected, payments.now).unwrap();
    assert_eq!(store.expire(payments.now.after(crate::order::REJECTED)), 1);
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
    assert!(seen.len() <= SHARDS);
}

#[test]
fn memory_returns_when_orders_go() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let named = |number: u32| OpenRequest {
        payment_id: Some(crate::order::PaymentId::new(&format!("payment-number-{number:06}")).unwrap()),
        ..payments.request(number)
    };
    for number in 0..20_000 {
        assert!(is_new(&store.inner.open(&named(number), payments.now)));
    }
    assert_eq!(store.expire(payments.request(0).keep_until), 20_000);
    assert!(store.is_empty());
    assert!(store.inner.shards.iter().all(|shard| shard.lock().unwrap().capacity() < 64));
    assert_eq!(store.inner.identifiers.len(), 0);
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

/// Threads that stand still at random, come back and go on: at no time does more than one of them hold the order, run
/// its handler and settle.
#[test]
fn of_many_threads_with_lapsing_leases_one_at_a_time_works() {
    const THREADS: u32 = 8;
    const ROUNDS: u32 = 2_000;
    let store = MemoryStore::new();
    let payments = payments(&store);
    let keep_until = payments.now.after(Duration::from_secs(1_000_000_000));
    let request = OpenRequest { lease: Duration::from_secs(2), keep_until, ..payments.request(0) };
    let clock = AtomicU64::new(payments.now.get());
    let (settlements, fences) = (AtomicI64::new(0), Mutex::new(HashMap::new()));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (inner, payments, request) = (&store.inner, &payments, &request);
            let (clock, settlements, fences) = (&clock, &settlements, &fences);
            scope.spawn(move || {
                let mut dice = u64::from(thread) + 1;
                let mut roll = move |sides: u64| {
                    // A linear congruence is random enough to mix threads.
                    dice =
                        dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (dice >> 33) % sides
                };
                for round in 0..ROUNDS {
                    let now = || UnixSeconds::new(clock.load(Ordering::SeqCst));
                    let again = payments.again(request, thread * ROUNDS + round);
                    let (lease, order) = match inner.open(&again, now()).unwrap() {
                        Opened::New(lease, order) | Opened::Resumed(lease, order) => (lease, order),
                        Opened::Held(_) => {
                            clock.fetch_add(roll(2), Ordering::SeqCst);
                            continue;
                        }
                    };
                    let holder = fences.lock().unwrap().insert(lease.fence, lease.owner);
                    assert_eq!(holder, None, "a fence is given once");
                    let mut payment = order.state.payment;
                    for _ in 0..roll(8) {
                        clock.fetch_add(roll(3), Ordering::SeqCst);
                        thread::yield_now();
                        let event = match (payment, roll(4)) {
                            (_, 0) => {
                                let _ = inner.renew(&lease, Duration::from_secs(2), now());
                                continue;
                            }
                            (PaymentState::Verifying, _) => Event::VerifyOk,
                            (PaymentState::Verified, 1) => Event::HandlerStarted,
                            (PaymentState::Verified, _) => Event::SettleStarted { response: None },
                            (PaymentState::Settling | PaymentState::Unresolved, 1) => {
                                payments.settled(request)
                            }
                            (PaymentState::Settling | PaymentState::Unresolved, _) => {
                                Event::SettleUnclear { transaction: None }
                            }
                            (_, 1) => Event::HandlerStarted,
                            _ => Event::Released,
                        };
                        let before = now();
                        match inner.advance(&lease, &event, before) {
                            Ok(order) => {
                                assert_eq!(order.fence, lease.fence, "only the present holder advances");
                                if order.is_settled() && payment != PaymentState::Settled {
                                    settlements.fetch_add(1, Ordering::SeqCst);
                                }
                                payment = order.state.payment;
                                if order.leased_until.is_none() {
                                    break;
                                }
                            }
                            Err(StoreError::Overtaken) => {
                                let order =
                                    inner.shard(&request.key).unwrap().find(&request.key, now()).unwrap();
                                assert!(order.fence > lease.fence || order.leased_until.is_none());
                                break;
                            }
                            Err(StoreError::Lapsed | StoreError::Illegal(_)) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
            });
        }
    });
    assert!(settlements.into_inner() <= 1, "an order is settled once");
    assert!(fences.into_inner().unwrap().len() > 1, "the order changed hands");
}

const KEYS: u8 = 48;

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Remove(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![(0..KEYS).prop_map(Step::Insert), (0..KEYS).prop_map(Step::Remove)]
}

proptest! {
    /// The table holds what a map would. Few keys, and half of them with one home, make it move records about.
    #[test]
    fn a_table_is_a_map(steps in prop::collection::vec(step(), 0..200), seed: u64) {
        let payments = payments(&MemoryStore::new());
        let template = Order::opened(&payments.request(0), 1, payments.now);
        let key = |number: u8| {
            let mut bytes = [0; 32];
            bytes[0] = number & 1;
            bytes[16] = number;
            PaymentKey::from_bytes(bytes)
        };
        let owner = OwnerToken::new([0; 16]);
        let record = |number, fence| Record::new(Order { key: key(number), fence, ..template.clone() }, owner);
        let (mut table, mut map) = (Table::new(seed), HashMap::new());
        for (fence, step) in (1_u64..).zip(steps) {
            match step {
                Step::Insert(number) if !map.contains_key(&number) => {
                    let position = table.insert(record(number, fence));
                    prop_assert_eq!(table.get(position).unwrap().order().fence, fence);
                    map.insert(number, fence);
                }
                Step::Remove(number) if map.contains_key(&number) => {
                    let (removed, _) = table.remove(table.position(&key(number)).unwrap());
                    prop_assert_eq!(Some(removed.order().fence), map.remove(&number));
                }
                Step::Insert(_) | Step::Remove(_) => {}
            }
            for number in 0..KEYS {
                let fence = table.position(&key(number)).and_then(|at| table.get(at)).map(|found| found.order().fence);
                prop_assert_eq!(fence, map.get(&number).copied());
            }
        }
    }
}
