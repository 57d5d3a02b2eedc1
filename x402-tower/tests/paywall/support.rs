//! An engine with fakes, a payer, and bodies for handlers.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use tower::{Layer, Service, ServiceExt, service_fn};
use x402_tower::{
    Engine, Paywall, PaywallService, Prices, ResponseBody, SettleTiming,
    core::testing::{FakeFacilitator, TestPayer},
};

pub(crate) const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

pub(crate) fn prices() -> Prices {
    Prices::new("https://api.example.com")
        .pay_to("eip155:84532", PAY_TO)
        .charge("GET,POST /paid", "$0.01")
        .charge("GET /early", x402_tower::PriceRule::new("$0.01").settle(SettleTiming::BeforeHandler))
        .charge("POST /pkg.Service/Method", "$0.01")
        .free("GET /free")
        .build()
        .unwrap()
}

pub(crate) fn engine(facilitator: &FakeFacilitator) -> Engine {
    Engine::builder(prices()).facilitator(facilitator.clone()).build().unwrap()
}

pub(crate) fn paywall(facilitator: &FakeFacilitator) -> Paywall {
    Paywall::from(engine(facilitator))
}

pub(crate) type Answer<B> = Response<ResponseBody<B>>;

/// A paywall over a handler that is an async function.
pub(crate) fn behind<F, Fut, ResB>(
    facilitator: &FakeFacilitator,
    handler: F,
) -> PaywallService<
    impl Service<Request<Empty<Bytes>>, Response = Response<ResB>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
    + use<F, Fut, ResB>,
>
where
    F: Fn(Request<Empty<Bytes>>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<ResB>> + Send,
{
    let service = service_fn(move |request| {
        let response = handler(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    paywall(facilitator).layer(service)
}

pub(crate) fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).unwrap()
}

pub(crate) fn with(
    mut request: Request<Empty<Bytes>>,
    name: &'static str,
    value: &[u8],
) -> Request<Empty<Bytes>> {
    request.headers_mut().append(name, value.try_into().unwrap());
    request
}

pub(crate) fn paying(path: &str, payment: &[u8]) -> Request<Empty<Bytes>> {
    with(get(path), "payment-signature", payment)
}

/// Asks for the price, and signs.
pub(crate) async fn payment<S, ResB>(service: &S, path: &str, payer: &TestPayer) -> Bytes
where
    S: Service<Request<Empty<Bytes>>, Response = Answer<ResB>> + Clone,
    S::Error: std::fmt::Debug,
{
    let challenge = service.clone().oneshot(get(path)).await.unwrap();
    assert_eq!(challenge.status(), 402);
    payer.pay_v2(challenge.headers()["payment-required"].as_bytes())
}

pub(crate) async fn text<B>(response: Response<B>) -> String
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A body that yields these frames and says so much about its length.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pub(crate) frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    pub(crate) length: Option<u64>,
}

impl Frames {
    pub(crate) fn stream(chunks: impl IntoIterator<Item = &'static str>) -> Self {
        let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes()))));
        Self { frames: frames.collect(), length: None }
    }

    pub(crate) fn sized(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    pub(crate) fn fails(mut self) -> Self {
        self.frames.push_back(Err("broken"));
        self
    }

    pub(crate) fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.frames.push_back(Ok(Frame::trailers(trailers)));
        self
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Reports of ends run in tasks of their own: lets them.
pub(crate) async fn settle_down() {
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
}
