//! Payments that are well made and not what is asked for: 402 with the reason and fresh terms, and no trace.

use serde_json::Value;
use x402_tests::{Books, Challenge, FUNDS, Framework, Payment, Request, Shop, Window, now};

through_every_adapter!(
    version_2_is_told_why,
    version_1_is_told_why,
    the_echo_is_never_the_authority,
    a_poor_payer_is_told,
    an_account_that_may_not_pay_is_told,
);

/// Who told their client to sign what.
struct Case {
    what: &'static str,
    payment: Payment,
    v2: &'static str,
    v1: &'static str,
}

/// Changes the signed terms; the echo stays what the server sent.
fn signing(pointer: &'static str, value: &'static str) -> impl Fn(&Value) -> Value {
    move |terms| {
        let mut signed = terms.clone();
        *signed.pointer_mut(pointer).unwrap() = value.into();
        signed
    }
}

fn cases(pay: impl Fn(&dyn Fn(&Value) -> Value, Window) -> Payment) -> Vec<Case> {
    let honest = Value::clone;
    let usual = Window::default;
    let twist = |payment: Payment, change: fn(&mut Vec<u8>)| {
        payment.with(|json| {
            let text = json["payload"]["signature"].as_str().unwrap()[2..].to_owned();
            let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            let mut bytes: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
            change(&mut bytes);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json["payload"]["signature"] = format!("0x{hex}").into();
        })
    };
    let mut cases = Vec::new();
    let mut case = |what, payment, v2, v1| cases.push(Case { what, payment, v2, v1 });
    let amount = (
        "invalid_exact_evm_payload_authorization_value_mismatch",
        "invalid_exact_evm_payload_authorization_value",
    );
    for (what, value) in
        [("one unit less", "999"), ("one unit more", "1001"), ("nothing", "0"), ("a lot", "1000000")]
    {
        case(what, pay(&signing("/amount", value), usual()), amount.0, amount.1);
    }
    let stranger = signing("/payTo", "0x1111111111111111111111111111111111111111");
    case(
        "another recipient",
        pay(&stranger, usual()),
        "invalid_exact_evm_recipient_mismatch",
        "invalid_exact_evm_payload_recipient_mismatch",
    );
    let signature = ("invalid_exact_evm_signature", "invalid_exact_evm_payload_signature");
    for (what, pointer, value) in [
        ("another chain's domain", "/network", "eip155:8453"),
        ("another token's domain", "/asset", "0x2222222222222222222222222222222222222222"),
        ("another name in the domain", "/extra/name", "USD Coin"),
        ("another version of the domain", "/extra/version", "1"),
    ] {
        case(what, pay(&signing(pointer, value), usual()), signature.0, signature.1);
    }
    case("a flipped bit", twist(pay(&honest, usual()), |bytes| bytes[40] ^= 1), signature.0, signature.1);
    let changed_nonce = pay(&honest, usual())
        .with(|json| json["payload"]["authorization"]["nonce"] = format!("0x{}", "77".repeat(32)).into());
    case("a nonce that was not signed", changed_nonce, signature.0, signature.1);
    let other_payer = pay(&honest, usual()).with(|json| {
        json["payload"]["authorization"]["from"] = devchain::accounts()[2].address.into();
    });
    case("somebody else's money", other_payer, signature.0, signature.1);
    let malformed = ("invalid_exact_evm_failed_to_parse_signature", "invalid_exact_evm_payload_signature");
    case("a byte too many", twist(pay(&honest, usual()), |bytes| bytes.push(0)), malformed.0, malformed.1);
    case(
        "a byte too few",
        twist(pay(&honest, usual()), |bytes| bytes.truncate(64)),
        malformed.0,
        malformed.1,
    );
    case("no such v", twist(pay(&honest, usual()), |bytes| bytes[64] = 5), malformed.0, malformed.1);
    case("zero for r", twist(pay(&honest, usual()), |bytes| bytes[..32].fill(0)), malformed.0, malformed.1);
    case(
        "the high twin of s",
        twist(pay(&honest, usual()), |bytes| high_twin(bytes)),
        malformed.0,
        malformed.1,
    );
    let before = "invalid_exact_evm_payload_authorization_valid_before";
    case("expired", pay(&honest, Window::seconds(0)), before, before);
    case("about to expire", pay(&honest, Window::seconds(3)), before, before);
    case("good for too long", pay(&honest, Window::seconds(3700)), before, before);
    let after = "invalid_exact_evm_payload_authorization_valid_after";
    case("not yet valid", pay(&honest, Window { valid_after: now() + 60, ..usual() }), after, after);
    cases
}

