//! Holding an order: the lease is renewed while work runs, and given up when the holder is dropped.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    PaymentFacts,
    exposure::Exposed,
    renewal::Renewal,
    work::{Work, Working},
};
use crate::{
    order::{Event, Lease, Order, OrderStore, StoreError},
    telemetry,
    time::{Clock, UnixSeconds},
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
    /// Shared by both halves of a hold that was split; `None` once there is nothing left to hold.
    renewal: Option<Arc<Renewal>>,
    working: Option<Working>,
    /// Where reports are sent from if this is dropped outside of any runtime.
    runtime: Handle,
    if_dropped: IfDropped,
    part: Part,
    /// What hooks are told of the payment, where its payer presents it and there are hooks.
    facts: Option<Arc<PaymentFacts>>,
    /// What the payment is counted with until it is settled.
    exposed: Option<Arc<Exposed>>,
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
    /// The response was lost, and what was used of it is charged.
    BrokenOff,
}

/// How much of an order a holder holds.
enum Part {
    Whole,
    /// The money, while somebody else has the response on its way. Told when that is over.
    Money(oneshot::Receiver<LetGo>),
    /// The response, while somebody else moves the money.
    Response(oneshot::Sender<LetGo>),
}

/// The response's half is over, and the store has let go of the order with its report.
struct LetGo;

impl Hold {
    /// Starts renewing the lease of an order that was just taken.
    pub(super) fn new(
        store: Arc<dyn OrderStore>,
        clock: Arc<dyn Clock>,
        lease: Lease,
        length: Duration,
        order: &Order,
    ) -> Self {
        let renewal = Renewal::start(Arc::clone(&store), Arc::clone(&clock), lease.clone(), length);
        renewal.learn(order);
        Self {
            store,
            clock,
            lease,
            length,
            renewal: Some(Arc::new(renewal)),
            working: None,
            runtime: Handle::current(),
            if_dropped: IfDropped::GiveUp,
            part: Part::Whole,
            facts: None,
            exposed: None,
        }
    }

    /// Counts this hold, and the report of its end, as work of this process.
    pub(super) fn counted(&mut self, work: &Work) {
        self.working = Some(work.begin());
    }

    /// Keeps what hooks are told of the payment behind this order.
    pub(super) fn presented_as(&mut self, facts: Arc<PaymentFacts>) {
        self.facts = Some(facts);
    }

    pub(super) const fn facts(&self) -> Option<&Arc<PaymentFacts>> {
        self.facts.as_ref()
    }

    /// Counts the payment as verified and not settled for as long as this holds its order, or until it is settled.
    pub(super) fn exposes(&mut self, exposed: Arc<Exposed>) {
        self.exposed = Some(exposed);
    }

    /// Parts the money from the response. The lease is renewed until both halves are done, whichever is first.
    pub(super) fn split(mut self) -> (Self, Self) {
        let (over, wait) = oneshot::channel();
        let response = Self {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            lease: self.lease.clone(),
            length: self.length,
            renewal: self.renewal.clone(),
            working: self.working.clone(),
            runtime: self.runtime.clone(),
            if_dropped: IfDropped::Undelivered,
            part: Part::Response(over),
            facts: None,
            exposed: None,
        };
        self.part = Part::Money(wait);
        self.if_dropped = IfDropped::Release;
        (self, response)
    }

    /// Reports an event, and keeps the order unless the event lets go of it.
    pub(super) async fn advance(&mut self, event: Event) -> Result<Order, StoreError> {
        let mut advanced = self.store.advance(&self.lease, &event, self.clock.now()).await;
        if matches!(advanced, Err(StoreError::Lapsed)) {
            // We stood still for longer than the lease. The order is ours again, unless somebody took it over.
            self.store.renew(&self.lease, self.length, self.clock.now()).await?;
            advanced = self.store.advance(&self.lease, &event, self.clock.now()).await;
        }
        if let (Ok(order), Some(exposed)) = (&advanced, &self.exposed)
            && (order.is_settled() || order.leased_until.is_none())
        {
            exposed.end();
        }
        match (&advanced, &self.renewal) {
            (Ok(order), _) if order.leased_until.is_none() => self.stop(),
            (Ok(order), Some(renewal)) => renewal.learn(order),
            _ => {}
        }
        advanced
    }

