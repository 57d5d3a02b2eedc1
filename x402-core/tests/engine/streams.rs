//! Charging what was used of a stream: it leaves before it is known, and is settled when it is over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use x402_core::{
    DeferredLimits, Outcome, Release, SettleTiming,
    charge::{Charge, ChargeError},
    error::RejectReason,
    order::{DeliveryState, MemoryStore, Order, OrderStore, PaymentState},
    price::AtomicAmount,
    scheme::PaymentKey,
    testing::{FakeClock, FakeFacilitator, SettleAnswer},
    time::UnixSeconds,
};

use crate::{
    charges::{CEILING, moved, paid, prices, receipt, shop, using},
    faults::{Fault, FaultyStore, Step},
    ports::{FlowingClock, Fuse, Fused, order, seconds},
    support::{NOW, Request, World},
};

/// A stream whose head has left.
struct Stream {
    release: Release,
    charge: Charge,
    key: PaymentKey,
}

impl Stream {
    async fn open(world: &World, paid: &Request, used: impl Into<Option<u64>>) -> Self {
        let (ticket, key) = using(world, paid, used).await;
        let charge = ticket.charge().clone();
        let release = ticket.finish(Outcome::streaming(200)).await.unwrap();
        assert!(release.set.iter().all(|(name, _)| *name != "payment-response"), "nothing is settled yet");
        assert!(
            release.set.iter().any(|(name, value)| *name == "cache-control" && value == "private, no-store")
        );
        Self { release, charge, key }
    }

    fn end(mut self) {
        self.release.delivery.delivered();
    }
}

