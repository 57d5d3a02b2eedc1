use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use x402_core::{
    facilitator::BoxFuture,
    order::{Event, Lease, OpenRequest, Opened, Order, OrderStore, StoreError},
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

    x402_core::forward_order_store! {
        self => self.inner;
        renew find response payment due deferred page history tidy ping is_shared may_forget
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
