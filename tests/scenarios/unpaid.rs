//! Who does not pay is told how to.

use serde_json::{Value, json};
use x402_tests::{Books, Challenge, Framework, MERCHANT, Request, Shop, now};

through_every_adapter!(
    asks_to_pay_in_both_dialects,
    every_quote_is_another,
    the_query_stays_private,
    host_headers_choose_nothing,
    a_browser_and_a_cache_get_the_same,
);

fn asks_to_pay_in_both_dialects(framework: Framework) {
    let shop = Shop::open(framework);
    let response = shop.send(&Request::get("/exact"));
    let challenge = Challenge::of(&response);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let vary = response.header("vary").expect("a 402 varies").to_lowercase();
    assert!(vary.contains("payment-signature") && vary.contains("x-payment"), "{vary}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("payment-response"), None);

    let url = shop.server.url("/exact");
    let mut v2 = challenge.v2;
    let quote =
        v2["accepts"][0]["extra"].as_object_mut().unwrap().remove("quote").expect("terms carry a quote");
    assert_eq!(v2["x402Version"], 2);
    assert_eq!(v2["error"], "Payment required");
    assert_eq!(v2["resource"]["url"], url);
    assert_eq!(v2["accepts"].as_array().unwrap().len(), 1);
    let terms = json!({
        "scheme": "exact",
        "network": "eip155:84532",
        "amount": "1000",
        "asset": devchain::TOKEN,
        "payTo": MERCHANT.address,
        "maxTimeoutSeconds": v2["accepts"][0]["maxTimeoutSeconds"],
        "extra": { "name": "USDC", "version": "2" },
    });
    assert_eq!(v2["accepts"][0], terms);
    assert!(terms["maxTimeoutSeconds"].as_u64().is_some_and(|seconds| seconds >= 30));

    for member in ["id", "nonce", "resource", "key", "seal"] {
        assert!(quote[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {quote}");
    }
    let (issued, expires) = (quote["issuedAt"].as_u64().unwrap(), quote["expiresAt"].as_u64().unwrap());
    assert!(issued.abs_diff(now()) <= 2, "{quote}");
    assert_eq!(expires - issued, 120, "{quote}");

    let v1 = challenge.v1;
    assert_eq!(v1["x402Version"], 1);
    assert_eq!(v1["error"], "X-PAYMENT header is required");
    let asked = &v1["accepts"][0];
    for (member, value) in [
        ("scheme", "exact"),
        ("network", "base-sepolia"),
        ("maxAmountRequired", "1000"),
        ("resource", &url),
        ("asset", devchain::TOKEN),
        ("payTo", MERCHANT.address),
    ] {
        assert_eq!(asked[member], value, "{member}");
    }
    assert!(asked["description"].is_string() && asked["mimeType"].is_string(), "strict clients want both");
    assert!(asked.get("outputSchema").is_none_or(Value::is_object), "strict clients refuse null");
    assert_eq!(asked["extra"]["name"], "USDC");
    assert_eq!(asked["extra"]["version"], "2");
    assert_eq!(shop.books(), Books::empty());
}

fn every_quote_is_another(framework: Framework) {
    let shop = Shop::open(framework);
    let quote = || shop.ask("/exact").terms()["extra"]["quote"].clone();
    let (one, other) = (quote(), quote());
    for member in ["id", "nonce", "seal"] {
        assert_ne!(one[member], other[member], "{member}");
    }
    for member in ["resource", "key"] {
        assert_eq!(one[member], other[member], "{member}");
    }
    assert_ne!(shop.ask("/exact?a=1").terms()["extra"]["quote"]["resource"], one["resource"]);
    assert_ne!(shop.ask("/items/1").terms()["extra"]["quote"]["resource"], one["resource"]);
}

fn the_query_stays_private(framework: Framework) {
    let shop = Shop::open(framework);
    let response = shop.send(&Request::get("/exact?token=secret"));
    let challenge = Challenge::of(&response);
    assert_eq!(challenge.v2["resource"]["url"], shop.server.url("/exact"));
    assert_eq!(challenge.v1["accepts"][0]["resource"], shop.server.url("/exact"));
    assert!(!challenge.v2.to_string().contains("secret") && !response.text().contains("secret"));
    assert!(!shop.server.stderr().contains("secret"), "{}", shop.server.stderr());
}

fn host_headers_choose_nothing(framework: Framework) {
    let shop = Shop::open(framework);
    let request = Request::get("/exact")
        .header("Host", "evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Prefix", "/evil")
        .header("Forwarded", "host=evil.example;proto=https");
    let response = shop.send(&request);
    assert_eq!(Challenge::of(&response).v2["resource"]["url"], shop.server.url("/exact"));
    assert!(!response.text().contains("evil"));
}

fn a_browser_and_a_cache_get_the_same(framework: Framework) {
    let shop = Shop::open(framework);
    let paid = shop.buy("/cacheable");
    let etag = paid.header("etag").expect("the handler sets one").to_owned();
    for request in [
        Request::get("/cacheable").header("If-None-Match", etag.as_str()),
        Request::get("/cacheable").header("Range", "bytes=0-1"),
        Request::get("/cacheable")
            .header("Accept", "text/html,*/*;q=0.8")
            .header("User-Agent", "Mozilla/5.0"),
        Request::get("/cacheable").header("Cache-Control", "only-if-cached"),
        Request::new("HEAD", "/cacheable"),
    ] {
        let response = shop.send(&request);
        assert_eq!(response.status, 402, "{request:?}");
        assert_eq!(response.header("etag"), None, "nothing of the handler's leaves unpaid");
    }
    assert_eq!(shop.books(), Books::of(&[("GET /cacheable", 1)], 1, 1000));
}
