//! A paid API for tests to drive: the same handlers behind each adapter, configured by the environment alone.
//!
//! | variable | meaning |
//! |---|---|
//! | `PORT` | where to listen on the loopback address; `0`, the default, picks a free port |
//! | `FRAMEWORK` | `axum` (default), `tower` (on hyper) or `actix` |
//! | `ORIGIN` | the public origin; default: the own loopback address |
//! | `PAY_TO` | who is paid on `eip155:84532` |
//! | `RPC_URL`, `SIGNER_KEY` | settle on this node, with gas from this key |
//! | `FACILITATOR_URL` | or settle through this facilitator |
//! | `SETTLE_WITHIN` | how many seconds that facilitator may take; default: 30 |
//! | `SIGNATURES` | with that facilitator: checked `here` (default) or by the `facilitator` |
//! | `WITNESS_URL` | look for what that facilitator settles at this node |
//! | `ASK_AT_START` | `yes`: ask who settles what that one supports, and put what it wants into the 402s |
//! | `RESOLVE_WITHIN` | how many seconds a request waits for an outcome; default: 30 |
//! | `VETO_AT` | a hook says no there: `challenge`, `before_verify`, `after_verify` or `before_settle` |
//! | `SETTLE` | `after` (default) or `before` the handler, or `deferred`: after the response |
//! | `UPTO_SETTLER` | who alone may settle what was used on `/used`, `/used/stream` and `/used/echo`; they are not there without it |
//! | `DEFER_OVER_FORGETFUL_STORE` | `yes`: defer even over a store that may forget (memory, Redis), which is otherwise a mistake |
//! | `STORE_URL` | where orders are kept; default: `memory:` |
//! | `QUOTE_KEY` | what seals quotes, in hexadecimal; default: random, and required with a store that instances share |
//! | `DELIVERY_LOG` | a file: each paid handler appends `route, payment key, random token` and syncs it before it answers |
//! | `JOURNAL` | a file: each transaction is written down there before it is sent; default: in memory |
//! | `CRASH_AT` | a step of a payment at which this process kills itself, as `kill -9` would; see below |
//! | `RUST_LOG` | what to log to the standard error |
//!
//! Paid handlers send their token as `Delivery-Token`. `GET /stats` counts the runs of all handlers. `GET /ready`, which no
//! paywall sees, answers 200, or 503 with what is not ready and why. Once the server is ready it prints
//! `listening on http://127.0.0.1:PORT`. On Ctrl-C and on SIGTERM it takes no new payments, ends when what it began is done,
//! and after 25 seconds at the latest.
//!
//! # Several instances
//!
//! Copies that share a store share the work, and recover what one of them left behind:
//!
//! | `STORE_URL` | store |
//! |---|---|
//! | `memory:` | the memory of this process: nothing is shared |
//! | `sqlite:FILE` | a file on this machine |
//! | `redis://HOST:PORT` | a Redis; several of them after commas: nodes of a cluster |
//! | `postgres://USER@HOST:PORT/DATABASE` | a `PostgreSQL` database |
//!
//! They need the same `ORIGIN` and `QUOTE_KEY`, or one would not know the quotes of another, and a `SIGNER_KEY` each: a gas
//! account belongs to one process.
//!
//! # Crashes
//!
//! For tests of what is left behind: the process is gone the first time that a payment comes to the step.
//!
//! | `CRASH_AT` | moment |
//! |---|---|
//! | `claimed` | its order is open |
//! | `verified` | it is verified, and that is recorded |
//! | `handler` | its handler has done its work and has yet to answer |
//! | `intent` | it is recorded that a settlement begins, or is put off |
//! | `noted` | its transaction is in the `JOURNAL` and not sent |
//! | `settled` | the money has moved, and that is not recorded |
//! | `answered` | that the money has moved is recorded |
//! | `kept` | the response of a payment that was settled first is recorded |
//! | `delivered` | the response is out, and that is not recorded |

mod actix;
mod answer;
mod axum;
mod config;
mod crash;
mod delivery;
mod handlers;
mod routes;
mod shutdown;
mod tower;
mod veto;

use std::{
    error::Error,
    io::{self, IsTerminal as _},
    net::TcpListener,
    process::ExitCode,
    sync::Arc,
};

use tracing_subscriber::EnvFilter;
use x402_core::Engine;

use crate::{
    config::{Config, Framework},
    delivery::DeliveryLog,
    handlers::Handlers,
    shutdown::Shutdown,
};

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let config = Config::from_env()?;
    let listener = TcpListener::bind(("127.0.0.1", config.port))
        .map_err(|error| format!("PORT: cannot listen on 127.0.0.1:{}: {error}", config.port))?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    let log = config.delivery_log.as_deref().map(DeliveryLog::open).transpose()?;
    let handlers = Arc::new(Handlers::new(log, config.crash));
    let framework = config.framework;
    let engine = config.engine(&url).await?;
    tokio::spawn(engine.worker());
    // The socket takes connections already: they wait until the server below accepts them.
    println!("listening on {url}");
    let ending = Shutdown::on_signal(engine.clone());
    tokio::select! {
        served = serve(framework, engine, handlers, listener, ending.clone()) => served,
        () = ending.overdue() => Err("connections were still open at the end".into()),
    }
}

async fn serve(
    framework: Framework,
    engine: Engine,
    handlers: Arc<Handlers>,
    listener: TcpListener,
    ending: Shutdown,
) -> Result<(), BoxError> {
    match framework {
        Framework::Axum => axum::serve(engine, handlers, listener, ending).await,
        Framework::Tower => tower::serve(engine, handlers, listener, ending).await,
        Framework::Actix => actix::serve(engine, handlers, listener, ending).await,
    }
}
