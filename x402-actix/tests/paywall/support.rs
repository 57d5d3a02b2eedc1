//! A paywall with fakes, and a payer.

use actix_http::Request;
use actix_web::{
    Error, HttpResponse,
    body::{MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    http::{
        Method,
        header::{HeaderMap, HeaderValue},
    },
    test::{TestRequest, try_call_service},
};
use bytes::Bytes;
use x402_actix::{
    Engine, Paywall, PriceRule, Prices, SettleTiming,
    core::testing::{FakeFacilitator, TestPayer},
};

pub(crate) fn paywall(facilitator: &FakeFacilitator) -> Paywall {
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET,POST /paid", "$0.01")
        .charge("GET /early", PriceRule::new("$0.01").settle(SettleTiming::BeforeHandler))
        .charge("GET /api/weather/{city}", "$0.01")
        .charge("GET /files/{*rest}", "$0.01")
        .free("GET /api/health")
        .build()
        .unwrap();
    Paywall::from(Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap())
}

/// What a client got.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The only value of this header.
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).collect();
        assert_eq!(values.len(), 1, "{name}");
        values[0].to_str().unwrap()
    }
}

/// Sends a request and reads the whole answer; errors become responses as they do in a server.
pub(crate) async fn send<S, B>(app: &S, request: TestRequest) -> Answer
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    match try_call_service(app, request.to_request()).await {
        Ok(response) => read(response.into_parts().1).await,
        Err(error) => read(HttpResponse::from_error(error)).await,
    }
}

async fn read<B: MessageBody>(response: HttpResponse<B>) -> Answer {
    let (head, body) = response.into_parts();
    let Ok(body) = to_bytes(body).await else { panic!("the body broke") };
    Answer {
        status: head.status().as_u16(),
        headers: head.headers().clone(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// Asks for the price, and signs.
pub(crate) async fn payment<S, B>(app: &S, path: &str, payer: &TestPayer) -> Bytes
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    payment_of(&send(app, get(path)).await, payer)
}

/// Signs for a 402.
pub(crate) fn payment_of(challenge: &Answer, payer: &TestPayer) -> Bytes {
    assert_eq!(challenge.status, 402);
    payer.pay_v2(challenge.header("payment-required").as_bytes())
}

/// Reports of ends run in tasks of their own: lets them.
pub(crate) async fn settle_down() {
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
}

pub(crate) fn request(method: &str, path: &str) -> TestRequest {
    TestRequest::default().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path)
}

pub(crate) fn get(path: &str) -> TestRequest {
    request("GET", path)
}

pub(crate) fn paying(path: &str, payment: &Bytes) -> TestRequest {
    get(path).append_header(("payment-signature", HeaderValue::from_maybe_shared(payment.clone()).unwrap()))
}
