//! Tokens that are not what they seem: nothing protected leaves unless the money arrived.

use x402_tests::{Connection, Framework, MERCHANT, Request, Shop};

/// Everything the server sends for a payment under a token's quirks.
fn bytes_on_the_wire(shop: &Shop, quirks: u64) -> String {
    shop.chain.set_quirks(0).unwrap();
    let payment = shop.payment_for("/exact");
    shop.chain.set_quirks(quirks).unwrap();
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&Request::get("/exact").paying(&payment).bytes()).unwrap();
    String::from_utf8_lossy(&connection.rest()).into_owned()
}

#[test]
fn nothing_leaves_for_money_that_did_not_arrive() {
    for framework in [Framework::Axum, Framework::Tower, Framework::Actix] {
        let shop = Shop::open(framework);
        for (what, quirks) in [
            ("moves nothing", 2),
            ("keeps a fee", 4),
            ("is paused", 8),
            ("reverts on chain only", 64),
            ("fee, and on chain only", 4 | 64),
        ] {
            let before = shop.chain.balance(MERCHANT.address).unwrap();
            let bytes = bytes_on_the_wire(&shop, quirks);
            let status = bytes.split(' ').nth(1).unwrap_or_default();
            assert!(["402", "503"].contains(&status), "{what}: {bytes}");
            assert!(!bytes.to_lowercase().contains("delivery-token"), "{what}: {bytes}");
            for delivery in shop.server.deliveries() {
                assert!(!bytes.contains(&delivery.token), "{what}: {bytes}");
            }
            let got = shop.chain.balance(MERCHANT.address).unwrap() - before;
            assert!(got < 1000, "{what}: the merchant was paid in full and delivered nothing");
        }
    }
}

/// Of the two forms of the call, payments of plain keys need the one with v, r and s.
#[test]
fn a_token_with_one_of_the_two_signature_forms() {
    let shop = Shop::open(Framework::Axum);
    let bytes = bytes_on_the_wire(&shop, 16);
    assert!(bytes.starts_with("HTTP/1.1 200"), "no bytes form: {bytes}");
    let bytes = bytes_on_the_wire(&shop, 32);
    assert!(bytes.starts_with("HTTP/1.1 402"), "no v, r, s form: {bytes}");
    assert_eq!(shop.transfers(), 1);
}

/// A used nonce that does not revert looks like a success without a transfer.
#[test]
fn a_used_nonce_that_does_not_revert_buys_nothing() {
    let shop = Shop::open(Framework::Axum);
    let payment = shop.payment_for("/exact");
    shop.submit(&payment);
    shop.chain.set_quirks(1).unwrap();
    let response = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!((response.status, response.code().as_str()), (409, "payment_replayed"));
    assert_eq!(shop.transfers(), 1);
    assert!(shop.server.deliveries().is_empty());
}
