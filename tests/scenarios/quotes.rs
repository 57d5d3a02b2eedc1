//! Quotes: what the server sealed comes back whole, in time and for the same request, or not at all.

use std::time::Duration;

use serde_json::Value;
use x402_core::{
    challenge::{ChallengeRequest, ChallengeTemplate},
    price::{PaymentIdentifier, PriceOption},
    quote::{BindingLevel, QuoteKey, QuoteScope, QuoteSealer},
    time::UnixSeconds,
    wire::v2::ResourceInfo,
};
use x402_tests::{Books, Challenge, Framework, QUOTE_KEY, Request, Response, Shop, now};

through_every_adapter!(
    an_altered_quote_is_refused,
    an_expired_quote_gets_a_fresh_challenge,
    a_quote_for_another_request_is_refused,
    a_quote_that_is_left_out_or_foreign_counts_as_none,
);

fn an_altered_quote_is_refused(framework: Framework) {
    let shop = Shop::open(framework);
    for member in ["id", "nonce", "issuedAt", "expiresAt", "resource", "seal"] {
        let payment = shop.payment_for("/exact").with(|json| {
            let value = &mut json["accepted"]["extra"]["quote"][member];
            *value = match &*value {
                Value::String(text) => flip(text).into(),
                number => (number.as_u64().unwrap() + 1).into(),
            };
        });
        let response = shop.send(&Request::get("/exact").paying(&payment));
        assert_eq!(Challenge::of(&response).v2["error"], "quote_invalid", "{member}");
    }
    // Two good ones, spliced.
    let (one, other) = (shop.payment_for("/exact"), shop.payment_for("/exact"));
    for member in ["id", "nonce", "seal"] {
        let quote = "/accepted/extra/quote/".to_owned() + member;
        let spliced = one
            .clone()
            .with(|json| *json.pointer_mut(&quote).unwrap() = other.json.pointer(&quote).unwrap().clone());
        let response = shop.send(&Request::get("/exact").paying(&spliced));
        assert_eq!(Challenge::of(&response).v2["error"], "quote_invalid", "{member} of another");
    }
    assert_eq!(shop.books(), Books::empty());
}

/// The first character changed into another of the same alphabet.
fn flip(text: &str) -> String {
    let first = if text.starts_with('A') { 'B' } else { 'A' };
    std::iter::once(first).chain(text.chars().skip(1)).collect()
}

fn an_expired_quote_gets_a_fresh_challenge(framework: Framework) {
    let shop = Shop::open(framework);
    let old = quoted_at(&shop, now() - 130);
    let response = shop.send(&Request::get("/exact").paying(&shop.payer.v2(&old)));
    let fresh = Challenge::of(&response);
    assert_eq!(fresh.v2["error"], "quote_expired");
    assert_eq!(shop.books(), Books::empty());
    // The same quote a little younger is good: what is tested is the age and nothing else.
    let young = quoted_at(&shop, now() - 60);
    assert_eq!(shop.send(&Request::get("/exact").paying(&shop.payer.v2(&young))).status, 200);
    assert_eq!(shop.send(&Request::get("/exact").paying(&shop.payer.v2(&fresh))).status, 200);
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 2)], 2, 2000));
}

/// What this server would have answered at another time.
fn quoted_at(shop: &Shop, time: u64) -> Challenge {
    let origin = shop.server.url("");
    let mut terms = shop.ask("/exact").terms();
    terms["extra"].as_object_mut().unwrap().remove("quote");
    let option = PriceOption::from_v2(&serde_json::from_value(terms).unwrap()).unwrap();
    let resource = ResourceInfo { url: origin.clone(), ..ResourceInfo::default() };
    let reply = ChallengeTemplate::new(&resource, BindingLevel::Terms, PaymentIdentifier::Off, &[option])
        .render(&ChallengeRequest {
            status: 402,
            error: None,
            payer: None,
            scope: QuoteScope::new(&origin, "GET /exact", "GET", "/exact", None),
            sealer: &QuoteSealer::new(&QuoteKey::from_hex(QUOTE_KEY).unwrap(), &[]),
            lifetime: Duration::from_secs(120),
            now: UnixSeconds::new(time),
            entropy: [7; 32],
        });
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers = reply.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Challenge::of(&Response { status: reply.status, headers, body: reply.body.to_vec() })
}

fn a_quote_for_another_request_is_refused(framework: Framework) {
    let shop = Shop::open(framework);
    for asked in ["/items/2", "/items/1?color=red", "/exact", "/files/items/1"] {
        let payment = shop.payment_for(asked);
        let response = shop.send(&Request::get("/items/1").paying(&payment));
        assert_eq!(Challenge::of(&response).v2["error"], "resource_mismatch", "quoted for {asked}");
    }
    assert_eq!(shop.books(), Books::empty());
}

fn a_quote_that_is_left_out_or_foreign_counts_as_none(framework: Framework) {
    let shop = Shop::open(framework);
    let without = shop.payment_for("/exact").with(|json| {
        json["accepted"]["extra"].as_object_mut().unwrap().remove("quote");
    });
    let foreign = shop.payment_for("/exact").with(|json| {
        let key = &mut json["accepted"]["extra"]["quote"]["key"];
        *key = flip(key.as_str().unwrap()).into();
    });
    for payment in [without, foreign] {
        let response = shop.send(&Request::get("/exact").paying(&payment));
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 2)], 2, 2000));
}
