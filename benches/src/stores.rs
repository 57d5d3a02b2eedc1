//! Orders led through their whole life, against any store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use x402_core::{
    order::{Event, OrderStore},
    testing::store_contract::Payments,
};

/// Leads so many orders through their six steps (claimed, verified, begun, intent, settled, delivered), so many of
/// them at once, each step when the one before was answered. Returns how long it took.
///
/// # Panics
/// If the store refuses a step, and outside of tokio.
pub async fn sell(store: Arc<dyn OrderStore>, orders: u32, at_once: u32) -> Duration {
    let payments = Payments::new(store);
    let next = Arc::new(AtomicU32::new(0));
    let begun = Instant::now();
    let sellers: Vec<_> = (0..at_once)
        .map(|_| {
            let (payments, next) = (payments.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= orders {
                        break;
                    }
                    let (lease, _) = payments.settle(&payments.request(number), None).await;
                    payments.report(&lease, [Event::Delivered]).await;
                }
            })
        })
        .collect();
    for seller in sellers {
        seller.await.expect("no step is refused");
    }
    begun.elapsed()
}
