//! How the server ends: no new payments, what was begun is finished, then the connections.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};
use x402_core::Engine;

/// The end of this process, as everybody waits for it who has to.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Drains the engine as soon as somebody asks this process to end.
    pub(crate) fn on_signal(engine: Engine) -> Self {
        let (drained, waiting) = watch::channel(false);
        tokio::spawn(async move {
            signal().await;
            engine.drain(DRAIN).await;
            drained.send_replace(true);
        });
        Self(waiting)
    }

    /// Until the engine is drained, and no more connections are to be taken.
    pub(crate) async fn drained(mut self) {
        self.0.wait_for(|drained| *drained).await.expect("the engine is always drained");
    }

    /// Until even connections that are held open have had their time.
    pub(crate) async fn overdue(self) {
        self.drained().await;
        sleep(TO_CLOSE).await;
    }
}

/// Until somebody asks this process to end.
async fn signal() {
    let interrupted = async { tokio::signal::ctrl_c().await.expect("signals can be listened for") };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminated = signal(SignalKind::terminate()).expect("signals can be listened for");
        tokio::select! {
            () = interrupted => {}
            _ = terminated.recv() => {}
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}

/// The longest that payments are waited for; a service manager usually waits as long before it kills.
pub(crate) const DRAIN: Duration = Duration::from_secs(25);
const TO_CLOSE: Duration = Duration::from_secs(4);
