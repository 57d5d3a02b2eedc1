//! Responses of unknown length: paid before the first byte leaves, and owed until the last one did.

use x402_tests::{Books, Connection, Framework, Request, Shop};

through_every_adapter!(
    paid_before_the_first_byte,
    paid_before_the_handler,
    cut_in_the_middle_it_is_owed,
    a_failed_settlement_lets_nothing_out,
);

const CHUNKS: usize = 64;

fn paid_before_the_first_byte(framework: Framework) {
    stream(&Shop::open(framework));
}

fn paid_before_the_handler(framework: Framework) {
    stream(&Shop::open_settling_before(framework));
}

fn stream(shop: &Shop) {
    let request = Request::get("/stream").paying(&shop.payment_for("/stream"));
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&request.bytes()).unwrap();
    let head = connection.response_head().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(shop.transfers(), 1, "settled when the head arrives");
    assert_eq!(head.receipt()["success"], true);
    assert_eq!(head.header("cache-control"), Some("private, no-store"));
    let (mut chunks, mut body) = (0, Vec::new());
    while connection.chunk(&mut body).unwrap() {
        chunks += 1;
    }
    assert!(chunks >= CHUNKS / 2, "{chunks} chunks: it is not held back until it is complete");
    let again = shop.send(&request);
    assert_eq!((again.status, again.code().as_str()), (409, "payment_replayed"));
    assert_eq!(shop.books(), Books::of(&[("GET /stream", 1)], 1, 1000));
}

fn cut_in_the_middle_it_is_owed(framework: Framework) {
    for shop in [Shop::open(framework), Shop::open_settling_before(framework)] {
        let request = Request::get("/stream").paying(&shop.payment_for("/stream"));
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(&request.bytes()).unwrap();
        assert_eq!(connection.response_head().unwrap().status, 200);
        let mut part = Vec::new();
        for _ in 0..3 {
            assert!(connection.chunk(&mut part).unwrap());
        }
        drop(connection);

        let whole = shop.send(&request);
        assert_eq!(whole.status, 200, "{}", whole.text());
        assert!(whole.body.len() > part.len());
        assert_eq!(whole.receipt()["success"], true);
        assert_eq!(shop.books(), Books::of(&[("GET /stream", 2)], 1, 1000));
        let again = shop.send(&request);
        assert_eq!((again.status, again.code().as_str()), (409, "payment_replayed"), "now it was delivered");
        assert_eq!(shop.books(), Books::of(&[("GET /stream", 2)], 1, 1000));
    }
}

fn a_failed_settlement_lets_nothing_out(framework: Framework) {
    let shop = Shop::open(framework);
    let whole = shop.buy("/stream").body;
    shop.chain.set_quirks(REVERTS_ON_CHAIN_ONLY).unwrap();
    let request = Request::get("/stream").paying(&shop.payment_for("/stream"));
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&request.bytes()).unwrap();
    let bytes = connection.rest();
    assert!(bytes.starts_with(b"HTTP/1.1 402"), "{}", String::from_utf8_lossy(&bytes));
    let piece = &whole[..whole.len() / CHUNKS];
    assert!(!bytes.windows(piece.len()).any(|window| window == piece), "not one chunk left");
    assert!(!String::from_utf8_lossy(&bytes).to_lowercase().contains("delivery-token"));
    assert_eq!((shop.transfers(), shop.server.runs("GET /stream")), (1, 2));
}

const REVERTS_ON_CHAIN_ONLY: u64 = 64;
