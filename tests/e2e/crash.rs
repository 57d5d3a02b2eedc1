//! The server is killed at a bad moment. Its memory is gone; the chain's is not.

use std::thread;

use x402_tests::{Books, Challenge, Connection, Framework, Line, Request, Shop, eventually};

#[test]
fn a_settled_payment_is_refused_after_a_restart() {
    for before in [false, true] {
        let mut shop =
            if before { Shop::open_settling_before(Framework::Axum) } else { Shop::open(Framework::Axum) };
        let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
        assert_eq!(shop.send(&request).status, 200);
        shop.server.restart();
        for _ in 0..2 {
            let response = shop.send(&request);
            assert_eq!((response.status, response.code().as_str()), (409, "payment_replayed"));
            assert_eq!(response.header("payment-required"), None, "they would pay twice");
            assert_eq!(response.header("delivery-token"), None);
        }
        assert_eq!(shop.books(), Books::of(&[], 1, 1000));
        assert_eq!(shop.server.deliveries().len(), 1);
        assert_eq!(shop.buy("/exact").status, 200, "a new payment is welcome");
    }
}

#[test]
fn a_payment_whose_handler_was_killed_is_still_good() {
    let mut shop = Shop::open(Framework::Tower);
    // The quote key is configuration here, so the quote outlives the restart as well.
    let request = Request::get("/slow?ms=400").paying(&shop.payment_for("/slow?ms=400"));
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&request.bytes()).unwrap();
    eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
    shop.server.restart();
    assert!(connection.response(false).is_err(), "nothing was delivered");
    assert_eq!(shop.transfers(), 0);
    let response = shop.send(&request);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(shop.books(), Books::of(&[("GET /slow", 1)], 1, 1000));
}

#[test]
fn killed_while_the_settlement_is_mined_it_charges_once() {
    let (mut shop, line) = shop_on_a_line(Framework::Actix);
    let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
    shop.chain.set_automine(false).unwrap();
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&request.bytes()).unwrap();
    eventually("the transaction is sent", || line.calls(SEND) == 1);
    eventually("the chain has it", || pending(&shop) == 1);
    shop.server.kill();
    shop.chain.mine(1).unwrap();
    shop.chain.set_automine(true).unwrap();
    shop.server.restart();
    let response = shop.send(&request);
    assert_eq!((response.status, response.code().as_str()), (409, "payment_replayed"), "{}", response.text());
    assert_eq!(response.header("payment-required"), None);
    assert_eq!(shop.books(), Books::of(&[], 1, 1000));
    assert_eq!(shop.server.deliveries().len(), 1, "the one whose response was lost");
}

#[test]
fn presented_again_while_the_settlement_is_pending_it_charges_once() {
    let mut shop = Shop::open(Framework::Axum);
    let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
    shop.chain.set_automine(false).unwrap();
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&request.bytes()).unwrap();
    eventually("the chain has the transaction", || pending(&shop) == 1);
    shop.server.restart();
    let response = thread::scope(|scope| {
        let again = scope.spawn(|| shop.send(&request));
        eventually("the handler ran again", || shop.server.runs("GET /exact") == 1);
        shop.chain.mine(1).unwrap();
        shop.chain.set_automine(true).unwrap();
        again.join().unwrap()
    });
    assert!(matches!(response.status, 200 | 409 | 503), "{}", response.text());
    assert_eq!(response.header("payment-required"), None);
    let books = shop.books();
    assert_eq!((books.transfers, books.income), (1, 1000));
}

#[test]
fn asked_to_end_it_finishes_what_it_began() {
    for framework in [Framework::Axum, Framework::Tower, Framework::Actix] {
        let mut shop = Shop::open(framework);
        let request = Request::get("/slow?ms=500").paying(&shop.payment_for("/slow?ms=500"));
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(&request.bytes()).unwrap();
        eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
        shop.server.ask_to_end();
        let response = connection.response(false).unwrap();
        assert_eq!(response.status, 200, "{framework}: {}", response.text());
        assert_eq!(response.receipt()["success"], true, "{framework}");
        assert!(shop.server.ended().success(), "{framework}");
        assert_eq!(shop.transfers(), 1, "{framework}");
    }
}

#[test]
fn a_quote_outlives_a_restart_and_a_dialect_without_one_needs_none() {
    let mut shop = Shop::open(Framework::Axum);
    let challenge = shop.ask("/exact");
    let (v1, v2) = (shop.payer.v1(&challenge), shop.payer.v2(&challenge));
    shop.server.restart();
    for payment in [v1, v2] {
        assert_eq!(shop.send(&Request::get("/exact").paying(&payment)).status, 200);
    }
    assert_eq!(Challenge::of(&shop.send(&Request::get("/exact"))).v2["error"], "Payment required");
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 2)], 2, 2000));
}

fn shop_on_a_line(framework: Framework) -> (Shop, Line) {
    let mut line = None;
    let shop = Shop::open_with(framework, |chain, environment| {
        let line = line.insert(Line::to(chain.url()));
        environment.set("RPC_URL", line.url())
    });
    (shop, line.expect("the line was laid"))
}

/// How many transactions wait to be mined.
fn pending(shop: &Shop) -> u64 {
    let status = shop.chain.rpc("txpool_status", serde_json::json!([])).unwrap();
    let number =
        |text: &serde_json::Value| u64::from_str_radix(text.as_str().unwrap().trim_start_matches("0x"), 16);
    number(&status["pending"]).unwrap()
}

const SEND: &str = "eth_sendRawTransaction";
