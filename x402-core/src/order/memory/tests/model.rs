//! Interleavings of a few holders, as a model checker chooses them: it decides at every lock who goes on.
//!
//! The gate tries some thousands of them; `X402_INTERLEAVINGS=1000000 cargo test -p x402-core --lib model` tries more. A
//! failure prints a schedule, for `shuttle::replay`. Locks of the models' own are never held across a step of the store: the
//! checker does not know of them.

use std::sync::Mutex;

use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
    thread,
};

use super::*;
use crate::order::{OwnerToken, PaymentId, PaymentState, Worker};

/// The same payment, presented by three, one of whom comes when the leases of the others have lapsed, and a worker: who was
/// overtaken advances nothing, and money moves once.
#[test]
fn of_concurrent_holders_one_at_a_time_works() {
    let payments = fixed_payments();
    let presented: Vec<_> = (0..3).map(|holder| payments.again(&request(&payments, 0), holder)).collect();
    let settled = payments.settled(&presented[0]);
    explore(move || {
        let store = store(4);
        let done: Arc<Mutex<Vec<&str>>> = Arc::default();
        let fences: Arc<Mutex<Vec<u64>>> = Arc::default();
        let mut threads: Vec<_> = presented
            .iter()
            .cloned()
            .zip([payments.now, payments.now, payments.lapsed()])
            .map(|(request, now)| {
                let (store, settled) = (store.clone(), settled.clone());
                let (done, fences) = (Arc::clone(&done), Arc::clone(&fences));
                thread::spawn(move || {
                    let Some(lease) = claim(&store, &request, now) else { return };
                    fences.lock().unwrap().push(lease.fence);
                    let could = work(&store, &lease, settled, now);
                    done.lock().unwrap().extend(could);
                })
            })
            .collect();
        let (by, taken, now) = (store.clone(), Arc::clone(&fences), payments.lapsed());
        threads.push(thread::spawn(move || {
            for (lease, order) in by.inner.due(&worker(1), 4, now).unwrap() {
                assert_eq!((lease.owner, lease.fence), (worker(1).owner, order.fence));
                taken.lock().unwrap().push(lease.fence);
            }
        }));
        join(threads);
        let mut fences = fences.lock().unwrap().clone();
        fences.sort_unstable();
        assert!(fences.windows(2).all(|pair| pair[0] < pair[1]), "a fence is given once: {fences:?}");
        let done = done.lock().unwrap().clone();
        let times = |name| done.iter().filter(|event| **event == name).count();
        assert!(times("settled") <= 1, "money moves once: {done:?}");
        assert!(times("handler_started") <= fences.len(), "each holder runs it once: {done:?}");
        assert_eq!(store.len(), 1);
    });
}

/// Payments that claim each other's identifiers, in a full store of orders that are over, while somebody tidies up: nobody
/// waits in a circle, and an identifier has one payment.
#[test]
fn identifiers_and_forgetting_do_not_wait_in_a_circle() {
    let payments = fixed_payments();
    let payer = request(&payments, 0).payer;
    let named = |number: u32, id: &str| OpenRequest {
        payment_id: PaymentId::new(id).ok(),
        payer: Arc::clone(&payer),
        ..payments.request_of(0, number)
    };
    let (breakfast, lunch) = ("order-of-breakfast", "order-of-lunch-no-2");
    let first = [named(0, breakfast), named(1, lunch)];
    let over = first[0].keep_until;
    let keep_until = over.after(Duration::from_secs(600));
    let then = [named(0, lunch), named(1, breakfast), named(2, lunch), named(3, breakfast)]
        .map(|request| OpenRequest { keep_until, ..request });
    explore(move || {
        let store = store(2);
        assert!(first.iter().all(|request| is_new(&store.inner.open(request, payments.now))));
        let new: Arc<Mutex<Vec<OpenRequest>>> = Arc::default();
        let mut threads: Vec<_> = then
            .iter()
            .cloned()
            .map(|request| {
                let (store, new) = (store.clone(), Arc::clone(&new));
                thread::spawn(move || match store.inner.open(&request, over) {
                    Ok(Opened::New(..)) => new.lock().unwrap().push(request),
                    Ok(Opened::Held(order)) => assert_eq!(order.payment_id, request.payment_id),
                    Err(StoreError::Full) => {}
                    other => panic!("{other:?}"),
                })
            })
            .collect();
        let by = store.clone();
        threads.push(thread::spawn(move || {
            by.expire(over);
        }));
        join(threads);
        let new = new.lock().unwrap().clone();
        assert!(!new.is_empty() && new.len() <= 2 && new.len() == store.len(), "{new:?}");
        for request in &new {
            let namesakes = new.iter().filter(|other| other.payment_id == request.payment_id).count();
            assert_eq!(namesakes, 1, "an identifier names one payment");
            let order = store.inner.shard(&request.key).unwrap().find(&request.key, over).unwrap();
            assert_eq!(order.payment_id, request.payment_id);
        }
    });
}

