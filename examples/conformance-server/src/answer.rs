//! What a handler answers, free of any framework.

use std::{
    borrow::Cow,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Interval, MissedTickBehavior, interval};
use x402_core::Charge;

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) body: AnswerBody,
}

/// A body that every framework can send.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    Full(Bytes),
    Chunks(Chunks),
}

impl Answer {
    pub(crate) fn text(status: u16, text: impl Into<Bytes>) -> Self {
        Self::typed(status, "text/plain", text)
    }

    pub(crate) fn typed(status: u16, kind: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type", kind.into())], body: AnswerBody::Full(body.into()) }
    }

    pub(crate) fn stream(chunks: Chunks) -> Self {
        let headers = vec![("content-type", Cow::Borrowed("text/plain"))];
        Self { status: 200, headers, body: AnswerBody::Chunks(chunks) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Answer> for http::Response<AnswerBody> {
    fn from(answer: Answer) -> Self {
        let mut response = http::Response::builder().status(answer.status);
        for (name, value) in answer.headers {
            response = response.header(name, &*value);
        }
        response.body(answer.body).expect("handlers send valid headers")
    }
}

/// So many lines, so far apart; the first at once.
#[derive(Debug)]
pub(crate) struct Chunks {
    all: u32,
    sent: u32,
    timer: Interval,
    /// What is charged, and how much for each line.
    bill: Option<(Charge, u64)>,
}

impl Chunks {
    pub(crate) fn new(all: u32, apart: Duration) -> Self {
        let mut timer = interval(apart);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { all, sent: 0, timer, bill: None }
    }

    /// Charges so much for each line when it is sent.
    pub(crate) fn billed(self, bill: Option<(Charge, u64)>) -> Self {
        Self { bill, ..self }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.sent == self.all {
            return Poll::Ready(None);
        }
        ready!(self.timer.poll_tick(context));
        self.sent += 1;
        if let Some((charge, each)) = &self.bill
            && let Err(error) = charge.set(u64::from(self.sent) * each)
        {
            tracing::warn!(%error, "nobody pays for more lines");
            self.all = self.sent;
        }
        Poll::Ready(Some(Bytes::from(format!("chunk {} of {}\n", self.sent, self.all))))
    }
}

impl AnswerBody {
    fn poll_next_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self {
            Self::Full(bytes) => Poll::Ready((!bytes.is_empty()).then(|| std::mem::take(bytes))),
            Self::Chunks(chunks) => chunks.poll_chunk(context),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_next_bytes(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Chunks(_) => SizeHint::default(),
        }
    }
}

impl MessageBody for AnswerBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        match self {
            Self::Full(bytes) => BodySize::Sized(bytes.len() as u64),
            Self::Chunks(_) => BodySize::Stream,
        }
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.poll_next_bytes(context).map(|bytes| bytes.map(Ok))
    }
}
