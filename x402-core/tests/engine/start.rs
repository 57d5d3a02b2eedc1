//! The table held against what the facilitator supports, at start.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use x402_core::{
    Engine, EngineBuilder,
    error::{BoxError, ConfigError},
    facilitator::{BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError, Witness},
    price::{Price, PriceOption, PriceRule, Prices},
    scheme::Scheme,
    testing::{FakeClock, FakeFacilitator},
    time::UnixSeconds,
    wire::{
        extension::{EIP2612_GAS_SPONSORING, eip2612_gas_sponsoring_declaration},
        facilitator::SupportedResponse,
    },
};

use crate::support::{NETWORK, NOW, PAY_TO, Request, World, prices};

/// A facilitator that lists what it is told to, and counts what it is asked.
#[derive(Clone)]
struct Listing {
    fake: FakeFacilitator,
    supported: Option<SupportedResponse>,
    asked: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<Vec<Value>>>,
}

impl Listing {
    fn new(kinds: Value) -> Self {
        Self {
            fake: FakeFacilitator::new().with_local_proof().with_witness(),
            supported: Some(
                serde_json::from_value(Value::Object([("kinds".to_owned(), kinds)].into_iter().collect()))
                    .unwrap(),
            ),
            asked: Arc::default(),
            seen: Arc::default(),
        }
    }

    /// Supported, verify and settle.
    fn calls(&self) -> (usize, usize, usize) {
        (self.asked.load(Ordering::SeqCst), self.fake.verify_calls(), self.fake.settle_calls())
    }

    fn see(&self, payment: &Payment) {
        let terms = serde_json::to_value(payment.option.extra.as_ref()).unwrap();
        self.seen.lock().unwrap().push(terms);
    }
}

impl Facilitator for Listing {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        self.see(payment);
        self.fake.verify(payment)
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        self.see(payment);
        self.fake.settle(payment)
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let down = || VerifyError::Unavailable("silent".into());
        Box::pin(async move { self.supported.clone().ok_or_else(down) })
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        self.fake.schemes()
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.fake.witness()
    }
}

const NOBODY: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn kinds() -> Value {
    json!([
        { "x402Version": 2, "scheme": "exact", "network": NETWORK, "extra": { "memo": "ours" } },
        { "x402Version": 1, "scheme": "exact", "network": "base-sepolia" },
    ])
}

fn builder(prices: Prices, listing: &Listing) -> EngineBuilder {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    Engine::builder(prices).facilitator(listing.clone()).clock(clock)
}

async fn start(prices: Prices, listing: &Listing) -> Result<World, ConfigError> {
    let engine = builder(prices, listing).start().await?;
    Ok(World { engine, ..World::new() })
}

fn table() -> x402_core::price::PricesBuilder {
    Prices::new("https://api.example.com").pay_to(NETWORK, PAY_TO)
}

#[tokio::test]
async fn the_402_carries_what_the_facilitator_wants_and_is_paid() {
    let listing = Listing::new(kinds());
    let world = start(prices(), &listing).await.unwrap();
    for request in [Request::get("/weather/oslo"), Request::get("/bound"), Request::new("POST", "/render")] {
        let unpaid = world.send(&request).await;
        let accepts = &unpaid.json("payment-required")["accepts"];
        assert_eq!(accepts[0]["extra"]["memo"], "ours");
        assert_eq!(accepts[0]["extra"]["name"], "USDC");
        let payment = world.payer.pay_v2(unpaid.get("payment-required").unwrap());
        assert_eq!(world.send(&request.paid(&payment)).await.status, 200);
    }
    let seen = listing.seen.lock().unwrap().clone();
    assert!(
        seen.len() == 6 && seen.iter().all(|extra| extra["memo"] == "ours"),
        "and reads it again: {seen:?}"
    );
    assert_eq!(world.send(&Request::get("/health")).await.status, 200);
    assert_eq!(world.send(&Request::new("PUT", "/weather/oslo")).await.status, 405);
}

