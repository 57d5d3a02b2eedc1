//! What happens when clients leave.

use std::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;
use x402_tower::core::testing::{FakeFacilitator, SettleAnswer, TestPayer};

use crate::support::{Frames, behind, paying, payment, settle_down, text};

#[tokio::test]
async fn a_client_that_leaves_its_handler_is_not_charged() {
    let facilitator = FakeFacilitator::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let service = behind(&facilitator, move |_| {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            if run == 0 {
                pending::<()>().await;
            }
            Response::new(Full::new(Bytes::from_static(b"at last")))
        }
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    let mut call = Box::pin(service.clone().oneshot(paying("/paid", &header)));
    while runs.load(Ordering::Relaxed) == 0 {
        assert!(poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_pending());
        tokio::task::yield_now().await;
    }
    drop(call);
    settle_down().await;
    assert_eq!(facilitator.settle_calls(), 0);
    let response = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(text(response).await, "at last");
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_response_lost_on_the_way_is_delivered_again_without_a_charge() {
    let facilitator = FakeFacilitator::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let service = behind(&facilitator, move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Response::new(Frames::stream(["one ", "two"])) }
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    let response = service.clone().oneshot(paying("/paid", &header)).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    settle_down().await;
    let response = service.clone().oneshot(paying("/paid", &header)).await.unwrap();
    assert!(response.headers().contains_key("payment-response"));
    assert_eq!(text(response).await, "one two");
    settle_down().await;
    let third = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(third.status(), 409, "delivered, and not kept since its length was unknown");
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn a_body_of_known_length_counts_as_delivered_with_its_last_byte() {
    // Longer than what is collected, and a transport that stops asking once it has the length.
    const CHUNK: &str = "0123456789";
    let facilitator = FakeFacilitator::new();
    let chunks = 1024 * 1024 / CHUNK.len() + 1;
    let service = behind(&facilitator, move |_| async move {
        Response::new(Frames::stream(std::iter::repeat_n(CHUNK, chunks)).sized((chunks * CHUNK.len()) as u64))
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    let response = service.clone().oneshot(paying("/paid", &header)).await.unwrap();
    let mut body = response.into_body();
    for _ in 0..chunks {
        assert!(body.frame().await.unwrap().is_ok());
    }
    drop(body);
    settle_down().await;
    assert_eq!(service.oneshot(paying("/paid", &header)).await.unwrap().status(), 409);
}

#[tokio::test]
async fn a_stream_of_declared_length_counts_as_delivered_with_its_last_byte() {
    // A file: its length is in the header alone, and HTTP/1 stops asking once it has so much.
    for (declared, delivered) in [("7", true), ("9", false)] {
        let facilitator = FakeFacilitator::new();
        let service = behind(&facilitator, move |_| async move {
            let response = Response::builder().header("content-length", declared);
            response.body(Frames::stream(["abc", "defg"])).unwrap()
        });
        let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
        let response = service.clone().oneshot(paying("/paid", &header)).await.unwrap();
        let mut body = response.into_body();
        for _ in 0..2 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        if !delivered {
            assert!(body.frame().await.is_none(), "ends short of what it declared");
        }
        drop(body);
        settle_down().await;
        let again = service.oneshot(paying("/paid", &header)).await.unwrap();
        assert_eq!(again.status(), if delivered { 409 } else { 200 }, "{declared}");
        assert_eq!(facilitator.transfers().len(), 1);
    }
}

#[tokio::test]
async fn empty_bodies_with_trailers_count_as_delivered() {
    let facilitator = FakeFacilitator::new();
    let service = behind(&facilitator, |_| async {
        let trailers = http::HeaderMap::from_iter([(http::header::ETAG, "\"7\"".parse().unwrap())]);
        Response::new(Frames::default().trailers(trailers).sized(0))
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    drop(service.clone().oneshot(paying("/paid", &header)).await.unwrap());
    settle_down().await;
    assert_eq!(service.oneshot(paying("/paid", &header)).await.unwrap().status(), 409);
}

#[tokio::test]
async fn an_upgrade_is_not_kept_for_a_retry() {
    let facilitator = FakeFacilitator::new();
    let service = behind(&facilitator, |_| async {
        Response::builder().status(101).header("upgrade", "websocket").body(Full::<Bytes>::default()).unwrap()
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    assert_eq!(service.clone().oneshot(paying("/paid", &header)).await.unwrap().status(), 101);
    settle_down().await;
    let again = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(again.status(), 409);
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn bodies_that_are_not_sent_count_as_delivered() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 200)] {
        let facilitator = FakeFacilitator::new();
        let service = behind(&facilitator, move |_| async move {
            let body =
                if status == 200 && method == "GET" { Frames::default().sized(0) } else { Frames::default() };
            Response::builder().status(status).body(body).unwrap()
        });
        let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
        let request = || {
            let mut request = paying("/paid", &header);
            *request.method_mut() = method.parse().unwrap();
            request
        };
        drop(service.clone().oneshot(request()).await.unwrap());
        settle_down().await;
        let again = service.oneshot(request()).await.unwrap();
        let kept = again.headers().contains_key("idempotent-replayed");
        assert!(kept || again.status() == 409, "{method} {status} was {}", again.status());
        assert_eq!(facilitator.transfers().len(), 1);
    }
}

/// Says when it is asked for its first byte.
struct Watched(Arc<AtomicUsize>, bool);

impl Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let first = !std::mem::replace(&mut self.1, true);
        Poll::Ready(first.then(|| Ok(Frame::data(Bytes::from_static(b"stream")))))
    }
}

#[tokio::test]
async fn a_stream_is_held_until_it_is_paid_for() {
    let facilitator = FakeFacilitator::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let service = behind(&facilitator, move |_: Request<_>| {
        let body = Watched(Arc::clone(&counted), false);
        async { Response::new(body) }
    });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    facilitator.next_settle(SettleAnswer::Hang);
    let mut call = pin!(service.oneshot(paying("/paid", &header)));
    tokio::select! {
        _ = &mut call => panic!("answered before it was settled"),
        () = facilitator.hanging(1) => {}
    }
    settle_down().await;
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    facilitator.release();
    let response = call.await.unwrap();
    assert!(response.headers().contains_key("payment-response"));
    assert_eq!(text(response).await, "stream");
}

#[tokio::test]
async fn a_settlement_once_begun_outlives_its_connection() {
    let facilitator = FakeFacilitator::new();
    let service = behind(&facilitator, |_| async { Response::new(Full::new(Bytes::from_static(b"kept"))) });
    let header = payment(&service, "/paid", &TestPayer::new("alice")).await;
    facilitator.next_settle(SettleAnswer::Hang);
    {
        let mut call = pin!(service.clone().oneshot(paying("/paid", &header)));
        tokio::select! {
            _ = &mut call => panic!("answered before it was settled"),
            () = facilitator.hanging(1) => {}
        }
    }
    facilitator.release();
    settle_down().await;
    let response = service.oneshot(paying("/paid", &header)).await.unwrap();
    assert_eq!(response.headers()["idempotent-replayed"], "true");
    assert_eq!(text(response).await, "kept");
    assert_eq!(facilitator.transfers().len(), 1);
}
