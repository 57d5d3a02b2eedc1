//! Leaving a facilitator alone that does not answer.

use std::time::{Duration, Instant};

use serde_json::json;
use x402_core::facilitator::{BreakerLimits, Facilitator, HttpFacilitator, SettleError, VerifyError};

use super::{
    fixture::{failed, good, settled},
    logs::Log,
    server::{Act, Server, nobody},
};

const PAUSE: Duration = Duration::from_millis(500);

fn broken() -> Act {
    Act::Json(500, json!({ "error": "broken" }))
}

fn quick(server: &Server) -> HttpFacilitator {
    server.facilitator().breaker(BreakerLimits::new().pause(PAUSE, 4 * PAUSE))
}

/// Fails `calls` calls, verifications and settlements in turn.
async fn fail(facilitator: &HttpFacilitator, calls: usize) {
    for call in 0..calls {
        if call % 2 == 0 {
            facilitator.verify(&good()).await.unwrap_err();
        } else {
            facilitator.settle(&good()).await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn after_five_faults_nothing_is_sent_until_one_call_is_answered() {
    let good_answers = [Act::Json(200, json!({ "isValid": true })), Act::Json(200, settled())];
    let script = (0..5).map(|_| broken()).chain(good_answers);
    let server = Server::start(script).await;
    let facilitator = quick(&server);
    let log = Log::default();
    let guard = log.listen();

    fail(&facilitator, 5).await;
    let payment = good();
    let begun = Instant::now();
    for _ in 0..20 {
        let error = facilitator.verify(&payment).await.unwrap_err();
        assert!(matches!(error, VerifyError::Unavailable(_)), "{error:?}");
        let error = facilitator.settle(&payment).await.unwrap_err();
        assert!(matches!(error, SettleError::Unavailable(_)), "nothing was sent: {error:?}");
        assert!(error.to_string().contains("is not asked again for"), "{error}");
    }
    assert!(begun.elapsed() < PAUSE, "at once");
    assert_eq!(server.asked().len(), 5);

    tokio::time::sleep(PAUSE).await;
    facilitator.clone().verify(&good()).await.unwrap();
    facilitator.settle(&good()).await.unwrap();
    assert_eq!(server.asked().len(), 7);
    drop(guard);
    let log = log.text();
    for line in ["is left alone", "is tried again", "answers again"] {
        assert_eq!(log.matches(line).count(), 1, "{line} once in {log}");
    }
}

#[tokio::test]
async fn one_call_finds_out_and_the_others_are_not_sent() {
    let server = Server::start((0..6).map(|_| broken())).await;
    let facilitator = quick(&server);
    fail(&facilitator, 5).await;
    tokio::time::sleep(PAUSE).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let facilitator = facilitator.clone();
        calls.spawn(async move { facilitator.verify(&good()).await.unwrap_err().to_string() });
    }
    let errors = calls.join_all().await;
    let sent = errors.iter().filter(|error| error.contains("answered 500")).count();
    assert_eq!((sent, server.asked().len()), (1, 6), "{errors:?}");
    tokio::time::sleep(PAUSE).await;
    let error = facilitator.verify(&good()).await.unwrap_err().to_string();
    assert!(error.contains("is not asked again"), "the pause has doubled: {error}");
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let refused = || Act::Json(400, json!({ "isValid": false, "invalidReason": "kyt_risk_detected" }));
    let failed = || Act::Json(500, failed("invalid_exact_evm_signature", ""));
    let script = (0..20).flat_map(|_| [refused(), failed()]);
    let server = Server::start(script).await;
    let facilitator = quick(&server);
    fail(&facilitator, 40).await;
    assert_eq!(server.asked().len(), 40);
}

#[tokio::test]
async fn whoever_cannot_be_reached_or_does_not_end_is_left_alone_too() {
    let server = Server::start([]).await;
    let slow = server.impatient().verify_timeout(Duration::from_millis(30));
    let gone = HttpFacilitator::new(&format!("http://{}", nobody().await)).unwrap();
    for facilitator in [slow, gone] {
        let facilitator = facilitator.breaker(BreakerLimits::new().faults(2));
        let payment = good();
        for _ in 0..2 {
            facilitator.verify(&payment).await.unwrap_err();
        }
        let begun = Instant::now();
        let error = facilitator.verify(&payment).await.unwrap_err().to_string();
        assert!(error.contains("is not asked again for 10 s"), "{error}");
        assert!(begun.elapsed() < Duration::from_millis(25));
    }
}

#[tokio::test]
async fn a_call_that_was_given_up_leaves_the_way_free() {
    let script = (0..5).map(|_| broken()).chain([Act::Hang, Act::Json(200, json!({ "isValid": true }))]);
    let server = Server::start(script).await;
    let facilitator = quick(&server);
    fail(&facilitator, 5).await;
    tokio::time::sleep(PAUSE).await;
    let payment = good();
    tokio::time::timeout(Duration::from_millis(50), facilitator.verify(&payment)).await.unwrap_err();
    facilitator.verify(&payment).await.unwrap();
}

#[tokio::test]
async fn a_facilitator_that_is_left_alone_is_asked_for_a_probe_all_the_same() {
    let kinds = json!({ "kinds": [{ "x402Version": 2, "scheme": "exact", "network": "eip155:84532" }] });
    let script = [Act::Json(200, kinds.clone())].into_iter().chain((0..5).map(|_| broken()));
    let server = Server::start(script.chain([broken(), Act::Json(200, kinds)])).await;
    let facilitator = quick(&server);
    let options = [good().option];
    for _ in 0..3 {
        facilitator.preflight(&options).await.unwrap();
    }
    assert_eq!(server.asked().len(), 1, "what is known is not asked again");
    fail(&facilitator, 5).await;
    facilitator.preflight(&options).await.unwrap_err();
    facilitator.preflight(&options).await.unwrap();
    assert_eq!(server.asked().len(), 8);
}
