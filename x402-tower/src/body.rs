//! The response body.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use x402_core::DeliveryGuard;

use crate::reply::Dialect;

pin_project! {
    /// Response body of [`PaywallService`](crate::PaywallService): the handler's own, or one that is complete.
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B, delivery: Option<Box<Delivery>> },
        Full { data: Bytes, trailers: Option<Box<HeaderMap>>, delivery: Option<Box<Delivery>> },
    }
}

/// Tells the guard when the last byte was handed over.
struct Delivery {
    guard: DeliveryGuard,
    /// Where the length is known: a transport stops asking when it has it all.
    remaining: Option<u64>,
    /// By which trailers are read.
    dialect: Dialect,
}

impl<B> ResponseBody<B> {
    /// The handler's body, untouched.
    #[inline]
    pub(crate) const fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body, delivery: None } }
    }

    /// A body of our own.
    #[inline]
    pub(crate) const fn full(data: Bytes) -> Self {
        Self { kind: Kind::Full { data, trailers: None, delivery: None } }
    }

    /// A handler's body that was collected.
    pub(crate) fn collected(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { kind: Kind::Full { data, trailers: trailers.map(Box::new), delivery: None } }
    }
}

impl<B> ResponseBody<B> {
    /// The handler's own body, if it goes out untouched.
    ///
    /// # Errors
    /// The body itself, when it is one of ours or its delivery is watched.
    #[inline]
    pub fn into_inner(self) -> Result<B, Self> {
        match self.kind {
            Kind::Inner { body, delivery: None } => Ok(body),
            kind => Err(Self { kind }),
        }
    }
}

impl<B: Body<Data = Bytes>> ResponseBody<B> {
    /// Lets a guard go along with the body, whose length may be declared in the response's head alone. Where nothing is
    /// sent the delivery is done at once.
    pub(crate) fn guarded(
        mut self,
        mut guard: DeliveryGuard,
        bodiless: bool,
        declared: Option<u64>,
        dialect: Dialect,
    ) -> Self {
        let remaining = self.size_hint().exact().or(declared);
        if remaining == Some(0) || self.is_end_stream() {
            guard.delivered();
            return self;
        }
        if bodiless {
            guard.ended();
            return self;
        }
        let (Kind::Inner { delivery, .. } | Kind::Full { delivery, .. }) = &mut self.kind;
        *delivery = Some(Box::new(Delivery { guard, remaining, dialect }));
        self
    }
}

impl Delivery {
    /// Counts a frame; true once all was handed over. A body that ends short of its length never is; one of unknown
    /// length ends with its trailers, after which a transport does not ask again.
    fn is_over(&mut self, frame: Option<&Frame<Bytes>>, ended: bool) -> bool {
        let Some(remaining) = &mut self.remaining else {
            return ended || frame.is_none_or(Frame::is_trailers);
        };
        if let Some(data) = frame.and_then(Frame::data_ref) {
            *remaining = remaining.saturating_sub(data.len() as u64);
        }
        *remaining == 0
    }

    /// All was handed over, this last.
    fn end(&mut self, last: Option<&Frame<Bytes>>) {
        let trailers = last.and_then(Frame::trailers_ref);
        if trailers.is_some_and(|trailers| self.dialect.is_failure(trailers)) {
            self.guard.ended();
        } else {
            self.guard.delivered();
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (frame, ended, delivery) = match self.project().kind.project() {
            KindProj::Inner { body, delivery: None } => return body.poll_frame(context),
            KindProj::Inner { mut body, delivery } => {
                let frame = ready!(body.as_mut().poll_frame(context));
                (frame, body.is_end_stream(), delivery)
            }
            KindProj::Full { data, trailers, delivery } => {
                let frame = if data.is_empty() {
                    trailers.take().map(|trailers| Frame::trailers(*trailers))
                } else {
                    Some(Frame::data(std::mem::take(data)))
                };
                (frame.map(Ok), trailers.is_none(), delivery)
            }
        };
        if let Some(guarded) = delivery {
            let broken = matches!(frame, Some(Err(_)));
            let good = frame.as_ref().and_then(|frame| frame.as_ref().ok());
            let over = !broken && guarded.is_over(good, ended);
            if over {
                guarded.end(good);
            }
            if over || broken {
                *delivery = None;
            }
        }
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body, .. } => body.is_end_stream(),
            Kind::Full { data, trailers, .. } => data.is_empty() && trailers.is_none(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Full { data, .. } => SizeHint::with_exact(data.len() as u64),
        }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::inner(B::default())
    }
}

impl<B: fmt::Debug> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Inner { body, .. } => f.debug_tuple("ResponseBody").field(body).finish(),
            Kind::Full { data, .. } => f.debug_struct("ResponseBody").field("length", &data.len()).finish(),
        }
    }
}
