//! The whole paid path, from the head of a request to the record of its delivery.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{sync::Semaphore, task::JoinSet};
use x402_core::{
    Admission, Engine, Outcome, Triage,
    facilitator::BoxFuture,
    forward_order_store,
    order::{Event, Lease, Order, OrderStore, StoreError},
    time::UnixSeconds,
};

use crate::{Head, Payments, over, prices};

/// An engine that checks real signatures, over a store and a facilitator that settles at once.
pub struct Shop {
    engine: Engine,
    /// One for each payment that may begin now.
    places: Arc<Semaphore>,
}

/// How long sales took.
#[derive(Clone, Debug, Default)]
pub struct Sales {
    /// From the first head to the last record of a delivery.
    pub took: Duration,
    /// What each client waited for its response.
    pub answered: Vec<Duration>,
}

impl Shop {
    /// A shop with its orders in this store.
    #[must_use]
    pub fn over(store: impl OrderStore + 'static) -> Self {
        let places = Arc::new(Semaphore::new(0));
        let store = Recording { store: Arc::new(store), places: Arc::clone(&places) };
        Self { engine: over(prices(), store), places }
    }

    /// Sells so many times, with so many payments between their head and the record of their delivery at any moment. The
    /// payments are signed before, by several payers.
    ///
    /// # Panics
    /// If a payment is not sold, and outside of tokio.
    pub async fn sell(&self, payments: u32, in_flight: u32) -> Sales {
        let payers: Vec<_> = (1..=PAYERS).map(|payer| Payments::by(payer, &self.engine)).collect();
        let signed: Vec<_> = payers.iter().cycle().take(payments as usize).map(Payments::good).collect();
        let mut sold = JoinSet::new();
        let begun = Instant::now();
        self.places.add_permits(in_flight as usize);
        for payment in signed {
            self.places.acquire().await.expect("every payment is sold").forget();
            let (engine, places) = (self.engine.clone(), Arc::clone(&self.places));
            sold.spawn(async move {
                let took = sell(&engine, payment).await;
                if took.is_none() {
                    places.close();
                }
                took
            });
        }
        // They come back when all deliveries are recorded.
        self.places.acquire_many(in_flight).await.expect("every payment is sold").forget();
        let took = begun.elapsed();
        let answered = sold.join_all().await.into_iter().flatten().collect();
        Sales { took, answered }
    }
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}

/// What an adapter does with one request; how long its client waited, if it was served.
async fn sell(engine: &Engine, payment: Bytes) -> Option<Duration> {
    let begun = Instant::now();
    let Triage::Check(attempt) = engine.triage(&Head::paid(payment)) else { return None };
    let Admission::Enter(ticket) = engine.admit(attempt).await else { return None };
    let response = Outcome::complete(200, Vec::new(), Bytes::from_static(b"oslo: sunny"));
    let mut release = ticket.finish(response).await.ok()?;
    let took = begun.elapsed();
    release.delivery.delivered();
    Some(took)
}

/// A store that gives a place back for each delivery it has recorded.
struct Recording {
    store: Arc<dyn OrderStore>,
    places: Arc<Semaphore>,
}

impl OrderStore for Recording {
    fn advance<'a>(
        &'a self,
        lease: &'a Lease,
        event: &'a Event,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Order, StoreError>> {
        Box::pin(async move {
            let order = self.store.advance(lease, event, now).await?;
            if matches!(event, Event::Delivered) {
                self.places.add_permits(1);
            }
            Ok(order)
        })
    }

    forward_order_store! {
        self => self.store;
        open renew find response payment due deferred page history tidy ping is_shared may_forget
    }
}

const PAYERS: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use x402_core::order::MemoryStore;

    #[tokio::test]
    async fn every_payment_is_sold_and_its_delivery_recorded() {
        let store = MemoryStore::new();
        let shop = Shop::over(store.clone());
        for in_flight in [1, 8] {
            let sales = shop.sell(20, in_flight).await;
            assert_eq!(sales.answered.len(), 20);
            assert!(sales.answered.iter().all(|waited| *waited <= sales.took));
        }
        assert_eq!((store.len(), shop.places.available_permits()), (40, 0));
    }
}
