//! One payment, one request: whatever else is asked for with it is a conflict.

use std::{
    thread,
    time::{Duration, Instant},
};

use x402_tests::{Books, Framework, Request, Shop, eventually};

through_every_adapter!(
    a_payment_buys_one_request,
    a_payment_is_spent_once_on_many_routes_at_once,
    a_second_presentation_joins_the_first,
    a_second_presentation_does_not_wait_for_ever,
    an_authorization_used_elsewhere_buys_nothing,
);

fn a_payment_buys_one_request(framework: Framework) {
    let shop = Shop::open(framework);
    // Version 1 has no quote that would tell the requests apart.
    let payment = shop.payer.v1(&shop.ask("/items/1"));
    assert_eq!(shop.send(&Request::get("/items/1").paying(&payment)).status, 200);
    for request in [
        Request::get("/items/2"),
        Request::get("/exact"),
        Request::get("/items/1?color=red"),
        Request::get("/items/1?"),
        Request::new("HEAD", "/items/1"),
        Request::get("/items/1").header("Content-Type", "application/json"),
        Request::post("/echo", "body"),
    ] {
        let response = shop.send(&request.clone().paying(&payment));
        assert_eq!(response.status, 409, "{request:?}");
        if !request.is_head() {
            assert_eq!(response.code(), "idempotency_conflict", "{request:?}");
        }
        assert_eq!(response.header("x-payment-response"), None, "an order is no other request's business");
        assert_eq!(response.header("retry-after"), None, "waiting does not help");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("payment-required"), None);
    }
    assert_eq!(shop.books(), Books::of(&[("GET /items/{id}", 1)], 1, 1000));
}

fn a_payment_is_spent_once_on_many_routes_at_once(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payer.v1(&shop.ask("/exact"));
    let requests: Vec<_> =
        (0..10).map(|item| Request::get(format!("/items/{item}")).paying(&payment)).collect();
    let statuses: Vec<_> =
        shop.send_at_once(&requests).into_iter().map(|sent| sent.unwrap().status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 9, "{statuses:?}");
    assert_eq!(shop.books(), Books::of(&[("GET /items/{id}", 1)], 1, 1000));
}

fn a_second_presentation_joins_the_first(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/slow?ms=500");
    let request = Request::get("/slow?ms=500").paying(&payment);
    let responses: Vec<_> =
        shop.send_at_once(&[request.clone(), request]).into_iter().map(Result::unwrap).collect();
    let tokens: Vec<_> =
        responses.iter().map(|response| response.header("delivery-token").unwrap()).collect();
    assert_eq!(tokens[0], tokens[1], "both get the one response");
    let replayed = responses.iter().filter(|response| response.header("idempotent-replayed").is_some());
    assert_eq!(replayed.count(), 1);
    assert_eq!(shop.books(), Books::of(&[("GET /slow", 1)], 1, 1000));
}

fn a_second_presentation_does_not_wait_for_ever(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/slow?ms=6500");
    let request = Request::get("/slow?ms=6500").paying(&payment);
    thread::scope(|scope| {
        let first = scope.spawn(|| shop.send(&request));
        eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
        let begun = Instant::now();
        let second = shop.send(&request);
        assert_eq!((second.status, second.code().as_str()), (409, "payment_in_progress"));
        assert_eq!(second.header("retry-after"), Some("1"));
        assert_eq!(second.header("payment-required"), None);
        assert!((4..=7).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert_eq!(first.join().unwrap().status, 200);
    });
    let third = shop.send(&request);
    assert_eq!((third.status, third.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(shop.books(), Books::of(&[("GET /slow", 1)], 1, 1000));
}

/// Whoever sees an authorization can submit it. A store that can forget must not deliver for a used one.
fn an_authorization_used_elsewhere_buys_nothing(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/exact");
    shop.submit(&payment);
    assert_eq!(shop.transfers(), 1);
    for _ in 0..2 {
        let response = shop.send(&Request::get("/exact").paying(&payment));
        assert_eq!((response.status, response.code().as_str()), (409, "payment_replayed"));
        assert_eq!(response.header("payment-required"), None, "it would be paid for twice");
        assert_eq!(response.header("payment-response"), None);
    }
    assert_eq!(shop.books(), Books::of(&[], 1, 1000));

    // Used between the check and the settlement, it is this payment: it bought what is on its way.
    let payment = shop.payment_for("/slow?ms=1000");
    let response = thread::scope(|scope| {
        let sent = scope.spawn(|| shop.send(&Request::get("/slow?ms=1000").paying(&payment)));
        eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
        thread::sleep(Duration::from_millis(50)); // it runs for a second
        shop.submit(&payment);
        sent.join().unwrap()
    });
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.receipt()["success"], true);
    assert_eq!(shop.books(), Books::of(&[("GET /slow", 1)], 2, 2000));
}
