//! Messages made by the official SDKs (`tests/data/vectors`), read and written at the level of the wire.
//!
//! Every file is used, and each states how many cases it has, so that none can vanish unseen. JSON is
//! compared as values: the order of members differs between SDKs.

use std::{fs, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use x402_core::{
    error::Malformed,
    order::PaymentId,
    wire::{
        PaymentPayload, PaymentRequirements, Presented, X402Version, decode_payment,
        extension::{
            EIP2612_GAS_SPONSORING, PAYMENT_IDENTIFIER, eip2612_gas_sponsoring_declaration,
            payment_id_declaration, read_payment_id,
        },
        facilitator::{FacilitatorRequest, SupportedResponse, VerifyResponse},
        header::{self, decode_json},
        v1, v2,
    },
};

/// The files, and how many cases each has.
const FILES: [(&str, usize); 12] = [
    ("edge-payments.json", 6),
    ("facilitator-supported.json", 1),
    ("facilitator-v1.json", 33),
    ("facilitator-v2.json", 59),
    ("payment-identifier-ids.json", 7),
    ("payment-identifier.json", 4),
    ("settlement-headers.json", 7),
    ("svm-exact.json", 3),
    ("v1-exact-evm.json", 8),
    ("v2-exact-eip3009.json", 12),
    ("v2-exact-permit2.json", 4),
    ("v2-upto.json", 4),
];

/// Challenges may be longer than payments.
const LIMIT: usize = 64 * 1024;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "tests", "data", "vectors"].iter().collect()
}

