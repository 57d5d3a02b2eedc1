//! Whether this process can do its work, and how it stops.

use std::{fmt, time::Duration};

use tokio::time::timeout;

use super::Engine;
use crate::error::BoxError;

impl Engine {
    /// Asks what the engine depends on whether it works: the order store, and the facilitator, which is asked what
    /// [`preflight`](Self::preflight) asks. For a readiness probe; takes at most ten seconds.
    ///
    /// A remote facilitator's answer may be an hour old while it answers payments; one that is left alone after faults is asked
    /// now.
    ///
    /// # Errors
    /// [`NotReady`]: which part is not, and why. An engine that [drains](Self::drain) is not ready either.
    pub async fn ready(&self) -> Result<(), NotReady> {
        if self.shared.work.is_draining() {
            return Err(NotReady { part: "engine", why: "is shutting down".into(), source: None });
        }
        match timeout(TO_ANSWER, self.shared.store.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(NotReady::because("store", error)),
            Err(_) => return Err(NotReady::silent("store")),
        }
        match timeout(TO_ANSWER, self.preflight()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(NotReady::because("facilitator", error)),
            Err(_) => Err(NotReady::silent("facilitator")),
        }
    }

    /// Ends the work of this process: waits until all claims are given up or settled, and all deliveries recorded, but not
    /// longer than `within`; 30 seconds fit most deployments. Whether all work is done.
    ///
    /// From the call on, requests for priced routes get 503 with `Retry-After`, so that another instance may take
    /// them; what was admitted before goes on, free routes do too. An engine never takes up work again. What is left when the
    /// time is over is recovered by the [worker](Self::worker) of another instance, or after a restart.
    ///
    /// Call it when the signal to stop arrives, before the server stops accepting connections:
    ///
    /// ```no_run
    /// # use std::{future::Future, time::Duration};
    /// # async fn serve(engine: x402_core::Engine, signal: impl Future, stop_accepting: impl FnOnce()) {
    /// signal.await;
    /// if !engine.drain(Duration::from_secs(30)).await {
    ///     eprintln!("some payments are left to the next start");
    /// }
    /// stop_accepting();
    /// # }
    /// ```
    pub async fn drain(&self, within: Duration) -> bool {
        tracing::info!(running = self.shared.work.running(), "draining");
        let drained = self.shared.work.drain(within).await;
        if drained {
            tracing::info!("drained");
        } else {
            tracing::warn!(running = self.shared.work.running(), "not drained in time");
        }
        drained
    }
}

/// What keeps an [`Engine`] from working, as [`Engine::ready`] found it. Its text names the part and the cause.
#[derive(Debug)]
pub struct NotReady {
    part: &'static str,
    why: String,
    source: Option<BoxError>,
}

impl NotReady {
    /// The part that is not ready: `store`, `facilitator`, or the `engine` itself.
    #[must_use]
    pub const fn part(&self) -> &'static str {
        self.part
    }

    fn because(part: &'static str, error: impl Into<BoxError>) -> Self {
        let source = error.into();
        let mut why = source.to_string();
        if let Some(cause) = source.source().map(ToString::to_string).filter(|cause| !why.contains(cause)) {
            why = format!("{why}: {cause}");
        }
        Self { part, why, source: Some(source) }
    }

    fn silent(part: &'static str) -> Self {
        Self { part, why: "did not answer in time".into(), source: None }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not ready: {}", self.part, self.why)
    }
}

impl std::error::Error for NotReady {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

const TO_ANSWER: Duration = Duration::from_secs(5);
