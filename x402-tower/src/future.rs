//! The response future.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use x402_core::Reply;

use crate::{
    ResponseBody,
    reply::{Dialect, into_response},
};

/// Looks at a payment and runs a handler; boxed, since it awaits the network anyway.
type PaidFuture<B, E> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody<B>>, E>> + Send>>;

pin_project! {
    /// Response future of [`PaywallService`](crate::PaywallService).
    pub struct ResponseFuture<F, B, E> {
        #[pin]
        state: State<F, B, E>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B, E> {
        Free { #[pin] future: F },
        Refused { reply: Option<Reply>, dialect: Dialect },
        Paid { future: PaidFuture<B, E> },
    }
}

impl<F, B, E> ResponseFuture<F, B, E> {
    #[inline]
    pub(crate) const fn free(future: F) -> Self {
        Self { state: State::Free { future } }
    }

    #[inline]
    pub(crate) const fn refused(reply: Reply, dialect: Dialect) -> Self {
        Self { state: State::Refused { reply: Some(reply), dialect } }
    }

    pub(crate) fn paid(
        future: impl Future<Output = Result<Response<ResponseBody<B>>, E>> + Send + 'static,
    ) -> Self {
        Self { state: State::Paid { future: Box::pin(future) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Free { future } => {
                let response = ready!(future.poll(context));
                Poll::Ready(response.map(|response| response.map(ResponseBody::inner)))
            }
            StateProj::Refused { reply, dialect } => {
                let reply = reply.take().expect("a future is not polled after it was ready");
                Poll::Ready(Ok(into_response(reply, *dialect)))
            }
            StateProj::Paid { future } => future.as_mut().poll(context),
        }
    }
}

impl<F, B, E> fmt::Debug for ResponseFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Free { .. } => "free",
            State::Refused { .. } => "refused",
            State::Paid { .. } => "paid",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