/// The cases of a file, after checking that all are there.
fn cases(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let content: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(cases) = content["cases"].clone() else { panic!("{file} has no cases") };
    let (_, count) = FILES.iter().find(|(name, _)| *name == file).unwrap();
    assert_eq!(cases.len(), *count, "number of cases in {file}");
    println!("{file}: {count} cases");
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

fn name(case: &Value) -> &str {
    text(&case["name"])
}

/// Reads JSON as `T`, writes it again, and finds nothing lost or invented.
fn same_after_reading<T: DeserializeOwned + Serialize>(json: &Value, at: &str) -> T {
    let message: T =
        serde_json::from_str(&json.to_string()).unwrap_or_else(|error| panic!("{at}: {error}: {json}"));
    assert_eq!(&serde_json::to_value(&message).unwrap(), json, "{at}");
    message
}

/// Reads a header as `T`: its content is `decoded`, and so is that of the header we write.
fn same_header<T: DeserializeOwned + Serialize>(raw: &Value, decoded: &Value, at: &str) -> T {
    let message: T = decode_json(text(raw).as_bytes(), LIMIT).unwrap_or_else(|error| panic!("{at}: {error}"));
    assert_eq!(&serde_json::to_value(&message).unwrap(), decoded, "{at}");
    let again: Value = decode_json(&header::encode(&message), LIMIT).unwrap();
    assert_eq!(&again, decoded, "{at}");
    message
}

/// Reads a payment header: its JSON is `decoded`, and so is that of the header we write.
fn same_payment(raw: &Value, decoded: &Value, version: X402Version, at: &str) -> Presented {
    let presented = decode_payment(text(raw).as_bytes()).unwrap_or_else(|error| panic!("{at}: {error}"));
    assert_eq!(&serde_json::from_str::<Value>(presented.json.get()).unwrap(), decoded, "{at}");
    assert_eq!(presented.payment.version(), version, "{at}");
    assert_eq!(presented.payment.scheme_payload(), &decoded["payload"], "{at}");
    let header = match &presented.payment {
        PaymentPayload::V1(payment) => header::encode(payment),
        PaymentPayload::V2(payment) => header::encode(payment),
    };
    assert_eq!(&decode_json::<Value>(&header, LIMIT).unwrap(), decoded, "{at}");
    presented
}

fn raw_json(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn same_terms(version: X402Version, json: &Value, at: &str) -> PaymentRequirements {
    let terms = PaymentRequirements::from_json(version, &raw_json(json))
        .unwrap_or_else(|error| panic!("{at}: {error}"));
    assert_eq!(&serde_json::to_value(&terms).unwrap(), json, "{at}");
    terms
}

/// Reads a facilitator's request as its server does, and writes it as its client does.
fn same_request(request: &Value, at: &str) {
    let read: FacilitatorRequest<'_> = same_after_reading(request, at);
    let payment = read.payment().unwrap_or_else(|error| panic!("{at}: {error}"));
    assert_eq!(payment.version(), read.x402_version, "{at}");

    let payload = raw_json(&request["paymentPayload"]);
    let terms = same_terms(read.x402_version, &request["paymentRequirements"], at);
    let written = serde_json::to_value(FacilitatorRequest::new(&payload, &terms)).unwrap();
    assert_eq!(&written, request, "{at}");
}

/// Checks one exchange with a facilitator.
fn same_exchange(exchange: &Value, at: &str) {
    same_request(&exchange["request"], at);
    match (text(&exchange["op"]), exchange.get("response")) {
        ("verify", Some(response)) => {
            let answer: VerifyResponse = same_after_reading(response, at);
            assert_eq!(answer.is_valid, answer.invalid_reason.is_none(), "{at}");
        }
        ("settle", Some(response)) => {
            let answer: v2::SettlementResponse = same_after_reading(response, at);
            assert_eq!(answer.success, answer.error_reason.is_none(), "{at}");
        }
        (_, None) => assert!(exchange["threw"].is_string(), "{at}"),
        (other, _) => panic!("{at}: unknown op {other}"),
    }
}

fn same_exchanges(case: &Value) {
    for exchange in case["facilitator"].as_array().into_iter().flatten() {
        same_exchange(exchange, name(case));
    }
}

/// Checks one purchase of version 2: the challenge, the payment and, where it was settled, the rest.
fn same_purchase(case: &Value) -> (v2::PaymentRequired, v2::PaymentPayload) {
    let at = name(case);
    let unpaid = &case["unpaid"];
    let challenge: v2::PaymentRequired = same_after_reading(&unpaid["paymentRequired"], at);
    let header = &unpaid["headers"]["PAYMENT-REQUIRED"];
    assert_eq!(same_header::<v2::PaymentRequired>(header, &unpaid["paymentRequired"], at), challenge);

    let sent = &case["paymentSignature"];
    let presented = same_payment(&sent["header"], &sent["decoded"], X402Version::V2, at);
    let PaymentPayload::V2(payment) = presented.payment else { unreachable!("checked above") };
    assert!(challenge.accepts.contains(&payment.accepted), "{at}");
    assert_eq!(payment.resource.as_ref(), Some(&challenge.resource), "{at}");

    same_exchanges(case);
    if let Some(receipt) = case.get("paymentResponse") {
        same_header::<v2::SettlementResponse>(&receipt["header"], &receipt["decoded"], at);
    }
    (challenge, payment)
}

#[test]
fn no_file_is_left_out() {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut found: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    found.retain(|name| name.ends_with(".json"));
    found.sort();
    assert_eq!(found, FILES.map(|(name, _)| name));
}

#[test]
fn v1_exact_evm() {
    for case in cases("v1-exact-evm.json") {
        let at = name(&case);
        let unpaid = &case["unpaid"];
        let challenge: v1::PaymentRequired = same_after_reading(&unpaid["body"], at);
        if let Some(body) = unpaid.get("bodyText") {
            assert_eq!(serde_json::from_str::<v1::PaymentRequired>(text(body)).unwrap(), challenge, "{at}");
        }
        let sent = &case["xPayment"];
        same_payment(&sent["header"], &sent["decoded"], X402Version::V1, at);
        same_exchanges(&case);
        if let Some(receipt) = case.get("xPaymentResponse") {
            same_header::<v1::SettlementResponse>(&receipt["header"], &receipt["decoded"], at);
            assert_eq!(case["paid"]["headers"][header::X_PAYMENT_RESPONSE], receipt["header"], "{at}");
        }
    }
}

#[test]
fn v2_exact_eip3009() {
    for case in cases("v2-exact-eip3009.json") {
        same_purchase(&case);
    }
}

#[test]
fn v2_exact_permit2() {
    for case in cases("v2-exact-permit2.json") {
        same_purchase(&case);
    }
}

#[test]
fn v2_upto() {
    for case in cases("v2-upto.json") {
        same_purchase(&case);
    }
}

#[test]
fn payment_identifier() {
    for case in cases("payment-identifier.json") {
        let at = name(&case);
        let (challenge, payment) = same_purchase(&case);
        let declared = &challenge.extensions.unwrap()[PAYMENT_IDENTIFIER];
        let required = declared["info"]["required"].as_bool().unwrap();
        assert_eq!(&payment_id_declaration(required), declared, "{at}");

        let sent = &case["paymentSignature"]["decoded"]["extensions"][PAYMENT_IDENTIFIER]["info"]["id"];
        let wanted = match sent.as_str() {
            Some(id) => Ok(Some(PaymentId::new(id).unwrap())),
            None if required => Err(Malformed::PaymentIdentifierRequired),
            None => Ok(None),
        };
        assert_eq!(read_payment_id(payment.extensions.as_ref(), required), wanted, "{at}");
        assert_eq!(sent.is_string(), at.ends_with("-given"), "{at}");
    }
}

#[test]
fn approvals_are_asked_for_as_the_official_server_does() {
    let declared = cases("v2-exact-permit2.json").into_iter().filter_map(|case| {
        let extensions = &case["unpaid"]["paymentRequired"]["extensions"];
        extensions.get(EIP2612_GAS_SPONSORING).cloned()
    });
    assert_eq!(declared.collect::<Vec<_>>(), [eip2612_gas_sponsoring_declaration()]);
}

#[test]
fn payment_identifier_ids() {
    for case in cases("payment-identifier-ids.json") {
        let id = PaymentId::new(text(&case["id"]));
        assert_eq!(id.is_ok(), case["valid"].as_bool().unwrap(), "{case}");
    }
}

#[test]
fn facilitator_v1() {
    for case in cases("facilitator-v1.json") {
        assert_eq!(case["path"], format!("/{}", text(&case["op"])));
        same_exchange(&case, name(&case));
    }
}

#[test]
fn facilitator_v2() {
    let cases = cases("facilitator-v2.json");
    for case in &cases {
        assert_eq!(case["path"], format!("/{}", text(&case["op"])));
        same_exchange(case, name(case));
    }
    assert_eq!(cases.iter().filter(|case| case.get("threw").is_some()).count(), 2);
}

#[test]
fn facilitator_supported() {
    for case in cases("facilitator-supported.json") {
        let supported: SupportedResponse = same_after_reading(&case["response"], "supported");
        let versions: Vec<_> = supported.kinds.iter().map(|kind| kind.x402_version).collect();
        assert_eq!(versions, [X402Version::V2, X402Version::V2, X402Version::V1]);
    }
}

#[test]
fn settlement_headers() {
    for case in cases("settlement-headers.json") {
        let at = name(&case);
        let header = if at.starts_with("v1-") { "X-PAYMENT-RESPONSE" } else { "PAYMENT-RESPONSE" };
        let receipt: v2::SettlementResponse = same_header(&case[header], &case["decoded"], at);
        assert_eq!(receipt.success, !at.contains("failure"), "{at}");
    }
}

#[test]
fn svm_exact() {
    for case in cases("svm-exact.json") {
        let at = name(&case);
        if at.ends_with("-v1") {
            same_after_reading::<v1::PaymentRequired>(&case["paymentRequired"], at);
            same_payment(&case["X-PAYMENT"], &case["decoded"], X402Version::V1, at);
        } else {
            same_after_reading::<v2::PaymentRequired>(&case["paymentRequired"], at);
            same_payment(&case["PAYMENT-SIGNATURE"], &case["decoded"], X402Version::V2, at);
        }
    }
}

#[test]
fn edge_payments() {
    for case in cases("edge-payments.json") {
        let wanted = match (name(&case), text(&case["expect"])) {
            (_, "pay") => Ok(()),
            ("header-plain-json", "never unpaid") => Err(Malformed::NotBase64),
            ("header-only-padding", "refuse") => Err(Malformed::NotBase64),
            ("header-json-null", "refuse") => Err(Malformed::NotAPayment),
            ("header-json-truncated", "refuse") => Err(Malformed::NotJson),
            (other, expect) => panic!("no answer written down for {other} ({expect})"),
        };
        for version in [X402Version::V1, X402Version::V2] {
            let dialect = format!("v{}", version.number());
            let at = format!("{} {dialect}", name(&case));
            let presented = decode_payment(text(&case[&dialect]["header"]).as_bytes());
            if let Ok(presented) = &presented {
                assert_eq!(presented.payment.version(), version, "{at}");
            }
            assert_eq!(presented.map(drop), wanted, "{at}");
            same_terms(version, &case[&dialect]["requirements"], &at);
        }
    }
}
