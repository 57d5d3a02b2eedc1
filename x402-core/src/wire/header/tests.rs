use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::{X402Version, v2};

fn v1() -> Value {
    json!({
        "x402Version": 1,
        "scheme": "exact",
        "network": "base-sepolia",
        "payload": { "signature": "0x1b", "authorization": { "value": "1000" } },
    })
}

fn v2() -> Value {
    json!({
        "x402Version": 2,
        "accepted": {
            "scheme": "exact",
            "network": "eip155:84532",
            "amount": "1000",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "payTo": "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
            "maxTimeoutSeconds": 300,
            "extra": { "name": "USDC", "version": "2" },
        },
        "payload": { "signature": "0x1b", "authorization": { "value": "1000" } },
        "resource": { "url": "https://api.example.com/weather", "description": "~~~???>>>" },
    })
}

/// `base` with the member at `pointer` replaced, added, or (`None`) taken away.
fn with(mut base: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = base.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    base
}

fn base64(json: &str) -> Vec<u8> {
    BASE64_STANDARD.encode(json).into_bytes()
}

fn decode(json: &str) -> Result<X402Version, Malformed> {
    decode_payment(&base64(json)).map(|presented| presented.payment.version())
}

#[test]
fn both_dialects_decode_by_their_own_number() {
    assert_eq!(decode(&v1().to_string()), Ok(X402Version::V1));
    assert_eq!(decode(&v2().to_string()), Ok(X402Version::V2));
}

#[test]
fn any_other_version_is_unknown() {
    for version in
        [json!(0), json!(3), json!("2"), json!(2.0), json!(true), json!(null), json!([2]), json!(-1)]
    {
        let message = with(v2(), "/x402Version", Some(version)).to_string();
        assert_eq!(decode(&message), Err(Malformed::UnknownVersion), "{message}");
    }
    assert_eq!(decode(&with(v2(), "/x402Version", None).to_string()), Err(Malformed::UnknownVersion));
    assert_eq!(decode("{}"), Err(Malformed::UnknownVersion));
}

#[test]
fn a_message_of_one_dialect_under_the_others_number_is_refused() {
    let crossed = [with(v1(), "/x402Version", Some(json!(2))), with(v2(), "/x402Version", Some(json!(1)))];
    for message in crossed {
        assert_eq!(decode(&message.to_string()), Err(Malformed::NotAPayment), "{message}");
    }
}

#[test]
fn one_form_of_base64_is_taken() {
    let padded = (0..3)
        .map(|spaces| base64(&(v2().to_string() + &" ".repeat(spaces))))
        .find(|text| text.ends_with(b"=="))
        .unwrap();
    let text = String::from_utf8(padded).unwrap();
    let bare = text.trim_end_matches('=');
    assert!(text.contains(['+', '/']), "the text has no character in which the alphabets differ");

    assert!(decode_payment(text.as_bytes()).is_ok());
    assert!(decode_payment(bare.as_bytes()).is_ok());
    let last = bare.chars().last().unwrap();
    let leftover = char::from(u8::try_from(last).unwrap() + 1);
    for other in [
        text.replace('+', "-").replace('/', "_"),
        format!("{bare}="),
        format!("{bare}==="),
        format!("{text}===="),
        format!("{}{leftover}==", bare.strip_suffix(last).unwrap()),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{}\r\n{}", &text[..76], &text[76..]),
        format!("{text},{text}"),
        format!("{text}{text}"),
        format!("{text}\0"),
        format!("{text}é"),
        v2().to_string(),
    ] {
        assert_eq!(decode_payment(other.as_bytes()).unwrap_err(), Malformed::NotBase64, "{other}");
    }
}

#[test]
fn the_limit_on_the_header_comes_first() {
    let garbage = |length| vec![b'!'; length];
    assert_eq!(decode_payment(&garbage(MAX_PAYMENT_HEADER)).unwrap_err(), Malformed::NotBase64);
    assert_eq!(decode_payment(&garbage(MAX_PAYMENT_HEADER + 1)).unwrap_err(), Malformed::HeaderTooLarge);

    let room = MAX_PAYMENT_HEADER / 4 * 3;
    let filled = |length: usize| {
        let message = v2().to_string();
        message.clone() + &" ".repeat(length - message.len())
    };
    for (length, answer) in [
        (room - 1, Ok(X402Version::V2)),
        (room, Ok(X402Version::V2)),
        (room + 1, Err(Malformed::HeaderTooLarge)),
    ] {
        assert_eq!(decode(&filled(length)), answer, "{length}");
    }
}

