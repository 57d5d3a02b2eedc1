//! The paid arm: from a payment, through the handler, to a receipt.

use std::{future::poll_fn, pin::pin};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, header::CONTENT_LENGTH, response::Parts};
use http_body::Body;
use tower_service::Service;
use tracing::Instrument;
use x402_core::{
    Admission, Attempt, Closed, Engine, Outcome, Reply, Ticket,
    adapter::{Panicked, bind_body, catch_panic, handler_failed, is_bodiless},
};

use crate::{
    ResponseBody,
    reply::{Dialect, apply, into_response, owned, strip_reserved},
    request::read,
};

/// Has the payment looked at and, if it is good, runs the handler in `ready`, the service that was polled ready. A body
/// that is bound to its payment is read first and made again by `rebuild`.
pub(crate) async fn serve<S, ReqBody, ResBody>(
    engine: Engine,
    mut attempt: Attempt,
    mut ready: S,
    mut request: Request<ReqBody>,
    rebuild: fn(Bytes) -> Option<ReqBody>,
) -> Result<Response<ResponseBody<ResBody>>, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: Body,
    ResBody: Body<Data = Bytes>,
{
    let dialect = Dialect::of(request.headers());
    request = match bound(&mut attempt, request, rebuild).await {
        Ok(request) => request,
        Err(reply) => return Ok(into_response(reply, dialect)),
    };
    let ticket = match engine.admit(attempt).await {
        Admission::Enter(ticket) => ticket,
        Admission::Reply(reply) => return Ok(into_response(reply, dialect)),
    };
    let method = request.method().clone();
    request.extensions_mut().insert(ticket.context().clone());
    request.extensions_mut().insert(ticket.charge().clone());
    let limit = ticket.body_limit();
    let handler = async {
        let response = ready.call(request).await;
        drop(ready);
        Ok(Handled::of(response?, &method, dialect, limit).await)
    };
    let handled = catch_panic(handler.instrument(ticket.span().clone())).await;
    conclude(ticket, handled, &method, dialect).await
}

/// Runs the handler in `ready`, which looks at its input before it has the payment looked at.
pub(crate) async fn serve_demanding<S, ReqBody, ResBody>(
    engine: Engine,
    mut attempt: Attempt,
    mut ready: S,
    mut request: Request<ReqBody>,
    rebuild: fn(Bytes) -> Option<ReqBody>,
) -> Result<Response<ResponseBody<ResBody>>, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: Body,
    ResBody: Body<Data = Bytes>,
{
    let dialect = Dialect::of(request.headers());
    request = match bound(&mut attempt, request, rebuild).await {
        Ok(request) => request,
        Err(reply) => return Ok(into_response(reply, dialect)),
    };
    let method = request.method().clone();
    let (demand, till) = engine.demand(attempt);
    request.extensions_mut().insert(demand);
    let handler = async {
        let mut response = ready.call(request).await;
        drop(ready);
        if let Ok(response) = &mut response {
            strip_reserved(response.headers_mut());
        }
        response
    };
    let response = catch_panic(handler.instrument(till.span().clone())).await;
    let mut outcome = Outcome::failed();
    if let Ok(Ok(response)) = &response
        && !dialect.is_failure(response.headers())
    {
        outcome = Outcome::streaming(response.status().as_u16());
        if till.reads_headers() {
            outcome.headers = owned(response.headers());
        }
    }
    match till.close(&outcome) {
        Closed::Enter(ticket) => {
            let limit = ticket.body_limit();
            let handled = match response {
                Ok(Ok(response)) => {
                    let handled = Handled::of(response, &method, dialect, limit);
                    catch_panic(handled.instrument(ticket.span().clone())).await.map(Ok)
                }
                Ok(Err(error)) => Ok(Err(error)),
                Err(panicked) => Err(panicked),
            };
            conclude(ticket, handled, &method, dialect).await
        }
        Closed::Reply(reply) => Ok(into_response(reply, dialect)),
        Closed::Pass(mut release) => {
            let mut response = match response {
                Ok(response) => response?.map(ResponseBody::inner),
                Err(_) => into_response(handler_failed(), dialect),
            };
            apply(&mut release, response.headers_mut());
            Ok(response)
        }
    }
}

/// The request with its body read, where that is bound to the payment.
async fn bound<B: Body>(
    attempt: &mut Attempt,
    request: Request<B>,
    rebuild: fn(Bytes) -> Option<B>,
) -> Result<Request<B>, Reply> {
    let Some(limit) = attempt.body_limit() else { return Ok(request) };
    let (parts, body) = request.into_parts();
    let data = bind_body(attempt, read(body, limit)).await?;
    Ok(Request::from_parts(parts, rebuild(data).expect("the layer can bind bodies")))
}

