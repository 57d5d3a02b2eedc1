use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use x402_core::{
    facilitator::BoxFuture,
    order::{
        Cursor, Deferred, Event, Filter, KeptPayment, Lease, OpenRequest, Opened, Order, OrderStore, Page,
        StoreError, StoredResponse, Transition, Worker,
    },
    scheme::PaymentKey,
    time::UnixSeconds,
};

use super::{Crash, Step};

/// A store after, or just before, whose writes this process may die.
pub(crate) struct CrashingStore {
    pub(crate) inner: Arc<dyn OrderStore>,
    pub(crate) crash: Crash,
}

impl OrderStore for CrashingStore {
    fn open<'a>(
        &'a self,
        request: &'a OpenRequest,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Opened, StoreError>> {
        Box::pin(async move {
            let opened = self.inner.open(request, now).await?;
            if let Opened::New(..) = opened {
                self.crash.reached(Step::Claimed);
            }
            Ok(opened)
        })
    }

    fn advance<'a>(
        &'a self,
        lease: &'a Lease,
        event: &'a Event,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Order, StoreError>> {
        Box::pin(async move {
            if matches!(event, Event::Delivered) && self.crash.is_at(Step::Delivered) {
                sleep(ON_ITS_WAY).await;
                self.crash.reached(Step::Delivered);
            }
            let order = self.inner.advance(lease, event, now).await?;
            if let Some(step) = step_of(event) {
                self.crash.reached(step);
            }
            Ok(order)
        })
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        by: Duration,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.inner.renew(lease, by, now)
    }

    fn find<'a>(
        &'a self,
        key: &'a PaymentKey,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Option<Order>, StoreError>> {
        self.inner.find(key, now)
    }

    fn response<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<StoredResponse>>, StoreError>> {
        self.inner.response(key)
    }

    fn payment<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<KeptPayment>>, StoreError>> {
        self.inner.payment(key)
    }

    fn due<'a>(
        &'a self,
        worker: &'a Worker,
        limit: usize,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Vec<(Lease, Order)>, StoreError>> {
        self.inner.due(worker, limit, now)
    }

    fn deferred<'a>(&'a self, payer: &'a str) -> BoxFuture<'a, Result<Deferred, StoreError>> {
        self.inner.deferred(payer)
    }

    fn page<'a>(
        &'a self,
        filter: &'a Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        self.inner.page(filter, after, limit, now)
    }

    fn history<'a>(&'a self, key: &'a PaymentKey) -> BoxFuture<'a, Result<Vec<Transition>, StoreError>> {
        self.inner.history(key)
    }

    fn tidy(&self, now: UnixSeconds) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.tidy(now)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.ping()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn may_forget(&self) -> bool {
        self.inner.may_forget()
    }
}

/// The step that is reached when an event is recorded.
const fn step_of(event: &Event) -> Option<Step> {
    match event {
        Event::VerifyOk => Some(Step::Verified),
        Event::SettleStarted { .. } | Event::SettleDeferred { .. } | Event::Metered { .. } => {
            Some(Step::Intent)
        }
        Event::SettleOk { .. } => Some(Step::Answered),
        Event::ResponseReady { .. } => Some(Step::Kept),
        _ => None,
    }
}

/// A response that was handed to the transport is at the client's after this.
const ON_ITS_WAY: Duration = Duration::from_millis(200);
