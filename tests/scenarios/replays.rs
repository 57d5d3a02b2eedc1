//! The same payment again gets the same response, or the receipt, and never a second charge.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use x402_tests::{Books, Challenge, Framework, Payment, Request, Response, Shop};

through_every_adapter!(
    a_stored_response_is_sent_again,
    a_response_that_is_not_stored_leaves_its_receipt,
    another_spelling_is_the_same_payment,
    a_payment_outlives_its_terms,
    strangers_learn_nothing,
);

fn assert_replayed(response: &Response, first: &Response, what: &str) {
    assert_eq!(response.status, first.status, "{what}: {}", response.text());
    assert_eq!(response.header("idempotent-replayed"), Some("true"), "{what}");
    assert_eq!(response.body, first.body, "{what}");
    assert_eq!(response.receipt()["transaction"], first.receipt()["transaction"], "{what}");
    for header in ["delivery-token", "content-type", "cache-control", "vary"] {
        assert_eq!(response.header(header), first.header(header), "{header}, {what}");
    }
}

fn a_stored_response_is_sent_again(framework: Framework) {
    let shop = Shop::open(framework);
    for dialect in [|shop: &Shop, path: &str| shop.payer.v1(&shop.ask(path)), Shop::payment_for] {
        let path = "/items/1";
        let before = shop.books();
        let payment = dialect(&shop, path);
        let first = shop.send(&Request::get(path).paying(&payment));
        assert_eq!((first.status, first.header("idempotent-replayed")), (200, None));
        for _ in 0..3 {
            let again = shop.send(&Request::get(path).paying(&payment));
            assert_replayed(&again, &first, "again");
        }
        assert_eq!(shop.books().transfers, before.transfers + 1);
    }
    let payment = shop.payment_for("/redirects");
    let first = shop.send(&Request::get("/redirects").paying(&payment));
    let again = shop.send(&Request::get("/redirects").paying(&payment));
    assert_replayed(&again, &first, "a redirect");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(shop.books(), Books::of(&[("GET /items/{id}", 2), ("GET /redirects", 1)], 3, 3000));
    assert_eq!(shop.server.deliveries().len() as u64, 3);
}

fn a_response_that_is_not_stored_leaves_its_receipt(framework: Framework) {
    let shop = Shop::open(framework);
    // A request body that is not bound to the payment may be another one next time.
    let unpaid = shop.send(&Request::post("/echo", "hello"));
    let post = Request::post("/echo", "hello").paying(&shop.payer.v2(&Challenge::of(&unpaid)));
    let stream = Request::get("/stream").paying(&shop.payment_for("/stream"));
    for request in [post, stream] {
        let first = shop.send(&request);
        assert_eq!(first.status, 200);
        let books = shop.books();
        for _ in 0..2 {
            let again = shop.send(&request);
            assert_eq!((again.status, again.code().as_str()), (409, "payment_replayed"), "{request:?}");
            assert_eq!(again.receipt()["transaction"], first.receipt()["transaction"], "{request:?}");
            assert_eq!(again.header("retry-after"), None, "waiting does not help");
            assert_eq!(again.header("cache-control"), Some("no-store"));
            assert_eq!(again.header("payment-required"), None);
        }
        assert_eq!(shop.books(), books);
    }
    let other = Request::post("/echo", "other text");
    let payment = shop.payer.v1(&Challenge::of(&shop.send(&other)));
    assert_eq!(shop.send(&other.paying(&payment)).status, 200);
    let longer = Request::post("/echo", "other text, and longer").paying(&payment);
    assert_eq!(shop.send(&longer).code(), "idempotency_conflict");
}

