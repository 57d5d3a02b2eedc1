//! The response future.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::ServiceResponse,
};
use pin_project_lite::pin_project;

type Answer<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

pin_project! {
    /// Response future of [`PaywallService`](crate::PaywallService).
    pub struct ResponseFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B> {
        Free { #[pin] future: F },
        Refused { response: Option<ServiceResponse<EitherBody<B>>> },
        Paid { future: Pin<Box<dyn Future<Output = Answer<B>>>> },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) const fn free(future: F) -> Self {
        Self { state: State::Free { future } }
    }

    pub(crate) const fn refused(response: ServiceResponse<EitherBody<B>>) -> Self {
        Self { state: State::Refused { response: Some(response) } }
    }

    pub(crate) fn paid(future: impl Future<Output = Answer<B>> + 'static) -> Self {
        Self { state: State::Paid { future: Box::pin(future) } }
    }
}

impl<F, B> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Answer<B>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer<B>> {
        match self.project().state.project() {
            StateProj::Free { future } => {
                let response = ready!(future.poll(context));
                Poll::Ready(response.map(ServiceResponse::map_into_left_body))
            }
            StateProj::Refused { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled after it was ready")))
            }
            StateProj::Paid { future } => future.as_mut().poll(context),
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Free { .. } => "free",
            State::Refused { .. } => "refused",
            State::Paid { .. } => "paid",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
