//! Requests that are none, callers that may not ask, and too many at once.

use std::time::Duration;

use axum::http::Request;
use serde_json::{Value, json};
use x402_core::{
    price::NetworkId,
    testing::{FakeFacilitator, SettleAnswer, TestPayer},
};
use x402_server::facilitator::{Callers, FacilitatorService, FacilitatorServiceBuilder, ServedNetwork};

use super::world::{get, network, option, post, send};

fn builder(facilitator: &FakeFacilitator) -> FacilitatorServiceBuilder {
    FacilitatorService::builder().network(ServedNetwork::new(network(), facilitator.clone()))
}

/// A request about a payment with an imaginary signature.
fn request(payer: &TestPayer) -> Value {
    let payment = payer.payment(&option(1_000)).presented.json;
    json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": option(1_000).to_v2() })
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let router = builder(&FakeFacilitator::new()).build().unwrap().router();
    let good = request(&TestPayer::new("alice"));
    let without = |member: &str| {
        let mut request = good.clone();
        request.as_object_mut().unwrap().remove(member);
        request.to_string()
    };
    let mut third = good.clone();
    third["x402Version"] = 3.into();
    let mut numeric = good.clone();
    numeric["paymentRequirements"]["amount"] = 1_000.into();
    let json = "application/json";
    for (method, path, media, body, status, error) in [
        ("POST", "/verify", json, String::new(), 400, "EOF"),
        ("POST", "/verify", json, "[]".to_owned(), 400, ""),
        ("POST", "/verify", json, "{}".to_owned(), 400, "x402Version"),
        ("POST", "/verify", json, without("paymentPayload"), 400, "paymentPayload"),
        ("POST", "/settle", json, without("paymentRequirements"), 400, "paymentRequirements"),
        ("POST", "/settle", json, third.to_string(), 400, "x402Version is 3"),
        ("POST", "/settle", json, numeric.to_string(), 400, "paymentRequirements"),
        ("POST", "/settle", json, format!("{good} {good}"), 400, ""),
        ("POST", "/settle", json, " ".repeat(65 * 1024), 413, "too long"),
        ("POST", "/settle", "text/plain", good.to_string(), 415, "application/json"),
        ("GET", "/settle", json, String::new(), 405, ""),
        ("POST", "/supported", json, good.to_string(), 405, ""),
        ("GET", "/", json, String::new(), 404, ""),
    ] {
        let sent = Request::builder().method(method).uri(path).header("content-type", media);
        let answer = send(&router, sent.body(body.clone().into()).unwrap()).await;
        let told = answer.body["error"].as_str().unwrap();
        assert!(answer.status == status && told.contains(error), "{method} {path} {answer:?}");
    }
    let charset = Request::post("/verify").header("content-type", "application/json; charset=utf-8");
    assert_eq!(send(&router, charset.body(good.to_string().into()).unwrap()).await.body["isValid"], true);
}

