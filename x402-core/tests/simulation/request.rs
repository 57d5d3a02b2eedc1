//! Requests as clients send them.

use std::net::IpAddr;

use bytes::Bytes;
use x402_core::head::{Header, RequestHead};

/// A request's head.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    payment: Option<(&'static str, Bytes)>,
}

impl Request {
    /// One with a body cannot be told from another one with a body, so its response is never kept.
    pub(crate) fn new(with_body: bool, path: String) -> Self {
        Self { method: if with_body { "POST" } else { "GET" }, path, payment: None }
    }

    pub(crate) fn paid(&self, header: &'static str, payment: Bytes) -> Self {
        Self { payment: Some((header, payment)), ..self.clone() }
    }

    /// The same payment for something else of the same price.
    pub(crate) fn elsewhere(&self) -> Self {
        Self { path: format!("{}-too", self.path), ..self.clone() }
    }
}

impl RequestHead for Request {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, name: &'static str) -> Header<'_> {
        let payment = self.payment.as_ref().filter(|(header, _)| *header == name);
        Header::from_values(payment.map(|(_, value)| &**value).into_iter())
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }

    fn has_body(&self) -> bool {
        self.method == "POST"
    }
}