/// Two workers and a payer come at once for an order whose settlement was put off, and its first holder comes back: one
/// gets it, and what is owed is known at every end.
#[test]
fn workers_and_payers_share_an_order_without_a_quarrel() {
    let payments = fixed_payments();
    let request = request(&payments, 0);
    let begun = [Event::VerifyOk, Event::HandlerStarted, payments.deferred(&request, None)];
    let (again, settled) = (payments.again(&request, 1), payments.settled(&request));
    explore(move || {
        let store = store(4);
        let lease = claim(&store, &request, payments.now).unwrap();
        for event in &begun {
            store.inner.advance(&lease, event, payments.now).unwrap();
        }
        let now = payments.lapsed();
        let got: Arc<Mutex<Vec<u64>>> = Arc::default();
        let mut threads = Vec::new();
        for number in 0..2 {
            let (store, got, settled) = (store.clone(), Arc::clone(&got), settled.clone());
            threads.push(thread::spawn(move || {
                for (lease, _) in store.inner.due(&worker(number), 4, now).unwrap() {
                    got.lock().unwrap().push(lease.fence);
                    store.inner.advance(&lease, &settled, now).unwrap();
                }
            }));
        }
        let (by, mine, again) = (store.clone(), Arc::clone(&got), again.clone());
        threads.push(thread::spawn(move || {
            let lease = claim(&by, &again, now);
            mine.lock().unwrap().extend(lease.map(|lease| lease.fence));
        }));
        let (late, report) = (store.clone(), settled.clone());
        threads.push(thread::spawn(move || {
            // What it has to say counts as long as nobody took over.
            let reported = late.inner.advance(&lease, &report, now);
            assert!(matches!(reported, Ok(_) | Err(StoreError::Overtaken)), "{reported:?}");
        }));
        join(threads);
        assert!(got.lock().unwrap().len() <= 1, "one of them took it over: {got:?}");
        let order = store.inner.shard(&request.key).unwrap().find(&request.key, now).unwrap();
        let owed = u64::from(order.owes_settlement());
        assert_eq!(store.inner.payment(&request.key).unwrap().is_some(), order.owes_settlement());
        let counted = store.inner.deferred(&request.payer).unwrap();
        assert_eq!(counted, Deferred { of_payer: owed, in_total: owed });
    });
}

/// The lease of whoever gets the order; others must find it taken or settled.
fn claim(store: &MemoryStore, request: &OpenRequest, now: UnixSeconds) -> Option<Lease> {
    match store.inner.open(request, now).unwrap() {
        Opened::New(lease, order) | Opened::Resumed(lease, order) => {
            assert_eq!((lease.owner, lease.fence), (request.owner, order.fence));
            Some(lease)
        }
        Opened::Held(order) => {
            assert!(order.is_leased(now) || order.is_settled());
            None
        }
    }
}

/// Goes on to the end, or until it is overtaken; what it could do.
fn work(store: &MemoryStore, lease: &Lease, settled: Event, now: UnixSeconds) -> Vec<&'static str> {
    let mut done = Vec::new();
    for event in [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response: None }, settled] {
        match store.inner.advance(lease, &event, now) {
            Ok(order) => {
                assert_eq!(order.fence, lease.fence, "only the present holder advances");
                done.push(event.name());
            }
            Err(StoreError::Overtaken) => {
                let order = store.inner.shard(&lease.key).unwrap().find(&lease.key, now).unwrap();
                assert!(order.fence > lease.fence, "nobody else is in the way");
                break;
            }
            // A former holder came further.
            Err(StoreError::Illegal(edge)) => assert_ne!(edge.from.payment, PaymentState::Verifying),
            Err(error) => panic!("{error}"),
        }
    }
    done
}

/// Runs a model under schedulers that find different faults: at random, and with few, well placed preemptions.
fn explore(model: impl Fn() + Clone + Send + Sync + 'static) {
    let asked = std::env::var("X402_INTERLEAVINGS").ok();
    let count = asked.map_or(INTERLEAVINGS, |text| text.parse().expect("X402_INTERLEAVINGS is a number"));
    run(RandomScheduler::new(count), model.clone());
    run(PctScheduler::new(3, count), model);
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    Runner::new(scheduler, Config::new()).run(model);
}

fn join(threads: Vec<thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// With two shards: orders meet in one, and the checker has fewer locks to choose at.
fn store(capacity: usize) -> MemoryStore {
    MemoryStore { inner: Arc::new(Inner::with_shards(&MemoryStore::builder().capacity(capacity), 2)) }
}

/// The same ones in every run: what a model does must not depend on chance that the checker does not know of.
fn fixed_payments() -> Payments {
    Payments::with_salt(Arc::new(MemoryStore::new()), [7; 16])
}

/// Its payer's letters are lower: checksums take longer than all the rest.
fn request(payments: &Payments, number: u32) -> OpenRequest {
    let request = payments.request(number);
    OpenRequest { payer: request.payer.to_lowercase().into(), ..request }
}

fn worker(number: u8) -> Worker {
    Worker { owner: OwnerToken::new([number; 16]), lease: Duration::from_secs(30) }
}

const INTERLEAVINGS: usize = 3_000;
