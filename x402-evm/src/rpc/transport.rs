//! JSON-RPC over HTTP for alloy's client: with deadlines, a limit on answers, and no URL in any error or log.

use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportFut};
use reqwest::{Client, Url, header, redirect};
use rustls_platform_verifier::BuilderVerifierExt as _;
use x402_core::error::ConfigError;

use crate::error::ChainError;

/// A node's HTTP endpoint.
#[derive(Clone)]
pub(super) struct HttpTransport {
    client: Client,
    url: Url,
}

impl HttpTransport {
    /// `https` anywhere, `http` on this machine only: whoever can change the node's answers decides who has paid.
    pub(super) fn new(url: &str) -> Result<Self, ConfigError> {
        let url: Url = url.parse().map_err(|_| wrong("is not a URL"))?;
        let local = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if local => {}
            "http" => return Err(wrong("is http to another machine; use https")),
            _ => return Err(wrong("is neither https nor, on this machine, http")),
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls(local)?)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| wrong("has no HTTP client").with_source(error.without_url()))?;
        Ok(Self { client, url })
    }

    async fn exchange(self, request: RequestPacket) -> Result<ResponsePacket, ChainError> {
        let body =
            serde_json::to_vec(&request).map_err(|_| ChainError::Local("request cannot be written"))?;
        let request = self.client.post(self.url).header(header::CONTENT_TYPE, "application/json").body(body);
        let mut response = request.send().await.map_err(|error| fault(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(ChainError::Lost("answer too large"));
            }
            body.extend_from_slice(&chunk);
        }
        // Nodes also explain errors in bodies of 4xx and 5xx answers.
        serde_json::from_slice(&body).map_err(|_| {
            ChainError::Lost(if response.status().is_success() {
                "unreadable answer"
            } else {
                "HTTP error status"
            })
        })
    }
}

impl tower_service::Service<RequestPacket> for HttpTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let exchange = self.clone().exchange(request);
        Box::pin(async move { exchange.await.map_err(Into::into) })
    }
}

fn fault(error: &reqwest::Error) -> ChainError {
    match error {
        error if error.is_connect() => ChainError::Unreachable,
        error if error.is_timeout() => ChainError::Lost("timed out"),
        _ => ChainError::Lost("connection broke"),
    }
}

/// The system's roots; none are needed, nor looked for, to speak with this machine.
fn tls(local: bool) -> Result<rustls::ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("cannot be reached over TLS").with_source(error))?;
    if local {
        return Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth());
    }
    let builder = builder
        .with_platform_verifier()
        .map_err(|error| wrong("cannot be verified: install root certificates").with_source(error))?;
    Ok(builder.with_no_client_auth())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// URLs hold access keys: none is ever quoted.
fn wrong(problem: &'static str) -> ConfigError {
    ConfigError::new("rpc_url", problem)
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Receipts and logs of one payment are a few kilobytes.
const ANSWER_LIMIT: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_be_asked_in_clear_text() {
        for (url, accepted) in [
            ("http://127.0.0.1:8545", true),
            ("http://localhost:8545/path", true),
            ("http://[::1]:8545", true),
            ("http://10.0.0.1:8545", false),
            ("http://node.example/v2/secret", false),
            ("http://localhost.example", false),
            ("ws://127.0.0.1:8545", false),
            ("127.0.0.1:8545", false),
            ("", false),
        ] {
            assert_eq!(HttpTransport::new(url).is_ok(), accepted, "{url}");
        }
    }

    #[tokio::test]
    async fn no_error_shows_the_url() {
        let refused = HttpTransport::new("http://user:secret@node.example/secret").err().unwrap();
        let client = HttpTransport::new("http://127.0.0.1:1/secret").unwrap();
        let request = alloy_json_rpc::Request::new("eth_chainId", 1_u64.into(), ()).serialize().unwrap();
        let failed = client.exchange(request.into()).await.unwrap_err();
        assert!(matches!(failed, ChainError::Unreachable));
        for text in [format!("{refused} {refused:?}"), format!("{failed} {failed:?}")] {
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
