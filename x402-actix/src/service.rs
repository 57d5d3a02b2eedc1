//! The service.

use std::{
    fmt,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
};
use x402_core::{Demand, PaidContext, Reply, Triage, adapter::priced_twice};

use crate::{ResponseFuture, head::Head, middleware::Shared, paid, reply::into_response};

/// Asks for payment, and calls the service it wraps for what is free or paid.
///
/// Made by the middleware [`Paywall`](crate::Paywall).
pub struct PaywallService<S> {
    inner: Rc<S>,
    shared: Arc<Shared>,
}

impl<S> PaywallService<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner: Rc::new(inner), shared }
    }
}

impl<S, B> Service<ServiceRequest> for PaywallService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future, B>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let triage = self.shared.engine.triage(&Head::new(&request));
        if matches!(triage, Triage::Free) {
            return ResponseFuture::free(self.inner.call(request));
        }
        let paid = request.extensions().get::<PaidContext>().cloned();
        if let Some(paid) = paid {
            self.shared.warn_of_two();
            return match self.shared.engine.underpaid(&Head::new(&request), &paid) {
                Some(reply) => refused(request, reply),
                None => ResponseFuture::free(self.inner.call(request)),
            };
        }
        if request.extensions().contains::<Demand>() {
            let reply = priced_twice(request.path());
            return refused(request, reply);
        }
        match triage {
            Triage::Free => unreachable!("free requests are gone"),
            Triage::Reply(reply) => refused(request, reply),
            Triage::Check(attempt) => {
                let engine = self.shared.engine.clone();
                ResponseFuture::paid(paid::serve(engine, attempt, Rc::clone(&self.inner), request))
            }
            Triage::Demand(attempt) => {
                let engine = self.shared.engine.clone();
                ResponseFuture::paid(paid::serve_demanding(engine, attempt, Rc::clone(&self.inner), request))
            }
        }
    }
}

fn refused<F, B>(request: ServiceRequest, reply: Reply) -> ResponseFuture<F, B> {
    ResponseFuture::refused(request.into_response(into_response(reply)).map_into_right_body())
}

impl<S: fmt::Debug> fmt::Debug for PaywallService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaywallService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
