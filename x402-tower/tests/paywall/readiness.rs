//! The service that was polled ready is the one that is called, or dropped.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use x402_tower::{
    Paywall,
    core::testing::{FakeFacilitator, TestPayer},
};

use crate::support::{Answer, engine, get, paying, payment};

fn limited(
    facilitator: &FakeFacilitator,
    most: &Arc<AtomicUsize>,
) -> impl Service<Request<Empty<Bytes>>, Response = Answer<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static
+ use<> {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::clone(most));
    let handler = service_fn(move |_| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(Response::new(Full::new(Bytes::from_static(b"done"))))
        }
    });
    Paywall::from(engine(facilitator)).layer(ConcurrencyLimitLayer::new(1).layer(handler))
}

#[tokio::test]
async fn early_replies_give_their_place_back() {
    let mut service = limited(&FakeFacilitator::new(), &Arc::default());
    let kept = service.ready().await.unwrap().call(get("/paid")).await.unwrap();
    assert_eq!(kept.status(), 402);
    let bad = crate::support::paying("/paid", b"?");
    let reply = service.ready().await.unwrap().call(bad).await.unwrap();
    assert_eq!(reply.status(), 400);
    // While the services of refused requests live on, others get their turn.
    let mut other = service.clone();
    let free = async { other.ready().await.unwrap().call(get("/free")).await.unwrap() };
    let response =
        tokio::time::timeout(Duration::from_secs(5), free).await.expect("nobody holds the only place");
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn one_place_admits_one_handler_at_a_time_and_all_in_the_end() {
    let (facilitator, most) = (FakeFacilitator::new(), Arc::default());
    let service = limited(&facilitator, &most);
    let payer = TestPayer::new("alice");
    let mut calls = Vec::new();
    for call in 0..24 {
        let request = match call % 3 {
            0 => get("/free"),
            1 => get("/paid"),
            _ => paying("/paid", &payment(&service, "/paid", &payer).await),
        };
        calls.push(tokio::spawn(service.clone().oneshot(request)));
    }
    for (number, call) in calls.into_iter().enumerate() {
        let response =
            tokio::time::timeout(Duration::from_secs(20), call).await.expect("no deadlock").unwrap().unwrap();
        assert_eq!(response.status(), if number % 3 == 1 { 402 } else { 200 });
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(facilitator.transfers().len(), 8);
}
