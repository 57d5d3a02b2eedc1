//! A paid weather API on axum.
//!
//! Run with
//!
//! ```sh
//! PAY_TO=0x209693Bc6afc0C5328bA36FaF03C514EF312287C cargo run -p axum-quickstart
//! ```
//!
//! and ask for `/weather/oslo`. Payments are settled by the facilitator at `X402_FACILITATOR_URL`, or by the public one
//! for test networks; or by this process, if `RPC_URL` names a node and `SIGNER_KEY` a key with money for gas.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal as _},
};

use axum::{Router, extract::Path, routing::get};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use x402_axum::{ConfigError, Engine, PaidContext, Paywall, Prices};
use x402_evm::{EvmFacilitator, GasKey};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();

    let listener = TcpListener::bind(("127.0.0.1", port()?)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let origin = env::var("ORIGIN").unwrap_or_else(|_| url.clone());
    let pay_to = env::var("PAY_TO").map_err(|_| "PAY_TO is missing: the address that is paid")?;
    let paywall = paywall(prices(&origin, &pay_to)?).await?;
    println!("listening on {url}");
    axum::serve(listener, app(paywall)).await?;
    Ok(())
}

fn prices(origin: &str, pay_to: &str) -> Result<Prices, ConfigError> {
    Prices::new(origin)
        .pay_to("eip155:84532", pay_to)
        .charge("GET /weather/{city}", "$0.01")
        .free("GET /health")
        .build()
}

async fn paywall(prices: Prices) -> Result<Paywall, Box<dyn Error>> {
    let Ok(rpc_url) = env::var("RPC_URL") else { return Ok(Paywall::new(prices)) };
    let gas_key = GasKey::from_env("SIGNER_KEY")?;
    let engine = Engine::builder(prices).facilitator(EvmFacilitator::new(&rpc_url, gas_key)?).build()?;
    engine.preflight().await?;
    Ok(Paywall::from(engine))
}

fn app(paywall: Paywall) -> Router {
    Router::new().route("/weather/{city}", get(weather)).route("/health", get(async || "ok")).layer(paywall)
}

async fn weather(Path(city): Path<String>, paid: PaidContext) -> String {
    format!("{city}: sunny, paid by {}\n", paid.payer)
}

fn port() -> Result<u16, Box<dyn Error>> {
    Ok(env::var("PORT").unwrap_or_else(|_| "3000".to_owned()).parse()?)
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt as _;
    use x402_core::testing::{FakeFacilitator, TestPayer};

    use super::*;

    #[tokio::test]
    async fn weather_is_paid_for_and_health_is_not() {
        let prices = prices("https://api.example.com", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C").unwrap();
        let facilitator = FakeFacilitator::new();
        let engine = Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap();
        let app = app(Paywall::from(engine));
        let ask = |path: &str| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());

        assert_eq!(ask("/health").await.unwrap().status(), 200);
        let challenge = ask("/weather/oslo").await.unwrap();
        assert_eq!(challenge.status(), 402);

        let payment = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
        let request = Request::get("/weather/oslo").header("payment-signature", &payment[..]);
        let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("payment-response"));
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        assert!(body.starts_with(b"oslo: sunny, paid by 0x"));
        assert_eq!(facilitator.transfers().len(), 1);
    }
}
