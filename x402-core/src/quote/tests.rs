//! A quote opens for its request, in its time, with its terms; and for nothing else.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    challenge::{ChallengeRequest, ChallengeTemplate},
    price::{PaymentIdentifier, PriceOption},
    time::UnixSeconds,
    wire::{V2, v2},
};

const NOW: u64 = 1_700_000_000;

fn option(amount: u64) -> PriceOption {
    PriceOption::new(
        "eip155:84532".parse().unwrap(),
        "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        amount,
        "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    )
    .signing_domain("USDC", "2")
}

fn scope<'a>(method: &'a str, path: &'a str, query: Option<&'a str>) -> QuoteScope<'a> {
    QuoteScope::new("https://api.example.com", "GET /weather/{city}", method, path, query)
}

fn sealer(byte: u8) -> QuoteSealer {
    QuoteSealer::new(&key(byte), &[])
}

fn key(byte: u8) -> QuoteKey {
    let bytes: Vec<u8> = (0..32).map(|index| byte ^ index).collect();
    QuoteKey::try_from(bytes.as_slice()).unwrap()
}

/// What a client echoes of a 402 for `GET /weather/oslo?d=1`.
fn offered(sealer: &QuoteSealer, options: &[PriceOption], entropy: u8) -> Vec<v2::PaymentRequirements> {
    let resource = v2::ResourceInfo { url: "https://api.example.com".to_owned(), ..Default::default() };
    let reply = ChallengeTemplate::new(&resource, BindingLevel::Terms, PaymentIdentifier::Off, options)
        .render(&ChallengeRequest {
            status: 402,
            error: None,
            payer: None,
            scope: scope("GET", "/weather/oslo", Some("d=1")),
            sealer,
            lifetime: Duration::from_secs(120),
            now: UnixSeconds::new(NOW),
            entropy: [entropy; 32],
        });
    let header = reply.get("payment-required").unwrap();
    let json = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, header).unwrap();
    serde_json::from_slice::<v2::PaymentRequired>(&json).unwrap().accepts
}

fn open(sealer: &QuoteSealer, accepted: &v2::PaymentRequirements, now: u64) -> QuoteCheck {
    sealer.open(&scope("GET", "/weather/oslo", Some("d=1")), accepted, UnixSeconds::new(now), SKEW)
}

fn member<'a>(accepted: &'a mut v2::PaymentRequirements, name: &str) -> &'a mut Value {
    &mut accepted.extra.as_mut().unwrap()[MEMBER][name]
}

#[test]
fn a_quote_opens_for_its_own_request() {
    let sealer = sealer(1);
    for accepted in offered(&sealer, &[option(1), option(2)], 7) {
        let QuoteCheck::Valid(quote) = open(&sealer, &accepted, NOW + 60) else { panic!("not valid") };
        assert_eq!((quote.id, quote.nonce), ([7; 16], [7; 16]));
        assert_eq!(quote.issued_at, UnixSeconds::new(NOW));
        assert_eq!(quote.expires_at, UnixSeconds::new(NOW + 120));
        assert_eq!(quote_digest(&accepted), Some(quote.digest));
    }
}

#[test]
fn a_quote_expires_after_its_time_and_the_skew() {
    let sealer = sealer(1);
    let accepted = &offered(&sealer, &[option(1)], 7)[0];
    assert!(matches!(open(&sealer, accepted, NOW + 125), QuoteCheck::Valid(_)));
    assert!(matches!(open(&sealer, accepted, NOW + 126), QuoteCheck::Expired(_)));
    let mut altered = accepted.clone();
    *member(&mut altered, "expiresAt") = (NOW + 9999).into();
    assert_eq!(open(&sealer, &altered, NOW + 126), QuoteCheck::Invalid);
}

