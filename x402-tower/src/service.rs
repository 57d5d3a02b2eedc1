//! The service.

use std::{
    fmt,
    marker::PhantomData,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;
use x402_core::{Demand, PaidContext, Triage, adapter::priced_twice};

use crate::{
    RequestBodies, ResponseBody, ResponseFuture, Untouched, head::Head, layer::Shared, paid, reply::Dialect,
};

/// Asks for payment, and calls the service it wraps for what is free or paid.
///
/// Made by the layer [`Paywall`](crate::Paywall).
#[derive(Clone)]
pub struct PaywallService<S, M = Untouched> {
    inner: S,
    shared: Arc<Shared>,
    bodies: PhantomData<M>,
}

impl<S, M> PaywallService<S, M> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared, bodies: PhantomData }
    }
}

impl<S: Clone, M> PaywallService<S, M> {
    /// The service that was polled ready. What it reserved is given back when it is dropped.
    fn take_ready(&mut self) -> S {
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }
}

impl<S, M, ReqBody, ResBody> Service<Request<ReqBody>> for PaywallService<S, M>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    M: RequestBodies<ReqBody>,
    ReqBody: Body + Send + 'static,
    ResBody: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody, S::Error>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (engine, view) = (&self.shared.engine, self.shared.view);
        let mut triage = engine.triage(&Head::new(&request, view));
        if matches!(triage, Triage::Free)
            && let Some(head) = Head::also(&request, view)
        {
            triage = engine.triage(&head);
        }
        if matches!(triage, Triage::Free) {
            return ResponseFuture::free(self.inner.call(request));
        }
        if let Some(paid) = request.extensions().get::<PaidContext>() {
            self.shared.warn_of_two();
            triage = match engine.underpaid(&Head::new(&request, view), paid) {
                Some(reply) => Triage::Reply(reply),
                None => return ResponseFuture::free(self.inner.call(request)),
            };
        }
        if request.extensions().get::<Demand>().is_some() {
            triage = Triage::Reply(priced_twice(request.uri().path()));
        }
        match triage {
            Triage::Free => unreachable!("free requests are gone"),
            Triage::Reply(reply) => {
                drop(self.take_ready());
                ResponseFuture::refused(reply, Dialect::of(request.headers()))
            }
            Triage::Check(attempt) => {
                let ready = self.take_ready();
                let engine = self.shared.engine.clone();
                ResponseFuture::paid(paid::serve(engine, attempt, ready, request, M::rebuilt))
            }
            Triage::Demand(attempt) => {
                let ready = self.take_ready();
                let engine = self.shared.engine.clone();
                ResponseFuture::paid(paid::serve_demanding(engine, attempt, ready, request, M::rebuilt))
            }
        }
    }
}

impl<S: fmt::Debug, M> fmt::Debug for PaywallService<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaywallService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
