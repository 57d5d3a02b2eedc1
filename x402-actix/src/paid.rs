//! The paid arm: from a payment, through the handler, to a receipt.

use std::rc::Rc;

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, EitherBody, MessageBody, to_bytes_limited},
    dev::{Payload, Service, ServiceRequest, ServiceResponse},
    http::Method,
    web,
};
use bytes::Bytes;
use tracing::Instrument;
use x402_core::{
    Admission, Attempt, Closed, DeliveryGuard, Engine, Outcome, Reply, Ticket,
    adapter::{Panicked, bind_body, catch_panic, handler_failed, is_bodiless},
    error::BodyError,
};

use crate::{
    body::PaidBody,
    reply::{Answered, apply, into_response, owned, strip_reserved},
};

/// Has the payment looked at and, if it is good, runs the handler.
pub(crate) async fn serve<S, B>(
    engine: Engine,
    mut attempt: Attempt,
    inner: Rc<S>,
    mut request: ServiceRequest,
) -> Result<ServiceResponse<EitherBody<B>>, Error>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    if let Err(reply) = bind(&mut attempt, &mut request).await {
        return Ok(request.into_response(into_response(reply)).map_into_right_body());
    }
    let ticket = match engine.admit(attempt).await {
        Admission::Enter(ticket) => ticket,
        Admission::Reply(reply) => {
            return Ok(request.into_response(into_response(reply)).map_into_right_body());
        }
    };
    let method = request.method().clone();
    request.extensions_mut().insert(ticket.context().clone());
    request.extensions_mut().insert(ticket.charge().clone());
    let limit = ticket.body_limit();
    let handler = async move { Ok(Handled::of(inner.call(request).await?, limit).await) };
    let handled = catch_panic(handler.instrument(ticket.span().clone())).await;
    conclude(ticket, handled, &method).await
}

/// Runs the handler, which looks at its input before it has the payment looked at.
pub(crate) async fn serve_demanding<S, B>(
    engine: Engine,
    mut attempt: Attempt,
    inner: Rc<S>,
    mut request: ServiceRequest,
) -> Result<ServiceResponse<EitherBody<B>>, Error>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    if let Err(reply) = bind(&mut attempt, &mut request).await {
        return Ok(request.into_response(into_response(reply)).map_into_right_body());
    }
    let method = request.method().clone();
    let (demand, till) = engine.demand(attempt);
    request.extensions_mut().insert(demand);
    let handler = async move {
        let mut response = inner.call(request).await?;
        strip_reserved(response.headers_mut());
        Ok(response)
    };
    let response = catch_panic(handler.instrument(till.span().clone())).await;
    let mut outcome = Outcome::failed();
    if let Ok(Ok(response)) = &response {
        outcome = Outcome::streaming(response.status().as_u16());
        if till.reads_headers() {
            outcome.headers = owned(response.headers());
        }
    }
    match till.close(&outcome) {
        Closed::Enter(ticket) => {
            let handled = match response {
                Ok(Ok(response)) => {
                    let handled = Handled::of(response, ticket.body_limit());
                    catch_panic(handled.instrument(ticket.span().clone())).await.map(Ok)
                }
                Ok(Err(error)) => Ok(Err(error)),
                Err(panicked) => Err(panicked),
            };
            conclude(ticket, handled, &method).await
        }
        Closed::Reply(reply) => match response {
            Ok(Ok(response)) => Ok(response.into_response(into_response(reply).map_into_right_body())),
            _ => Err(Answered::new(into_response(reply)).into()),
        },
        Closed::Pass(mut release) => match response {
            Ok(Ok(mut response)) => {
                apply(&mut release, response.headers_mut());
                Ok(response.map_into_left_body())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Answered::new(into_response(handler_failed())).into()),
        },
    }
}

/// Reads the request's body, where that is bound to the payment.
async fn bind(attempt: &mut Attempt, request: &mut ServiceRequest) -> Result<(), Reply> {
    let Some(limit) = attempt.body_limit() else { return Ok(()) };
    let data = bind_body(attempt, read(request, limit)).await?;
    request.set_payload(Payload::from(data));
    Ok(())
}

