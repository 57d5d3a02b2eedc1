//! The layer under hyper, before a hyper client, in both versions of HTTP.

use std::{collections::VecDeque, convert::Infallible, pin::Pin, task};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Collected, Empty};
use hyper::{body::Incoming, client::conn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};
use x402_tower::{
    Engine, Paywall, Prices,
    core::testing::{FakeFacilitator, TestPayer},
};

#[tokio::test]
async fn free_unpaid_and_paid_requests_over_both_versions() {
    for version in VERSIONS {
        let mut shop = Shop::open(version).await;
        let (head, body) = shop.get("/free", None).await;
        assert_eq!((head.status().as_u16(), head.version()), (200, version));
        assert_eq!(head.headers().get("content-length").map(|length| length.as_bytes()), Some(&b"5"[..]));
        assert_eq!(body.to_bytes(), "/free");

        let (head, body) = shop.get("/paid", None).await;
        assert_eq!(head.status(), 402, "{version:?}");
        assert!(!body.to_bytes().is_empty());

        let payment = TestPayer::new("alice").pay_v2(head.headers()["payment-required"].as_bytes());
        let (first, body) = shop.get("/paid", Some(&payment)).await;
        assert_eq!(first.status(), 200, "{version:?}");
        assert_eq!(body.to_bytes(), "/paid");

        let (again, body) = shop.get("/paid", Some(&payment)).await;
        assert_eq!(again.status(), 200, "a response of known length is played again");
        assert_eq!(again.headers()["payment-response"], first.headers()["payment-response"]);
        assert_eq!(body.to_bytes(), "/paid");
        assert_eq!(shop.facilitator.transfers().len(), 1, "{version:?}");
    }
}

/// A transport does not ask a body again once it has its trailers.
#[tokio::test]
async fn a_stream_that_ends_in_trailers_is_delivered_once() {
    for version in VERSIONS {
        let mut shop = Shop::open(version).await;
        let (challenge, _) = shop.get("/trailers", None).await;
        let payment = TestPayer::new("alice").pay_v2(challenge.headers()["payment-required"].as_bytes());
        let (head, body) = shop.get("/trailers", Some(&payment)).await;
        assert!(head.headers().contains_key("payment-response"), "{version:?}");
        assert_eq!(body.trailers().unwrap()["checksum"], "7");
        assert_eq!(body.to_bytes(), "one two");
        let (again, _) = shop.get("/trailers", Some(&payment)).await;
        assert_eq!(again.status(), 409, "{version:?}");
        assert_eq!(shop.facilitator.transfers().len(), 1);
    }
}

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A server on a port of its own, and a connection to it.
struct Shop {
    facilitator: FakeFacilitator,
    client: Client,
}

enum Client {
    Http1(conn::http1::SendRequest<Empty<Bytes>>),
    Http2(conn::http2::SendRequest<Empty<Bytes>>),
}

impl Shop {
    async fn open(version: Version) -> Self {
        let facilitator = FakeFacilitator::new();
        let prices = Prices::new("https://shop.example.com")
            .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
            .charge("GET /paid", "$0.01")
            .charge("GET /trailers", "$0.01")
            .build()
            .unwrap();
        let engine = Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap();
        let service = TowerToHyperService::new(Paywall::from(engine).layer(service_fn(answer)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            builder.serve_connection(TokioIo::new(accepted), service).await
        });
        let stream = TokioIo::new(stream);
        let client = if version == Version::HTTP_2 {
            let (client, connection) = conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            Client::Http2(client)
        } else {
            let (client, connection) = conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            Client::Http1(client)
        };
        Self { facilitator, client }
    }

    async fn get(&mut self, path: &str, payment: Option<&[u8]>) -> (Response<()>, Collected<Bytes>) {
        let uri = format!("http://shop.example.com{path}");
        let mut request = Request::get(uri).header("host", "shop.example.com").header("te", "trailers");
        if let Some(payment) = payment {
            request = request.header("payment-signature", payment);
        }
        let request = request.body(Empty::new()).unwrap();
        let response = match &mut self.client {
            Client::Http1(client) => {
                client.ready().await.unwrap();
                client.send_request(request).await
            }
            Client::Http2(client) => {
                client.ready().await.unwrap();
                client.send_request(request).await
            }
        };
        let (head, body) = response.unwrap().into_parts();
        (Response::from_parts(head, ()), body.collect().await.unwrap())
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    let path = request.uri().path();
    if path != "/trailers" {
        let data = Bytes::copy_from_slice(path.as_bytes());
        let length = Some(data.len() as u64);
        return Ok(Response::new(Frames { frames: VecDeque::from([Frame::data(data)]), length }));
    }
    let trailers = HeaderMap::from_iter([("checksum".parse().unwrap(), "7".parse().unwrap())]);
    let frames = VecDeque::from([
        Frame::data(Bytes::from_static(b"one ")),
        Frame::data(Bytes::from_static(b"two")),
        Frame::trailers(trailers),
    ]);
    let response = Response::builder().header("trailer", "checksum");
    Ok(response.body(Frames { frames, length: None }).unwrap())
}

/// A body that does not say when it ends, as one made from a stream.
struct Frames {
    frames: VecDeque<Frame<Bytes>>,
    length: Option<u64>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        task::Poll::Ready(self.frames.pop_front().map(Ok))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.length.map_or_else(Default::default, http_body::SizeHint::with_exact)
    }
}
