//! Blocks that take their time.

use x402_tests::{Books, Framework, Request, Shop};

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
