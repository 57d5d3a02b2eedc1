//! A chain, a service over it, and what callers send.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request},
};
use devchain::{DevChain, TOKEN, accounts};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use x402_core::{
    price::{NetworkId, PriceOption},
    time::UnixSeconds,
    wire::{V2, v2},
};
use x402_evm::{AuthorizationWindow, EvmFacilitator, EvmSigner, GasKey, random_nonce};
use x402_server::facilitator::{FacilitatorService, ServedNetwork};

pub(crate) const NETWORK: &str = "eip155:84532";
pub(crate) const PAY_TO: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
/// Who pays for tokens, and who pays for gas.
const PAYER: usize = 1;
pub(crate) const GAS: usize = 0;

pub(crate) struct World {
    pub(crate) chain: DevChain,
    payer: EvmSigner,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) fn start() -> Self {
        let chain = DevChain::start().unwrap();
        let payer = EvmSigner::from_hex(accounts()[PAYER].key).unwrap();
        chain.mint(accounts()[PAYER].address, 1_000_000_000).unwrap();
        Self { chain, payer }
    }

    pub(crate) fn facilitator(&self) -> EvmFacilitator {
        facilitator(&self.chain, GAS)
    }

    pub(crate) fn service(&self) -> Router {
        service(self.facilitator()).router()
    }

    /// A request about a payment that nobody made before.
    pub(crate) fn request(&self, amount: u64) -> Value {
        self.request_with(&option(amount), random_nonce())
    }

    pub(crate) fn request_with(&self, option: &PriceOption, nonce: [u8; 32]) -> Value {
        let valid_before = UnixSeconds::new(self.chain.now().unwrap() + 300);
        let window = AuthorizationWindow { valid_after: UnixSeconds::new(0), valid_before };
        let payment = v2::PaymentPayload {
            x402_version: V2,
            accepted: option.to_v2(),
            payload: self.payer.authorize(option, window, nonce).unwrap(),
            resource: None,
            extensions: None,
        };
        json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": option.to_v2() })
    }

    pub(crate) fn transfers(&self) -> usize {
        self.chain.transfers_to(PAY_TO).unwrap()
    }

    /// Waits for a transaction that is sent and not mined.
    pub(crate) async fn sent(&self) {
        until(|| self.chain.rpc("txpool_status", json!([])).unwrap()["pending"] != "0x0").await;
    }
}

pub(crate) fn facilitator(chain: &DevChain, gas: usize) -> EvmFacilitator {
    EvmFacilitator::new(chain.url(), GasKey::from_hex(accounts()[gas].key).unwrap()).unwrap()
}

pub(crate) fn network() -> NetworkId {
    NETWORK.parse().unwrap()
}

pub(crate) fn option(amount: u64) -> PriceOption {
    PriceOption::new(network(), TOKEN, amount, PAY_TO).signing_domain("USDC", "2")
}

pub(crate) fn service(facilitator: EvmFacilitator) -> FacilitatorService {
    let network = ServedNetwork::new(network(), facilitator);
    FacilitatorService::builder().network(network).build().unwrap()
}

/// Waits, as long as a busy machine needs, for what must come.
pub(crate) async fn until(mut come: impl FnMut() -> bool) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !come() {
        assert!(std::time::Instant::now() < limit, "did not come");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

pub(crate) async fn post(router: &Router, path: &str, body: &Value) -> Answered {
    send(
        router,
        Request::post(path).header("content-type", "application/json").body(body.to_string().into()).unwrap(),
    )
    .await
}

pub(crate) async fn get(router: &Router, path: &str) -> Answered {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answered {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap();
    Answered { status: parts.status.as_u16(), headers: parts.headers, body }
}
