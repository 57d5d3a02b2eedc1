//! From a `Reply` to a response.

use std::{borrow::Cow, cell::RefCell, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue, VARY},
    },
};
use bytes::Bytes;
use x402_core::{Release, Reply, adapter};

/// Turns a reply into a response; values are not copied.
pub(crate) fn into_response(reply: Reply) -> HttpResponse<BoxBody> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::with_body(status, BoxBody::new(reply.body));
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        let name = match name {
            Cow::Borrowed(name) => HeaderName::from_static(name),
            Cow::Owned(name) => match HeaderName::try_from(name) {
                Ok(name) => name,
                Err(_) => continue,
            },
        };
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            headers.append(name, value);
        }
    }
    response
}

/// Takes off what only the engine may set.
pub(crate) fn strip_reserved(headers: &mut HeaderMap) {
    for name in adapter::RESERVED_HEADERS {
        headers.remove(name);
    }
}

/// Puts the engine's headers on a handler's response.
pub(crate) fn apply(release: &mut Release, headers: &mut HeaderMap) {
    for (name, value) in release.set.drain(..) {
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    for (name, value) in release.append.drain(..) {
        let name = HeaderName::from_static(name);
        let value = if name == VARY {
            adapter::missing_vary(headers.get_all(VARY).map(HeaderValue::as_bytes), &value)
        } else {
            Some(value)
        };
        if let Some(value) = value.and_then(|value| HeaderValue::from_maybe_shared(value).ok()) {
            headers.append(name, value);
        }
    }
}

/// The headers of a handler's response, owned, to be kept along with its body.
pub(crate) fn owned(headers: &HeaderMap) -> Vec<(Cow<'static, str>, Bytes)> {
    let owned = |(name, value): (&HeaderName, &HeaderValue)| {
        (Cow::Owned(name.as_str().to_owned()), Bytes::copy_from_slice(value.as_bytes()))
    };
    headers.iter().map(owned).collect()
}

/// A reply where the request it answers is gone: its handler panicked.
pub(crate) struct Answered(RefCell<HttpResponse<BoxBody>>, StatusCode);

impl Answered {
    pub(crate) fn new(response: HttpResponse<BoxBody>) -> Self {
        let status = response.status();
        Self(RefCell::new(response), status)
    }
}

impl ResponseError for Answered {
    fn status_code(&self) -> StatusCode {
        self.1
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.0.replace(HttpResponse::new(self.1))
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("handler failed")
    }
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answered").field(&self.1).finish()
    }
}