#[tokio::test]
async fn approvals_are_asked_for_where_the_facilitator_brings_them() {
    let prices = || {
        let permit2 = || Price::atomic(NETWORK, 1000_u64).permit2();
        let dynamic = Price::dynamic(move |_| async move { Ok::<_, BoxError>(permit2()) });
        let table = table().charge("GET /plain", "$0.01").charge("GET /permit2", permit2());
        table
            .charge("GET /used", Price::up_to("$0.01"))
            .charge("GET /either", Price::atomic(NETWORK, 1000_u64).or(permit2()))
            .charge("GET /computed", dynamic)
            .build()
            .unwrap()
    };
    let mut kinds = kinds();
    let upto = json!({ "x402Version": 2, "scheme": "upto", "network": NETWORK, "extra": { "facilitatorAddress": PAY_TO } });
    kinds.as_array_mut().unwrap().push(upto);
    for lists in [true, false] {
        let mut listing = Listing::new(kinds.clone());
        let extensions = &mut listing.supported.as_mut().unwrap().extensions;
        extensions.push("another".to_owned());
        if lists {
            extensions.push(EIP2612_GAS_SPONSORING.to_owned());
        }
        let world = start(prices(), &listing).await.unwrap();
        for (path, declares) in [
            ("/plain", false),
            ("/permit2", lists),
            ("/used", lists),
            ("/either", lists),
            ("/computed", lists),
        ] {
            let unpaid = world.send(&Request::get(path)).await.json("payment-required");
            let wanted = declares.then(eip2612_gas_sponsoring_declaration);
            assert_eq!(unpaid["extensions"].get(EIP2612_GAS_SPONSORING), wanted.as_ref(), "{path}");
        }
    }
    let asked_nobody = builder(prices(), &Listing::new(kinds)).build().unwrap();
    let unpaid = World { engine: asked_nobody, ..World::new() }.send(&Request::get("/permit2")).await;
    assert_eq!(unpaid.json("payment-required").get("extensions"), None);
}

#[tokio::test]
async fn a_long_402_asks_for_no_approvals() {
    let network = |id: u32| format!("eip155:{id}");
    let options = |most: u32| {
        let options = (1..=most).map(|id| {
            let option = PriceOption::new(network(id).parse().unwrap(), PAY_TO, 1000, NOBODY);
            option.signing_domain("A token", "2").permit2()
        });
        let prices = Prices::new("https://api.example.com");
        prices.charge("GET /many", Price::options(options.collect())).build().unwrap()
    };
    let kinds = json!([{ "x402Version": 2, "scheme": "exact", "network": "eip155:*" }]);
    let mut listing = Listing::new(kinds);
    listing.supported.as_mut().unwrap().extensions.push(EIP2612_GAS_SPONSORING.to_owned());
    for (most, declares) in [(2, true), (9, false)] {
        let world = start(options(most), &listing).await.unwrap();
        let unpaid = world.send(&Request::get("/many")).await;
        assert!(unpaid.get("payment-required").unwrap().len() < 7000);
        let unpaid = unpaid.json("payment-required");
        assert_eq!(unpaid["accepts"].as_array().unwrap().len(), most as usize);
        assert_eq!(unpaid.get("extensions").is_some(), declares, "{most}");
    }
}