/// Ends the payment with what the handler did, and says what is sent.
async fn conclude<B: Body<Data = Bytes>, E>(
    ticket: Ticket,
    handled: Result<Result<Handled<B>, E>, Panicked>,
    method: &Method,
    dialect: Dialect,
) -> Result<Response<ResponseBody<B>>, E> {
    let handled = match handled {
        Ok(Ok(handled)) => handled,
        Ok(Err(error)) => {
            // The error is the inner service's to tell; the payment is given back, whatever comes of that.
            let _ = ticket.finish(Outcome::failed()).await;
            return Err(error);
        }
        Err(_) => Handled::broken(),
    };
    let Handled { mut parts, body, mut outcome } = handled;
    if outcome.body.is_none() && ticket.reads_headers() {
        outcome.headers = owned(&parts.headers);
    }
    match ticket.finish(outcome).await {
        Ok(mut release) => {
            apply(&mut release, &mut parts.headers);
            let bodiless = is_bodiless(method.as_str(), parts.status.as_u16());
            let declared = declared_length(&parts.headers);
            Ok(Response::from_parts(parts, body.guarded(release.delivery, bodiless, declared, dialect)))
        }
        Err(reply) => Ok(into_response(reply, dialect)),
    }
}

/// A handler's response, with its body collected where that is cheap.
struct Handled<B> {
    parts: Parts,
    body: ResponseBody<B>,
    outcome: Outcome,
}

impl<B: Body<Data = Bytes>> Handled<B> {
    async fn of(response: Response<B>, method: &Method, dialect: Dialect, limit: usize) -> Self {
        let (mut parts, body) = response.into_parts();
        strip_reserved(&mut parts.headers);
        let status = parts.status.as_u16();
        if dialect.is_failure(&parts.headers) {
            return Self { parts, body: ResponseBody::inner(body), outcome: Outcome::failed() };
        }
        let (exact, declared) = (body.size_hint().exact(), declared_length(&parts.headers));
        let lies = exact.zip(declared).is_some_and(|(exact, declared)| exact != declared);
        if lies && status < 400 && !is_bodiless(method.as_str(), status) {
            return Self::broken();
        }
        let length = exact.and_then(|length| usize::try_from(length).ok());
        // What switches protocols belongs to its connection, and cannot be sent again.
        let Some(length) = length.filter(|length| *length <= limit && (200..400).contains(&status)) else {
            return Self { parts, body: ResponseBody::inner(body), outcome: Outcome::streaming(status) };
        };
        match collect(body, length).await {
            Some((data, None)) => {
                let outcome = Outcome::complete(status, owned(&parts.headers), data.clone());
                Self { parts, body: ResponseBody::collected(data, None), outcome }
            }
            // Trailers cannot be kept for a retry.
            Some((data, Some(trailers))) => {
                let failed = dialect.is_failure(&trailers);
                let outcome = if failed { Outcome::failed() } else { Outcome::complete_unkept(status) };
                Self { parts, body: ResponseBody::collected(data, Some(trailers)), outcome }
            }
            None => Self::broken(),
        }
    }

    /// In place of a response that was not finished.
    fn broken() -> Self {
        let (parts, body) = into_response(handler_failed(), Dialect::Http).into_parts();
        Self { parts, body, outcome: Outcome::failed() }
    }
}

/// How long a response says its body is, beside what the body itself knows.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole of a body that says it is `length` bytes long; nothing if it fails or is not.
async fn collect<B: Body<Data = Bytes>>(body: B, length: usize) -> Option<(Bytes, Option<HeaderMap>)> {
    let mut body = pin!(body);
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    let mut trailers: Option<HeaderMap> = None;
    while !body.is_end_stream() {
        let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await else { break };
        match frame.ok()?.into_data() {
            Ok(data) if first.is_empty() => first = data,
            Ok(data) => {
                if rest.is_empty() {
                    rest.reserve(length);
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
            Err(frame) => {
                if let Ok(more) = frame.into_trailers() {
                    trailers.get_or_insert_default().extend(more);
                }
            }
        }
        if rest.len() > length {
            return None;
        }
    }
    let data = if rest.is_empty() { first } else { rest.freeze() };
    (data.len() == length).then_some((data, trailers))
}
