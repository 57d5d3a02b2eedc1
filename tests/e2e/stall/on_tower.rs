//! The stall behind `x402-tower`. A router serves it, and knows nothing of it.

use std::{convert::Infallible, net};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response},
};
use futures_util::StreamExt as _;
use tower::{Layer as _, service_fn};
use x402_axum::core::testing::FakeFacilitator;
use x402_tower::{Demand, Paywall};

use super::{Events, engine};

#[tokio::main(flavor = "current_thread")]
pub(super) async fn serve(listener: net::TcpListener, till: Option<FakeFacilitator>, events: Events) {
    let sell = service_fn(move |request| {
        let events = events.clone();
        async move { Ok::<_, Infallible>(answer(request, &events).await) }
    });
    let app = match till {
        Some(facilitator) => Router::new().fallback_service(Paywall::from(engine(facilitator)).layer(sell)),
        None => Router::new().fallback_service(sell),
    };
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    axum::serve(listener, app).await.unwrap();
}

async fn answer(mut request: Request<Body>, events: &Events) -> Response<Body> {
    if let Some(demand) = request.extensions_mut().remove::<Demand>() {
        return order(request, demand).await;
    }
    let body = Body::from_stream(events.lines().map(Ok::<_, Infallible>));
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

async fn order(request: Request<Body>, demand: Demand) -> Response<Body> {
    let read = to_bytes(request.into_body(), 1000).await;
    let Some(order) = read.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()) else {
        return Response::builder().status(400).body(Body::from("not text")).unwrap();
    };
    let bill = demand.take().expect("it is taken here alone");
    match bill.pay().await {
        Ok((paid, _)) => {
            assert!(paid.settlement.is_some());
            Response::new(Body::from(format!("ordered: {order}")))
        }
        Err(_) => Response::new(Body::from("never seen")),
    }
}