/// Ends the payment with what the handler did, and says what is sent.
async fn conclude<B: MessageBody + 'static>(
    ticket: Ticket,
    handled: Result<Result<Handled<B>, Error>, Panicked>,
    method: &Method,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let handled = match handled {
        Ok(Ok(handled)) => handled,
        Ok(Err(error)) => {
            // The error is the handler's to tell; the payment is given back, whatever comes of that.
            let _ = ticket.finish(Outcome::failed()).await;
            return Err(error);
        }
        Err(_) => {
            let mut response = into_response(handler_failed());
            if let Ok(mut release) = ticket.finish(Outcome::failed()).await {
                apply(&mut release, response.headers_mut());
            }
            return Err(Answered::new(response).into());
        }
    };
    let Handled { request, mut head, body, mut outcome } = handled;
    if outcome.body.is_none() && ticket.reads_headers() {
        outcome.headers = owned(head.headers());
    }
    let response = match ticket.finish(outcome).await {
        Ok(mut release) => {
            apply(&mut release, head.headers_mut());
            let bodiless = is_bodiless(method.as_str(), head.status().as_u16());
            head.set_body(body.guarded(release.delivery, bodiless))
        }
        Err(reply) => into_response(reply).map_into_right_body(),
    };
    Ok(ServiceResponse::new(request, response))
}

/// The whole of a request's body of at most `limit` bytes, taken out of the request.
async fn read(request: &mut ServiceRequest, limit: usize) -> Result<Bytes, BodyError> {
    let (request, payload) = request.parts_mut();
    let payload = web::Payload::from_request(request, payload).into_inner();
    let payload = payload.map_err(|_| BodyError::Incomplete)?;
    let read = payload.to_bytes_limited(limit).await.map_err(|_| BodyError::TooLarge)?;
    read.map_err(|_| BodyError::Incomplete)
}

/// A handler's response, with its body collected where that is cheap.
struct Handled<B> {
    request: HttpRequest,
    head: HttpResponse<()>,
    body: HandledBody<B>,
    outcome: Outcome,
}

enum HandledBody<B> {
    Inner(B),
    Full(Bytes),
}

impl<B: MessageBody + 'static> Handled<B> {
    async fn of(response: ServiceResponse<B>, limit: usize) -> Self {
        let (request, response) = response.into_parts();
        let (mut head, body) = response.into_parts();
        strip_reserved(head.headers_mut());
        let status = head.status().as_u16();
        let length = match body.size() {
            BodySize::None => Some(0),
            BodySize::Sized(length) => usize::try_from(length).ok(),
            BodySize::Stream => None,
        };
        // What switches protocols belongs to its connection, and cannot be sent again.
        let Some(length) = length.filter(|length| *length <= limit && (200..400).contains(&status)) else {
            return Self {
                request,
                head,
                body: HandledBody::Inner(body),
                outcome: Outcome::streaming(status),
            };
        };
        if length == 0 {
            let outcome = Outcome::complete(status, owned(head.headers()), Bytes::new());
            return Self { request, head, body: HandledBody::Inner(body), outcome };
        }
        match to_bytes_limited(body, length).await {
            Ok(Ok(data)) if data.len() == length => {
                let outcome = Outcome::complete(status, owned(head.headers()), data.clone());
                Self { request, head, body: HandledBody::Full(data), outcome }
            }
            _ => {
                let (head, _) = into_response(handler_failed()).into_parts();
                let data = handler_failed().body;
                Self { request, head, body: HandledBody::Full(data), outcome: Outcome::failed() }
            }
        }
    }
}

impl<B: MessageBody + 'static> HandledBody<B> {
    /// Lets a guard go along with the body. Where nothing is sent the delivery is done at once.
    fn guarded(self, mut guard: DeliveryGuard, bodiless: bool) -> EitherBody<B> {
        let empty = match &self {
            Self::Inner(body) => matches!(body.size(), BodySize::None | BodySize::Sized(0)),
            Self::Full(data) => data.is_empty(),
        };
        if bodiless || empty {
            if empty {
                guard.delivered();
            } else {
                guard.ended();
            }
            return match self {
                Self::Inner(body) => EitherBody::left(body),
                Self::Full(data) => EitherBody::right(BoxBody::new(data)),
            };
        }
        EitherBody::right(match self {
            Self::Inner(body) => BoxBody::new(PaidBody::new(body, guard)),
            Self::Full(data) => BoxBody::new(PaidBody::new(data, guard)),
        })
    }
}
