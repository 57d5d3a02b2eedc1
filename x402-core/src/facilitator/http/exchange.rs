//! One request and its answer, within limits of time and size.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, RequestBuilder, Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect, retry,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{
    address::Address,
    auth::FacilitatorEndpoint,
    fault::{Fault, TOO_MANY},
};
use crate::error::ConfigError;

/// A complete answer.
pub(super) struct Answer {
    success: bool,
    status: u16,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    #[cfg(test)]
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { success: (200..300).contains(&status), status, retry_after: None, body: body.into() }
    }

    /// Whether it comes with the status of a failure of the facilitator's own.
    pub(super) const fn is_server_error(&self) -> bool {
        self.status >= 500
    }

    /// What it says of waiting, if it says that it is asked too much.
    pub(super) fn too_many(&self) -> Option<Option<&str>> {
        (self.status == TOO_MANY).then_some(self.retry_after.as_deref())
    }

    /// The result in it, whatever the status: some facilitators refuse payments with 400 or 500.
    ///
    /// What is wrong with it stays unsaid: the parser's own words may quote the answer.
    pub(super) fn result<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        // Derived structs would also take an array of their members.
        let is_object = self.body.trim_ascii_start().starts_with(b"{");
        match serde_json::from_slice(&self.body) {
            Ok(result) if is_object => Ok(result),
            _ if self.success => Err(Fault::NotAResult),
            _ => Err(Fault::Status(self.status)),
        }
    }
}

/// When a call must be over, and how long that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn within(limit: Duration) -> Self {
        Self { at: Instant::now() + limit.min(LONGEST), limit }
    }

    pub(super) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// A request to an endpoint; with a body of JSON where there is one.
pub(super) fn request(
    client: &Client,
    address: &Address,
    endpoint: FacilitatorEndpoint,
    credentials: HeaderMap,
    json: Option<Vec<u8>>,
) -> RequestBuilder {
    let url = address.endpoint(endpoint.as_str());
    let request = match json {
        Some(json) => client.post(url).header(CONTENT_TYPE, JSON).body(json),
        None => client.get(url),
    };
    request.header(ACCEPT, JSON).headers(credentials)
}

/// Sends a request once and reads its whole answer, both before the deadline.
pub(super) async fn exchange(request: RequestBuilder, deadline: Deadline) -> Result<Answer, Fault> {
    let exchanged = async {
        let response = request.send().await.map_err(|error| {
            let error = error.without_url();
            if error.is_connect() { Fault::Unreachable(error) } else { Fault::Broken(error) }
        })?;
        let status = response.status();
        if status.is_redirection() {
            return Err(Fault::Redirected(status.as_u16()));
        }
        let told = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = told.map(ToOwned::to_owned);
        let body = read(response).await?;
        Ok(Answer { success: status.is_success(), status: status.as_u16(), retry_after, body })
    };
    timeout_at(deadline.at, exchanged).await.unwrap_or(Err(Fault::TimedOut(deadline.limit)))
}

async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Fault::Broken(error.without_url()))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Fault::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What proves who the facilitator is. On loopback nothing does, and no certificates need be installed.
pub(super) fn tls(address: &Address) -> Result<ClientConfig, ConfigError> {
    let cannot = |error: rustls::Error| {
        ConfigError::new("facilitator", format!("needs the system's root certificates: {error}"))
            .with_source(error)
    };
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions");
    let verified = if address.is_encrypted() {
        versions.with_platform_verifier().map_err(cannot)?
    } else {
        versions.with_root_certificates(RootCertStore::empty())
    };
    Ok(verified.with_no_client_auth())
}

/// A client that talks to nobody but the host it is told, and says everything once.
pub(super) fn client(tls: ClientConfig, encrypted: bool, connect_timeout: Duration) -> Client {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(encrypted)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .retry(retry::never())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE)
        .user_agent(USER_AGENT)
        .build()
        .expect("the options are constants and the TLS configuration is of this version")
}

const JSON: &str = "application/json";
/// In place of a limit that no clock can tell.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_ANSWER: usize = 1024 * 1024;
/// Shorter than common servers keep theirs, or a settlement would be sent into a connection that is being closed.
const IDLE: Duration = Duration::from_secs(4);
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
