//! The layer in a tonic server and before a tonic client, over loopback.

mod tonic_shop;

use std::time::Duration;

use tonic::{Code, Request};
use x402_tower::core::{
    testing::TestPayer,
    wire::{header::decode_json, v2::PaymentRequired},
};

use crate::tonic_shop::{Shop, paying, unpaid};

#[tokio::test]
async fn an_unpaid_call_is_a_failed_precondition_with_the_terms_as_metadata() {
    let shop = Shop::open().await;
    let status = shop.call("Get", unpaid()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "payment required"));
    let terms = status.metadata().get("payment-required").expect("the terms are there");
    let terms: PaymentRequired = decode_json(terms.as_bytes(), 8192).unwrap();
    assert_eq!(terms.accepts[0].amount, "1000");
    assert_eq!(terms.resource.url, "https://shop.example.com/shop.Weather/Get");
    assert_eq!(shop.facilitator.verify_calls(), 0);
}

#[tokio::test]
async fn a_paid_call_has_its_receipt_as_metadata() {
    let shop = Shop::open().await;
    let payer = TestPayer::new("alice");
    let payment = shop.payment("Get", &payer).await;
    let response = shop.call("Get", paying(&payment)).await.unwrap();
    assert!(response.metadata().contains_key("payment-response"));
    assert_eq!(response.into_inner(), format!("sunny in oslo for {}", payer.address()));
    assert_eq!(shop.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_method_that_fails_charges_nobody_and_its_payment_stays_good() {
    let shop = Shop::open().await;
    for (method, code) in [("Missing", Code::NotFound), ("Unheard", Code::Unimplemented)] {
        let payment = shop.payment(method, &TestPayer::new(method)).await;
        for _ in 0..2 {
            let status = shop.call(method, paying(&payment)).await.unwrap_err();
            assert_eq!(status.code(), code, "{method}");
            assert!(!status.metadata().contains_key("payment-response"), "{method}");
        }
    }
    assert_eq!(shop.facilitator.settle_calls(), 0);
}

#[tokio::test]
async fn a_call_that_meets_its_deadline_charges_nobody() {
    let shop = Shop::open().await;
    let payment = shop.payment("Never", &TestPayer::new("alice")).await;
    let mut request = paying(&payment);
    request.set_timeout(Duration::from_millis(100));
    let status = shop.call("Never", request).await.unwrap_err();
    assert!(matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded), "{status:?}");
    assert_eq!(shop.facilitator.settle_calls(), 0);
}

/// The length of a gRPC message is not known before it was sent, so there is no stored response to play again.
#[tokio::test]
async fn the_same_payment_again_is_aborted_with_the_first_receipt() {
    let shop = Shop::open().await;
    let payment = shop.payment("Get", &TestPayer::new("alice")).await;
    let first = shop.call("Get", paying(&payment)).await.unwrap();
    let status = shop.call("Get", paying(&payment)).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "payment already used"));
    let receipt = status.metadata().get("payment-response");
    assert_eq!(receipt, first.metadata().get("payment-response"));
    assert!(!status.metadata().contains_key("payment-required"), "nobody is asked to pay again");
    assert_eq!(shop.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_payment_for_one_method_does_not_buy_another() {
    let shop = Shop::open().await;
    let payment = shop.payment("Get", &TestPayer::new("alice")).await;
    shop.call("Get", paying(&payment)).await.unwrap();
    let status = shop.call("Missing", paying(&payment)).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    assert_eq!(shop.facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn bytes_that_are_no_payment_are_an_invalid_argument() {
    let shop = Shop::open().await;
    let status = shop.call("Get", paying(b"not base64!")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_stream_comes_whole_with_its_receipt_in_the_initial_metadata() {
    let shop = Shop::open().await;
    // Settled before the handler, and when its stream starts.
    for method in ["Hours", "Days"] {
        let payment = shop.payment(method, &TestPayer::new(method)).await;
        let response = shop.stream(method, paying(&payment)).await.unwrap();
        assert!(response.metadata().contains_key("payment-response"), "{method}");
        let mut messages = response.into_inner();
        for hour in 0..100 {
            assert_eq!(messages.message().await.unwrap().unwrap(), format!("oslo {hour}"));
        }
        assert_eq!(messages.message().await.unwrap(), None);
        let again = shop.stream(method, paying(&payment)).await.unwrap_err();
        assert_eq!(again.code(), Code::Aborted, "{method}");
    }
    assert_eq!(shop.facilitator.transfers().len(), 2);
}

#[tokio::test]
async fn a_stream_nobody_paid_for_does_not_start() {
    let shop = Shop::open().await;
    let status = shop.stream("Hours", unpaid()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.metadata().contains_key("payment-required"));
}

#[tokio::test]
async fn a_free_method_passes() {
    let shop = Shop::open().await;
    let response = shop.call("Open", Request::new("oslo".to_owned())).await.unwrap();
    assert!(!response.metadata().contains_key("payment-response"));
    assert_eq!(response.into_inner(), "sunny in oslo for nobody");
    assert_eq!(shop.facilitator.verify_calls(), 0);
}