/// The other signature of the same message: s is n - s, and v the other one.
fn high_twin(bytes: &mut [u8]) {
    let mut borrow = 0_i16;
    for at in (0..32).rev() {
        let difference = i16::from(ORDER[at]) - i16::from(bytes[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        bytes[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    bytes[64] = if bytes[64] == 27 { 28 } else { 27 };
}

const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

fn version_2_is_told_why(framework: Framework) {
    let shop = Shop::open(framework);
    let challenge = shop.ask("/exact");
    for case in cases(|signed, window| shop.payer.v2_signing(&challenge, &signed(&challenge.terms()), window))
    {
        let response = shop.send(&Request::get("/exact").paying(&case.payment));
        let fresh = Challenge::of(&response);
        assert_eq!(fresh.v2["error"], case.v2, "{}", case.what);
        assert_ne!(
            fresh.terms()["extra"]["quote"]["id"],
            challenge.terms()["extra"]["quote"]["id"],
            "{}",
            case.what
        );
        assert_eq!(response.header("cache-control"), Some("no-store"), "{}", case.what);
        assert_eq!(response.header("payment-response"), None, "{}: nothing was settled", case.what);
    }
    assert_eq!(shop.books(), Books::empty());
    assert!(shop.server.deliveries().is_empty());
    assert_eq!(shop.chain.balance(shop.payer.address()).unwrap(), FUNDS);
}

fn version_1_is_told_why(framework: Framework) {
    let shop = Shop::open(framework);
    let challenge = shop.ask("/exact");
    for case in cases(|signed, window| shop.payer.v1_signing(&challenge, &signed(&challenge.terms()), window))
    {
        let response = shop.send(&Request::get("/exact").paying(&case.payment));
        assert_eq!(Challenge::of(&response).v1["error"], case.v1, "{}", case.what);
    }
    let elsewhere =
        |member: &str, value: &str| shop.payer.v1(&challenge).with(|json| json[member] = value.into());
    for payment in
        [elsewhere("network", "base"), elsewhere("network", "eip155:84532"), elsewhere("scheme", "upto")]
    {
        let response = shop.send(&Request::get("/exact").paying(&payment));
        assert_eq!(Challenge::of(&response).v1["error"], "Unable to find matching payment requirements");
    }
    assert_eq!(shop.books(), Books::empty());
}

/// Each member of the echo changed, alone and together with what was signed.
fn the_echo_is_never_the_authority(framework: Framework) {
    let shop = Shop::open(framework);
    let changes: [(&str, Value); 9] = [
        ("/scheme", "upto".into()),
        ("/network", "eip155:8453".into()),
        ("/network", "base-sepolia".into()),
        ("/amount", "1".into()),
        ("/amount", "01000".into()),
        ("/asset", "0x2222222222222222222222222222222222222222".into()),
        ("/payTo", shop.payer.address().into()),
        ("/maxTimeoutSeconds", 1.into()),
        ("/extra/name", "USD Coin".into()),
    ];
    for quoted in [true, false] {
        for (member, value) in &changes {
            for signed_too in [true, false] {
                let challenge = shop.ask("/exact");
                let mut terms = challenge.terms();
                if !quoted {
                    terms["extra"].as_object_mut().unwrap().remove("quote");
                }
                let original = terms.clone();
                *terms.pointer_mut(member).unwrap() = value.clone();
                let sign = if signed_too && is_signable(&terms) { &terms } else { &original };
                let payment = shop.payer.v2_signing(&challenge, sign, Window::default());
                let payment = payment.with(|json| json["accepted"] = terms.clone());
                let response = shop.send(&Request::get("/exact").paying(&payment));
                let what = format!("{member} {value}, quoted: {quoted}, signed: {signed_too}");
                let error = &Challenge::of(&response).v2["error"];
                let expected: &[&str] = match quoted {
                    true => &["quote_invalid", "No matching payment requirements", "unsupported_scheme"],
                    false => &["No matching payment requirements", "unsupported_scheme", "invalid_payload"],
                };
                assert!(expected.iter().any(|code| error == code), "{what}: {error}");
            }
        }
    }
    assert_eq!(shop.books(), Books::empty());
}

fn is_signable(terms: &Value) -> bool {
    terms["scheme"] == "exact"
        && terms["network"].as_str().unwrap().starts_with("eip155:")
        && terms["amount"] != "01000"
}

fn a_poor_payer_is_told(framework: Framework) {
    let shop = Shop::open(framework);
    let poor = x402_tests::Payer::of(&devchain::accounts()[3]);
    let challenge = shop.ask("/exact");
    for (payment, code) in [
        (poor.v2(&challenge), "invalid_exact_evm_insufficient_balance"),
        (poor.v1(&challenge), "insufficient_funds"),
    ] {
        let response = shop.send(&Request::get("/exact").paying(&payment));
        let challenge = Challenge::of(&response);
        let told = if payment.json["x402Version"] == 1 { challenge.v1 } else { challenge.v2 };
        assert_eq!(told["error"], code);
    }
    assert_eq!(shop.books(), Books::empty());
    // Funded, the very payment that was refused is good: nothing was kept against it.
    let payment = poor.v2(&shop.ask("/exact"));
    assert_eq!(shop.send(&Request::get("/exact").paying(&payment)).status, 402);
    shop.chain.mint(poor.address(), 1000).unwrap();
    assert_eq!(shop.send(&Request::get("/exact").paying(&payment)).status, 200);
    assert_eq!(shop.chain.balance(poor.address()).unwrap(), 0);
}

fn an_account_that_may_not_pay_is_told(framework: Framework) {
    let shop = Shop::open(framework);
    shop.chain.set_blacklisted(shop.payer.address(), true).unwrap();
    let payment = shop.payment_for("/exact");
    let response = shop.send(&Request::get("/exact").paying(&payment));
    assert_eq!(Challenge::of(&response).v2["error"], "invalid_exact_evm_transaction_simulation_failed");
    assert_eq!(shop.books(), Books::empty());
    shop.chain.set_blacklisted(shop.payer.address(), false).unwrap();
    assert_eq!(shop.send(&Request::get("/exact").paying(&payment)).status, 200);
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
}
