//! How often a facilitator is asked what it supports.

use std::{
    task::{Context, Waker},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{task::JoinSet, time};
use x402_core::{
    facilitator::{Facilitator, HttpFacilitator, VerifyError},
    wire::facilitator::SupportedResponse,
};

use super::server::{Act, Server, answer};

fn supports(network: &str) -> Value {
    json!({ "kinds": [{ "x402Version": 2, "scheme": "exact", "network": network }] })
}

fn told(supported: &SupportedResponse) -> &str {
    &supported.kinds[0].network
}

async fn all_at_once(facilitator: &HttpFacilitator) -> Vec<Result<SupportedResponse, VerifyError>> {
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let facilitator = facilitator.clone();
        calls.spawn(async move { facilitator.supported().await });
    }
    calls.join_all().await
}

/// Lets time pass for what is kept, and for nothing else.
async fn later(by: Duration) {
    time::pause();
    time::advance(by).await;
    time::resume();
}

/// Waits until the server was asked so often.
async fn asked(server: &Server, times: usize) {
    let begun = Instant::now();
    while server.asked().len() < times {
        assert!(begun.elapsed() < Duration::from_secs(5), "{} times", server.asked().len());
        time::sleep(Duration::from_millis(5)).await;
    }
    time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.asked().len(), times);
}

#[tokio::test]
async fn all_who_ask_at_once_wait_for_one_answer_and_it_is_kept() {
    let server = Server::start([Act::Json(200, supports("eip155:1"))]).await;
    let facilitator = server.facilitator();
    for answer in all_at_once(&facilitator).await {
        assert_eq!(told(&answer.unwrap()), "eip155:1");
    }
    later(Duration::from_secs(299)).await;
    assert_eq!(all_at_once(&facilitator).await.len(), 50);
    asked(&server, 1).await;
}

#[tokio::test]
async fn all_who_ask_at_once_share_a_failure_and_the_next_one_asks_again() {
    let server = Server::start([Act::Json(503, json!({})), Act::Json(200, supports("eip155:1"))]).await;
    let facilitator = server.facilitator();
    let answers = all_at_once(&facilitator).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(VerifyError::Unavailable(_)))));
    asked(&server, 1).await;
    facilitator.supported().await.unwrap();
}

#[tokio::test]
async fn a_stale_answer_is_given_at_once_while_one_asks_for_another() {
    let server = Server::start([
        Act::Json(200, supports("eip155:1")),
        Act::Json(200, supports("eip155:2")),
        Act::Json(500, json!({})),
        Act::Json(200, supports("eip155:4")),
    ])
    .await;
    let facilitator = server.facilitator();
    facilitator.supported().await.unwrap();

    later(Duration::from_secs(301)).await;
    for answer in all_at_once(&facilitator).await {
        assert_eq!(told(&answer.unwrap()), "eip155:1");
    }
    asked(&server, 2).await;
    assert_eq!(told(&facilitator.supported().await.unwrap()), "eip155:2");

    later(Duration::from_secs(301)).await;
    assert_eq!(told(&facilitator.supported().await.unwrap()), "eip155:2");
    asked(&server, 3).await;
    for _ in 0..20 {
        assert_eq!(told(&facilitator.supported().await.unwrap()), "eip155:2", "stale is better than nothing");
    }
    asked(&server, 3).await;
    later(Duration::from_secs(3600)).await;
    assert_eq!(told(&facilitator.supported().await.unwrap()), "eip155:4", "too old is not");
}

#[tokio::test]
async fn a_facilitator_that_is_asked_too_much_is_asked_when_it_says() {
    let too_many = |after: &str| {
        let status = format!("429 Too Many Requests\r\nretry-after: {after}");
        Act::Bytes(answer(&status, "application/json", r#"{"error":"slow down"}"#))
    };
    let server = Server::start([too_many("1"), too_many("0"), Act::Json(200, supports("eip155:1"))]).await;
    let begun = Instant::now();
    server.facilitator().supported().await.unwrap();
    let took = begun.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&took), "{took:?}");

    let server = Server::start((0..9).map(|_| too_many("0"))).await;
    let error = server.facilitator().supported().await.unwrap_err().to_string();
    assert!(error.ends_with("answered 429 without a result"), "{error}");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_question_goes_on_when_nobody_waits_any_more() {
    let server = Server::start([Act::Json(200, supports("eip155:1"))]).await;
    let facilitator = server.facilitator();
    let mut question = facilitator.supported();
    assert!(
        question.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(),
        "it is asked in a task"
    );
    drop(question);
    asked(&server, 1).await;
    facilitator.supported().await.unwrap();
    asked(&server, 1).await;
}
