//! Handlers that fail before they are paid for: nobody is charged, and the payment is good for another try.

use std::{thread, time::Duration};

use x402_tests::{Books, Connection, Framework, Request, Shop, eventually, persist};

through_every_adapter!(
    an_error_charges_nothing_and_three_are_enough,
    a_panic_charges_nothing,
    a_client_that_leaves_is_not_charged_twice,
    a_failed_payment_stays_with_its_request,
    cut_at_any_moment_it_is_charged_once,
);

fn an_error_charges_nothing_and_three_are_enough(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/fails");
    for attempt in 1..=3 {
        let response = shop.send(&Request::get("/fails").paying(&payment));
        assert_eq!(response.status, 500, "attempt {attempt}");
        assert_eq!(response.header("payment-response"), None, "there is nothing to receipt");
        assert_eq!(shop.books(), Books::of(&[("GET /fails", attempt)], 0, 0));
    }
    let response = shop.send(&Request::get("/fails").paying(&payment));
    assert_eq!((response.status, response.code().as_str()), (409, "handler_error"));
    assert_eq!(shop.books(), Books::of(&[("GET /fails", 3)], 0, 0));
    // Another payment of the same payer is not held against them.
    assert_eq!(shop.buy("/exact").status, 200);
}

fn a_panic_charges_nothing(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/panics");
    for attempt in 1..=2 {
        let response = shop.send(&Request::get("/panics").paying(&payment));
        assert_eq!(response.status, 500, "attempt {attempt}");
        assert_eq!(response.header("payment-response"), None);
        assert_eq!(shop.books(), Books::of(&[("GET /panics", attempt)], 0, 0));
    }
    assert_eq!(shop.buy("/exact").status, 200, "the server lives on");
}

fn a_client_that_leaves_is_not_charged_twice(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/slow?ms=300");
    let request = Request::get("/slow?ms=300").paying(&payment);
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&request.bytes()).unwrap();
    eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
    assert_eq!(shop.transfers(), 0, "nothing is charged while it runs");
    drop(connection);
    let response = shop.send(&request);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.receipt()["success"], true);
    let books = shop.books();
    assert_eq!((books.transfers, books.income), (1, 1000));
    assert!((1..=2).contains(&books.runs["GET /slow"]), "{books:?}");
}

fn a_failed_payment_stays_with_its_request(framework: Framework) {
    let shop = Shop::open(framework);
    // Version 1 has no quote that would tell the requests apart.
    let payment = shop.payer.v1(&shop.ask("/fails"));
    assert_eq!(shop.send(&Request::get("/fails").paying(&payment)).status, 500);
    let response = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!((response.status, response.code().as_str()), (409, "idempotency_conflict"));
    assert_eq!(shop.books(), Books::of(&[("GET /fails", 1)], 0, 0));
}

/// Thirty clients hang up somewhere between the first byte and the last, and come back with the same payment.
fn cut_at_any_moment_it_is_charged_once(framework: Framework) {
    const CLIENTS: u32 = 30;
    for shop in [Shop::open(framework), Shop::open_settling_before(framework)] {
        let requests: Vec<_> =
            (0..CLIENTS).map(|_| Request::get("/exact").paying(&shop.payment_for("/exact"))).collect();
        thread::scope(|scope| {
            for (at, request) in (0..).zip(&requests) {
                let shop = &shop;
                scope.spawn(move || {
                    let mut connection = Connection::open(shop.server.address()).unwrap();
                    connection.write(&request.bytes()).unwrap();
                    thread::sleep(Duration::from_millis(2) * at); // the moment to hang up is what is varied
                    drop(connection);
                });
            }
        });
        for request in &requests {
            let response = persist(&shop.server, request);
            assert_eq!(response.status, 200, "{}", response.text());
            assert_eq!(response.receipt()["success"], true);
        }
        let books = shop.books();
        assert_eq!((books.transfers, books.income), (CLIENTS as usize, 1000 * u128::from(CLIENTS)));
        for request in &requests {
            let response = shop.send(request);
            assert_eq!((response.status, response.header("idempotent-replayed")), (200, Some("true")));
        }
        assert_eq!(shop.books(), books);
    }
}