#[test]
fn a_quote_is_for_one_request_only() {
    let sealer = sealer(1);
    let accepted = &offered(&sealer, &[option(1)], 7)[0];
    let now = UnixSeconds::new(NOW);
    let check = |scope: QuoteScope<'_>| sealer.open(&scope, accepted, now, SKEW);
    assert!(matches!(check(scope("HEAD", "/weather/oslo", Some("d=1"))), QuoteCheck::Valid(_)));
    for other in [
        scope("POST", "/weather/oslo", Some("d=1")),
        scope("GET", "/weather/rome", Some("d=1")),
        scope("GET", "/weather/oslo", Some("d=2")),
        scope("GET", "/weather/oslo", Some("")),
        scope("GET", "/weather/oslo", None),
        QuoteScope::new("https://b.example.com", "GET /weather/{city}", "GET", "/weather/oslo", Some("d=1")),
        QuoteScope::new("https://api.example.com", "GET /weather/{x}", "GET", "/weather/oslo", Some("d=1")),
        // The same text, cut at other places.
        QuoteScope::new(
            "https://api.example.comG",
            "ET /weather/{city}",
            "GET",
            "/weather/oslo",
            Some("d=1"),
        ),
        scope("GET/weather", "/oslo", Some("d=1")),
    ] {
        assert!(matches!(check(other.clone()), QuoteCheck::ResourceMismatch(_)), "{other:?}");
    }
}

#[test]
fn every_altered_term_breaks_the_seal() {
    type Change = fn(&mut v2::PaymentRequirements);
    let sealer = sealer(1);
    let extra = |accepted: &mut v2::PaymentRequirements, name: &str, value: Value| {
        accepted.extra.as_mut().unwrap().insert(name.to_owned(), value);
    };
    let changes: [Change; 8] = [
        |accepted| accepted.scheme = "upto".to_owned(),
        |accepted| accepted.network = "eip155:8453".to_owned(),
        |accepted| accepted.amount = "9999".to_owned(),
        |accepted| accepted.asset = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned(),
        |accepted| accepted.pay_to = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned(),
        |accepted| accepted.max_timeout_seconds = 301,
        |accepted| drop(accepted.extra.as_mut().unwrap().remove("name")),
        |accepted| std::mem::swap(&mut accepted.asset, &mut accepted.pay_to),
    ];
    let accepted = &offered(&sealer, &[option(10_000)], 7)[0];
    for (index, change) in changes.into_iter().enumerate() {
        let mut altered = accepted.clone();
        change(&mut altered);
        assert_eq!(open(&sealer, &altered, NOW), QuoteCheck::Invalid, "change {index}");
    }
    for (name, value) in [
        ("name", json!("USD Coin")),
        ("version", json!(2)),
        ("assetTransferMethod", json!("permit2")),
        ("paymentFlow", json!("upfront")),
        ("paymentFlow", Value::Null),
    ] {
        let mut altered = accepted.clone();
        extra(&mut altered, name, value);
        assert_eq!(open(&sealer, &altered, NOW), QuoteCheck::Invalid, "{name}");
    }
    let mut harmless = accepted.clone();
    harmless.asset = harmless.asset.to_lowercase();
    extra(&mut harmless, "feePayer", json!("added by the client"));
    assert!(matches!(open(&sealer, &harmless, NOW), QuoteCheck::Valid(_)));
}

#[test]
fn every_altered_character_of_a_quote_is_noticed() {
    let sealer = sealer(1);
    let accepted = &offered(&sealer, &[option(1)], 7)[0];
    for name in ["id", "nonce", "resource", "key", "seal"] {
        let text = accepted.extra.as_ref().unwrap()[MEMBER][name].as_str().unwrap().to_owned();
        for index in 0..text.len() {
            let mut altered = accepted.clone();
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            *member(&mut altered, name) = String::from_utf8(bytes).unwrap().into();
            let check = open(&sealer, &altered, NOW);
            let wanted = if name == "key" { QuoteCheck::Absent } else { QuoteCheck::Invalid };
            assert_eq!(check, wanted, "{name} {index}");
        }
        for other in [Value::Null, json!(1), json!(""), json!(format!("{text}=")), json!(format!("{text}A"))]
        {
            let mut altered = accepted.clone();
            *member(&mut altered, name) = other;
            assert!(!matches!(open(&sealer, &altered, NOW), QuoteCheck::Valid(_)), "{name}");
        }
    }
    for name in ["issuedAt", "expiresAt"] {
        for other in [json!(NOW - 1), json!(NOW.to_string()), json!(-1), json!(1.5), Value::Null] {
            let mut altered = accepted.clone();
            *member(&mut altered, name) = other;
            assert_eq!(open(&sealer, &altered, NOW), QuoteCheck::Invalid, "{name}");
        }
    }
}

