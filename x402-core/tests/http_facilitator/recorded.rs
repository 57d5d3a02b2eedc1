//! Exchanges that the official SDKs had, replayed.

use serde_json::{Value, json};
use x402_core::{
    facilitator::{Facilitator, Payment, SettleError, VerifyError},
    price::PriceOption,
};

use super::{
    fixture::{cases, good, payment},
    server::{Act, Server},
};

/// Reasons that blame the terms of the server, not the payment.
const MERCHANT: [&str; 5] = [
    "asset_not_deployed_contract",
    "invalid_exact_evm_missing_eip712_domain",
    "invalid_exact_evm_token_name_mismatch",
    "invalid_exact_evm_token_version_mismatch",
    "upto_facilitator_mismatch",
];

#[tokio::test]
async fn version_1_is_spoken_as_recorded() {
    assert_eq!(replay("facilitator-v1.json").await, (33, 0));
}

#[tokio::test]
async fn version_2_is_spoken_as_recorded() {
    assert_eq!(replay("facilitator-v2.json").await, (59, 0));
}

/// Replays a file, and counts the cases replayed and those whose payload is of a kind not read yet.
async fn replay(file: &str) -> (usize, usize) {
    let (mut replayed, mut unread) = (0, 0);
    for case in cases(file) {
        let name = case["name"].as_str().unwrap();
        let Some(payment) = payment(&case["request"]) else {
            unread += 1;
            continue;
        };
        let answer = case.get("response").cloned();
        let act = match answer.clone() {
            Some(response) => Act::Json(200, response),
            None => Act::Json(500, json!({ "error": case["threw"] })),
        };
        let server = Server::start([act]).await;
        match case["op"].as_str().unwrap() {
            "verify" => verified(name, server.facilitator().verify(&payment).await, answer.as_ref()),
            "settle" => settled(name, server.facilitator().settle(&payment).await, answer.as_ref().unwrap()),
            other => panic!("{name}: {other}"),
        }
        let asked = &server.asked()[0];
        let path = case["path"].as_str().unwrap();
        assert!(asked.head.starts_with(&format!("POST {path} HTTP/1.1")), "{name}: {}", asked.head);
        assert_eq!(asked.json(), as_we_say_it(&case["request"], &payment), "{name}");
        replayed += 1;
    }
    (replayed, unread)
}

/// The recorded request, but for an `extra` that is absent: ours is then empty.
fn as_we_say_it(request: &Value, payment: &Payment) -> Value {
    let mut request = request.clone();
    if payment.option.extra.is_empty() {
        request["paymentRequirements"]["extra"] = json!({});
    }
    request
}

fn verified(name: &str, result: Result<(), VerifyError>, answer: Option<&Value>) {
    let reason = answer.and_then(|answer| answer["invalidReason"].as_str());
    match result {
        Ok(()) => assert_eq!(answer.unwrap()["isValid"], true, "{name}"),
        Err(VerifyError::Rejected(rejected)) => assert_eq!(reason, Some(rejected.code()), "{name}"),
        Err(VerifyError::Unavailable(error)) => {
            assert!(reason.is_none_or(|reason| MERCHANT.contains(&reason)), "{name}: {error}");
            assert!(answer.is_none_or(|answer| answer["isValid"] == false), "{name}: {error}");
        }
        Err(error) => panic!("{name}: {error:?}"),
    }
}

fn settled(name: &str, result: Result<x402_core::facilitator::Settlement, SettleError>, answer: &Value) {
    match result {
        Ok(settlement) => {
            assert_eq!(answer["success"], true, "{name}");
            assert_eq!(answer["transaction"], settlement.transaction, "{name}");
        }
        Err(SettleError::Rejected { reason, transaction }) => {
            assert_eq!(answer["errorReason"], reason.code(), "{name}");
            assert_eq!(answer["transaction"], transaction.unwrap_or_default(), "{name}");
        }
        Err(error) => panic!("{name}: {error:?}"),
    }
}

#[tokio::test]
async fn what_is_supported_is_read_and_held_against_the_prices() {
    let supported = &cases("facilitator-supported.json")[0]["response"];
    let server = Server::start((0..4).map(|_| Act::Json(200, supported.clone()))).await;
    let facilitator = server.facilitator();
    let answer = facilitator.supported().await.unwrap();
    assert_eq!(serde_json::to_value(&answer).unwrap(), *supported);
    assert!(server.asked()[0].head.starts_with("GET /supported HTTP/1.1"));

    let option = good().option;
    facilitator.preflight(std::slice::from_ref(&option)).await.unwrap();
    let change = |change: fn(&mut PriceOption)| {
        let mut option = option.clone();
        change(&mut option);
        option
    };
    for foreign in [
        change(|option| option.network = "eip155:8453".parse().unwrap()),
        change(|option| option.scheme = "later".into()),
    ] {
        let error = facilitator.preflight(&[option.clone(), foreign]).await.unwrap_err().to_string();
        assert!(error.starts_with("facilitator: cannot settle "), "{error}");
    }
}

#[tokio::test]
async fn a_facilitator_that_cannot_be_asked_is_a_mistake_with_a_cause() {
    let server = Server::start([Act::Json(503, json!({ "error": "later" }))]).await;
    let error = server.facilitator().preflight(&[good().option]).await.unwrap_err();
    let wanted = format!(
        "facilitator: cannot be asked what it supports: facilitator at {} answered 503 without a result",
        server.url()
    );
    assert_eq!(error.to_string(), wanted);
    assert!(std::error::Error::source(&error).is_some());
}
