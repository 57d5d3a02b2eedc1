//! What cannot be read in exactly one way is refused with 400, a code, and nothing else: no challenge, no run, no
//! trace.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
use x402_tests::{Books, Connection, Framework, Payment, Request, Response, Shop};

through_every_adapter!(
    unreadable_headers,
    more_than_one_payment,
    truncated_at_every_length,
    trailers_pay_nothing,
    limits_are_exact,
);

fn assert_malformed(response: &Response, code: &str, what: &str) {
    assert_eq!(response.status, 400, "{what}: {}", response.text());
    assert_eq!(response.code(), code, "{what}");
    assert_eq!(response.header("payment-required"), None, "{what}: a 400 is no challenge");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
}

fn unreadable_headers(framework: Framework) {
    let shop = Shop::open(framework);
    let good = shop.payment_for("/exact");
    let json = good.json.to_string();
    let encoded = |json: &str| BASE64_STANDARD.encode(json);
    let nested = format!("{{\"x402Version\":2,\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let cases: Vec<(&str, &str, String)> = vec![
        ("empty", "payment_header_not_json", String::new()),
        ("no base64", "payment_header_not_base64", "!!!!".into()),
        ("JSON, not encoded", "payment_header_not_base64", json.clone()),
        ("URL-safe alphabet", "payment_header_not_base64", BASE64_URL_SAFE.encode([0xfb, 0xff, 0xfe])),
        ("bits left over", "payment_header_not_base64", "eyJ9eyJ".into()),
        ("two in one, comma", "payment_header_not_base64", format!("{}, {}", good.text(), good.text())),
        ("no JSON", "payment_header_not_json", encoded("hello")),
        ("cut JSON", "payment_header_not_json", encoded(&json[..json.len() - 1])),
        ("trailing bytes", "payment_header_not_json", encoded(&format!("{json}x"))),
        ("two values", "payment_header_not_json", encoded(&format!("{json}{json}"))),
        ("byte-order mark", "payment_header_not_json", encoded(&format!("\u{feff}{json}"))),
        ("NUL", "payment_header_not_json", encoded(&format!("{json}\0"))),
        ("no UTF-8", "payment_header_not_json", BASE64_STANDARD.encode(b"{\"a\":\"\xff\"}")),
        ("an array", "invalid_payload", encoded(&format!("[{json}]"))),
        ("a string", "invalid_payload", encoded("\"x402\"")),
        ("null", "invalid_payload", encoded("null")),
        ("too deep", "payment_too_deep", encoded(&nested)),
        ("duplicate key", "payment_duplicate_key", encoded(&json.replacen('{', "{\"x402Version\":2,", 1))),
        (
            "duplicate key, escaped",
            "payment_duplicate_key",
            encoded(&json.replacen('{', "{\"x402V\\u0065rsion\":2,", 1)),
        ),
        (
            "duplicate key, deep inside",
            "payment_duplicate_key",
            encoded(&json.replacen("\"validBefore\"", "\"value\":\"1\",\"validBefore\"", 1)),
        ),
        (
            "no version",
            "invalid_x402_version",
            altered(&good, |json| drop(json.as_object_mut().unwrap().remove("x402Version"))),
        ),
        ("version 3", "invalid_x402_version", altered(&good, |json| json["x402Version"] = 3.into())),
        ("version as text", "invalid_x402_version", altered(&good, |json| json["x402Version"] = "2".into())),
        (
            "version 2.0",
            "invalid_x402_version",
            encoded(&json.replace("\"x402Version\":2", "\"x402Version\":2.0")),
        ),
        ("version null", "invalid_x402_version", altered(&good, |json| json["x402Version"] = ().into())),
        (
            "version 2 in the shape of 1",
            "invalid_payload",
            altered(&good, |json| drop(json.as_object_mut().unwrap().remove("accepted"))),
        ),
        (
            "version 1 in the shape of 2",
            "invalid_payload",
            altered(&good, |json| json["x402Version"] = 1.into()),
        ),
        (
            "amount as a number",
            "invalid_payload",
            altered(&good, |json| json["accepted"]["amount"] = 1000.into()),
        ),
        ("payload missing", "invalid_payload", altered(&good, |json| json["payload"] = ().into())),
        ("payload a list", "invalid_payload", altered(&good, |json| json["payload"] = vec![1].into())),
    ];
    for header in ["PAYMENT-SIGNATURE", "X-PAYMENT"] {
        for (what, code, value) in &cases {
            let response = shop.send(&Request::get("/exact").header(header, value.as_str()));
            assert_malformed(&response, code, &format!("{what} in {header}"));
        }
    }
    assert_eq!(shop.books(), Books::empty());
    assert_eq!(shop.send(&Request::get("/exact").paying(&good)).status, 200, "nothing of it was consumed");
}

