//! What the engine sees of a request: borrowed in `triage`, owned afterwards.

use std::{fmt, net::IpAddr};

/// A request's head, borrowed for the length of [`Engine::triage`](crate::Engine::triage).
///
/// Adapters implement it on their framework's request.
pub trait RequestHead {
    /// The method, spelled as it was sent.
    fn method(&self) -> &str;

    /// The path as it was sent, before any router stripped a prefix from it.
    fn path(&self) -> &str;

    /// What stands after the `?`, if anything.
    fn query(&self) -> Option<&str>;

    /// The header `name` (lower case).
    fn header(&self, name: &'static str) -> Header<'_>;

    /// All headers, owned; asked for only where a price is computed per request.
    fn headers(&self) -> Vec<(String, Vec<u8>)>;

    /// The address of the peer, where the transport tells.
    fn peer(&self) -> Option<IpAddr>;

    /// Whether a request body follows, or may follow.
    fn has_body(&self) -> bool;
}

/// One header of a request. More than one payment in a request is refused, so duplicates are seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header<'a> {
    /// Not sent.
    Absent,
    /// Sent once.
    One(&'a [u8]),
    /// Sent more than once.
    Many,
}

impl<'a> Header<'a> {
    /// Folds the values of one header name.
    pub fn from_values(mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Many,
        }
    }
}

/// The owned parts of a request that a price may depend on.
///
/// Payment headers are left out: what a client signed must not move its price.
/// Debug output leaves the values of query and headers out.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RequestFacts {
    /// The method, upper case.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// What stands after the `?`.
    pub query: Option<String>,
    /// The parameters of the matched pattern, in the order of the pattern; values are percent-decoded.
    pub params: Vec<(String, String)>,
    /// Headers in the order sent, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The address of the peer, where known.
    pub peer: Option<IpAddr>,
}

impl RequestFacts {
    /// The path parameter `name`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of the query parameter `name`, as it was sent (not percent-decoded).
    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<&str> {
        self.query
            .as_deref()?
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The first value of the header `name` (lower case), if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }
}

impl fmt::Debug for RequestFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("RequestFacts")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}
