//! Holding an order: the lease is renewed while work runs, and given up when the holder is dropped.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{runtime::Handle, task::AbortHandle};

use crate::{
    order::{Event, Lease, Order, OrderStore, StoreError},
    telemetry,
    time::Clock,
};

/// An order that is ours to work on.
///
/// Dropped before an event let go of the order, it reports what its holder left behind: nothing was charged, or a response to a
/// settled payment was lost. Should even that not arrive, the lease lapses.
pub(super) struct Hold {
    store: Arc<dyn OrderStore>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    length: Duration,
    renewal: Option<AbortHandle>,
    /// Where reports are sent from if this is dropped outside of any runtime.
    runtime: Handle,
    if_dropped: IfDropped,
}

/// What a dropped holder reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IfDropped {
    /// No settlement was begun: nobody is charged.
    GiveUp,
    /// A settlement was begun, or is done, and its task was stopped: the state stays, the order is free.
    Release,
    /// The money moved and the response was lost.
    Undelivered,
}

impl Hold {
    /// Starts renewing the lease.
    pub(super) fn new(
        store: Arc<dyn OrderStore>,
        clock: Arc<dyn Clock>,
        lease: Lease,
        length: Duration,
    ) -> Self {
        let renewal = tokio::spawn(renew(Arc::clone(&store), Arc::clone(&clock), lease.clone(), length));
        metrics::gauge!(telemetry::IN_FLIGHT).increment(1);
        Self {
            store,
            clock,
            lease,
            length,
            renewal: Some(renewal.abort_handle()),
            runtime: Handle::current(),
            if_dropped: IfDropped::GiveUp,
        }
    }

    /// Reports an event, and keeps the order unless the event lets go of it.
    pub(super) async fn advance(&mut self, event: Event) -> Result<Order, StoreError> {
        let mut advanced = self.store.advance(&self.lease, &event, self.clock.now()).await;
        if matches!(advanced, Err(StoreError::Lapsed)) {
            // We stood still for longer than the lease. The order is ours again, unless somebody took it over.
            self.store.renew(&self.lease, self.length, self.clock.now()).await?;
            advanced = self.store.advance(&self.lease, &event, self.clock.now()).await;
        }
        if event.releases() && advanced.is_ok() {
            self.stop();
        }
        advanced
    }

    /// Makes sure that the order is still ours, or ours again. Who was overtaken delivers nothing.
    pub(super) async fn confirm(&mut self) -> Result<(), StoreError> {
        self.store.renew(&self.lease, self.length, self.clock.now()).await
    }

    /// What is reported if this is dropped.
    pub(super) const fn if_dropped(&mut self, what: IfDropped) {
        self.if_dropped = what;
    }

    fn stop(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
            metrics::gauge!(telemetry::IN_FLIGHT).decrement(1);
        }
    }

    fn report(&mut self, event: Event) {
        self.stop();
        let (store, lease, now) = (Arc::clone(&self.store), self.lease.clone(), self.clock.now());
        // A body may be dropped anywhere. Should its runtime be gone, the lease lapses by itself.
        let runtime = Handle::try_current().unwrap_or_else(|_| self.runtime.clone());
        runtime.spawn(async move {
            for pause in REPORT_PAUSES {
                match store.advance(&lease, &event, now).await {
                    Err(StoreError::Unavailable(error)) => {
                        tracing::warn!(%error, order = %lease.key, "end of a payment not recorded, trying again");
                    }
                    // Overtaken or impossible: somebody else has recorded more than we know.
                    _ => return,
                }
                tokio::time::sleep(pause).await;
            }
        });
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.renewal.is_none() {
            return;
        }
        let event = match self.if_dropped {
            IfDropped::GiveUp => Event::GivenUp,
            IfDropped::Release => Event::Released,
            IfDropped::Undelivered => {
                metrics::counter!(telemetry::OWED).increment(1);
                Event::Undelivered
            }
        };
        self.report(event);
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// Goes along with the body of a paid response.
///
/// Told that the body was handed over in full, it records the delivery; dropped before, the response counts as lost and
/// its payer may have it again without paying.
#[derive(Debug, Default)]
#[must_use = "dropping a guard counts its response as lost"]
pub struct DeliveryGuard {
    hold: Option<Hold>,
}

impl DeliveryGuard {
    /// For a response that nobody is owed.
    pub(super) const fn nothing_owed() -> Self {
        Self { hold: None }
    }

    pub(super) fn owed(mut hold: Hold) -> Self {
        hold.if_dropped(IfDropped::Undelivered);
        Self { hold: Some(hold) }
    }

    /// The body was handed to the transport in full. Later calls do nothing.
    pub fn delivered(&mut self) {
        if let Some(mut hold) = self.hold.take() {
            hold.report(Event::Delivered);
        }
    }
}

/// Between tries to record how a payment ended; together shorter than a lease.
const REPORT_PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(3), Duration::from_secs(10)];

async fn renew(store: Arc<dyn OrderStore>, clock: Arc<dyn Clock>, lease: Lease, length: Duration) {
    loop {
        tokio::time::sleep(length / 3).await;
        match store.renew(&lease, length, clock.now()).await {
            Ok(()) => {}
            Err(StoreError::Unavailable(error)) => tracing::warn!(%error, "lease not renewed, trying again"),
            // Overtaken: the fence stops whatever this holder would still do.
            Err(_) => return,
        }
    }
}
