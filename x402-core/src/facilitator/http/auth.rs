//! Credentials, made for each call.

use std::{fmt, future::Future};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::{error::BoxError, facilitator::BoxFuture};

/// Makes the credentials of one call to a facilitator. For those who bind a token to method and address, and let it live
/// for two minutes.
///
/// Implemented for async closures. It is asked anew for each call, within the call's own time and two seconds at most;
/// while it cannot make any, the facilitator counts as unavailable, and nothing is sent. What went wrong is its own
/// to log: an error may hold secrets, and is not repeated.
///
/// ```
/// use x402_core::{
///     error::BoxError,
///     facilitator::{AuthHeaders, FacilitatorCall, HttpFacilitator},
/// };
///
/// async fn sign(claim: String) -> Result<String, BoxError> {
///     # let _ = claim;
///     Ok("a.signed.token".to_owned()) // by a key that only this function knows
/// }
///
/// let facilitator = HttpFacilitator::new("https://pay.example/x402")?
///     .authenticate(|call: FacilitatorCall| async move {
///         // `POST pay.example/x402/verify`
///         let token = sign(format!("{} {}{}", call.method, call.host, call.path)).await?;
///         Ok::<_, BoxError>(AuthHeaders::bearer(&token))
///     });
/// # Ok::<(), x402_core::error::ConfigError>(())
/// ```
pub trait Authenticate: Send + Sync {
    /// The headers that let this call in.
    ///
    /// # Errors
    /// Whatever keeps the headers from being made. The facilitator then is unavailable for this call.
    ///
    /// # Cancellation
    /// Dropped when it takes too long.
    fn headers(&self, call: FacilitatorCall) -> BoxFuture<'_, Result<AuthHeaders, BoxError>>;
}

impl<F, Fut, E> Authenticate for F
where
    F: Fn(FacilitatorCall) -> Fut + Send + Sync,
    Fut: Future<Output = Result<AuthHeaders, E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn headers(&self, call: FacilitatorCall) -> BoxFuture<'_, Result<AuthHeaders, BoxError>> {
        let headers = self(call);
        Box::pin(async move { headers.await.map_err(Into::into) })
    }
}

impl fmt::Debug for dyn Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticate")
    }
}

/// One call to a facilitator: what a token is bound to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FacilitatorCall {
    /// Which of the facilitator's endpoints.
    pub endpoint: FacilitatorEndpoint,
    /// `POST` or `GET`.
    pub method: &'static str,
    /// The host, with its port where that is not the scheme's own.
    pub host: String,
    /// The path, such as `/x402/verify`.
    pub path: String,
}

/// The endpoints of a facilitator.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FacilitatorEndpoint {
    /// Asks whether a payment is good.
    Verify,
    /// Moves the money.
    Settle,
    /// Asks what can be settled.
    Supported,
}

impl FacilitatorEndpoint {
    /// Its name, as in the address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Settle => "settle",
            Self::Supported => "supported",
        }
    }

    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Verify | Self::Settle => "POST",
            Self::Supported => "GET",
        }
    }
}

/// Headers that let a call in. Values are wiped when dropped, and debug output leaves them out.
#[derive(Clone, Default)]
#[must_use]
pub struct AuthHeaders(Vec<(String, Zeroizing<String>)>);

impl AuthHeaders {
    /// No headers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `Authorization: Bearer ..`.
    pub fn bearer(token: &str) -> Self {
        Self::new().header("authorization", format!("Bearer {token}"))
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), Zeroizing::new(value.into())));
        self
    }

    /// The same as headers of a request, or what is wrong with them.
    pub(super) fn build(&self) -> Result<HeaderMap, &'static str> {
        let mut headers = HeaderMap::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is not one")?;
            if FRAMING.contains(&name.as_str()) {
                return Err("a header is about the message, not about who sends it");
            }
            let mut value = HeaderValue::from_str(value).map_err(|_| "a header's value is not plain text")?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(headers)
    }
}

impl fmt::Debug for AuthHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Headers that say where and how a message is sent.
const FRAMING: [&str; 7] =
    ["accept", "connection", "content-length", "content-type", "host", "transfer-encoding", "upgrade"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_about_who_sends() {
        let good = AuthHeaders::bearer("t0ken").header("Correlation-Context", "sdk=1");
        let built = good.build().unwrap();
        assert_eq!(built["authorization"], "Bearer t0ken");
        assert!(built["authorization"].is_sensitive());
        assert_eq!(built["correlation-context"], "sdk=1");
        for (name, value) in [
            ("a b", "x"),
            ("", "x"),
            ("x", "a\r\nb: c"),
            ("x", "\u{0}"),
            ("Host", "elsewhere.example"),
            ("content-length", "0"),
            ("Transfer-Encoding", "chunked"),
        ] {
            assert!(AuthHeaders::new().header(name, value).build().is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn values_are_not_shown() {
        let shown = format!("{:?}", AuthHeaders::bearer("hunter2").header("x-key", "hunter3"));
        assert_eq!(shown, r#"["authorization", "x-key"]"#);
    }
}
