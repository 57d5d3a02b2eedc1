//! Who pays gets the resource, a receipt, and is charged once.

use serde_json::json;
use x402_tests::{
    Books, Challenge, FUNDS, Framework, MERCHANT, Payment, Request, Response, Shop, eventually,
};

through_every_adapter!(
    version_1_pays,
    version_2_pays,
    either_dialect_in_either_header,
    every_price_is_charged_as_shown,
    addresses_in_any_case,
    members_nobody_knows_are_ignored,
    a_payment_is_logged_without_its_signature,
);

fn version_1_pays(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payer.v1(&shop.ask("/exact"));
    let response = shop.send(&Request::get("/exact").paying(&payment));
    assert_paid(&shop, &response, "base-sepolia");
    assert!(response.header("x-payment-response").is_some(), "the receipt is in the payment's dialect");
}

fn version_2_pays(framework: Framework) {
    let shop = Shop::open(framework);
    let response = shop.buy("/exact");
    assert_paid(&shop, &response, "eip155:84532");
    assert!(response.header("payment-response").is_some(), "the receipt is in the payment's dialect");
}

fn assert_paid(shop: &Shop, response: &Response, network: &str) {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    let vary = response.header("vary").expect("a priced route varies").to_lowercase();
    assert!(vary.contains("payment-signature") && vary.contains("x-payment"), "{vary}");
    assert_eq!(response.header("idempotent-replayed"), None);
    assert_eq!(response.header("payment-required"), None);

    let receipt = response.receipt();
    assert_eq!(receipt["success"], true);
    assert_eq!(receipt["network"], network);
    assert!(receipt["payer"].as_str().unwrap().eq_ignore_ascii_case(shop.payer.address()));
    let on_chain = shop.chain.rpc("eth_getTransactionReceipt", json!([receipt["transaction"]])).unwrap();
    assert_eq!(on_chain["status"], "0x1", "{receipt}");

    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
    assert_eq!(shop.chain.balance(shop.payer.address()).unwrap(), FUNDS - 1000);
    let deliveries = shop.server.deliveries();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(response.header("delivery-token"), Some(deliveries[0].token.as_str()));
}

fn either_dialect_in_either_header(framework: Framework) {
    let shop = Shop::open(framework);
    let payments: [(Payment, &str); 2] = [
        (shop.payment_for("/exact").in_header("X-PAYMENT"), "payment-response"),
        (shop.payer.v1(&shop.ask("/exact")).in_header("PAYMENT-SIGNATURE"), "x-payment-response"),
    ];
    for (payment, receipt) in payments {
        let response = shop.send(&Request::get("/exact").paying(&payment));
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(response.header(receipt).is_some(), "the payload's version decides: {:?}", response.headers);
    }
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 2)], 2, 2000));
}

fn every_price_is_charged_as_shown(framework: Framework) {
    let shop = Shop::open(framework);
    let mut income = 0;
    for (path, price) in [("/cheap", 100), ("/items/7", 1000), ("/files/a/b.txt", 1000), ("/dear", 1_000_000)]
    {
        assert_eq!(shop.ask(path).terms()["amount"], price.to_string(), "{path}");
        assert_eq!(shop.buy(path).status, 200, "{path}");
        income += price;
        assert_eq!(shop.chain.balance(MERCHANT.address).unwrap(), income, "{path}");
    }
    assert_eq!(shop.transfers(), 4);
    assert_eq!(shop.server.deliveries().len(), 4);
}

fn addresses_in_any_case(framework: Framework) {
    let shop = Shop::open(framework);
    let lower = |value: &mut serde_json::Value| *value = value.as_str().unwrap().to_lowercase().into();
    let payment = shop.payment_for("/exact").with(|json| {
        lower(&mut json["accepted"]["asset"]);
        lower(&mut json["accepted"]["payTo"]);
        lower(&mut json["payload"]["authorization"]["from"]);
        lower(&mut json["payload"]["authorization"]["to"]);
    });
    let response = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
}

fn members_nobody_knows_are_ignored(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/exact").with(|json| {
        json["later"] = true.into();
        json["extensions"] = serde_json::json!({ "unknown": { "info": {} } });
        json["accepted"]["extra"]["added"] = "by the client".into();
        json["payload"]["authorization"]["more"] = 1.into();
    });
    let response = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
}

fn a_payment_is_logged_without_its_signature(framework: Framework) {
    let shop =
        Shop::open_with(framework, |_, environment| environment.set("RUST_LOG", "trace,hyper=info,h2=info"));
    let payment = shop.payment_for("/exact");
    let response = shop.send(&Request::get("/exact?card=of-a-stranger").paying(&payment));
    assert_eq!(Challenge::of(&response).v2["error"], "resource_mismatch", "the quote was for another query");
    assert_eq!(shop.send(&Request::get("/exact").paying(&payment)).status, 200);
    // What a process writes arrives after what it answers.
    eventually("the log tells of the payment", || shop.server.stderr().contains("payment settled"));
    let log = shop.server.stderr();
    for secret in [
        payment.text().as_str(),
        &payment.json["payload"]["signature"].as_str().unwrap()[2..],
        &x402_tests::GAS.key[2..],
        &x402_tests::QUOTE_KEY[2..],
        "of-a-stranger",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