    /// Asks the store whether the order is still ours, or ours again.
    pub(super) async fn confirm(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.renew(&self.lease, self.length, now).await?;
        if let Some(renewal) = &self.renewal {
            renewal.renewed_until(now.after(self.length));
        }
        Ok(())
    }

    /// Whether the order is still ours by the clock alone: somebody else, whose clock may be ahead, would find it leased.
    pub(super) fn is_sure(&self) -> bool {
        let later = self.clock.now().after(self.length / 2);
        self.renewal.as_ref().is_none_or(|renewal| renewal.runs_at(later))
    }

    /// Makes sure that the order is ours, by the clock where that will do. Who was overtaken delivers nothing.
    pub(super) async fn make_sure(&self) -> Result<(), StoreError> {
        for _ in 0..CONFIRMATIONS {
            if self.is_sure() {
                return Ok(());
            }
            // We may stand still while we wait for this answer, too.
            self.confirm().await?;
        }
        if self.is_sure() { Ok(()) } else { Err(StoreError::Lapsed) }
    }

    /// Waits a while for the response's half to be over; a whole hold has nobody to wait for.
    pub(super) async fn is_alone_within(&mut self, length: Duration) -> bool {
        let Part::Money(other) = &mut self.part else { return true };
        let Ok(told) = timeout(length, other).await else { return false };
        self.other_is_over(told.is_ok());
        true
    }

    /// Leaves the order to whoever comes next, once the response's half is over too.
    pub(super) async fn let_go(mut self) {
        if let (Part::Money(other), Some(_)) = (&mut self.part, &self.renewal) {
            let told = other.await.is_ok();
            self.other_is_over(told);
        }
        if self.renewal.is_some() {
            // Should it fail, the drop tries again.
            let _ = self.advance(Event::Released).await;
        }
    }

    /// What is reported if this is dropped.
    pub(super) const fn if_dropped(&mut self, what: IfDropped) {
        self.if_dropped = what;
    }

    fn other_is_over(&mut self, let_go: bool) {
        self.part = Part::Whole;
        if let_go {
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.renewal = None;
        self.working = None;
    }

    /// Reports the end of this hold from a task of its own.
    pub(super) fn report(mut self, event: Event) {
        self.send(event);
    }

    fn send(&mut self, event: Event) {
        let (renewal, working) = (self.renewal.take(), self.working.take());
        let part = std::mem::replace(&mut self.part, Part::Whole);
        let (store, lease, now) = (Arc::clone(&self.store), self.lease.clone(), self.clock.now());
        // A body may be dropped anywhere. Should its runtime be gone, the lease lapses by itself.
        let runtime = Handle::try_current().unwrap_or_else(|_| self.runtime.clone());
        // The other half renews for itself.
        drop(renewal);
        runtime.spawn(async move {
            let _working = working;
            let let_go = record(&*store, &lease, &event, now).await;
            if let (Part::Response(other), true) = (part, let_go) {
                // Nobody may be listening any more.
                let _ = other.send(LetGo);
            }
        });
    }
}

/// Records how a hold ended; whether the order is let go of.
async fn record(store: &dyn OrderStore, lease: &Lease, event: &Event, now: UnixSeconds) -> bool {
    for pause in REPORT_PAUSES {
        match store.advance(lease, event, now).await {
            Ok(order) => return order.leased_until.is_none(),
            Err(StoreError::Unavailable(error)) => {
                tracing::warn!(%error, order = %lease.key, "end of a payment not recorded, trying again");
            }
            Err(StoreError::Overtaken) => return true,
            // Impossible: somebody else has recorded more than we know.
            Err(_) => return false,
        }
        sleep(pause).await;
    }
    false
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.renewal.is_none() {
            return;
        }
        if let Part::Money(other) = &mut self.part
            && matches!(other.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        {
            // The response is on its way: freed now, its order would be taken for one that was lost. The lease lapses.
            self.stop();
            return;
        }
        let event = match self.if_dropped {
            IfDropped::GiveUp => Event::GivenUp,
            IfDropped::Release => Event::Released,
            IfDropped::Undelivered => {
                metrics::counter!(telemetry::OWED).increment(1);
                Event::Undelivered
            }
            IfDropped::BrokenOff => Event::BrokenOff,
        };
        self.send(event);
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// How often the store is asked whether an order is still ours, when its answers come too late to mean anything.
const CONFIRMATIONS: usize = 3;
/// Between tries to record how a payment ended; together shorter than a lease.
const REPORT_PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(3), Duration::from_secs(10)];
