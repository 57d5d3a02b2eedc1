//! What is tried again, and what never is.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use x402_core::facilitator::{Facilitator, HttpFacilitator, SettleError, VerifyError};

use super::{
    fixture::{good, settled},
    server::{Act, Server, nobody},
};

#[tokio::test]
async fn a_verification_that_finds_nobody_is_tried_again_within_its_limit() {
    let address = nobody().await;
    let facilitator = HttpFacilitator::new(&format!("http://{address}")).unwrap();
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Server::on(TcpListener::bind(address).await.unwrap(), [Act::Json(200, json!({ "isValid": true }))])
    });
    facilitator.verify(&good()).await.unwrap();
    assert_eq!(late.await.unwrap().asked().len(), 1);
}

#[tokio::test]
async fn a_verification_is_tried_three_times_at_most() {
    let facilitator = HttpFacilitator::new(&format!("http://{}", nobody().await)).unwrap();
    let begun = Instant::now();
    let error = facilitator.verify(&good()).await.unwrap_err();
    assert!(matches!(error, VerifyError::Unavailable(_)), "{error:?}");
    let took = begun.elapsed();
    assert!((Duration::from_millis(100)..Duration::from_secs(2)).contains(&took), "two pauses, {took:?}");
}

#[tokio::test]
async fn no_pause_goes_past_the_limit() {
    let facilitator = HttpFacilitator::new(&format!("http://{}", nobody().await)).unwrap();
    let begun = Instant::now();
    facilitator.verify_timeout(Duration::from_millis(40)).verify(&good()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(50), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_settlement_that_finds_nobody_is_not_tried_again() {
    let address = nobody().await;
    let facilitator = HttpFacilitator::new(&format!("http://{address}")).unwrap();
    let begun = Instant::now();
    let error = facilitator.settle(&good()).await.unwrap_err();
    assert!(matches!(error, SettleError::Unavailable(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_millis(50), "no pause: {:?}", begun.elapsed());
    let server = Server::on(TcpListener::bind(address).await.unwrap(), [Act::Json(200, settled())]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(server.asked().is_empty(), "nor later");
    facilitator.settle(&good()).await.unwrap();
}

#[tokio::test]
async fn a_verification_whose_answer_is_lost_is_not_tried_again() {
    let server = Server::start([Act::Reset, Act::Json(200, json!({ "isValid": true }))]).await;
    server.facilitator().verify(&good()).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(server.asked().len(), 1);
}
