//! Methods: only those with a price reach a priced handler, and only paid.

use x402_tests::{Books, Challenge, Framework, Request, Response, Shop};

through_every_adapter!(
    head_costs_what_get_costs,
    options_is_answered_without_the_handler,
    methods_without_a_price_are_refused,
    override_headers_are_ignored,
);

fn allowed(response: &Response) -> Vec<String> {
    let allow = response.header("allow").expect("the methods are named");
    let mut methods: Vec<_> = allow.split(',').map(|method| method.trim().to_owned()).collect();
    methods.sort();
    methods
}

fn head_costs_what_get_costs(framework: Framework) {
    let shop = Shop::open(framework);
    let unpaid = shop.send(&Request::new("HEAD", "/exact"));
    assert_eq!(unpaid.status, 402);
    assert!(unpaid.decoded("payment-required").is_some());
    assert_eq!(shop.books(), Books::empty());

    let payment = shop.payment_for("/exact");
    let paid = shop.send(&Request::new("HEAD", "/exact").paying(&payment));
    assert_eq!((paid.status, paid.body.len()), (200, 0));
    assert_eq!(paid.receipt()["success"], true);
    let books = shop.books();
    assert_eq!((books.transfers, books.income), (1, 1000));
    assert_eq!(books.runs.values().sum::<u64>(), 1);

    let again = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!((again.status, again.code().as_str()), (409, "idempotency_conflict"), "it bought a HEAD");
    assert_eq!(shop.books(), books);
}

fn options_is_answered_without_the_handler(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/exact");
    for request in [
        Request::new("OPTIONS", "/exact"),
        Request::new("OPTIONS", "/exact").paying(&payment),
        Request::new("OPTIONS", "/exact")
            .header("Origin", "https://app.example")
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "payment-signature"),
    ] {
        let response = shop.send(&request);
        assert_eq!((response.status, response.body.len()), (204, 0));
        assert_eq!(allowed(&response), ["GET", "HEAD", "OPTIONS"]);
    }
    assert_eq!(allowed(&shop.send(&Request::new("OPTIONS", "/echo"))), ["OPTIONS", "POST"]);
    assert_eq!(shop.books(), Books::empty());
    assert_eq!(shop.send(&Request::get("/exact").paying(&payment)).status, 200, "nothing of it was consumed");
}

fn methods_without_a_price_are_refused(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/exact");
    for method in
        ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW", "get", "Get", "GETX", "post"]
    {
        for request in [Request::new(method, "/exact"), Request::new(method, "/exact").paying(&payment)] {
            let response = shop.send(&request);
            assert_eq!(response.status, 405, "{method}");
            assert_eq!(allowed(&response), ["GET", "HEAD", "OPTIONS"], "{method}");
            assert_eq!(response.header("payment-required"), None, "{method}");
        }
    }
    for method in ["GET", "HEAD", "PUT"] {
        let response = shop.send(&Request::new(method, "/echo"));
        assert_eq!(
            (response.status, allowed(&response)),
            (405, vec!["OPTIONS".into(), "POST".into()]),
            "{method}"
        );
    }
    assert_eq!(shop.books(), Books::empty());
}

fn override_headers_are_ignored(framework: Framework) {
    let shop = Shop::open(framework);
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method"] {
        let response = shop.send(&Request::new("POST", "/exact").header(header, "GET"));
        assert_eq!(response.status, 405, "{header}");
        for method in ["OPTIONS", "HEAD", "POST"] {
            let response = shop.send(&Request::get("/exact").header(header, method));
            assert_eq!(Challenge::of(&response).v2["error"], "Payment required", "{header}");
        }
        let response = shop.send(&Request::new("OPTIONS", "/exact").header(header, "GET"));
        assert_eq!(response.status, 204, "{header}");
    }
    for header in ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Path"] {
        let response = shop.send(&Request::get("/free").header(header, "/exact"));
        assert_eq!(response.status, 200, "{header}");
        let response = shop.send(&Request::get("/exact").header(header, "/free"));
        assert_eq!(response.status, 402, "{header}");
    }
    assert_eq!(shop.books(), Books::empty());
}