#[tokio::test]
async fn callers_that_are_named_are_the_only_ones() {
    let callers = Callers::everybody().token("0123456789abcdef").unwrap();
    let facilitator = FakeFacilitator::new();
    let router = builder(&facilitator).callers(callers).build().unwrap().router();
    let request = request(&TestPayer::new("alice"));
    for (token, status) in
        [(None, 401), (Some("Bearer fedcba9876543210"), 401), (Some("Bearer 0123456789abcdef"), 200)]
    {
        for path in ["/verify", "/settle"] {
            let mut sent = Request::post(path).header("content-type", "application/json");
            if let Some(token) = token {
                sent = sent.header("authorization", token);
            }
            let answer = send(&router, sent.body(request.to_string().into()).unwrap()).await;
            assert_eq!(answer.status, status, "{token:?} {path} {answer:?}");
            assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
        }
    }
    assert_eq!(facilitator.settle_calls(), 1);
    for path in ["/supported", "/health", "/ready"] {
        assert_eq!(get(&router, path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn more_than_the_most_at_once_are_told_to_come_back() {
    let facilitator = FakeFacilitator::new();
    facilitator.on_settle(SettleAnswer::Hang);
    let service = builder(&facilitator).max_in_flight(1).build().unwrap();
    let router = service.router();
    let (alice, bob) = (request(&TestPayer::new("alice")), request(&TestPayer::new("bob")));
    let first = tokio::spawn({
        let router = router.clone();
        async move { post(&router, "/settle", &alice).await }
    });
    facilitator.hanging(1).await;
    let refused = post(&router, "/settle", &bob).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(post(&router, "/verify", &bob).await.body["isValid"], true, "who only asks is not held up");
    facilitator.release();
    assert_eq!(first.await.unwrap().body["success"], true);
    facilitator.on_settle(SettleAnswer::Honest);
    assert_eq!(post(&router, "/settle", &bob).await.body["success"], true);
}

#[tokio::test]
async fn a_service_that_drains_finishes_what_it_began_and_begins_nothing() {
    let facilitator = FakeFacilitator::new();
    facilitator.on_settle(SettleAnswer::Hang);
    let service = builder(&facilitator).build().unwrap();
    let router = service.router();
    let (alice, bob) = (request(&TestPayer::new("alice")), request(&TestPayer::new("bob")));
    let first = tokio::spawn({
        let router = router.clone();
        async move { post(&router, "/settle", &alice).await }
    });
    facilitator.hanging(1).await;
    assert!(!service.drain(Duration::from_millis(20)).await, "it is still under way");
    for path in ["/verify", "/settle"] {
        let refused = post(&router, path, &bob).await;
        assert_eq!((refused.status, refused.body["error"].as_str()), (503, Some("shutting down")), "{path}");
    }
    assert_eq!(get(&router, "/ready").await.status, 503);
    assert_eq!(get(&router, "/health").await.status, 200);
    facilitator.release();
    assert!(service.drain(Duration::from_secs(10)).await);
    assert_eq!(first.await.unwrap().body["success"], true);
    assert_eq!(facilitator.settle_calls(), 1);
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_no_failure() {
    let facilitator = FakeFacilitator::new();
    facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
    let router = builder(&facilitator).build().unwrap().router();
    let request = request(&TestPayer::new("alice"));
    let lost = post(&router, "/settle", &request).await;
    assert!(lost.status >= 500 || lost.body["errorReason"] == "settlement_pending", "{lost:?}");
    assert_eq!(post(&router, "/settle", &request).await.body["success"], true);
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn each_network_has_its_own_facilitator() {
    let (sepolia, base) = (FakeFacilitator::new(), FakeFacilitator::new());
    let other: NetworkId = "eip155:8453".parse().unwrap();
    let service = builder(&sepolia).network(ServedNetwork::new(other.clone(), base.clone())).build().unwrap();
    let router = service.router();
    let payer = TestPayer::new("alice");
    let mut elsewhere = option(1_000);
    elsewhere.network = other.clone();
    let payment = payer.payment(&elsewhere).presented.json;
    let on_base =
        json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": elsewhere.to_v2() });
    let settled = post(&router, "/settle", &on_base).await;
    assert_eq!((&settled.body["success"], &settled.body["network"]), (&json!(true), &json!("eip155:8453")));
    assert_eq!((sepolia.settle_calls(), base.settle_calls()), (0, 1));
    assert_eq!(post(&router, "/settle", &request(&payer)).await.body["success"], true);
    assert_eq!((sepolia.settle_calls(), base.settle_calls()), (1, 1));

    let twice = builder(&sepolia).network(ServedNetwork::new(network(), base)).build().unwrap_err();
    assert!(twice.to_string().contains("is there twice"), "{twice}");
    assert!(FacilitatorService::builder().build().is_err(), "no network");
    assert!(builder(&sepolia).max_in_flight(0).build().is_err());
}
