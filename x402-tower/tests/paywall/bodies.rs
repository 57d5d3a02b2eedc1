use std::{convert::Infallible, pin::Pin, task};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use x402_tower::{
    Engine, Paywall, PriceRule, Prices, RequestBody,
    core::testing::{FakeFacilitator, TestPayer},
};

use crate::support::{Answer, Frames, PAY_TO, settle_down, text};

type Upload = RequestBody<Frames>;

fn engine(facilitator: &FakeFacilitator) -> Engine {
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", PAY_TO)
        .charge("POST /bound", PriceRule::new("$0.01").bind_body(10))
        .charge("POST /loose", "$0.01")
        .build()
        .unwrap();
    Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap()
}

/// Answers with the number of frames it got, and what they hold.
fn service(
    facilitator: &FakeFacilitator,
) -> impl Service<Request<Upload>, Response = Answer<Full<Bytes>>, Error = Infallible, Future: Send> + Clone {
    let handler = service_fn(async |request: Request<Upload>| {
        let (mut body, mut frames, mut all) = (request.into_body(), 0, Vec::new());
        while let Some(frame) = body.frame().await {
            frames += 1;
            all.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
        }
        let answer = format!("{frames} with {}", String::from_utf8(all).unwrap());
        Ok::<_, Infallible>(Response::new(Full::from(answer)))
    });
    Paywall::from(engine(facilitator)).bind_bodies().layer(handler)
}

fn post(path: &str, payment: &Bytes, body: Frames) -> Request<Upload> {
    let payment = http::HeaderValue::from_maybe_shared(payment.clone()).unwrap();
    Request::post(path).header("payment-signature", payment).body(RequestBody::new(body)).unwrap()
}

async fn payment(
    service: &(impl Service<Request<Upload>, Response = Answer<Full<Bytes>>, Error = Infallible> + Clone),
    path: &str,
) -> Bytes {
    let unpaid = Request::post(path).body(RequestBody::new(Frames::default())).unwrap();
    let challenge = service.clone().oneshot(unpaid).await.unwrap();
    TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes())
}

#[tokio::test]
async fn the_handler_gets_the_body_in_one_piece_and_without_trailers() {
    let facilitator = FakeFacilitator::new();
    let service = service(&facilitator);
    let payment = payment(&service, "/bound").await;
    let trailers =
        || HeaderMap::from_iter([("x-note".parse().unwrap(), "nobody sees this".parse().unwrap())]);
    for (replayed, body) in [
        (false, Frames::stream(["he", "", "llo"]).trailers(trailers())),
        (true, Frames::stream(["hello"]).sized(5)),
    ] {
        let response = service.clone().oneshot(post("/bound", &payment, body)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().contains_key("idempotent-replayed"), replayed);
        assert_eq!(text(response).await, "1 with hello");
        settle_down().await;
    }
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_body_that_is_not_bound_goes_through_as_it_came() {
    let facilitator = FakeFacilitator::new();
    let service = service(&facilitator);
    let payment = payment(&service, "/loose").await;
    let body = Frames::stream(["more than ten", " bytes"]);
    let response = service.oneshot(post("/loose", &payment, body)).await.unwrap();
    assert_eq!(text(response).await, "2 with more than ten bytes");
}

#[tokio::test]
async fn what_cannot_be_bound_costs_nothing() {
    let facilitator = FakeFacilitator::new();
    let service = service(&facilitator);
    let payment = payment(&service, "/bound").await;
    type Upload = fn() -> Frames;
    let cases: [(Upload, u16, &str); 3] = [
        (|| Frames::stream(["ten bytes!", "x"]), 413, "8"),
        (|| Frames::stream(["short"]).sized(11), 413, "8"),
        (|| Frames::stream(["short"]).fails(), 400, "3"),
    ];
    for (body, status, grpc) in cases {
        let response = service.clone().oneshot(post("/bound", &payment, body())).await.unwrap();
        assert_eq!(response.status(), status);
        let mut rpc = post("/bound", &payment, body());
        rpc.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let response = service.clone().oneshot(rpc).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["grpc-status"].as_bytes()),
            (200, grpc.as_bytes())
        );
    }
    assert_eq!(facilitator.verify_calls(), 0);
    let exact = service.oneshot(post("/bound", &payment, Frames::stream(["ten bytes!"]))).await.unwrap();
    assert_eq!(text(exact).await, "1 with ten bytes!");
}

/// A body that must not be looked at.
struct Sealed;

impl Body for Sealed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("somebody reads the body of an unpaid request")
    }
}

#[tokio::test]
async fn the_body_of_an_unpaid_request_is_not_read() {
    let handler = service_fn(async |_: Request<RequestBody<Sealed>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    });
    let service = Paywall::from(engine(&FakeFacilitator::new())).bind_bodies().layer(handler);
    for (header, status) in [(None, 402), (Some("junk"), 400)] {
        let mut request = Request::post("/bound").body(RequestBody::new(Sealed)).unwrap();
        if let Some(junk) = header {
            request.headers_mut().insert("payment-signature", junk.parse().unwrap());
        }
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), status);
    }
}

#[test]
#[should_panic(expected = "Paywall::bind_bodies")]
fn a_layer_that_cannot_bind_bodies_is_not_made_for_a_table_that_does() {
    let _ = Paywall::from(engine(&FakeFacilitator::new())).layer(());
}
