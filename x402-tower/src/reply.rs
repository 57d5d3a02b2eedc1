//! From a `Reply` to a response, over HTTP and over gRPC.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, UPGRADE, VARY},
};
use x402_core::{Release, Reply, adapter, wire::header as wire};

use crate::ResponseBody;

/// How a request wants its refusals.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    /// A status and a body.
    Http,
    /// Status 200 and trailers only: `grpc-status` and `grpc-message`, the rest as metadata.
    Grpc,
}

impl Dialect {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let grpc =
            headers.get(CONTENT_TYPE).and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
        match grpc.map(|rest| rest.first()) {
            // `application/grpc-web` frames its status otherwise, and its clients understand HTTP's.
            Some(None | Some(b'+' | b';' | b' ')) => Self::Grpc,
            _ => Self::Http,
        }
    }

    /// Whether a handler's response head, or its trailers, say that it failed, beyond its HTTP status.
    pub(crate) fn is_failure(self, headers: &HeaderMap) -> bool {
        self == Self::Grpc && headers.get("grpc-status").is_some_and(|status| status != "0")
    }
}

/// Turns a reply into a response; values are not copied.
pub(crate) fn into_response<B>(reply: Reply, dialect: Dialect) -> Response<ResponseBody<B>> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let as_grpc = dialect == Dialect::Grpc && reply.status >= 400;
    let mut response = Response::new(ResponseBody::full(if as_grpc { Bytes::new() } else { reply.body }));
    let headers = response.headers_mut();
    headers.reserve(reply.headers.len());
    for (name, value) in reply.headers {
        let name = match name {
            Cow::Borrowed(name) => header_name(name),
            Cow::Owned(name) => match HeaderName::try_from(name) {
                Ok(name) => name,
                Err(_) => continue,
            },
        };
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            headers.append(name, value);
        }
    }
    if as_grpc {
        let (code, message) = grpc_status(reply.status);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(code));
        headers.insert("grpc-message", HeaderValue::from_static(message));
    } else {
        *response.status_mut() = status;
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
            headers.insert(header_name(name), value);
        }
    }
    for (name, value) in release.append.drain(..) {
        let name = header_name(name);
        let value = if name == VARY {
            adapter::missing_vary(headers.get_all(VARY).iter().map(HeaderValue::as_bytes), &value)
        } else {
            Some(value)
        };
        if let Some(value) = value.and_then(|value| HeaderValue::from_maybe_shared(value).ok()) {
            headers.append(name, value);
        }
    }
}

/// The header of this name. Names of the hot path are not parsed again.
pub(crate) fn header_name(name: &'static str) -> HeaderName {
    match name {
        "cache-control" => CACHE_CONTROL,
        "content-type" => CONTENT_TYPE,
        "upgrade" => UPGRADE,
        "vary" => VARY,
        wire::PAYMENT_REQUIRED => const { HeaderName::from_static(wire::PAYMENT_REQUIRED) },
        wire::PAYMENT_SIGNATURE => const { HeaderName::from_static(wire::PAYMENT_SIGNATURE) },
        wire::X_PAYMENT => const { HeaderName::from_static(wire::X_PAYMENT) },
        other => HeaderName::from_static(other),
    }
}

/// The headers of a handler's response, owned, to be kept along with its body.
pub(crate) fn owned(headers: &HeaderMap) -> Vec<(Cow<'static, str>, Bytes)> {
    let owned = |(name, value): (&HeaderName, &HeaderValue)| {
        (Cow::Owned(name.as_str().to_owned()), Bytes::copy_from_slice(value.as_bytes()))
    };
    headers.iter().map(owned).collect()
}

/// gRPC's code for a refusal, and a text for people; the machine's reason is in the metadata.
const fn grpc_status(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("3", "payment malformed"),
        402 => ("9", "payment required"),
        403 => ("7", "payment not permitted"),
        404 | 405 => ("12", "not offered"),
        408 => ("4", "request took too long"),
        409 => ("10", "payment already used"),
        412 => ("9", "allowance required"),
        413 => ("8", "request too large"),
        503 => ("14", "payment cannot be handled now"),
        _ => ("13", "internal error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_itself_is_answered_in_grpc() {
        let cases = [
            ("application/grpc", Dialect::Grpc),
            ("application/grpc+proto", Dialect::Grpc),
            ("application/grpc;charset=utf-8", Dialect::Grpc),
            ("application/grpc-web", Dialect::Http),
            ("application/json", Dialect::Http),
        ];
        for (kind, dialect) in cases {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(Dialect::of(&headers), dialect, "{kind}");
        }
        assert_eq!(Dialect::of(&HeaderMap::new()), Dialect::Http);
    }

    #[test]
    fn refusals_in_grpc_are_trailers_only() {
        for (status, code) in [
            (400, "3"),
            (402, "9"),
            (403, "7"),
            (404, "12"),
            (405, "12"),
            (408, "4"),
            (409, "10"),
            (412, "9"),
            (413, "8"),
            (503, "14"),
            (500, "13"),
        ] {
            let reply = Reply::new(status).json("{}").header("payment-required", "eyJ9");
            let response = into_response::<()>(reply, Dialect::Grpc);
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["content-type"], "application/grpc");
            assert_eq!(response.headers()["grpc-status"], code);
            assert_eq!(response.headers()["payment-required"], "eyJ9");
        }
    }

    #[test]
    fn replies_keep_repeated_headers_and_their_order() {
        let reply = Reply::new(204).header("vary", "a").header("vary", "b");
        let response = into_response::<()>(reply, Dialect::Http);
        assert_eq!(response.status(), 204);
        let vary: Vec<_> = response.headers().get_all("vary").iter().collect();
        assert_eq!(vary, ["a", "b"]);
    }
}
