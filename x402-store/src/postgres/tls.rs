//! TLS for connections, through rustls. The server's certificate is always checked.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use x402_core::error::{BoxError, ConfigError};

/// Trusts the authorities in a PEM file, or else those of the system.
pub(super) fn config(roots: Option<&str>) -> Result<ClientConfig, ConfigError> {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions");
    let verified = match roots {
        Some(file) => versions.with_root_certificates(read(file)?),
        None => versions.with_platform_verifier().map_err(|error| {
            let problem = "needs the system's root certificates, or a file of them in sslrootcert";
            ConfigError::new("PostgreSQL URL", problem).with_source(error)
        })?,
    };
    Ok(verified.with_no_client_auth())
}

fn read(file: &str) -> Result<RootCertStore, ConfigError> {
    let wrong = |problem: String| {
        ConfigError::new("PostgreSQL URL", format!("sslrootcert is a PEM file, and {file} {problem}"))
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(file).map_err(|error| wrong(format!("is not: {error}")))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| wrong(format!("is not: {error}")))?;
        roots.add(certificate).map_err(|error| wrong(format!("has a bad certificate: {error}")))?;
    }
    if roots.is_empty() { Err(wrong("has no certificate in it".to_owned())) } else { Ok(roots) }
}

/// Makes connections encrypted, where they are to be.
#[derive(Clone)]
pub(super) struct Connector(Option<Arc<ClientConfig>>);

impl Connector {
    pub(super) const fn open() -> Self {
        Self(None)
    }

    pub(super) fn encrypted(config: ClientConfig) -> Self {
        Self(Some(Arc::new(config)))
    }
}

/// One connection's handshake.
pub(super) struct Handshake(Option<(tokio_rustls::TlsConnector, ServerName<'static>)>);

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = BoxError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, BoxError> {
        let Some(config) = &self.0 else { return Ok(Handshake(None)) };
        let host = ServerName::try_from(host)?.to_owned();
        Ok(Handshake(Some((Arc::clone(config).into(), host))))
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Stream = Encrypted<S>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted<S>, BoxError>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let (connector, host) = self.0.ok_or("encryption was not asked for")?;
            Ok(Encrypted(connector.connect(host, stream).await?))
        })
    }
}

/// An encrypted connection.
pub(super) struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    /// The certificate is checked, so the password need not be tied to it.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
