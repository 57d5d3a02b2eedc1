//! The node hangs, or is gone, and comes back.

use std::process::Command;

use x402_tests::{Books, Framework, Request, Shop, persist};

fn signal(shop: &Shop, name: &str) {
    let sent = Command::new("kill").args([name, &shop.chain.process_id().to_string()]).status();
    assert!(sent.expect("there is a kill command").success());
}

#[test]
fn a_node_that_hangs_is_503_and_needs_no_restart() {
    let shop = Shop::open(Framework::Axum);
    let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
    signal(&shop, "-STOP");
    let response = shop.send(&request);
    let unpaid = shop.send(&Request::get("/exact"));
    signal(&shop, "-CONT");
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(response.header("retry-after").is_some());
    assert_eq!((response.header("payment-required"), response.header("delivery-token")), (None, None));
    assert_eq!(unpaid.status, 402);
    let response = persist(&shop.server, &request);
    assert_eq!(response.status, 200, "{}", response.text());
    let books = shop.books();
    assert_eq!((books.transfers, books.income), (1, 1000));
}

#[test]
fn a_node_that_hangs_while_it_settles_charges_once() {
    let shop = Shop::open(Framework::Tower);
    let request = Request::get("/slow?ms=500").paying(&shop.payment_for("/slow?ms=500"));
    let response = std::thread::scope(|scope| {
        let sent = scope.spawn(|| shop.send(&request));
        x402_tests::eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
        signal(&shop, "-STOP");
        std::thread::sleep(std::time::Duration::from_secs(3)); // the handler is done, and the node says nothing
        signal(&shop, "-CONT");
        sent.join().unwrap()
    });
    let response = if response.status == 503 { persist(&shop.server, &request) } else { response };
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(shop.books(), Books::of(&[("GET /slow", 1)], 1, 1000));
}
