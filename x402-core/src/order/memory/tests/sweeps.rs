use std::{sync::Mutex, thread};

use proptest::prelude::*;

use super::{
    super::shard::{SWEPT_PER_CLAIM, Shard},
    *,
};

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
fn memory_returns_when_orders_go() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let named = |number: u32| OpenRequest {
        payment_id: Some(crate::order::PaymentId::new(&format!("payment-number-{number:06}")).unwrap()),
        ..payments.request(number)
    };
    for number in 0..5_000 {
        assert!(is_new(&store.inner.open(&named(number), payments.now)));
    }
    assert_eq!(store.expire(payments.request(0).keep_until), 5_000);
    assert!(store.is_empty());
    assert!(store.inner.shards.iter().all(|shard| shard.lock().unwrap().size().1 <= 32));
    assert_eq!(store.inner.identifiers.len(), 0);
}

#[test]
fn traffic_keeps_at_most_a_seventh_more_than_is_live() {
    const LIFE: u64 = 30;
    const PER_SECOND: u32 = 64;
    let store = MemoryStore::new();
    let payments = payments(&store);
    let template = payments.request(0);
    let live = LIFE * u64::from(PER_SECOND);
    let mut most = 0;
    for second in 0..LIFE * 6 {
        let now = payments.now.after(Duration::from_secs(second));
        for number in 0..PER_SECOND {
            let mut key = *template.key.as_bytes();
            key[..8].copy_from_slice(&second.to_le_bytes());
            // One for each shard in turn.
            key[28..].copy_from_slice(&number.to_be_bytes());
            let request = OpenRequest {
                key: PaymentKey::from_bytes(key),
                keep_until: now.after(Duration::from_secs(LIFE)),
                ..template.clone()
            };
            assert!(is_new(&store.inner.open(&request, now)));
        }
        most = most.max(store.len() as u64);
    }
    assert!(most <= live + live / 7, "{most} orders were here, {live} live");
}

#[test]
fn an_order_that_is_forgotten_takes_the_payment_kept_for_it_along() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    let request = payments.request(0);
    let defer = || {
        let Ok(Opened::New(lease, _)) = store.inner.open(&request, payments.now) else {
            panic!("a new order")
        };
        for event in [Event::VerifyOk, Event::HandlerStarted, payments.deferred(&request, None)] {
            store.inner.advance(&lease, &event, payments.now).unwrap();
        }
        assert_eq!(store.inner.deferred(&request.payer).unwrap(), Deferred { of_payer: 1, in_total: 1 });
    };
    defer();
    let over = payments.now.after(crate::order::ENTITLEMENT);
    assert_eq!(store.expire(over), 1);
    assert_eq!(store.inner.deferred(&request.payer).unwrap(), Deferred::default());
    assert_eq!(store.inner.payment(&request.key).unwrap(), None);
    defer();
    // Over, still here, and claimed again.
    let again = OpenRequest { keep_until: over.after(Duration::from_secs(600)), ..request.clone() };
    assert!(is_new(&store.inner.open(&again, over)));
    assert_eq!(store.inner.deferred(&request.payer).unwrap(), Deferred::default());
}

/// What was asked of the store at the same second by those who found it full.
#[test]
fn those_who_come_to_a_full_store_at_once_wait_for_the_one_who_makes_room() {
    let store = MemoryStore::builder().capacity(1_000).build();
    let payments = payments(&store);
    for number in 0..1_000 {
        assert!(is_new(&store.inner.open(&payments.request(number), payments.now)));
    }
    let over = payments.request(0).keep_until;
    let refused = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for thread in 1..9 {
            let (store, payments, refused) = (&store, &payments, &refused);
            scope.spawn(move || {
                for number in thread * 1_000..thread * 1_000 + 100 {
                    let keep_until = over.after(Duration::from_secs(600));
                    let request = OpenRequest { keep_until, ..payments.request(number) };
                    if !is_new(&store.inner.open(&request, over)) {
                        refused.lock().unwrap().push(number);
                    }
                }
            });
        }
    });
    assert_eq!(refused.into_inner().unwrap(), Vec::<u32>::new(), "there was room for all");
}

proptest! {
    /// What is over when a claim comes is gone after as many further claims as the module promises, wherever it is and
    /// wherever the sweep has come to.
    #[test]
    fn what_is_over_is_gone_within_the_bound(
        live in prop::collection::vec(any::<bool>(), 1..300),
        claims_before in 0_usize..40,
    ) {
        let payments = payments(&MemoryStore::new());
        let mut shard = Shard::new(1);
        let template = Order::opened(&payments.request(0), 1, payments.now);
        let now = payments.request(0).keep_until;
        let put = |shard: &mut Shard, number: usize, lives: bool| {
            let mut key = [0; 32];
            key[8..16].copy_from_slice(&number.to_le_bytes());
            let keep_until = if lives { UnixSeconds::MAX } else { now };
            let order = Order { key: PaymentKey::from_bytes(key), keep_until, ..template.clone() };
            shard.put(order, crate::order::OwnerToken::new([0; 16]));
        };
        for (number, lives) in live.iter().enumerate() {
            put(&mut shard, number, *lives);
        }
        for _ in 0..claims_before {
            shard.sweep(payments.now);
        }
        let over = live.iter().filter(|lives| !**lives).count();
        let (mut gone, mut claims) = (0, 0);
        while gone < over {
            gone += shard.sweep(now).count;
            put(&mut shard, live.len() + claims, true);
            claims += 1;
            let bound = 2 * shard.size().0.max(live.len()) / SWEPT_PER_CLAIM + 2;
            prop_assert!(claims <= bound, "{} of {} after {} claims", gone, over, claims);
        }
        prop_assert_eq!(shard.records(now).count(), shard.size().0);
    }
}
