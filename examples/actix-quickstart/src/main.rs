//! A paid weather API on actix-web.
//!
//! Run with
//!
//! ```sh
//! PAY_TO=0x209693Bc6afc0C5328bA36FaF03C514EF312287C cargo run -p actix-quickstart
//! ```
//!
//! and ask for `/weather/oslo`. Payments are settled by the facilitator at `X402_FACILITATOR_URL`, or by the public one
//! for test networks; or by this process, if `RPC_URL` names a node and `SIGNER_KEY` a key with money for gas.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal as _},
    net::TcpListener,
};

use actix_web::{
    App, HttpServer,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    get, web,
};
use tracing_subscriber::EnvFilter;
use x402_actix::{ConfigError, Engine, PaidContext, Paywall, Prices};
use x402_evm::{EvmFacilitator, GasKey};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();

    let listener = TcpListener::bind(("127.0.0.1", port()?))?;
    let url = format!("http://{}", listener.local_addr()?);
    let origin = env::var("ORIGIN").unwrap_or_else(|_| url.clone());
    let pay_to = env::var("PAY_TO").map_err(|_| "PAY_TO is missing: the address that is paid")?;
    // Made once: all workers share its orders.
    let paywall = paywall(prices(&origin, &pay_to)?).await?;
    println!("listening on {url}");
    HttpServer::new(move || app(&paywall)).listen(listener)?.run().await?;
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

fn app(
    paywall: &Paywall,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    App::new().wrap(paywall.clone()).service(weather).service(health)
}

#[get("/weather/{city}")]
async fn weather(city: web::Path<String>, paid: PaidContext) -> String {
    format!("{city}: sunny, paid by {}\n", paid.payer)
}

#[get("/health")]
async fn health() -> &'static str {
    "ok"
}

fn port() -> Result<u16, Box<dyn Error>> {
    Ok(env::var("PORT").unwrap_or_else(|_| "3000".to_owned()).parse()?)
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use x402_core::testing::{FakeFacilitator, TestPayer};

    use super::*;

    #[actix_web::test]
    async fn weather_is_paid_for_and_health_is_not() {
        let prices = prices("https://api.example.com", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C").unwrap();
        let facilitator = FakeFacilitator::new();
        let engine = Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap();
        let app = init_service(app(&Paywall::from(engine))).await;
        let ask = |path: &str| TestRequest::get().uri(path);

        assert_eq!(call_service(&app, ask("/health").to_request()).await.status(), 200);
        let challenge = call_service(&app, ask("/weather/oslo").to_request()).await;
        assert_eq!(challenge.status(), 402);

        let required = challenge.headers().get("payment-required").unwrap();
        let payment = TestPayer::new("alice").pay_v2(required.as_bytes());
        let request = ask("/weather/oslo").append_header(("payment-signature", payment.as_ref()));
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("payment-response"));
        assert!(read_body(response).await.starts_with(b"oslo: sunny, paid by 0x"));
        assert_eq!(facilitator.transfers().len(), 1);
    }
}
