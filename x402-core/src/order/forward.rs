//! Stores over another store: what they leave alone, written once.

/// Inside an implementation of [`OrderStore`](crate::order::OrderStore): the named methods, as the inner store has them.
///
/// `forward_order_store!(self => self.inner; find renew)` passes `find` and `renew` on to `self.inner`.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_order_store {
    (@open $self:ident $inner:expr) => {
        fn open<'a>(
            &'a $self,
            request: &'a $crate::order::OpenRequest,
            now: $crate::time::UnixSeconds,
        ) -> $crate::forward_order_store!(@answer $crate::order::Opened) {
            $inner.open(request, now)
        }
    };
    (@advance $self:ident $inner:expr) => {
        fn advance<'a>(
            &'a $self,
            lease: &'a $crate::order::Lease,
            event: &'a $crate::order::Event,
            now: $crate::time::UnixSeconds,
        ) -> $crate::forward_order_store!(@answer $crate::order::Order) {
            $inner.advance(lease, event, now)
        }
    };
    (@renew $self:ident $inner:expr) => {
        fn renew<'a>(
            &'a $self,
            lease: &'a $crate::order::Lease,
            by: ::core::time::Duration,
            now: $crate::time::UnixSeconds,
        ) -> $crate::forward_order_store!(@answer ()) {
            $inner.renew(lease, by, now)
        }
    };
    (@find $self:ident $inner:expr) => {
        fn find<'a>(
            &'a $self,
            key: &'a $crate::scheme::PaymentKey,
            now: $crate::time::UnixSeconds,
        ) -> $crate::forward_order_store!(@answer Option<$crate::order::Order>) {
            $inner.find(key, now)
        }
    };
    (@response $self:ident $inner:expr) => {
        fn response<'a>(
            &'a $self,
            key: &'a $crate::scheme::PaymentKey,
        ) -> $crate::forward_order_store!(@answer Option<::std::sync::Arc<$crate::order::StoredResponse>>) {
            $inner.response(key)
        }
    };
    (@payment $self:ident $inner:expr) => {
        fn payment<'a>(
            &'a $self,
            key: &'a $crate::scheme::PaymentKey,
        ) -> $crate::forward_order_store!(@answer Option<::std::sync::Arc<$crate::order::KeptPayment>>) {
            $inner.payment(key)
        }
    };
    (@due $self:ident $inner:expr) => {
        fn due<'a>(
            &'a $self,
            worker: &'a $crate::order::Worker,
            limit: usize,
            now: $crate::time::UnixSeconds,
        ) -> $crate::forward_order_store!(@answer Vec<($crate::order::Lease, $crate::order::Order)>) {
            $inner.due(worker, limit, now)
        }
    };
    (@deferred $self:ident $inner:expr) => {
        fn deferred<'a>(
            &'a $self,
            payer: &'a str,
        ) -> $crate::forward_order_store!(@answer $crate::order::Deferred) {
            $inner.deferred(payer)
        }
    };
    (@page $self:ident $inner:expr) => {
        fn page<'a>(
            &'a $self,
            filter: &'a $crate::order::Filter,
            after: Option<$crate::order::Cursor>,
            limit: usize,
            now: $crate::time::UnixSeconds,
        ) -> $crate::forward_order_store!(@answer $crate::order::Page) {
            $inner.page(filter, after, limit, now)
        }
    };
    (@history $self:ident $inner:expr) => {
        fn history<'a>(
            &'a $self,
            key: &'a $crate::scheme::PaymentKey,
        ) -> $crate::forward_order_store!(@answer Vec<$crate::order::Transition>) {
            $inner.history(key)
        }
    };
    (@tidy $self:ident $inner:expr) => {
        fn tidy<'a>(
            &'a $self,
            now: $crate::time::UnixSeconds,
        ) -> $crate::forward_order_store!(@answer ()) {
            $inner.tidy(now)
        }
    };
    (@ping $self:ident $inner:expr) => {
        fn ping<'a>(&'a $self) -> $crate::forward_order_store!(@answer ()) {
            $inner.ping()
        }
    };
    (@is_shared $self:ident $inner:expr) => {
        fn is_shared(&$self) -> bool {
            $inner.is_shared()
        }
    };
    (@may_forget $self:ident $inner:expr) => {
        fn may_forget(&$self) -> bool {
            $inner.may_forget()
        }
    };
    (@answer $of:ty) => {
        $crate::facilitator::BoxFuture<'a, Result<$of, $crate::order::StoreError>>
    };
    ($self:ident => $inner:expr; $($method:ident)+) => {
        $($crate::forward_order_store! { @$method $self $inner })+
    };
}
