use std::net::IpAddr;

use bytes::Bytes;
use x402_core::head::{Header, RequestHead};

use crate::PRICED;

/// The head of a `GET` request, shown to an engine without any framework.
#[derive(Clone, Debug)]
pub struct Head {
    /// The path.
    pub path: &'static str,
    /// The `PAYMENT-SIGNATURE`, if one is sent.
    pub payment: Option<Bytes>,
}

impl Head {
    /// A request for what costs something, unpaid.
    #[must_use]
    pub const fn unpaid() -> Self {
        Self { path: PRICED, payment: None }
    }

    /// The same with a payment.
    #[must_use]
    pub const fn paid(payment: Bytes) -> Self {
        Self { path: PRICED, payment: Some(payment) }
    }
}

impl RequestHead for Head {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, name: &'static str) -> Header<'_> {
        match &self.payment {
            Some(payment) if name == "payment-signature" => Header::One(payment),
            _ => Header::Absent,
        }
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }

    fn has_body(&self) -> bool {
        false
    }
}