#[test]
fn parts_of_two_quotes_do_not_fit_together() {
    let sealer = sealer(1);
    let (one, two) = (&offered(&sealer, &[option(1), option(2)], 7), &offered(&sealer, &[option(1)], 8)[0]);
    for name in ["id", "nonce", "seal"] {
        let mut spliced = one[0].clone();
        *member(&mut spliced, name) = two.extra.as_ref().unwrap()[MEMBER][name].clone();
        assert_eq!(open(&sealer, &spliced, NOW), QuoteCheck::Invalid, "{name}");
    }
    let mut cheaper = one[1].clone();
    cheaper.extra.as_mut().unwrap()[MEMBER] = one[0].extra.as_ref().unwrap()[MEMBER].clone();
    assert_eq!(open(&sealer, &cheaper, NOW), QuoteCheck::Invalid);
}

#[test]
fn quotes_of_the_last_key_stay_good_and_of_unknown_keys_count_as_none() {
    let accepted = &offered(&sealer(1), &[option(1)], 7)[0];
    let rotated = QuoteSealer::new(&key(2), &[key(1)]);
    assert!(matches!(open(&rotated, accepted, NOW), QuoteCheck::Valid(_)));
    assert_eq!(open(&sealer(2), accepted, NOW), QuoteCheck::Absent);
    let renewed = &offered(&rotated, &[option(1)], 7)[0];
    assert_eq!(open(&sealer(1), renewed, NOW), QuoteCheck::Absent);
    assert!(matches!(open(&sealer(2), renewed, NOW), QuoteCheck::Valid(_)));
    assert_eq!(open(&rotated, &option(1).to_v2(), NOW), QuoteCheck::Absent);
}

#[test]
fn times_of_any_length_stay_readable() {
    for now in [0, 1, 999_999_999, 9_999_999_999, u64::MAX] {
        let fields = Fields {
            id: [0; 16],
            nonce: [0; 16],
            issued_at: UnixSeconds::new(now.min(9_999_999_999)),
            expires_at: UnixSeconds::new(0),
            resource: [0; 32],
        };
        let mut quote = text(&fields, b"AAAAAAAA").to_vec();
        quote.extend_from_slice(&[b'A'; SEAL_TEXT]);
        quote.extend_from_slice(b"\"}");
        let quote: Value = serde_json::from_slice(&quote).unwrap();
        assert_eq!(quote["issuedAt"], now.min(9_999_999_999));
    }
}

#[test]
fn lifetimes_are_bounded() {
    assert_eq!(QuoteLifetime::default().get(), Duration::from_secs(120));
    for (seconds, good) in [(0, false), (1, true), (600, true), (601, false)] {
        assert_eq!(QuoteLifetime::new(Duration::from_secs(seconds)).is_ok(), good, "{seconds}");
    }
}

#[test]
fn the_nonce_tells_how_tightly_a_payment_is_tied() {
    let sealer = sealer(1);
    let accepted = offered(&sealer, &[option(1)], 7).remove(0);
    let QuoteCheck::Valid(quote) = open(&sealer, &accepted, NOW) else { panic!("not valid") };
    let salt = [9; 32];
    let nonce = quote_binding_nonce(&quote_digest(&accepted).unwrap(), &salt);
    let extensions = |salt: Value| json!({ QUOTE_BINDING: { "info": { "version": "1", "salt": salt } } });
    let payment = |extensions: Value| v2::PaymentPayload {
        x402_version: V2,
        accepted: accepted.clone(),
        payload: Value::Null,
        resource: None,
        extensions: extensions.as_object().cloned(),
    };
    let signed = payment(extensions(json!(format!("0x{}", "09".repeat(32)))));
    assert_eq!(binding_level(&signed, Some(&quote), &nonce), BindingLevel::SignedQuote);
    assert_eq!(binding_level(&signed, Some(&quote), &[0; 32]), BindingLevel::Quote);
    assert_eq!(binding_level(&signed, None, &nonce), BindingLevel::Terms);
    for other in [json!(null), json!("09".repeat(32)), json!("0x09"), json!(format!("0x{}", "08".repeat(32)))]
    {
        let payment = payment(extensions(other));
        assert_eq!(binding_level(&payment, Some(&quote), &nonce), BindingLevel::Quote);
    }
    assert_eq!(binding_level(&payment(Value::Null), Some(&quote), &nonce), BindingLevel::Quote);
    assert!(BindingLevel::Terms < BindingLevel::Quote && BindingLevel::Quote < BindingLevel::SignedQuote);
}
