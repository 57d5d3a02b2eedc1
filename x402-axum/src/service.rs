//! The service, with axum's own body.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    http::{Request, Response},
};
use pin_project_lite::pin_project;
use tower_service::Service;
use x402_tower::{Rebuilt, ResponseBody};

/// Asks for payment, and calls the service it wraps for what is free or paid.
///
/// Made by the layer [`Paywall`](crate::Paywall). Its responses have axum's own body, so that a router does not box a
/// free one again.
#[derive(Clone, Debug)]
pub struct PaywallService<S>(x402_tower::PaywallService<S, Rebuilt>);

impl<S> PaywallService<S> {
    pub(crate) const fn new(inner: x402_tower::PaywallService<S, Rebuilt>) -> Self {
        Self(inner)
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for PaywallService<S>
where
    x402_tower::PaywallService<S, Rebuilt>:
        Service<Request<ReqBody>, Response = Response<ResponseBody<ResBody>>>,
    ResBody: HttpBody<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = <x402_tower::PaywallService<S, Rebuilt> as Service<Request<ReqBody>>>::Error;
    type Future =
        ResponseFuture<<x402_tower::PaywallService<S, Rebuilt> as Service<Request<ReqBody>>>::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        ResponseFuture { future: self.0.call(request) }
    }
}

pin_project! {
    /// Response future of [`PaywallService`].
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResponseBody<B>>, E>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().future.poll(context));
        Poll::Ready(response.map(|response| {
            // `Body::new` takes a `Body` as it is.
            response.map(|body| body.into_inner().map_or_else(Body::new, Body::new))
        }))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
