//! Who gets in, and what the others are told.

use std::time::Duration;

use serde_json::Value;
use x402_core::{testing::VerifyAnswer, wire::header::encode, wire::v2};

use crate::support::{NETWORK, PAY_TO, Request, World};

#[tokio::test]
async fn free_routes_pass_and_priced_ones_ask() {
    let world = World::new();
    assert_eq!(world.send(&Request::get("/health")).await.body, "free");
    assert_eq!(world.send(&Request::get("/unknown")).await.body, "free");

    let answer = world.send(&Request::get("/weather/oslo?units=c")).await;
    assert_eq!(answer.status, 402);
    assert_eq!(answer.get("cache-control").unwrap(), b"no-store");
    let challenge = answer.json("payment-required");
    assert_eq!(challenge["resource"]["url"], "https://api.example.com/weather/oslo");
    let option = &challenge["accepts"][0];
    assert_eq!(option["network"], NETWORK);
    assert_eq!(option["amount"], "1000");
    assert_eq!(option["payTo"], PAY_TO);
    assert!(option["extra"]["quote"]["expiresAt"].is_u64());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["x402Version"], 1);
    assert_eq!(body["accepts"][0]["network"], "base-sepolia");
}

#[tokio::test]
async fn a_payment_of_either_version_is_charged_once_and_runs_the_handler_once() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let answer = world.send(&request.paid(&world.pay(&request).await)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.get("cache-control").unwrap(), b"private, no-store");
    let receipt = answer.json("payment-response");
    assert_eq!(receipt["success"], true);
    assert_eq!(receipt["network"], NETWORK);
    let paid = answer.paid.unwrap();
    assert_eq!(&*paid.payer, world.payer.address().to_string());
    assert_eq!(paid.amount.to_string(), "1000");

    let unpaid = world.send(&request).await;
    let answer = world.send(&request.paid_v1(&world.payer.pay_v1(&unpaid.body))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json("x-payment-response")["network"], "base-sepolia");
    assert!(!answer.has("payment-response"));

    assert_eq!(world.facilitator.transfers().len(), 2);
    assert_eq!(world.handler_runs(), 2);
}

#[tokio::test]
async fn more_than_one_payment_is_refused_before_any_work() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    for doubled in [
        request.paid(&payment).paid(&payment),
        request.paid(&payment).paid_v1(&payment),
        request.paid_v1(&payment).paid_v1(&payment),
    ] {
        assert_eq!(world.send(&doubled).await.status, 400);
    }
    assert_eq!(world.facilitator.verify_calls(), 0);
}

#[tokio::test]
async fn a_version_2_payment_in_the_version_1_header_is_answered_in_version_2() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let answer = world.send(&request.paid_v1(&world.pay(&request).await)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.has("payment-response"));
}

#[tokio::test]
async fn every_altered_term_is_refused_without_a_trace() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let unpaid = world.send(&request).await;
    let challenge: v2::PaymentRequired = serde_json::from_value(unpaid.json("payment-required")).unwrap();
    let honest = serde_json::to_value(world.payer.answer_v2(&challenge)).unwrap();
    for (pointer, value, reason) in [
        ("/accepted/amount", Value::from("1"), "quote_invalid"),
        ("/accepted/payTo", Value::from("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), "quote_invalid"),
        ("/accepted/asset", Value::from("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), "quote_invalid"),
        ("/accepted/network", Value::from("eip155:8453"), "quote_invalid"),
        ("/accepted/maxTimeoutSeconds", Value::from(1), "quote_invalid"),
        ("/accepted/extra/quote/nonce", Value::from("AAAAAAAAAAAAAAAAAAAAAA"), "quote_invalid"),
        ("/accepted/extra/quote/expiresAt", Value::from(1_900_000_000), "quote_invalid"),
        (
            "/payload/authorization/value",
            Value::from("1"),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (
            "/payload/authorization/value",
            Value::from("1001"),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (
            "/payload/authorization/to",
            Value::from("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            "invalid_exact_evm_recipient_mismatch",
        ),
        ("/payload/authorization/validAfter", Value::from("1"), "invalid_exact_evm_signature"),
        ("/payload/authorization/value", Value::from(1000), "invalid_payload"),
        ("/payload/authorization/nonce", Value::from("0x00"), "invalid_payload"),
    ] {
        let mut altered = honest.clone();
        *altered.pointer_mut(pointer).unwrap() = value.clone();
        let answer = world.send(&request.paid(&encode(&altered))).await;
        assert_eq!((answer.status, answer.reason().as_str()), (402, reason), "{pointer} = {value}");
    }
    assert_eq!(world.facilitator.verify_calls(), 0);
    assert_eq!(world.handler_runs(), 0);
    let answer = world.send(&request.paid(&encode(&honest))).await;
    assert_eq!(answer.status, 200, "nothing was left behind by the refused ones");
}

#[tokio::test]
async fn time_limits_hold_for_new_payments() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.clock.advance(Duration::from_secs(126));
    assert_eq!(world.send(&request.paid(&payment)).await.reason(), "quote_expired");
    world.clock.advance(Duration::from_secs(174));
    let v1 = world.payer.pay_v1(&world.send(&request).await.body);
    world.clock.advance(Duration::from_secs(295));
    let answer = world.send(&request.paid_v1(&v1)).await;
    assert_eq!(answer.status, 402);
    assert_eq!(answer.reason(), "invalid_exact_evm_payload_authorization_valid_before");
    assert_eq!(world.facilitator.verify_calls(), 0);
}

#[tokio::test]
async fn what_the_facilitator_refuses_is_402_and_its_outage_503_without_a_challenge() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.facilitator.next_verify(VerifyAnswer::Unavailable);
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.has("retry-after") && !answer.has("payment-required"));

    world.facilitator.next_verify(VerifyAnswer::Reject(x402_core::error::RejectReason::InsufficientFunds));
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!((answer.status, answer.reason().as_str()), (402, "invalid_exact_evm_insufficient_balance"));

    assert_eq!(world.send(&request.paid(&payment)).await.status, 200, "the claim was free again");
    assert_eq!(world.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_nonce_used_before_we_began_is_409_without_a_challenge() {
    let world = World::new();
    let request = Request::get("/weather/oslo");
    let payment = world.pay(&request).await;
    world.facilitator.next_verify(VerifyAnswer::Reject(x402_core::error::RejectReason::NonceAlreadyUsed));
    let answer = world.send(&request.paid(&payment)).await;
    assert_eq!((answer.status, answer.reason().as_str()), (409, "payment_replayed"));
    assert!(!answer.has("payment-required"));
}

#[tokio::test]
async fn methods_without_a_rule_and_ambiguous_paths_do_not_reach_the_handler() {
    let world = World::new();
    let answer = world.send(&Request::new("DELETE", "/weather/oslo")).await;
    assert_eq!(answer.status, 405);
    assert!(std::str::from_utf8(answer.get("allow").unwrap()).unwrap().contains("GET"));
    assert_eq!(world.send(&Request::new("OPTIONS", "/weather/oslo")).await.status, 204);
    assert_eq!(world.send(&Request::new("HEAD", "/weather/oslo")).await.status, 402);
    for path in [
        "/weather/%2e%2e/health",
        "/weather/a%2fb",
        "/weather/./oslo",
        "/we%61ther/oslo",
        "/weather//oslo/",
        "/a%zz",
    ] {
        let answer = world.send(&Request::get(path)).await;
        assert!(matches!(answer.status, 400 | 402), "{path}: {answer:?}");
    }
}