fn altered(payment: &Payment, change: impl FnOnce(&mut serde_json::Value)) -> String {
    payment.clone().with(change).text()
}

fn more_than_one_payment(framework: Framework) {
    let shop = Shop::open(framework);
    let (good, other) = (shop.payment_for("/exact"), shop.payment_for("/exact"));
    let junk = "AAAA".to_owned();
    for (first, second) in [
        (good.text(), good.text()),
        (good.text(), other.text()),
        (good.text(), junk.clone()),
        (junk, good.text()),
    ] {
        for name in ["PAYMENT-SIGNATURE", "X-PAYMENT", "payment-signature"] {
            let request = Request::get("/exact").header(name, first.as_str()).header(name, second.as_str());
            assert_malformed(&shop.send(&request), "duplicate_payment_header", name);
        }
        for (one, two) in [("PAYMENT-SIGNATURE", "X-PAYMENT"), ("X-PAYMENT", "PAYMENT-SIGNATURE")] {
            let request = Request::get("/exact").header(one, first.as_str()).header(two, second.as_str());
            assert_malformed(&shop.send(&request), "conflicting_payment_headers", one);
        }
    }
    assert_eq!(shop.books(), Books::empty());
}

/// Proxies cut long headers. A cut payment is not "no payment": its sender must not sign again.
fn truncated_at_every_length(framework: Framework) {
    let shop = Shop::open(framework);
    let text = shop.payment_for("/exact").text();
    // Padding may be missing.
    for length in 1..text.trim_end_matches('=').len() {
        let response = shop.send(&Request::get("/exact").header("PAYMENT-SIGNATURE", &text[..length]));
        assert_eq!(response.status, 400, "{length} of {}: {}", text.len(), response.text());
        assert_eq!(response.header("payment-required"), None, "{length}");
    }
    assert_eq!(shop.books(), Books::empty());
    let response = shop.send(&Request::get("/exact").header("PAYMENT-SIGNATURE", text));
    assert_eq!(response.status, 200, "nothing of it was consumed");
}

fn trailers_pay_nothing(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/exact");
    let mut connection = Connection::open(shop.server.address()).unwrap();
    let request = format!(
        "POST /echo HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
         Trailer: {name}\r\n\r\n5\r\nhello\r\n0\r\n{name}: {value}\r\n\r\n",
        name = payment.header_name(),
        value = payment.text(),
    );
    connection.write(request.as_bytes()).unwrap();
    assert_eq!(connection.response(false).unwrap().status, 402);
    // Named in `Connection`, a header is for the next hop; it is still one payment.
    let request = Request::get("/exact").header("Connection", "close, payment-signature").paying(&payment);
    assert!(matches!(shop.send(&request).status, 200 | 400 | 402));
    assert_eq!(shop.books().transfers as u64, shop.server.runs("GET /exact"));
    assert_eq!(shop.server.runs("POST /echo"), 0);
}

fn limits_are_exact(framework: Framework) {
    let shop = Shop::open(framework);
    let good = shop.payment_for("/exact");
    let limit = 16 * 1024;
    // JSON takes whitespace at its end: the same payment at any length divisible by four.
    let padded = |length: usize| {
        let json = good.json.to_string();
        let room = length / 4 * 3 - json.len();
        BASE64_STANDARD.encode(json + &" ".repeat(room))
    };
    for length in [limit + 4, limit * 2, 60 * 1024] {
        let value = padded(length);
        assert_eq!(value.len(), length);
        let response = shop.send(&Request::get("/exact").header("PAYMENT-SIGNATURE", value));
        // The framework may refuse a head of that size before us, with 431 or 400.
        assert!(matches!(response.status, 400 | 431), "{length}: {}", response.status);
        assert_eq!(response.header("payment-required"), None, "{length}");
    }
    assert_malformed(
        &shop.send(&Request::get("/exact").header("PAYMENT-SIGNATURE", padded(limit + 4))),
        "payment_header_too_large",
        "one group above the limit",
    );
    assert_eq!(shop.books(), Books::empty());
    let response = shop.send(&Request::get("/exact").header("PAYMENT-SIGNATURE", padded(limit)));
    assert_eq!(response.status, 200, "at the limit: {}", response.text());
}
