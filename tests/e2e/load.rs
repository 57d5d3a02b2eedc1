//! Many settlements through one gas key.

use devchain::DevChainError;
use x402_tests::{Books, Framework, GAS, Payer, Request, Shop};

const CROWD: usize = 64;

#[test]
fn sixty_four_settlements_at_once() -> Result<(), DevChainError> {
    let shop = Shop::open(Framework::Axum);
    let requests: Vec<_> =
        (0..CROWD).map(|_| Request::get("/exact").paying(&shop.payment_for("/exact"))).collect();
    for sent in shop.send_at_once(&requests) {
        let response = sent.unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert_eq!(shop.books(), Books::of(&[("GET /exact", CROWD as u64)], CROWD, 1000 * CROWD as u128));
    let nonce = shop.chain.rpc("eth_getTransactionCount", serde_json::json!([GAS.address, "latest"]))?;
    assert_eq!(nonce, format!("{CROWD:#x}"), "one transaction each, and no gap");
    Ok(())
}

#[test]
fn good_and_bad_payments_mixed() {
    let shop = Shop::open(Framework::Actix);
    let poor = Payer::of(&devchain::accounts()[3]);
    let requests: Vec<_> = (0..CROWD)
        .map(|at| {
            let challenge = shop.ask("/exact");
            let payment = match at % 4 {
                0 => shop.payer.v2(&challenge),
                1 => shop.payer.v1(&challenge),
                2 => poor.v2(&challenge),
                _ => shop.payer.v2(&challenge).with(|json| {
                    json["payload"]["authorization"]["nonce"] = format!("0x{}", "11".repeat(32)).into();
                }),
            };
            Request::get("/exact").paying(&payment)
        })
        .collect();
    for (at, sent) in shop.send_at_once(&requests).into_iter().enumerate() {
        let response = sent.unwrap();
        assert_eq!(response.status, if at % 4 < 2 { 200 } else { 402 }, "{}", response.text());
    }
    let sold = CROWD / 2;
    assert_eq!(shop.books(), Books::of(&[("GET /exact", sold as u64)], sold, 1000 * sold as u128));
}
