//! The body of a paid response.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use pin_project_lite::pin_project;
use x402_core::DeliveryGuard;

pin_project! {
    /// A body that tells a guard when its last byte was handed over.
    pub(crate) struct PaidBody<B> {
        #[pin]
        body: B,
        guard: Option<DeliveryGuard>,
        // Where the length is known: a transport may stop asking when it has it all.
        remaining: Option<u64>,
    }
}

impl<B: MessageBody> PaidBody<B> {
    pub(crate) fn new(body: B, guard: DeliveryGuard) -> Self {
        let remaining = match body.size() {
            BodySize::None => Some(0),
            BodySize::Sized(length) => Some(length),
            BodySize::Stream => None,
        };
        Self { body, guard: Some(guard), remaining }
    }
}

impl<B: MessageBody> MessageBody for PaidBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let this = self.project();
        let chunk = ready!(this.body.poll_next(context));
        let over = match (&chunk, this.remaining) {
            // One that ends short of its length is broken off by the transport.
            (None, remaining) => remaining.is_none_or(|remaining| remaining == 0),
            (Some(Ok(chunk)), Some(remaining)) => {
                *remaining = remaining.saturating_sub(chunk.len() as u64);
                *remaining == 0
            }
            (Some(Ok(_)), None) => false,
            (Some(Err(_)), _) => {
                *this.guard = None;
                false
            }
        };
        if over && let Some(mut guard) = this.guard.take() {
            guard.delivered();
        }
        Poll::Ready(chunk)
    }
}
