//! Settled before the handler runs: the money is safe, and whoever paid is owed a response.

use x402_tests::{Books, Challenge, Connection, Framework, Request, Shop, eventually};

through_every_adapter!(
    pays_and_gets,
    a_handler_that_fails_is_owed,
    a_panic_is_owed,
    a_client_that_leaves_is_owed,
    a_failed_settlement_runs_nothing,
);

fn pays_and_gets(framework: Framework) {
    let shop = Shop::open_settling_before(framework);
    for payment in [shop.payment_for("/exact"), shop.payer.v1(&shop.ask("/exact"))] {
        let before = shop.transfers();
        let request = Request::get("/exact").paying(&payment);
        let first = shop.send(&request);
        assert_eq!(first.status, 200, "{}", first.text());
        assert_eq!(first.receipt()["success"], true);
        assert_eq!(first.header("cache-control"), Some("private, no-store"));
        let again = shop.send(&request);
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
        assert_eq!(again.header("delivery-token"), first.header("delivery-token"));
        assert_eq!(shop.transfers(), before + 1);
    }
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 2)], 2, 2000));
}

fn a_handler_that_fails_is_owed(framework: Framework) {
    let shop = Shop::open_settling_before(framework);
    let request = Request::get("/fails").paying(&shop.payment_for("/fails"));
    let mut transaction = None;
    // More often than an unpaid one may: it is paid for.
    for attempt in 1..=5 {
        let response = shop.send(&request);
        assert_eq!(response.status, 500, "attempt {attempt}: {}", response.text());
        let receipt = response.receipt();
        assert_eq!(receipt["success"], true, "the payer learns that they paid");
        let first = transaction.get_or_insert_with(|| receipt["transaction"].clone());
        assert_eq!(receipt["transaction"], *first);
        assert_eq!(shop.books(), Books::of(&[("GET /fails", attempt)], 1, 1000));
    }
}

fn a_panic_is_owed(framework: Framework) {
    let shop = Shop::open_settling_before(framework);
    let request = Request::get("/panics").paying(&shop.payment_for("/panics"));
    for attempt in 1..=2 {
        let response = shop.send(&request);
        assert_eq!(response.status, 500, "attempt {attempt}");
        assert_eq!(response.receipt()["success"], true);
        assert_eq!(shop.books(), Books::of(&[("GET /panics", attempt)], 1, 1000));
    }
}

fn a_client_that_leaves_is_owed(framework: Framework) {
    let shop = Shop::open_settling_before(framework);
    let request = Request::get("/slow?ms=300").paying(&shop.payment_for("/slow?ms=300"));
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&request.bytes()).unwrap();
    eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
    assert_eq!(shop.transfers(), 1, "it was paid before it ran");
    drop(connection);
    let response = shop.send(&request);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.receipt()["success"], true);
    let books = shop.books();
    assert_eq!((books.transfers, books.income), (1, 1000));
    assert!((1..=2).contains(&books.runs["GET /slow"]), "{books:?}");
}

fn a_failed_settlement_runs_nothing(framework: Framework) {
    let shop = Shop::open_settling_before(framework);
    let poor = x402_tests::Payer::of(&devchain::accounts()[3]);
    let response = shop.send(&Request::get("/exact").paying(&poor.v2(&shop.ask("/exact"))));
    assert_eq!(Challenge::of(&response).v2["error"], "invalid_exact_evm_insufficient_balance");
    shop.chain.set_quirks(REVERTS_ON_CHAIN_ONLY).unwrap();
    let payment = shop.payment_for("/exact");
    let response = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!(response.status, 402);
    assert_eq!(response.receipt()["success"], false);
    assert_eq!(response.header("payment-required"), None, "the authorization is alive");
    assert_eq!(shop.books(), Books::empty());
}

const REVERTS_ON_CHAIN_ONLY: u64 = 64;