/// The key is what was signed for, never the bytes it came in.
fn another_spelling_is_the_same_payment(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/exact");
    let first = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!(first.status, 200);

    let send = |value: &str, header: &str| shop.send(&Request::get("/exact").header(header, value));
    let json = payment.json.to_string();
    let spaced = serde_json::to_string_pretty(&payment.json).unwrap();
    let reversed = reversed(&payment.json).to_string();
    assert_ne!(json, reversed);
    let escaped = json.replace("\"nonce\"", "\"n\\u006fnce\"");
    for (what, text) in [
        ("whitespace", &spaced),
        ("order of members", &reversed),
        ("escapes", &escaped),
        ("more space", &format!(" {json}\n ")),
    ] {
        assert_replayed(&send(&BASE64_STANDARD.encode(text), "PAYMENT-SIGNATURE"), &first, what);
    }
    assert_replayed(&send(payment.text().trim_end_matches('='), "PAYMENT-SIGNATURE"), &first, "no padding");
    assert_replayed(&send(&payment.text(), "X-PAYMENT"), &first, "the other header");
    let in_upper_case = |value: &mut Value| {
        let digits = value.as_str().unwrap()[2..].to_uppercase();
        *value = format!("0x{digits}").into();
    };
    let spelled = payment.clone().with(|json| {
        let authorization = &mut json["payload"]["authorization"];
        for member in ["from", "to", "nonce"] {
            in_upper_case(&mut authorization[member]);
        }
        in_upper_case(&mut json["payload"]["signature"]);
    });
    assert_replayed(&send(&spelled.text(), "PAYMENT-SIGNATURE"), &first, "case of hex digits");
    let without_quote = payment.clone().with(|json| {
        json["accepted"]["extra"].as_object_mut().unwrap().remove("quote");
        json.as_object_mut().unwrap().remove("resource");
    });
    assert_replayed(&send(&without_quote.text(), "PAYMENT-SIGNATURE"), &first, "no quote, no resource");
    let low_v = payment.clone().with(|json| {
        let text = json["payload"]["signature"].as_str().unwrap();
        let v = u8::from_str_radix(&text[130..], 16).unwrap() - 27;
        json["payload"]["signature"] = format!("{}{v:02x}", &text[..130]).into();
    });
    assert_replayed(&send(&low_v.text(), "PAYMENT-SIGNATURE"), &first, "v counted from 0");
    let in_version_1 = in_version_1(&payment);
    let response = send(&in_version_1.text(), "X-PAYMENT");
    assert_replayed(&response, &first, "the other dialect");
    assert!(response.header("x-payment-response").is_some(), "answered in the dialect of the presentation");
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
}

fn in_version_1(payment: &Payment) -> Payment {
    payment.clone().in_header("X-PAYMENT").with(|json| {
        let payload = json["payload"].take();
        *json = json!({ "x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": payload });
    })
}

fn reversed(value: &Value) -> Reversed {
    match value {
        Value::Object(members) => Reversed::Object(
            members.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect(),
        ),
        other => Reversed::Other(other.clone()),
    }
}

/// JSON whose members stand in the opposite order, whatever order the JSON library keeps.
enum Reversed {
    Object(Vec<(String, Self)>),
    Other(Value),
}

impl std::fmt::Display for Reversed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Other(value) => write!(f, "{value}"),
            Self::Object(members) => {
                f.write_str("{")?;
                for (at, (name, value)) in members.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Whoever paid may come back with the same bytes when the terms they paid by are no longer good for a new payment.
fn a_payment_outlives_its_terms(framework: Framework) {
    let shop = Shop::open(framework);
    let window = x402_tests::Window::seconds(8);
    let payment = shop.payer.v2_within(&shop.ask("/exact"), window);
    let first = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!(first.status, 200, "{}", first.text());
    while x402_tests::now() + 4 < window.valid_before {
        std::thread::sleep(std::time::Duration::from_millis(100)); // the clock is the server's own
    }
    let late = shop.send(&Request::get("/exact").paying(&payment));
    assert_replayed(&late, &first, "too late for a new payment");
    let altered = payment.with(|json| json["accepted"]["amount"] = "1".into());
    assert_replayed(&shop.send(&Request::get("/exact").paying(&altered)), &first, "other terms echoed");
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
}

/// The nonce of a payment is public as soon as it is settled; it must open nothing.
fn strangers_learn_nothing(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/exact");
    assert_eq!(shop.send(&Request::get("/exact").paying(&payment)).status, 200);
    let stranger = x402_tests::Payer::of(&devchain::accounts()[2]);
    let theirs = stranger.v2(&shop.ask("/exact"));
    let forged = payment
        .clone()
        .with(|json| json["payload"]["signature"] = theirs.json["payload"]["signature"].clone());
    let response = shop.send(&Request::get("/exact").paying(&forged));
    assert_eq!(Challenge::of(&response).v2["error"], "invalid_exact_evm_signature");
    assert_eq!((response.header("payment-response"), response.header("delivery-token")), (None, None));

    // Forged before the honest one comes, it does not stand in its way.
    let honest = shop.payment_for("/exact");
    let forged = honest
        .clone()
        .with(|json| json["payload"]["signature"] = theirs.json["payload"]["signature"].clone());
    for _ in 0..3 {
        assert_eq!(shop.send(&Request::get("/exact").paying(&forged)).status, 402);
    }
    assert_eq!(shop.send(&Request::get("/exact").paying(&honest)).status, 200);
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 2)], 2, 2000));
}
