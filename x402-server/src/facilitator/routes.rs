//! The endpoints.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tokio::time::timeout;
use x402_core::wire::facilitator::FacilitatorRequest;

use super::{
    answer::Answer,
    service::{FacilitatorService, SETTLE, VERIFY, malformed},
};

impl FacilitatorService {
    /// The endpoints: `POST /verify`, `POST /settle`, `GET /supported`, `GET /health`, `GET /ready`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/verify", post(verify))
            .route("/settle", post(settle))
            .route("/supported", get(supported))
            .route("/health", get(health))
            .route("/ready", get(ready))
            .fallback(async || answered(&Answer::fault(StatusCode::NOT_FOUND, "not found")))
            .method_not_allowed_fallback(async || {
                answered(&Answer::fault(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"))
            })
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(self.clone())
    }
}

async fn verify(State(service): State<FacilitatorService>, request: Request) -> Response {
    match body(&service, request).await.and_then(|body| read(&body)) {
        Ok(request) => answered(&service.verify(&request).await),
        Err(refused) => refused.answered(VERIFY),
    }
}

async fn settle(State(service): State<FacilitatorService>, request: Request) -> Response {
    match body(&service, request).await.and_then(|body| read(&body)) {
        Ok(request) => answered(&service.settle(&request).await),
        Err(refused) => refused.answered(SETTLE),
    }
}

async fn supported(State(service): State<FacilitatorService>) -> Response {
    json_response(StatusCode::OK, serde_json::to_vec(&service.supported().await))
}

/// The process lives.
async fn health() -> Response {
    json_response(StatusCode::OK, serde_json::to_vec(&json!({ "status": "ok" })))
}

/// Whether there is any network that it takes payments on.
async fn ready(State(service): State<FacilitatorService>) -> Response {
    let usable = |network: &super::ServedNetwork| network.is_served() && network.gauge.node_answers();
    let is_ready = !service.is_closed() && service.networks().iter().any(usable);
    let networks: Vec<_> = service
        .networks()
        .iter()
        .map(|network| {
            let (gas, answers) = (network.gauge.gas().as_str(), network.gauge.node_answers());
            json!({ "network": network.id, "gas": gas, "nodeAnswers": answers })
        })
        .collect();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let content = json!({ "ready": is_ready, "shuttingDown": service.is_closed(), "networks": networks });
    json_response(status, serde_json::to_vec(&content))
}

/// Why a request is not even read as one.
struct Refused(StatusCode, String);

impl Refused {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self(status, error.into())
    }

    fn answered(self, endpoint: &'static str) -> Response {
        let Self(status, error) = self;
        let mut response = answered(&malformed(endpoint, status, error));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The body of a request from somebody who may ask. A browser cannot send one with this type unasked.
async fn body(service: &FacilitatorService, request: Request) -> Result<Bytes, Refused> {
    if !service.callers().admit(request.headers()) {
        return Err(Refused::new(StatusCode::UNAUTHORIZED, "show a caller's token as Authorization: Bearer"));
    }
    if !is_json(request.headers()) {
        return Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-type must be application/json",
        ));
    }
    match timeout(BODY_WITHIN, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => {
            let status = rejection.into_response().status();
            let error = match status {
                StatusCode::PAYLOAD_TOO_LARGE => "body is too long",
                _ => "body cannot be read",
            };
            Err(Refused::new(status, error))
        }
        Err(_) => Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "body did not come in time")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// What is wrong is said without a word of the payment in it.
fn read(body: &[u8]) -> Result<FacilitatorRequest<'static>, Refused> {
    let wrong = |error: serde_json::Error| {
        let text: String =
            error.to_string().chars().filter(|character| !character.is_control()).take(200).collect();
        Refused::new(StatusCode::BAD_REQUEST, text)
    };
    serde_json::from_slice(body).map_err(wrong)
}

fn answered(answer: &Answer) -> Response {
    let (status, body, retry_after) = answer.parts();
    let mut response = json_response(status, Ok(body));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, u16::from(seconds).into());
    }
    response
}

fn json_response(status: StatusCode, body: serde_json::Result<Vec<u8>>) -> Response {
    let mut response = Response::new(Body::from(body.expect("answers have text for keys")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A payment header's content is a quarter of it; the rest is for what the terms say of the resource.
const BODY_LIMIT: usize = 64 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(10);
