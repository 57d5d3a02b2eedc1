//! Showing the engine an `http::Request`.

use std::net::{IpAddr, SocketAddr};

use http::{Extensions, Request, Uri};
use http_body::Body;
use x402_core::head::{Header, RequestHead};

use crate::reply::header_name;

/// The address of the peer, put into a request's extensions by whoever accepted the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerAddr(pub SocketAddr);

/// Where a request's path and peer are found: for adapters of routers that rewrite the URI on its way to a handler.
///
/// See [`Paywall::view`](crate::Paywall::view).
#[derive(Clone, Copy, Debug)]
pub struct RequestView {
    /// The URI as the client sent it.
    pub uri: for<'a> fn(&'a Uri, &'a Extensions) -> &'a Uri,
    /// One more URI the request may be known by: it passes only if that one is free as well.
    pub also: for<'a> fn(&'a Uri, &'a Extensions) -> Option<&'a Uri>,
    /// The address of the peer, where known.
    pub peer: fn(&Extensions) -> Option<IpAddr>,
}

impl Default for RequestView {
    /// The request's own URI, and the peer of [`PeerAddr`].
    fn default() -> Self {
        Self {
            uri: |uri, _| uri,
            also: |_, _| None,
            peer: |extensions| extensions.get::<PeerAddr>().map(|peer| peer.0.ip()),
        }
    }
}

/// The head of an `http::Request`, borrowed.
pub(crate) struct Head<'a, B> {
    request: &'a Request<B>,
    uri: &'a Uri,
    peer: fn(&Extensions) -> Option<IpAddr>,
}

impl<'a, B> Head<'a, B> {
    pub(crate) fn new(request: &'a Request<B>, view: RequestView) -> Self {
        Self { request, uri: (view.uri)(request.uri(), request.extensions()), peer: view.peer }
    }

    /// The same head by its other URI, if it has one.
    pub(crate) fn also(request: &'a Request<B>, view: RequestView) -> Option<Self> {
        let uri = (view.also)(request.uri(), request.extensions())?;
        Some(Self { uri, ..Self::new(request, view) })
    }
}

impl<B: Body> RequestHead for Head<'_, B> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn header(&self, name: &'static str) -> Header<'_> {
        let values = self.request.headers().get_all(header_name(name));
        Header::from_values(values.iter().map(http::HeaderValue::as_bytes))
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let owned = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_owned())
        };
        self.request.headers().iter().map(owned).collect()
    }

    fn peer(&self) -> Option<IpAddr> {
        (self.peer)(self.request.extensions())
    }

    fn has_body(&self) -> bool {
        !self.request.body().is_end_stream()
    }
}
