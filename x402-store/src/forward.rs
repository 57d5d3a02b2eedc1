//! The port, forwarded to the steps of a back end; written once for all stores.

/// Implements [`OrderStore`](x402_core::order::OrderStore) for a type with a field `steps`.
macro_rules! order_store {
    ($store:ty, is_shared: $shared:literal, may_forget: $forgets:literal) => {
        impl ::x402_core::order::OrderStore for $store {
            fn open<'a>(
                &'a self,
                request: &'a ::x402_core::order::OpenRequest,
                now: ::x402_core::time::UnixSeconds,
            ) -> $crate::forward::Answer<'a, ::x402_core::order::Opened> {
                Box::pin(self.steps.open(request, now))
            }

            fn advance<'a>(
                &'a self,
                lease: &'a ::x402_core::order::Lease,
                event: &'a ::x402_core::order::Event,
                now: ::x402_core::time::UnixSeconds,
            ) -> $crate::forward::Answer<'a, ::x402_core::order::Order> {
                Box::pin(self.steps.advance(lease, event, now))
            }

            fn renew<'a>(
                &'a self,
                lease: &'a ::x402_core::order::Lease,
                by: ::std::time::Duration,
                now: ::x402_core::time::UnixSeconds,
            ) -> $crate::forward::Answer<'a, ()> {
                Box::pin(self.steps.renew(lease, by, now))
            }

            fn find<'a>(
                &'a self,
                key: &'a ::x402_core::scheme::PaymentKey,
                _: ::x402_core::time::UnixSeconds,
            ) -> $crate::forward::Answer<'a, Option<::x402_core::order::Order>> {
                Box::pin(self.steps.find(key))
            }

            fn response<'a>(
                &'a self,
                key: &'a ::x402_core::scheme::PaymentKey,
            ) -> $crate::forward::Answer<'a, Option<::std::sync::Arc<::x402_core::order::StoredResponse>>>
            {
                Box::pin(self.steps.in_time(self.steps.rows.response(key)))
            }

            fn payment<'a>(
                &'a self,
                key: &'a ::x402_core::scheme::PaymentKey,
            ) -> $crate::forward::Answer<'a, Option<::std::sync::Arc<::x402_core::order::KeptPayment>>> {
                Box::pin(self.steps.in_time(self.steps.rows.payment(key)))
            }

            fn due<'a>(
                &'a self,
                worker: &'a ::x402_core::order::Worker,
                limit: usize,
                now: ::x402_core::time::UnixSeconds,
            ) -> $crate::forward::Answer<'a, Vec<(::x402_core::order::Lease, ::x402_core::order::Order)>>
            {
                Box::pin(self.steps.due(worker, limit, now))
            }

            fn deferred<'a>(
                &'a self,
                payer: &'a str,
            ) -> $crate::forward::Answer<'a, ::x402_core::order::Deferred> {
                Box::pin(self.steps.in_time(self.steps.rows.deferred(payer)))
            }

            fn page<'a>(
                &'a self,
                filter: &'a ::x402_core::order::Filter,
                after: Option<::x402_core::order::Cursor>,
                limit: usize,
                now: ::x402_core::time::UnixSeconds,
            ) -> $crate::forward::Answer<'a, ::x402_core::order::Page> {
                Box::pin(self.steps.rows.page(filter, after, limit, now))
            }

            fn history<'a>(
                &'a self,
                key: &'a ::x402_core::scheme::PaymentKey,
            ) -> $crate::forward::Answer<'a, Vec<::x402_core::order::Transition>> {
                Box::pin(self.steps.in_time(self.steps.rows.history(key)))
            }

            fn tidy(&self, now: ::x402_core::time::UnixSeconds) -> $crate::forward::Answer<'_, ()> {
                Box::pin(self.steps.rows.tidy(now))
            }

            fn ping(&self) -> $crate::forward::Answer<'_, ()> {
                Box::pin(self.steps.in_time(self.steps.rows.ping()))
            }

            fn is_shared(&self) -> bool {
                $shared
            }

            fn may_forget(&self) -> bool {
                $forgets
            }
        }
    };
}

pub(crate) use order_store;

pub(crate) type Answer<'a, T> =
    ::x402_core::facilitator::BoxFuture<'a, Result<T, ::x402_core::order::StoreError>>;