#[test]
fn only_whole_json_is_json() {
    let good = v2().to_string();
    let mut latin = good.clone().into_bytes();
    let inside = good.find("~~~").unwrap();
    latin[inside] = 0xe9;
    assert_eq!(decode_payment(BASE64_STANDARD.encode(latin).as_bytes()).unwrap_err(), Malformed::NotJson);
    for text in [
        String::new(),
        " ".to_owned(),
        format!("{good}{good}"),
        format!("{good}]"),
        format!("{good}\0"),
        format!("\u{feff}{good}"),
        good.replace("\"exact\"", "'exact'"),
        good.replace("300", "0300"),
        good.replace("300", "NaN"),
        good.replace("~~~", "\n"),
        good.replacen('{', "{,", 1),
    ] {
        assert_eq!(decode(&text), Err(Malformed::NotJson), "{text}");
    }
}

#[test]
fn limits_hold_inside_parts_nobody_reads() {
    let deep = |depth: usize| {
        json!(serde_json::from_str::<Value>(&("[".repeat(depth) + &"]".repeat(depth))).unwrap())
    };
    for message in [v1(), v2()] {
        let unknown = |value| with(message.clone(), "/unknown", Some(value)).to_string();
        assert!(decode(&unknown(deep(MAX_DEPTH - 1))).is_ok());
        assert_eq!(decode(&unknown(deep(MAX_DEPTH))), Err(Malformed::TooDeep));
        let many = |count| (0..count).map(|index| (format!("n{index}"), Value::Null)).collect();
        assert!(decode(&unknown(Value::Object(many(MAX_MEMBERS)))).is_ok());
        assert_eq!(decode(&unknown(Value::Object(many(MAX_MEMBERS + 1)))), Err(Malformed::TooManyMembers));
        let twice = unknown(json!(0)).replace(r#""unknown":0"#, r#""unknown":{"a":[{"b":1,"\u0062":2}]}"#);
        assert_eq!(decode(&twice), Err(Malformed::DuplicateKey));
    }
}

#[test]
fn json_hidden_in_a_string_stays_a_string() {
    let hidden = json!({ "$serde_json::private::RawValue": r#"{"signature":"0x1b"}"# });
    assert_eq!(decode(&with(v2(), "/payload", Some(hidden)).to_string()), Err(Malformed::NotAPayment));
}

#[test]
fn arrays_are_not_read_as_objects() {
    for message in [
        json!([1, "exact", "base-sepolia", {}]),
        json!(null),
        json!("payment"),
        json!(2),
        with(v1(), "/payload", Some(json!(["0x1b"]))),
        with(v2(), "/payload", Some(json!("0x1b"))),
        with(v2(), "/accepted", Some(json!(["exact", "eip155:84532", "1000", "0x03", "0x3C", 300, {}]))),
        with(v2(), "/resource", Some(json!(["https://api.example.com/weather"]))),
        with(v2(), "/extensions", Some(json!([]))),
    ] {
        assert_eq!(decode(&message.to_string()), Err(Malformed::NotAPayment), "{message}");
    }
}

#[test]
fn amounts_are_strings_and_times_out_are_numbers() {
    for (pointer, value) in [
        ("/accepted/amount", json!(1000)),
        ("/accepted/amount", json!(null)),
        ("/accepted/maxTimeoutSeconds", json!("300")),
        ("/accepted/maxTimeoutSeconds", json!(-1)),
        ("/accepted/maxTimeoutSeconds", json!(300.5)),
        ("/accepted/payTo", json!(0)),
    ] {
        let message = with(v2(), pointer, Some(value)).to_string();
        assert_eq!(decode(&message), Err(Malformed::NotAPayment), "{message}");
    }
}

#[test]
fn required_members_are_required() {
    let names = ["scheme", "network", "amount", "asset", "payTo", "maxTimeoutSeconds"];
    for pointer in names
        .map(|name| format!("/accepted/{name}"))
        .into_iter()
        .chain(["/payload".into(), "/accepted".into()])
    {
        let message = with(v2(), &pointer, None).to_string();
        assert_eq!(decode(&message), Err(Malformed::NotAPayment), "{message}");
    }
    for pointer in ["/scheme", "/network", "/payload"] {
        let message = with(v1(), pointer, None).to_string();
        assert_eq!(decode(&message), Err(Malformed::NotAPayment), "{message}");
    }
}

#[test]
fn optional_members_may_be_null() {
    for pointer in ["/resource", "/resource/description", "/resource/tags", "/accepted/extra", "/extensions"]
    {
        let message = with(v2(), pointer, Some(Value::Null)).to_string();
        assert_eq!(decode(&message), Ok(X402Version::V2), "{message}");
    }
}

#[test]
fn what_came_is_kept_to_the_letter() {
    let text =
        r#"{"zzz":1e400,"x402Version":1,"network":"n","scheme":"s","payload":{"n":1.000, "s":"\u0041"}}"#;
    let presented = decode_payment(&base64(&format!("\n {text} "))).unwrap();
    assert_eq!(presented.json.get(), text);
}

#[test]
fn debug_output_shows_no_payload() {
    for message in [v1(), v2()] {
        let presented = decode_payment(&encode(&message)).unwrap();
        let shown = format!("{presented:?}");
        assert!(shown.contains("exact") && !shown.contains("0x1b"), "{shown}");
    }
}

#[test]
fn members_come_out_in_the_specifications_order() {
    let PaymentPayload::V2(payment) = decode_payment(&encode(&v2())).unwrap().payment else { unreachable!() };
    let text = serde_json::to_string(&payment).unwrap();
    let names = ["x402Version", "accepted", "scheme", "network", "amount", "asset", "payTo"];
    let rest = ["maxTimeoutSeconds", "extra", "payload", "resource", "url", "description"];
    let at: Vec<_> =
        names.iter().chain(&rest).map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(at.is_sorted(), "{text}");
}

#[test]
fn other_headers_follow_the_same_rules_under_their_own_limit() {
    let receipt = json!({ "success": true, "transaction": "0xab", "network": "eip155:84532", "payer": null });
    let header = encode(&receipt);
    let decoded: v2::SettlementResponse = decode_json(&header, header.len()).unwrap();
    assert!(decoded.success && decoded.payer.is_none());

    let read = |header: &[u8], limit| decode_json::<v2::SettlementResponse>(header, limit).unwrap_err();
    assert_eq!(read(&header, header.len() - 1), Malformed::HeaderTooLarge);
    assert_eq!(read(&base64(r#"{"success":true,"success":false}"#), 1000), Malformed::DuplicateKey);
    assert_eq!(read(&base64(r#"[true,null,null,null,"",""]"#), 1000), Malformed::NotAPayment);
}

#[test]
fn every_truncation_is_refused() {
    for message in [v1(), v2()] {
        let header = base64(&message.to_string());
        for length in 0..header.len() {
            if &header[length..] == b"=" || &header[length..] == b"==" {
                continue; // only the padding is gone
            }
            assert!(decode_payment(&header[..length]).is_err(), "{length} of {}", header.len());
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(20, 200, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(decode_payment(&bytes).is_err());
        prop_assert!(decode_payment(BASE64_STANDARD.encode(&bytes).as_bytes()).is_err());
    }

    #[test]
    fn any_json_gets_an_answer(json in any_json()) {
        prop_assert!(decode_payment(&encode(&json)).is_err());
    }

    #[test]
    fn any_json_in_a_known_member_gets_an_answer(
        json in any_json(),
        pointer in prop::sample::select(vec![
            "/x402Version", "/accepted", "/accepted/amount", "/accepted/extra", "/payload", "/resource",
            "/resource/tags", "/extensions",
        ]),
    ) {
        let message = with(v2(), pointer, Some(json));
        if let Ok(presented) = decode_payment(&encode(&message)) {
            prop_assert_eq!(presented.json.get(), message.to_string());
            prop_assert_eq!(presented.payment.version(), X402Version::V2);
        }
    }

    #[test]
    fn damaged_headers_get_an_answer(
        version in 1..=2,
        inside in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3, any::<u8>()), 1..6),
    ) {
        let json = if version == 1 { v1() } else { v2() }.to_string().into_bytes();
        let mut bytes = if inside { json } else { BASE64_STANDARD.encode(json).into_bytes() };
        for (index, kind, byte) in edits {
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        let header = if inside { BASE64_STANDARD.encode(bytes).into_bytes() } else { bytes };
        if let Ok(presented) = decode_payment(&header) {
            let again = decode_payment(&base64(presented.json.get())).unwrap();
            prop_assert_eq!(again.json.get(), presented.json.get());
        }
    }
}