#[tokio::test]
async fn a_route_that_nobody_settles_is_a_mistake_that_says_what_to_do() {
    let listing = Listing::new(kinds());
    let prices = table()
        .pay_to("eip155:8453", PAY_TO)
        .charge("GET /here", Price::atomic(NETWORK, 1_u64))
        .charge("GET /there/{x}", Price::atomic(NETWORK, 1_u64).or(Price::atomic("eip155:8453", 1_u64)))
        .build()
        .unwrap();
    let error = start(prices, &listing).await.err().unwrap();
    assert_eq!(error.at(), "route `GET /there/{x}`");
    let text = error.to_string();
    for part in ["exact on eip155:8453", "it lists exact on eip155:84532", "use one that does"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_facilitator_that_cannot_be_asked_is_a_mistake() {
    let silent = Listing { supported: None, ..Listing::new(json!([])) };
    let error = start(prices(), &silent).await.err().unwrap();
    assert!(error.to_string().starts_with("facilitator: cannot be asked what it supports"), "{error}");
    assert!(builder(prices(), &silent).build().is_ok(), "whoever wants no network at start has none");
}

#[tokio::test]
async fn mistakes_that_need_no_network_are_found_before_it_is_asked() {
    let listing = Listing::new(kinds());
    let wrong = builder(prices(), &listing).longest_authorization(std::time::Duration::from_secs(1));
    wrong.start().await.err().unwrap();
    let error = Engine::builder(prices()).start().await.err().unwrap();
    assert_eq!(error.at(), "facilitator");
    assert_eq!(listing.calls(), (0, 0, 0));
}

#[tokio::test]
async fn version_1_is_offered_what_is_settled_in_version_1() {
    for (old, versions) in [(true, 1), (false, 2)] {
        let mut kinds = kinds();
        if !old {
            kinds.as_array_mut().unwrap().pop();
        }
        let dynamic = Price::dynamic(|_| async { Price::usd("0.001") });
        let prices = table().charge("GET /fixed", "$0.001").charge("GET /dynamic", dynamic).build().unwrap();
        let world = start(prices, &Listing::new(kinds)).await.unwrap();
        for path in ["/fixed", "/dynamic"] {
            let unpaid = world.send(&Request::get(path)).await;
            let body: Value = serde_json::from_slice(&unpaid.body).unwrap();
            assert_eq!(body["x402Version"], versions, "{path}");
            assert_eq!(unpaid.json("payment-required")["accepts"].as_array().unwrap().len(), 1, "{path}");
        }
    }
}

#[tokio::test]
async fn a_computed_price_is_held_against_the_same_list() {
    let dynamic = Price::dynamic(|request| async move {
        let network = request.param("network").unwrap_or_default().to_owned();
        Ok::<_, std::convert::Infallible>(Price::atomic(network, 1_000_u64))
    });
    let prices =
        table().pay_to("eip155:8453", PAY_TO).charge("GET /dynamic/{network}", dynamic).build().unwrap();
    let listing = Listing::new(kinds());
    let world = start(prices, &listing).await.unwrap();

    let request = Request::get(&format!("/dynamic/{NETWORK}"));
    let unpaid = world.send(&request).await;
    assert_eq!(unpaid.json("payment-required")["accepts"][0]["extra"]["memo"], "ours");
    let payment = world.payer.pay_v2(unpaid.get("payment-required").unwrap());
    assert_eq!(world.send(&request.paid(&payment)).await.status, 200);

    let foreign = Request::get("/dynamic/eip155:8453");
    for request in [foreign.clone(), foreign.paid(&payment)] {
        let answer = world.send(&request).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "price_unavailable"));
        assert!(!answer.has("payment-required"), "never a challenge that nobody can settle");
    }
    assert_eq!(listing.calls().0, 2, "asked at start only");
}

#[tokio::test]
async fn a_price_on_one_route_is_held_against_it_too() {
    let listing = Listing::new(kinds());
    let prices =
        table().pay_to("eip155:8453", PAY_TO).charge("GET /x", Price::atomic(NETWORK, 1_u64)).build();
    let world = start(prices.unwrap(), &listing).await.unwrap();
    let here = world.engine.priced(PriceRule::new(Price::atomic(NETWORK, 7_u64))).unwrap();
    let here = World { engine: here, ..World::new() };
    let unpaid = here.send(&Request::get("/anything")).await;
    assert_eq!(unpaid.json("payment-required")["accepts"][0]["extra"]["memo"], "ours");
    let error = world.engine.priced("$0.01").unwrap_err().to_string();
    assert!(error.contains("does not list exact on eip155:8453"), "{error}");
}

#[tokio::test]
async fn the_facilitator_is_asked_for_payments_and_for_nothing_else() {
    let listing = Listing::new(kinds());
    let world = start(prices(), &listing).await.unwrap();
    let at_start = listing.calls().0;
    assert_eq!(at_start, 2, "what is supported, and the check before the start");
    let request = Request::get("/weather/oslo");
    for _ in 0..50 {
        assert_eq!(world.send(&request).await.status, 402);
        assert_eq!(world.send(&Request::get("/health")).await.status, 200);
        assert_eq!(world.send(&request.paid(&"bm8gcGF5bWVudA".into())).await.status, 400);
    }
    assert_eq!(listing.calls(), (at_start, 0, 0), "unpaid and broken requests cost nobody a call");

    let payment = world.pay(&request).await;
    for _ in 0..10 {
        assert_eq!(world.send(&request.paid(&payment)).await.status, 200);
    }
    assert_eq!(listing.calls(), (at_start, 1, 1), "one payment, however often it comes");
    for paid in 2..12 {
        let payment = world.pay(&request).await;
        assert_eq!(world.send(&request.paid(&payment)).await.status, 200);
        assert_eq!(listing.calls(), (at_start, paid, paid));
    }
}
