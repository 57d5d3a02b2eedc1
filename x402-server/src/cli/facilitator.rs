//! `x402 facilitator`

use std::{future::pending, net::SocketAddr, path::PathBuf, time::Duration};

use axum::{Router, routing::get};
use clap::Args;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{net::TcpListener, sync::oneshot, time::sleep};
use x402_core::error::ConfigError;

use super::{
    DONE, Failure, LOOK,
    serve::{Limits, serve},
};
use crate::facilitator::{FacilitatorConfig, Opened};

/// Verifies and settles payments for other servers, from the accounts and on the networks that a file names. Ends on
/// SIGTERM or Ctrl-C: takes no more work, waits up to 30 seconds for settlements under way, and exits with 0, or with 1
/// where one was not done
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The file, in TOML; keys of accounts are in files or variables that it names
    #[arg(long, value_name = "FILE", env = "X402_FACILITATOR_CONFIG")]
    config: PathBuf,
    /// Only check the file, the nodes and the gas accounts
    #[arg(long)]
    check: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let config = FacilitatorConfig::load(&arguments.config)?;
    if let (Some(address), false) = (config.metrics, arguments.check) {
        serve_metrics(address).await?;
    }
    let opened = config.open().await?;
    if arguments.check {
        return Ok(DONE);
    }
    let listener = listen("listen", config.listen).await?;
    let address = listener.local_addr().map_err(Failure::Output)?;
    tracing::info!(%address, open = config.is_open(), "facilitator listens");
    opened.watch_gas();
    Ok(serve_until_told(listener, &opened).await)
}

async fn serve_until_told(listener: TcpListener, opened: &Opened) -> u8 {
    let (drained, waiting) = oneshot::channel::<()>();
    let router = opened.service().router();
    let end = async move { drop(waiting.await) };
    let serving = tokio::spawn(serve(listener, router, Limits::default(), end));
    told_to_end().await;
    tracing::info!("shutting down");
    let left = opened.drain(DRAIN).await;
    drop(drained);
    if serving.await.is_err() {
        tracing::error!("listener failed");
    }
    if left > 0 {
        tracing::error!(left, "settlements were still under way; the chain knows what becomes of them");
        return LOOK;
    }
    tracing::info!("all settlements are done");
    DONE
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener, ConfigError> {
    TcpListener::bind(address).await.map_err(|error| {
        ConfigError::new(key, format!("{address} cannot be listened on: {error}")).with_source(error)
    })
}

/// Metrics have a listener of their own: they are nobody's business who only wants to settle.
async fn serve_metrics(address: SocketAddr) -> Result<(), ConfigError> {
    let listener = listen("metrics", address).await?;
    let wrong = |error| ConfigError::new("metrics", "cannot be recorded").with_source(error);
    let builder = PrometheusBuilder::new().set_buckets(&SECONDS).map_err(|error| wrong(error.to_string()))?;
    let handle = builder.install_recorder().map_err(|error| wrong(error.to_string()))?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let router = Router::new().route("/metrics", get(async move || handle.render()));
    tokio::spawn(serve(listener, router, Limits::default(), pending()));
    Ok(())
}

/// Until somebody asks this process to end.
async fn told_to_end() {
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

const DRAIN: Duration = Duration::from_secs(30);
/// From a reading of a near node to the patience of callers.
const SECONDS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const UPKEEP: Duration = Duration::from_secs(5);