fn world_over(store: impl OrderStore + 'static, limits: DeferredLimits) -> World {
    let clock = FlowingClock::new();
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    let prices = prices(SettleTiming::AfterHandler);
    World::over(prices, facilitator, FakeClock::new(UnixSeconds::new(NOW)), |builder| {
        builder.clock(clock).store(store).deferred(limits)
    })
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_charged_what_was_said_when_it_is_over() {
    // Said before the head left, said meanwhile, whether it ended, charged.
    for (first, then, ends, wanted) in [
        (None, vec![], true, CEILING),
        (None, vec![], false, 0),
        (Some(100), vec![], true, 100),
        (Some(100), vec![], false, 100),
        (None, vec![200, 300], true, 300),
        (None, vec![200, 300], false, 300),
        (Some(100), vec![900, 0], true, 0),
    ] {
        for timing in [SettleTiming::AfterHandler, SettleTiming::Deferred] {
            let named = format!("{first:?} {then:?} {ends} {timing:?}");
            let (world, store) = shop(timing).await;
            let paid = paid(&world, Request::get("/used")).await;
            let stream = Stream::open(&world, &paid, first).await;
            let (key, charge) = (stream.key, stream.charge.clone());
            seconds(30).await;
            assert_eq!(moved(&world), [], "{named}: not while it is on its way");
            let copy = world.send(&paid).await;
            assert_eq!((copy.status, copy.reason().as_str()), (409, "payment_in_progress"), "{named}");
            then.iter().for_each(|used| charge.set(*used).unwrap());
            if ends {
                stream.end()
            } else {
                drop(stream)
            }
            seconds(1).await;
            let wanted = AtomicAmount::from(wanted);
            let transfers = if wanted.is_zero() { vec![] } else { vec![wanted] };
            assert_eq!(moved(&world), transfers, "{named}");
            assert_eq!(charge.set(1), Err(ChargeError::TooLate { charged: wanted }));
            let done = order(&store, key).await;
            assert_eq!((done.charge, done.leased_until), (Some(wanted), None), "{named}");
            assert_eq!(
                (done.state.payment, done.state.delivery),
                (PaymentState::Settled, DeliveryState::Delivered)
            );
            assert!(store.payment(&key).await.unwrap().is_none(), "the signature is forgotten");
            // Whoever cut it got what is charged, and no more for it.
            let again = world.enter(&paid).await.unwrap_err();
            assert_eq!((again.status, again.reason().as_str()), (409, "payment_replayed"), "{named}");
            assert_eq!(receipt(&again).0, wanted.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlives_its_authorization_is_charged_while_that_can_be_settled() {
    for said in [None, Some(700)] {
        let (world, store) = shop(SettleTiming::AfterHandler).await;
        let stream = Stream::open(&world, &paid(&world, Request::get("/used")).await, said).await;
        seconds(270).await;
        assert_eq!(moved(&world), []);
        seconds(15).await;
        let charged = AtomicAmount::from(said.unwrap_or(0));
        assert_eq!(moved(&world), Vec::from_iter(said.map(AtomicAmount::from)), "the handler had {said:?}");
        assert_eq!(stream.charge.set(9_000), Err(ChargeError::TooLate { charged }), "it is told to stop");
        let key = stream.key;
        assert!(order(&store, key).await.is_settled());
        seconds(60).await;
        stream.end();
        seconds(1).await;
        let done = order(&store, key).await;
        assert_eq!((done.charge, done.leased_until), (Some(charged), None));
        assert_eq!(done.state.delivery, DeliveryState::Delivered);
        assert_eq!(moved(&world).len(), usize::from(said.is_some()));
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_streams_are_out_than_may_be() {
    let limits = DeferredLimits::default().per_payer(2);
    let store = MemoryStore::new();
    let world = world_over(store.clone(), limits);
    let request = Request::get("/used");
    let refused = async |paid: &Request| {
        let (ticket, key) = using(&world, paid, 10).await;
        let reply = ticket.finish(Outcome::streaming(200)).await.unwrap_err();
        assert_eq!((reply.status, reply.get("retry-after").is_some()), (503, true));
        assert!(reply.get("payment-required").is_none());
        seconds(1).await;
        assert_eq!(order(&store, key).await.state.payment, PaymentState::Verified);
    };
    let first = paid(&world, request.clone()).await;
    refused(&first).await;
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    let streams = [
        Stream::open(&world, &first, 10).await,
        Stream::open(&world, &paid(&world, request.clone()).await, 10).await,
    ];
    let third = paid(&world, request.clone()).await;
    refused(&third).await;
    assert_eq!(moved(&world), [], "nobody was charged for it");
    // What is complete needs no such place.
    let (ticket, _) = using(&world, &paid(&world, request.clone()).await, 5).await;
    assert_eq!(world.run(ticket, 200).await.status, 200);
    streams.into_iter().for_each(Stream::end);
    seconds(1).await;
    Stream::open(&world, &third, 7).await.end();
    seconds(1).await;
    assert_eq!(moved(&world), [5, 10, 10, 7].map(AtomicAmount::from));
}

#[tokio::test(start_paused = true)]
async fn a_payer_whose_stream_was_not_settled_gets_none_for_a_while() {
    let (world, store) = shop(SettleTiming::AfterHandler).await;
    let request = Request::get("/used");
    let (first, second) = (paid(&world, request.clone()).await, paid(&world, request.clone()).await);
    let stream = Stream::open(&world, &first, 10).await;
    let key = stream.key;
    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
    stream.end();
    seconds(1).await;
    assert_eq!(order(&store, key).await.state.payment, PaymentState::Failed);
    let (ticket, _) = using(&world, &second, 10).await;
    assert_eq!(ticket.finish(Outcome::streaming(200)).await.unwrap_err().status, 503);
    let (ticket, _) = using(&world, &second, 10).await;
    assert_eq!(world.run(ticket, 200).await.status, 200, "settled before it leaves");
    assert_eq!(moved(&world), [10.into()]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_trailers_that_is_complete_is_settled_before_it_leaves() {
    let (world, store) = shop(SettleTiming::AfterHandler).await;
    let (ticket, key) = using(&world, &paid(&world, Request::get("/used")).await, 10).await;
    let mut release = ticket.finish(Outcome::complete_unkept(200)).await.unwrap();
    assert!(release.set.iter().any(|(name, _)| *name == "payment-response"));
    assert_eq!(moved(&world), [10.into()]);
    release.delivery.delivered();
    seconds(1).await;
    assert_eq!(order(&store, key).await.state.delivery, DeliveryState::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_charge_is_not_settled_before_it_is_recorded() {
    let (faulty, down) = FaultyStore::switched(Fault::Lost, &[Step::Advance]);
    let store = faulty.honest().clone();
    let world = world_over(faulty, DeferredLimits::default());
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    // Back in time; or so late that the worker settles what was recorded.
    for (outage, wanted) in [(3, 900), (60, 100)] {
        let stream = Stream::open(&world, &paid(&world, Request::get("/used")).await, 100).await;
        let key = stream.key;
        stream.charge.set(900).unwrap();
        down.store(true, Ordering::SeqCst);
        stream.end();
        let before = moved(&world).len();
        seconds(outage).await;
        assert_eq!(moved(&world).len(), before, "after {outage} s");
        down.store(false, Ordering::SeqCst);
        seconds(60).await;
        assert_eq!(moved(&world).last(), Some(&wanted.into()), "after {outage} s");
        let done = order(&store, key).await;
        assert_eq!((done.is_settled(), done.charge), (true, Some(wanted.into())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_could_not_leave_is_not_charged() {
    // The call that is done and not answered: that the charge was said, that the stream leaves, that it does not.
    for unanswered in [0, 1, 2] {
        let (calls, failing) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, on) = (Arc::clone(&calls), Arc::clone(&failing));
        let faulty = FaultyStore::new(move |step| {
            let counted = step == Step::Advance && on.load(Ordering::SeqCst);
            let call = if counted { count.fetch_add(1, Ordering::SeqCst) } else { usize::MAX };
            let fails = call == unanswered || unanswered == 2 && call == 1;
            if fails { Fault::Unanswered } else { Fault::None }
        });
        let store = faulty.honest().clone();
        let world = world_over(faulty, DeferredLimits::default());
        tokio::spawn(world.engine.worker());
        seconds(1).await;
        let (ticket, key) = using(&world, &paid(&world, Request::get("/used")).await, 100).await;
        failing.store(true, Ordering::SeqCst);
        let reply = ticket.finish(Outcome::streaming(200)).await.unwrap_err();
        assert_eq!(reply.status, 503, "{unanswered}");
        failing.store(false, Ordering::SeqCst);
        seconds(500).await;
        assert_eq!(moved(&world), [], "{unanswered}");
        let order = order(&store, key).await;
        let over = [PaymentState::Expired, PaymentState::Settled];
        assert!(
            over.contains(&order.state.payment) && order.leased_until.is_none(),
            "{unanswered}: {order:?}"
        );
    }
}

/// What is left when a process has died after so many calls of its ports, and another one has finished its work.
struct Wreck {
    moved: Vec<AtomicAmount>,
    order: Option<Order>,
    arrived: bool,
    died: bool,
}

/// The handler says 100 before the head leaves, if it says something, and 900 before it ends.
async fn wreck(stream: bool, first: Option<u64>, then: u64, calls: usize, last_has_effect: bool) -> Wreck {
    let (clock, store) = (FlowingClock::new(), MemoryStore::new());
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    let fuse = Fuse::new(calls, last_has_effect);
    let fused = Fused { inner: facilitator.clone(), fuse: fuse.clone() };
    let table = || prices(SettleTiming::AfterHandler);
    let fixed = || FakeClock::new(UnixSeconds::new(NOW));
    let dying = World::over(table(), facilitator.clone(), fixed(), |builder| {
        builder.clock(clock.clone()).store(fuse.store(&store)).facilitator(fused)
    });
    let next = World::over(table(), facilitator, fixed(), |builder| {
        builder.clock(clock.clone()).store(store.clone())
    });
    let paid = paid(&next, Request::get("/used")).await;
    let worker = tokio::spawn(dying.engine.worker());
    let (mut arrived, mut key) = (false, None);
    let presentation = async {
        seconds(1).await;
        let Ok(ticket) = dying.enter(&paid).await else { return };
        key = Some(ticket.context().payment_key);
        let charge = ticket.charge().clone();
        if let Some(first) = first {
            charge.set(first).unwrap();
        }
        let outcome = match stream {
            true => Outcome::streaming(200),
            false => Outcome::complete(200, Vec::new(), "sunny".into()),
        };
        let Ok(mut release) = ticket.finish(outcome).await else { return };
        let _ = charge.set(then);
        release.delivery.delivered();
        arrived = true;
        seconds(5).await;
    };
    let _ = tokio::time::timeout(Duration::from_secs(20), presentation).await;
    worker.abort();
    let worker = tokio::spawn(next.engine.worker());
    seconds(500).await;
    worker.abort();
    let order = match key {
        Some(key) => store.find(&key, UnixSeconds::new(NOW)).await.unwrap(),
        None => None,
    };
    Wreck { moved: moved(&next), order, arrived, died: fuse.is_blown() }
}

#[tokio::test(start_paused = true)]
async fn whatever_step_a_process_dies_at_no_more_is_charged_than_was_recorded() {
    for stream in [true, false] {
        for (first, then) in [(None, 900), (Some(100), 900), (Some(100), 0), (Some(0), 900)] {
            for last_has_effect in [false, true] {
                let mut calls = 0;
                loop {
                    let named = format!("{stream} {first:?} {then} after {calls}, {last_has_effect}");
                    let wreck = wreck(stream, first, then, calls, last_has_effect).await;
                    let known = [first.or((!stream).then_some(CEILING)), stream.then_some(then), Some(0)];
                    assert!(wreck.moved.len() <= 1, "{named}: {:?}", wreck.moved);
                    for amount in &wreck.moved {
                        assert!(
                            known.contains(&Some(u64::try_from(amount.get()).unwrap())),
                            "{named}: {amount}"
                        );
                    }
                    let Some(order) = wreck.order else {
                        assert!(!wreck.arrived && wreck.moved.is_empty(), "{named}");
                        calls += 1;
                        continue;
                    };
                    assert_eq!(order.leased_until, None, "{named}: {order:?}");
                    let moved = wreck.moved.first().copied().unwrap_or_default();
                    match order.state.payment {
                        PaymentState::Settled => {
                            assert_eq!(order.charge, Some(moved), "{named}");
                            assert_eq!(order.settlement.unwrap().amount, moved, "{named}");
                        }
                        PaymentState::Expired | PaymentState::Failed => {
                            assert!(wreck.moved.is_empty() && !wreck.arrived, "{named}");
                        }
                        other => panic!("{named}: {other:?} hangs in the air"),
                    }
                    calls += 1;
                    if !wreck.died {
                        assert_eq!(
                            moved,
                            AtomicAmount::from(if stream { then } else { first.unwrap_or(CEILING) })
                        );
                        break;
                    }
                }
                assert!(calls > 7, "it died often enough: {calls}");
            }
        }
    }
}
