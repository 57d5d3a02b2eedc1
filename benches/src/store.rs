use std::{sync::Arc, time::Duration};

use x402_core::{
    facilitator::BoxFuture,
    order::{Event, Lease, OpenRequest, Opened, Order, OrderStore, StoreError, StoredResponse},
    scheme::PaymentKey,
    time::UnixSeconds,
};

/// Knows no order and opens none: what stands before it is stateless.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl OrderStore for NoStore {
    fn open<'a>(&'a self, _: &'a OpenRequest, _: UnixSeconds) -> BoxFuture<'a, Result<Opened, StoreError>> {
        Box::pin(async { Err(StoreError::Full) })
    }

    fn advance<'a>(
        &'a self,
        _: &'a Lease,
        _: &'a Event,
        _: UnixSeconds,
    ) -> BoxFuture<'a, Result<Order, StoreError>> {
        Box::pin(async { Err(StoreError::Overtaken) })
    }

    fn renew<'a>(
        &'a self,
        _: &'a Lease,
        _: Duration,
        _: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Err(StoreError::Overtaken) })
    }

    fn find<'a>(
        &'a self,
        _: &'a PaymentKey,
        _: UnixSeconds,
    ) -> BoxFuture<'a, Result<Option<Order>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn response<'a>(
        &'a self,
        _: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<StoredResponse>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn is_shared(&self) -> bool {
        false
    }
}
