use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use x402_tower::{
    PaidContext,
    core::testing::{FakeFacilitator, SettleAnswer, TestPayer, VerifyAnswer},
};

use crate::support::{Frames, behind, get, paying, payment, paywall, settle_down, text, with};

fn ok(body: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(body.as_bytes())))
}

#[tokio::test]
async fn a_paid_request_reaches_its_handler_and_gets_a_receipt() {
    let facilitator = FakeFacilitator::new();
    let service = behind(&facilitator, |request: Request<_>| async move {
        let paid = request.extensions().get::<PaidContext>().expect("the handler is told who paid");
        assert!(paid.settlement.is_none());
        assert_eq!(paid.amount.to_string(), "10000");
        Response::builder()
            .header("cache-control", "public, max-age=3600")
            .header("payment-response", "forged")
            .header("idempotent-replayed", "true")
            .header("vary", "accept, x-payment")
            .body(Full::new(Bytes::from(paid.payer.to_string())))
            .unwrap()
    });
    let alice = TestPayer::new("alice");
    let header = payment(&service, "/paid", &alice).await;
    let response = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(headers["cache-control"], "private, no-store");
    assert_ne!(headers["payment-response"], "forged");
    assert_eq!(headers.get_all("payment-response").iter().count(), 1);
    assert!(!headers.contains_key("idempotent-replayed"));
    assert_eq!(
        headers.get_all("vary").iter().collect::<Vec<_>>(),
        ["accept, x-payment", "PAYMENT-SIGNATURE"]
    );
    assert_eq!(text(response).await.to_lowercase(), alice.address().to_string().to_lowercase());
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn version_1_is_answered_in_version_1() {
    let service = behind(&FakeFacilitator::new(), |_| async { ok("hello") });
    let challenge = service.clone().oneshot(get("/paid")).await.unwrap();
    let header = TestPayer::new("alice").pay_v1(text(challenge).await.as_bytes());
    let response = service.oneshot(with(get("/paid"), "x-payment", &header)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-payment-response"));
    assert!(!response.headers().contains_key("payment-response"));
}

#[tokio::test]
async fn settled_before_the_handler_the_handler_sees_the_settlement() {
    let facilitator = FakeFacilitator::new();
    let seen = facilitator.clone();
    let service = behind(&facilitator, move |request: Request<_>| {
        assert_eq!(seen.transfers().len(), 1);
        let settled = request.extensions().get::<PaidContext>().is_some_and(|paid| paid.settlement.is_some());
        async move { ok(if settled { "settled" } else { "not settled" }) }
    });
    let header = payment(&service, "/early", &TestPayer::new("alice")).await;
    let response = service.oneshot(paying("/early", &header)).await.unwrap();
    assert!(response.headers().contains_key("payment-response"));
    assert_eq!(text(response).await, "settled");
}

#[tokio::test]
async fn a_kept_response_is_sent_again_without_a_second_charge() {
    let facilitator = FakeFacilitator::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let service = behind(&facilitator, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { ok("once") }
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    let first = service.clone().oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(text(first).await, "once");
    settle_down().await;
    let again = service.clone().oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(again.status(), 200);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert!(again.headers().contains_key("payment-response"));
    assert_eq!(text(again).await, "once");
    let other = service.oneshot(paying("/paid?for=another", &header)).await.unwrap();
    assert_eq!(other.status(), 409);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_handler_that_fails_charges_nobody_and_the_payment_can_come_again() {
    let facilitator = FakeFacilitator::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let service = behind(&facilitator, move |_| {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_ne!(run, 1, "on purpose");
            let mut response = ok("answer");
            if run == 0 {
                *response.status_mut() = StatusCode::IM_A_TEAPOT;
            }
            response
        }
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    for (status, body) in [(418, "answer"), (500, "{\"error\":\"handler_failed\"}"), (200, "answer")] {
        let response = service.clone().oneshot(paying("/paid", &header)).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key("payment-response"), status == 200);
        assert_eq!(text(response).await, body);
    }
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn an_error_of_the_inner_service_is_passed_on_and_charges_nobody() {
    let facilitator = FakeFacilitator::new();
    let layer = paywall(&facilitator);
    let refuse = layer.layer(service_fn(async |_| Err::<Response<Full<Bytes>>, _>("inner error")));
    let challenge = refuse.clone().oneshot(get("/paid")).await.unwrap();
    let header = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
    assert_eq!(refuse.oneshot(paying("/paid", &header)).await.unwrap_err(), "inner error");
    assert_eq!(facilitator.settle_calls(), 0);
    let accept = layer.layer(service_fn(async |_| Ok::<_, &str>(ok("now"))));
    assert_eq!(text(accept.oneshot(paying("/paid", &header)).await.unwrap()).await, "now");
}

#[tokio::test]
async fn a_response_whose_settlement_fails_is_withheld() {
    let facilitator = FakeFacilitator::new();
    let service = behind(&facilitator, |_| async {
        Response::builder().header("etag", "\"leak\"").body(Frames::stream(["sec", "ret"])).unwrap()
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    facilitator.next_settle(SettleAnswer::Reject(x402_tower::core::error::RejectReason::InsufficientFunds));
    let response = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(response.status(), 402);
    assert!(!response.headers().contains_key("etag"));
    assert!(!text(response).await.contains("secret"));
}

#[tokio::test]
async fn a_facilitator_that_is_down_is_503_and_no_challenge() {
    let facilitator = FakeFacilitator::new();
    let service = behind(&facilitator, |_| async { ok("never") });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    facilitator.next_verify(VerifyAnswer::Unavailable);
    let response = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert!(!response.headers().contains_key("payment-required"));
}

#[tokio::test]
async fn bodies_that_break_or_lie_about_their_length_are_500_and_free() {
    let facilitator = FakeFacilitator::new();
    let alice = TestPayer::new("alice");
    for length in [6, 9] {
        let service = behind(&facilitator, move |_| async move {
            Response::new(Frames::stream(["abc", "defg"]).sized(length))
        });
        let header = payment(&service, "/paid", &alice).await;
        assert_eq!(service.oneshot(paying("/paid", &header)).await.unwrap().status(), 500);
    }
    let declared = behind(&facilitator, |_| async {
        Response::builder().header("content-length", "9").body(Frames::stream(["abc"]).sized(3)).unwrap()
    });
    let header = payment(&declared, "/paid", &alice).await;
    assert_eq!(declared.oneshot(paying("/paid", &header)).await.unwrap().status(), 500);
    let service = behind(&facilitator, |_| async { Response::new(Frames::stream(["abc"]).fails().sized(7)) });
    let header = payment(&service, "/paid", &alice).await;
    assert_eq!(service.oneshot(paying("/paid", &header)).await.unwrap().status(), 500);
    assert_eq!(facilitator.settle_calls(), 0);
}

#[tokio::test]
async fn trailers_of_a_collected_body_are_sent() {
    let service = behind(&FakeFacilitator::new(), |_| async {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "\"7\"".parse().unwrap())]);
        Response::new(Frames::stream(["abc", "defg"]).trailers(trailers).sized(7))
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    let response = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["etag"], "\"7\"");
    assert_eq!(body.to_bytes(), "abcdefg");
}

#[tokio::test]
async fn no_header_lets_a_shared_cache_keep_what_was_paid_for() {
    let service = behind(&FakeFacilitator::new(), |_| async {
        let mut response = ok("secret");
        for name in ["cdn-cache-control", "surrogate-control", "x-accel-expires", "expires"] {
            response.headers_mut().insert(name, "3600".parse().unwrap());
        }
        response.headers_mut().insert("cache-control", "public, max-age=3600".parse().unwrap());
        response
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    for kept in [false, true] {
        let response = service.clone().oneshot(paying("/paid", &header)).await.unwrap();
        let headers = response.headers();
        assert_eq!(headers.contains_key("idempotent-replayed"), kept);
        assert_eq!(headers["cache-control"], "private, no-store");
        for name in ["cdn-cache-control", "surrogate-control", "x-accel-expires"] {
            assert!(!headers.contains_key(name), "{name}");
        }
        text(response).await;
        crate::support::settle_down().await;
    }
}

#[tokio::test]
async fn the_inner_of_two_paywalls_lets_a_paid_request_pass() {
    let facilitator = FakeFacilitator::new();
    let inner =
        paywall(&facilitator).layer(service_fn(async |_| Ok::<_, std::convert::Infallible>(ok("paid once"))));
    let service = paywall(&facilitator).layer(inner);
    let challenge = service.clone().oneshot(get("/paid")).await.unwrap();
    let header = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
    let response = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(text(response).await, "paid once");
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn what_was_paid_for_at_a_lower_price_further_out_is_not_sold() {
    for (inner, status, charged) in [("$0.02", 500, 0), ("$0.01", 200, 1), ("$0.005", 200, 1)] {
        let facilitator = FakeFacilitator::new();
        let outer = paywall(&facilitator);
        let handler = service_fn(async |_| Ok::<_, std::convert::Infallible>(ok("dear")));
        let service = outer.layer(outer.charge(inner).unwrap().layer(handler));
        let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
        let response = service.oneshot(paying("/paid", &header)).await.unwrap();
        assert_eq!(response.status(), status, "{inner}");
        assert_eq!(facilitator.transfers().len(), charged);
    }
}

#[tokio::test]
async fn one_price_for_one_service() {
    let facilitator = FakeFacilitator::new();
    let layer = paywall(&facilitator).charge("$0.02").unwrap();
    let service = layer.layer(service_fn(async |_| Ok::<_, std::convert::Infallible>(ok("report"))));
    let challenge = service.clone().oneshot(get("/anything")).await.unwrap();
    assert_eq!(challenge.status(), 402);
    let required = challenge.headers()["payment-required"].as_bytes().to_vec();
    assert!(text(challenge).await.contains("\"20000\""));
    let header = TestPayer::new("alice").pay_v2(&required);
    let response = service.oneshot(paying("/anything", &header)).await.unwrap();
    assert_eq!(text(response).await, "report");
    assert!(layer.charge("two dollars").is_err());
}
