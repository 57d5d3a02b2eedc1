//! What ties a payment to a request.

use crate::support::{Request, World};

#[tokio::test]
async fn a_route_that_asks_for_a_quote_does_not_take_version_1() {
    let world = World::new();
    let request = Request::get("/bound");
    let v1 = world.payer.pay_v1(&world.send(&request).await.body);
    let answer = world.send(&request.paid_v1(&v1)).await;
    assert_eq!((answer.status, answer.reason().as_str()), (402, "binding_too_weak"));
    let payment = world.pay(&request).await;
    assert_eq!(world.send(&request.paid(&payment)).await.status, 200);
}

#[tokio::test]
async fn a_quote_is_for_one_resource() {
    let world = World::new();
    let payment = world.pay(&Request::get("/weather/oslo")).await;
    for other in ["/weather/rome", "/same", "/weather/oslo?units=f"] {
        let answer = world.send(&Request::get(other).paid(&payment)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (402, "resource_mismatch"), "{other}");
    }
    assert_eq!(world.send(&Request::get("/weather/oslo").paid(&payment)).await.status, 200);
}

#[tokio::test]
async fn a_quote_of_another_server_counts_as_none() {
    let (world, other) = (World::new(), World::new());
    let request = Request::get("/weather/oslo");
    let payment = other.pay(&request).await;
    assert_eq!(world.send(&request.paid(&payment)).await.status, 200, "the terms are the same");
    let bound = Request::get("/bound");
    let payment = other.pay(&bound).await;
    assert_eq!(world.send(&bound.paid(&payment)).await.reason(), "binding_too_weak");
}
