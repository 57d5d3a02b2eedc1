use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicI64, AtomicU64},
    },
    thread,
};

use super::*;
use crate::order::PaymentState;

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
