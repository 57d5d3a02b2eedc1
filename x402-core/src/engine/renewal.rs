//! Renewing a lease while somebody holds it, and knowing until when it runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::AbortHandle, time::sleep};

use crate::{
    order::{Lease, Order, OrderStore, StoreError},
    telemetry,
    time::{Clock, UnixSeconds},
};

/// Renews a lease for as long as it lives.
pub(super) struct Renewal {
    task: AbortHandle,
    known: Arc<Known>,
}

/// Until when a lease runs, as far as its holder has heard.
#[derive(Default)]
struct Known(AtomicU64);

impl Renewal {
    pub(super) fn start(
        store: Arc<dyn OrderStore>,
        clock: Arc<dyn Clock>,
        lease: Lease,
        length: Duration,
    ) -> Self {
        metrics::gauge!(telemetry::IN_FLIGHT).increment(1);
        let known = Arc::<Known>::default();
        let task = tokio::spawn(renew(store, clock, lease, length, Arc::clone(&known))).abort_handle();
        Self { task, known }
    }

    /// The order is as the store has it.
    pub(super) fn learn(&self, order: &Order) {
        if let Some(until) = order.leased_until {
            self.known.set(until);
        }
    }

    pub(super) fn renewed_until(&self, until: UnixSeconds) {
        self.known.set(until);
    }

    /// Whether the lease is known to run at `at`.
    pub(super) fn runs_at(&self, at: UnixSeconds) -> bool {
        at.get() < self.known.0.load(Ordering::Relaxed)
    }
}

impl Known {
    fn set(&self, until: UnixSeconds) {
        // Answers may come in any order. None of them shortens a lease.
        self.0.fetch_max(until.get(), Ordering::Relaxed);
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.task.abort();
        metrics::gauge!(telemetry::IN_FLIGHT).decrement(1);
    }
}

async fn renew(
    store: Arc<dyn OrderStore>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    length: Duration,
    known: Arc<Known>,
) {
    loop {
        sleep(length / 3).await;
        let now = clock.now();
        match store.renew(&lease, length, now).await {
            Ok(()) => known.set(now.after(length)),
            Err(StoreError::Unavailable(error)) => tracing::warn!(%error, "lease not renewed, trying again"),
            // Overtaken: the fence stops whatever this holder would still do.
            Err(_) => return,
        }
    }
}
