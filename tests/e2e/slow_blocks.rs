//! Blocks that take their time.

use x402_tests::{Books, Framework, Request, Shop, Window};

#[test]
fn payments_wait_for_their_block() {
    let shop = Shop::open(Framework::Tower);
    shop.chain.set_interval_mining(1).unwrap();
    let requests: Vec<_> =
        (0..10).map(|_| Request::get("/exact").paying(&shop.payment_for("/exact"))).collect();
    for sent in shop.send_at_once(&requests) {
        let response = sent.unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 10)], 10, 10_000));
}

/// By our clock it is too late, by the chain's it is not: somebody may still submit it, so nobody signs again.
#[test]
fn too_late_for_us_and_not_for_the_chain() {
    let shop = Shop::open(Framework::Axum);
    let payment = shop.payer.v2_within(&shop.ask("/slow?ms=8500"), Window::seconds(8));
    let response = shop.send(&Request::get("/slow?ms=8500").paying(&payment));
    assert_eq!(response.status, 402, "{}", response.text());
    assert_eq!(response.receipt()["success"], false);
    assert_eq!(response.receipt()["errorReason"], "invalid_exact_evm_payload_authorization_valid_before");
    assert_eq!((response.header("payment-required"), response.header("delivery-token")), (None, None));
    assert_eq!(shop.books(), Books::of(&[("GET /slow", 1)], 0, 0));
}
