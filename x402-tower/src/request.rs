//! Request bodies: handed on as they came, or read and rebuilt.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use x402_core::error::BodyError;

/// Request bodies of any type, handed on as they came: the default of a [`Paywall`](crate::Paywall).
#[derive(Clone, Copy, Debug)]
pub struct Untouched;

/// Request bodies that can be made of bytes, for routes that [bind](x402_core::price::PriceRule::bind_body) them.
///
/// See [`Paywall::bind_bodies`](crate::Paywall::bind_bodies).
#[derive(Clone, Copy, Debug)]
pub struct Rebuilt;

/// Whether a body that was read can be handed to the handler again. Implemented by [`Untouched`] and [`Rebuilt`].
pub trait RequestBodies<B>: sealed::Sealed {
    /// The body of these bytes, where that is possible.
    fn rebuilt(data: Bytes) -> Option<B>;
}

impl<B> RequestBodies<B> for Untouched {
    fn rebuilt(_: Bytes) -> Option<B> {
        None
    }
}

impl<B: From<Bytes>> RequestBodies<B> for Rebuilt {
    fn rebuilt(data: Bytes) -> Option<B> {
        Some(B::from(data))
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Untouched {}
    impl Sealed for super::Rebuilt {}
}

pin_project! {
    /// A request body that was read, or one that was not: for [`Paywall::bind_bodies`](crate::Paywall::bind_bodies) where the
    /// server's own body cannot be made of bytes.
    ///
    /// ```
    /// # use http::Request;
    /// # use tower::{Layer, Service, util::MapRequestLayer};
    /// # use x402_tower::{Paywall, RequestBody};
    /// # fn stack<S, B>(paywall: Paywall, handler: S) -> impl Sized {
    /// // Requests come as `Request<B>`, whatever the server's body is; the handler takes `Request<RequestBody<B>>`.
    /// let wrap = MapRequestLayer::new(|request: Request<B>| request.map(RequestBody::new));
    /// wrap.layer(paywall.bind_bodies().layer(handler))
    /// # }
    /// ```
    pub struct RequestBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Read { data: Bytes },
    }
}

impl<B> RequestBody<B> {
    /// The server's own body.
    pub const fn new(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }
}

impl<B> From<Bytes> for RequestBody<B> {
    fn from(data: Bytes) -> Self {
        Self { kind: Kind::Read { data } }
    }
}

impl<B: Body<Data = Bytes>> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(context),
            KindProj::Read { data } => {
                let data = std::mem::take(data);
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Read { data } => data.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Read { data } => SizeHint::with_exact(data.len() as u64),
        }
    }
}

impl<B: Default> Default for RequestBody<B> {
    fn default() -> Self {
        Self::new(B::default())
    }
}

impl<B> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Inner { .. } => "inner",
            Kind::Read { .. } => "read",
        };
        f.debug_struct("RequestBody").field("kind", &kind).finish_non_exhaustive()
    }
}

/// The whole of a body of at most `limit` bytes; its trailers, which are not bound, are dropped.
pub(crate) async fn read<B: Body>(body: B, limit: usize) -> Result<Bytes, BodyError> {
    let mut body = pin!(body);
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    let mut left = limit;
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let Ok(mut data) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else { continue };
        let length = data.remaining();
        left = left.checked_sub(length).ok_or(BodyError::TooLarge)?;
        if first.is_empty() {
            first = data.copy_to_bytes(length);
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data.copy_to_bytes(length));
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
