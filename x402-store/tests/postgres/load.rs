//! Payments that come in crowds and are led to their end, whatever becomes of the server meanwhile.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use x402_core::{
    order::{DeliveryState, Event, Lease, Opened, Order, OrderStore, PaymentState, StoreError},
    testing::store_contract::Payments,
};
use x402_store::PostgresStore;

/// What the store said yes to.
#[derive(Default)]
pub(crate) struct Load {
    told: Mutex<HashMap<u32, Vec<&'static str>>>,
    pub(crate) errors: AtomicUsize,
    pub(crate) slowest: Mutex<Duration>,
    is_over: AtomicBool,
    next: AtomicUsize,
}

impl Load {
    /// Starts payers, who present payment after payment until it is [over](Self::over).
    pub(crate) fn start(store: &PostgresStore, payers: usize) -> Running {
        let payments = Payments::new(Arc::new(store.clone()));
        let load = Arc::new(Self::default());
        let tasks = (0..payers)
            .map(|_| {
                let (load, payments) = (Arc::clone(&load), payments.clone());
                tokio::spawn(async move {
                    while !load.is_over.load(Ordering::Relaxed) {
                        let number = u32::try_from(load.next.fetch_add(1, Ordering::Relaxed)).unwrap();
                        load.pay(&payments, number).await;
                    }
                })
            })
            .collect();
        Running { load, payments, tasks }
    }

    /// Presents a payment until it is delivered, or has no runs left.
    async fn pay(&self, payments: &Payments, number: u32) {
        let request = payments.request(number);
        let lease = Duration::from_secs(60);
        for attempt in 0.. {
            // The time before has lapsed.
            let now = payments.now.after(lease * attempt);
            let opened = self.timed(payments.store.open(&payments.again(&request, attempt), now)).await;
            let done = match opened {
                Ok(Opened::New(lease, order) | Opened::Resumed(lease, order)) => {
                    if order.fence == 1 {
                        self.told.lock().unwrap().entry(number).or_default().push("opened");
                    }
                    self.serve(payments, number, &lease, order, now).await
                }
                Ok(Opened::Held(order)) => {
                    let is_done = order.state.delivery == DeliveryState::Delivered
                        || order.state.payment == PaymentState::Failed;
                    assert!(is_done, "{:?} is nobody's", order.state);
                    return;
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => return,
                Err(StoreError::Unavailable(_)) => {
                    self.errors.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    async fn serve(
        &self,
        payments: &Payments,
        number: u32,
        lease: &Lease,
        order: Order,
        now: x402_core::time::UnixSeconds,
    ) -> Result<(), StoreError> {
        let settled = payments.settled(&payments.request(number));
        let mut events = match order.state.payment {
            PaymentState::Verifying => vec![Event::VerifyOk],
            _ => vec![],
        };
        if order.state.payment != PaymentState::Settled {
            if order.state.payment != PaymentState::Unresolved {
                events.extend([Event::HandlerStarted, Event::SettleStarted { response: None }]);
            }
            events.push(settled);
        }
        if order.state.delivery == DeliveryState::Errored
            && matches!(order.state.payment, PaymentState::Settled | PaymentState::Unresolved)
        {
            events.push(Event::HandlerStarted);
        }
        events.push(Event::Delivered);
        for event in events {
            self.timed(payments.store.advance(lease, &event, now)).await?;
            self.told.lock().unwrap().entry(number).or_default().push(event.name());
        }
        Ok(())
    }

    async fn timed<T>(&self, step: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let done = step.await;
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = (*slowest).max(begun.elapsed());
        done
    }
}

/// A load that goes on.
pub(crate) struct Running {
    pub(crate) load: Arc<Load>,
    payments: Payments,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// How many payments were begun.
    pub(crate) fn begun(&self) -> usize {
        self.load.next.load(Ordering::Relaxed)
    }

    /// Ends it, and compares what the store has with what it said.
    pub(crate) async fn over(self) {
        self.load.is_over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("every payment comes to its end");
        }
        let told = std::mem::take(&mut *self.load.told.lock().unwrap());
        assert!(!told.is_empty());
        for (number, told) in told {
            let request = self.payments.request(number);
            let order = self.payments.find(&request).await;
            let history = self.payments.store.history(&request.key).await.expect("the store answers");
            let events: Vec<_> = history.iter().map(|line| &*line.event).collect();
            for event in &told {
                let said = told.iter().filter(|other| *other == event).count();
                let kept = events.iter().filter(|other| *other == event).count();
                assert!(kept >= said, "{event} was said {said} times and kept {kept} times: {events:?}");
            }
            for once in ["opened", "settled", "delivered"] {
                let times = events.iter().filter(|event| **event == once).count();
                assert!(times <= 1, "{once} {times} times: {events:?}");
            }
            let last = history.last().expect("there is a history");
            assert_eq!((last.payment, last.delivery), (order.state.payment, order.state.delivery));
            let is_done = order.state.delivery == DeliveryState::Delivered
                || order.state.payment == PaymentState::Failed;
            assert!(is_done, "{:?}: {events:?}", order.state);
        }
    }
}
