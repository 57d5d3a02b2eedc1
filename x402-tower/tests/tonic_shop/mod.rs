//! A gRPC service made by hand, behind a paywall, and its client.

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut, Bytes};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{self, NamedService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::{Service, service_fn};
use x402_tower::{
    Engine, PaidContext, Paywall, PriceRule, Prices, SettleTiming,
    core::testing::{FakeFacilitator, TestPayer},
};

/// A server on a port of its own, and a connection to it.
pub(crate) struct Shop {
    pub(crate) facilitator: FakeFacilitator,
    client: client::Grpc<Channel>,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let facilitator = FakeFacilitator::new();
        let prices = Prices::new("https://shop.example.com")
            .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
            .charge("POST /shop.Weather/Get", "$0.001")
            .charge("POST /shop.Weather/Missing", "$0.001")
            .charge("POST /shop.Weather/Unheard", "$0.001")
            .charge("POST /shop.Weather/Never", "$0.001")
            .charge("POST /shop.Weather/Days", "$0.001")
            .charge("POST /shop.Weather/Hours", PriceRule::new("$0.001").settle(SettleTiming::BeforeHandler))
            .build()
            .unwrap();
        let engine = Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap();
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server = Server::builder().layer(Paywall::from(engine)).add_service(Weather);
        tokio::spawn(server.serve_with_incoming(incoming));
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { facilitator, client: client::Grpc::new(channel) }
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        request: Request<String>,
    ) -> Result<Response<String>, Status> {
        let mut client = self.client.clone();
        client.ready().await.unwrap();
        client.unary(request, path(method), Text).await
    }

    pub(crate) async fn stream(
        &self,
        method: &str,
        request: Request<String>,
    ) -> Result<Response<Streaming<String>>, Status> {
        let mut client = self.client.clone();
        client.ready().await.unwrap();
        client.server_streaming(request, path(method), Text).await
    }

    /// Asks for the price, and signs.
    pub(crate) async fn payment(&self, method: &str, payer: &TestPayer) -> Bytes {
        let status = self.call(method, unpaid()).await.unwrap_err();
        payer.pay_v2(status.metadata().get("payment-required").unwrap().as_bytes())
    }
}

pub(crate) fn unpaid() -> Request<String> {
    Request::new("oslo".to_owned())
}

pub(crate) fn paying(payment: &[u8]) -> Request<String> {
    let mut request = unpaid();
    request.metadata_mut().insert("payment-signature", payment.try_into().unwrap());
    request
}

fn path(method: &str) -> http::uri::PathAndQuery {
    format!("/shop.Weather/{method}").parse().unwrap()
}

/// What a code generator would write.
#[derive(Clone)]
struct Weather;

impl NamedService for Weather {
    const NAME: &'static str = "shop.Weather";
}

impl Service<http::Request<Body>> for Weather {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = server::Grpc::new(Text);
            Ok(match request.uri().path() {
                "/shop.Weather/Get" | "/shop.Weather/Open" => grpc.unary(service_fn(get), request).await,
                "/shop.Weather/Missing" => grpc.unary(service_fn(missing), request).await,
                "/shop.Weather/Never" => grpc.unary(service_fn(never), request).await,
                "/shop.Weather/Hours" | "/shop.Weather/Days" => {
                    grpc.server_streaming(service_fn(hours), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

async fn get(request: Request<String>) -> Result<Response<String>, Status> {
    let paid = request.extensions().get::<PaidContext>();
    let payer = paid.map_or_else(|| "nobody".to_owned(), |paid| paid.payer.to_string());
    Ok(Response::new(format!("sunny in {} for {payer}", request.get_ref())))
}

async fn missing(_: Request<String>) -> Result<Response<String>, Status> {
    Err(Status::not_found("no such city"))
}

async fn never(_: Request<String>) -> Result<Response<String>, Status> {
    pending().await
}

async fn hours(
    request: Request<String>,
) -> Result<Response<impl tokio_stream::Stream<Item = Result<String, Status>>>, Status> {
    let city = request.into_inner();
    Ok(Response::new(tokio_stream::iter((0..100).map(move |hour| Ok(format!("{city} {hour}"))))))
}

/// Messages that are text, as it is.
#[derive(Clone, Copy)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| Status::internal("not text"))
    }
}
