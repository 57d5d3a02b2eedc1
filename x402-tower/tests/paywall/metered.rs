//! Streams that are charged for what was used of them: what says that they are over, and that they are complete.

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty};
use tower::{Layer, ServiceExt, service_fn};
use x402_tower::{
    Charge, Engine, Paywall, Price, Prices,
    core::{
        price::PriceOption,
        testing::{FakeFacilitator, TestPayer},
    },
};

use crate::support::{Frames, PAY_TO, settle_down};

const CEILING: u64 = 50_000;

fn engine(facilitator: &FakeFacilitator) -> Engine {
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let account = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
    let ceiling = PriceOption::new("eip155:84532".parse().unwrap(), usdc, CEILING, PAY_TO).upto(account);
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", PAY_TO)
        .charge("GET,POST /pkg.Service/Method", Price::options(vec![ceiling]))
        .build()
        .unwrap();
    Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap()
}

/// What is charged for a stream of which the handler says so much was used, and which ends like this.
async fn charged(method: &str, said: Option<u64>, grpc_status: Option<&'static str>) -> Vec<String> {
    let facilitator = FakeFacilitator::new();
    let engine = engine(&facilitator);
    let worker = tokio::spawn(engine.worker());
    settle_down().await;
    let handler = service_fn(move |request: Request<Empty<bytes::Bytes>>| async move {
        if let (Some(said), Some(charge)) = (said, request.extensions().get::<Charge>()) {
            charge.set(said).unwrap();
        }
        let frames = Frames::stream(["one", "two"]);
        let trailer =
            |status: &str| HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
        let body = match grpc_status {
            Some(status) => frames.trailers(trailer(status)),
            None => frames,
        };
        Ok::<_, std::convert::Infallible>(Response::new(body))
    });
    let service = Paywall::from(engine).layer(handler);
    let call = || {
        let request = Request::builder().method(method).uri("/pkg.Service/Method");
        let kind = if grpc_status.is_some() { "application/grpc" } else { "text/plain" };
        request.header("content-type", kind)
    };
    let unpaid = service.clone().oneshot(call().body(Empty::new()).unwrap()).await.unwrap();
    let payment = TestPayer::new("alice").pay_v2(unpaid.headers()["payment-required"].as_bytes());
    let paid = call().header("payment-signature", &payment[..]).body(Empty::new()).unwrap();
    let response = service.oneshot(paid).await.unwrap();
    assert_eq!(response.status(), 200);
    if method == "HEAD" {
        drop(response);
    } else {
        response.into_body().collect().await.unwrap();
    }
    settle_down().await;
    worker.abort();
    facilitator.transfers().iter().map(|transfer| transfer.amount.to_string()).collect()
}

#[tokio::test]
async fn a_stream_that_is_not_sent_or_fails_at_its_end_costs_what_was_said() {
    for (method, said, grpc_status, wanted) in [
        ("GET", None, None, Some(CEILING)),
        ("GET", Some(70), None, Some(70)),
        ("HEAD", None, None, None),
        ("HEAD", Some(70), None, Some(70)),
        ("POST", None, Some("0"), Some(CEILING)),
        ("POST", None, Some("13"), None),
        ("POST", Some(70), Some("13"), Some(70)),
    ] {
        let wanted = Vec::from_iter(wanted.map(|amount| amount.to_string()));
        assert_eq!(charged(method, said, grpc_status).await, wanted, "{method} {said:?} {grpc_status:?}");
    }
}
