use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use tower::ServiceExt;
use x402_tower::core::testing::{FakeFacilitator, TestPayer};

use crate::support::{Frames, behind, text, with};

const METHOD: &str = "/pkg.Service/Method";

fn call() -> Request<Empty<Bytes>> {
    Request::post(METHOD).header("content-type", "application/grpc").body(Empty::new()).unwrap()
}

#[tokio::test]
async fn a_grpc_client_is_told_the_price_in_metadata() {
    let service = behind(&FakeFacilitator::new(), |_| async { Response::new(Frames::default()) });
    let response = service.oneshot(call()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers()["grpc-status"], "9");
    assert!(response.headers().contains_key("grpc-message"));
    assert!(response.headers().contains_key("payment-required"));
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn a_grpc_method_that_fails_at_once_charges_nobody() {
    let facilitator = FakeFacilitator::new();
    for (code, charged) in [("5", 0), ("0", 1)] {
        let service = behind(&facilitator, move |_| async move {
            let response = Response::builder().header("content-type", "application/grpc");
            response.header("grpc-status", code).body(Frames::default().sized(0)).unwrap()
        });
        let challenge = service.clone().oneshot(call()).await.unwrap();
        let header = TestPayer::new(code).pay_v2(challenge.headers()["payment-required"].as_bytes());
        let response = service.oneshot(with(call(), "payment-signature", &header)).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], code);
        assert_eq!(response.headers().contains_key("payment-response"), charged == 1);
        assert_eq!(facilitator.transfers().len(), charged);
    }
}

#[tokio::test]
async fn a_grpc_method_whose_trailers_are_there_and_tell_of_failure_charges_nobody() {
    let facilitator = FakeFacilitator::new();
    let service = behind(&facilitator, |_| async {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "5".parse().unwrap())]);
        Response::new(Frames::stream(["frame"]).trailers(trailers).sized(5))
    });
    let challenge = service.clone().oneshot(call()).await.unwrap();
    let header = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
    let response = service.oneshot(with(call(), "payment-signature", &header)).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "5");
    assert_eq!(facilitator.settle_calls(), 0);
}
