//! Showing the engine a `ServiceRequest`.

use std::net::IpAddr;

use actix_web::{
    dev::{Payload, ServiceRequest},
    http::{
        Method, Version,
        header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING},
    },
};
use x402_core::head::{Header, RequestHead};

/// The head of a request, borrowed; its path is the one the client sent, whatever scopes took off it.
pub(crate) struct Head<'a> {
    request: &'a ServiceRequest,
}

impl<'a> Head<'a> {
    pub(crate) const fn new(request: &'a ServiceRequest) -> Self {
        Self { request }
    }
}

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn path(&self) -> &str {
        self.request.uri().path()
    }

    fn query(&self) -> Option<&str> {
        self.request.uri().query()
    }

    fn header(&self, name: &'static str) -> Header<'_> {
        Header::from_values(self.request.headers().get_all(name).map(HeaderValue::as_bytes))
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let headers = self.request.headers().iter();
        headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_owned())).collect()
    }

    fn peer(&self) -> Option<IpAddr> {
        self.request.peer_addr().map(|peer| peer.ip())
    }

    fn has_body(&self) -> bool {
        let (request, payload) = self.request.parts();
        if matches!(payload, Payload::None) {
            return false;
        }
        let headers = request.headers();
        // In HTTP/2 the headers need not tell, and the payload of a request without a body looks like any other.
        let untold =
            request.version() == Version::HTTP_2 && !matches!(*request.method(), Method::GET | Method::HEAD);
        untold
            || headers.contains_key(TRANSFER_ENCODING)
            || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
    }
}
