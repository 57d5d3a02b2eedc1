//! What handlers answer reaches the payer as it is, but for the headers that are the paywall's.

use x402_tests::{Books, Connection, Framework, Request, Shop};

through_every_adapter!(
    a_free_route_is_untouched,
    a_body_goes_in_and_comes_back,
    a_redirect_is_paid_for,
    caches_are_told_to_keep_nothing,
    an_unread_body_is_not_a_request,
    one_connection_buys_many_times,
);

fn a_free_route_is_untouched(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/exact");
    for request in [
        Request::get("/free"),
        Request::get("/free").paying(&payment),
        Request::get("/free").header("PAYMENT-SIGNATURE", "junk").header("X-PAYMENT", "junk"),
    ] {
        let response = shop.send(&request);
        assert_eq!(response.status, 200);
        for ours in ["payment-required", "payment-response", "x-payment-response", "vary", "cache-control"] {
            assert_eq!(response.header(ours), None, "{ours}");
        }
    }
    assert_eq!(shop.send(&Request::get("/nowhere")).status, 404);
    assert_eq!(shop.server.runs("GET /free"), 3);
    assert_eq!(shop.books(), Books::empty());
    assert_eq!(shop.send(&Request::get("/exact").paying(&payment)).status, 200, "nothing of it was consumed");
}

fn a_body_goes_in_and_comes_back(framework: Framework) {
    let shop = Shop::open(framework);
    let bodies: [Vec<u8>; 4] = [
        Vec::new(),
        b"hello".to_vec(),
        (0..=255).collect(),
        (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect(),
    ];
    for (at, body) in bodies.iter().enumerate() {
        let challenge = x402_tests::Challenge::of(&shop.send(&Request::post("/echo", body.as_slice())));
        let payment = shop.payer.v2(&challenge);
        let response = shop.send(&Request::post("/echo", body.as_slice()).paying(&payment));
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(response.body == *body, "{} bytes came back as {}", body.len(), response.body.len());
        let sold = at + 1;
        assert_eq!(shop.books(), Books::of(&[("POST /echo", sold as u64)], sold, 1000 * sold as u128));
    }
}

fn a_redirect_is_paid_for(framework: Framework) {
    let shop = Shop::open(framework);
    let response = shop.buy("/redirects");
    assert_eq!(response.status, 302);
    assert!(response.header("location").is_some());
    assert_eq!(response.receipt()["success"], true);
    assert_eq!(shop.books(), Books::of(&[("GET /redirects", 1)], 1, 1000));
}

fn caches_are_told_to_keep_nothing(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/cacheable");
    for replayed in [None, Some("true")] {
        let response = shop.send(&Request::get("/cacheable").paying(&payment));
        assert_eq!(response.status, 200);
        assert_eq!(response.header("idempotent-replayed"), replayed);
        assert_eq!(response.header("cache-control"), Some("private, no-store"), "the handler said public");
        assert!(response.header("etag").is_some(), "the rest is the handler's");
    }
    assert_eq!(shop.books(), Books::of(&[("GET /cacheable", 1)], 1, 1000));
}

/// A 402 comes before the body was read; what is left of it must not be taken for the next request.
fn an_unread_body_is_not_a_request(framework: Framework) {
    let shop = Shop::open(framework);
    let smuggled = Request::get("/free").bytes();
    for length in [smuggled.len(), smuggled.len() + 3, 1_000_000] {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        let head = format!("POST /echo HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {length}\r\n\r\n");
        connection.write(head.as_bytes()).unwrap();
        connection.write(&smuggled).unwrap();
        let response = connection.response(false).unwrap();
        assert_eq!(response.status, 402);
        let _ = connection.end();
        let rest = connection.rest();
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"), "{length}");
    }
    for ambiguous in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        let head = format!("POST /echo HTTP/1.1\r\nHost: shop.test\r\n{ambiguous}\r\n0\r\n\r\n");
        connection.write(head.as_bytes()).unwrap();
        connection.write(&smuggled).unwrap();
        let _ = connection.end();
        drop(connection.rest());
    }
    assert_eq!(shop.books(), Books::empty());
}

fn one_connection_buys_many_times(framework: Framework) {
    let shop = Shop::open(framework);
    let mut connection = Connection::open(shop.server.address()).unwrap();
    for _ in 0..3 {
        let payment = shop.payment_for("/exact");
        let request = Request::get("/exact").header("Connection", "keep-alive").paying(&payment);
        // All three wait on one connection: the first is answered, the second comes with its own terms.
        let pipelined =
            [Request::get("/exact").header("Connection", "keep-alive").bytes(), request.bytes()].concat();
        connection.write(&pipelined).unwrap();
        assert_eq!(connection.response(false).unwrap().status, 402);
        let response = connection.response(false).unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 3)], 3, 3000));
}
