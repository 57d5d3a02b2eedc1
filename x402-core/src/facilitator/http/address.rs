//! Where a facilitator is: an address that payments may be sent to.

use std::{fmt, net::IpAddr};

use reqwest::Url;

use crate::error::ConfigError;

/// A facilitator's endpoints, below one checked base address.
#[derive(Clone)]
pub(super) struct Address {
    base: Url,
    origin: String,
}

impl Address {
    /// Reads a base address: https, or http to this machine itself.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut base = Url::parse(text.trim()).map_err(|error| wrong("is not a URL").with_source(error))?;
        let origin = base.origin().ascii_serialization();
        match base.scheme() {
            "https" => {}
            "http" if is_loopback(&base) => {}
            "http" => {
                return Err(wrong(format!(
                    "{origin} is not encrypted; write https, http is for loopback only"
                )));
            }
            other => return Err(wrong(format!("has the scheme {other}, wanted https"))),
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong(format!("for {origin} has a user name or password in it")));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong(format!("for {origin} has a query or fragment, wanted a base address")));
        }
        // A double slash makes some hosts redirect for ever.
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Self { base, origin })
    }

    /// Scheme, host and port: all that may be logged.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// The address of an endpoint, such as `verify`.
    pub(super) fn endpoint(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{name}", self.base.path().trim_end_matches('/')));
        url
    }

    /// The host, with its port where that is not the scheme's own.
    pub(super) fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether certificates are needed to talk to it.
    pub(super) fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether this is the host of the public test facilitator.
    pub(super) fn is_public_test(&self) -> bool {
        matches!(self.base.host_str(), Some("x402.org" | "www.x402.org"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

fn wrong(problem: impl fmt::Display) -> ConfigError {
    ConfigError::new("facilitator", format!("address {problem}"))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_and_loopback_addresses_are_taken() {
        for (text, verify) in [
            ("https://x402.org/facilitator", "https://x402.org/facilitator/verify"),
            ("https://x402.org/facilitator///", "https://x402.org/facilitator/verify"),
            ("https://pay.example:8443", "https://pay.example:8443/verify"),
            (" https://PAY.example/ ", "https://pay.example/verify"),
            ("http://127.0.0.1:4021", "http://127.0.0.1:4021/verify"),
            ("http://127.1.2.3/x/", "http://127.1.2.3/x/verify"),
            ("http://[::1]:80/", "http://[::1]/verify"),
            ("http://localhost:3000", "http://localhost:3000/verify"),
        ] {
            let address = Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(address.endpoint("verify").as_str(), verify);
        }
    }

    #[test]
    fn other_addresses_are_refused_without_repeating_their_secrets() {
        for text in [
            "",
            "x402.org",
            "/facilitator",
            "ftp://x402.org",
            "unix:/run/x",
            "http://x402.org",
            "http://10.0.0.1",
            "http://169.254.169.254",
            "http://0.0.0.0",
            "http://[::ffff:127.0.0.1]",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "https://user:hunter2@pay.example",
            "https://hunter2@pay.example",
            "https://pay.example?key=hunter2",
            "https://pay.example/#hunter2",
        ] {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn only_its_origin_is_shown() {
        let address = Address::parse("https://pay.example/tenant/s3cret").unwrap();
        assert_eq!(format!("{address:?}"), "https://pay.example");
    }
}
