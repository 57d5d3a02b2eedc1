use serde_json::json;

use super::*;
use crate::{
    price::NetworkId,
    scheme::{ExactEvmStructure, Scheme, UptoEvmStructure},
    time::UnixSeconds,
};

const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const PAYER: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const FACILITATOR: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
const OTHER: &str = "0x1111111111111111111111111111111111111111";

fn option() -> PriceOption {
    PriceOption::new(NetworkId::new("eip155:84532").unwrap(), USDC, 10_000, PAYEE)
}

fn exact() -> PriceOption {
    option().permit2()
}

fn upto() -> PriceOption {
    option().upto(FACILITATOR)
}

fn payload(option: &PriceOption) -> Value {
    let spender = if option.is_upto() { UPTO_PERMIT2_PROXY } else { EXACT_PERMIT2_PROXY };
    let mut payload = json!({
        "signature": "0x0102",
        "permit2Authorization": {
            "from": PAYER,
            "permitted": { "token": USDC, "amount": "10000" },
            "spender": spender.to_string(),
            "nonce": "123456789",
            "deadline": "1900000000",
            "witness": { "to": PAYEE, "validAfter": "0" },
        },
    });
    if option.is_upto() {
        payload["permit2Authorization"]["witness"]["facilitator"] = FACILITATOR.into();
    }
    payload
}

fn read(payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
    if option.is_upto() {
        UptoEvmStructure.read(payload, option)
    } else {
        ExactEvmStructure.read(payload, option)
    }
}

fn verdict(payload: &Value, option: &PriceOption) -> Result<(), RejectReason> {
    match read(payload, option)?.message {
        SignedMessage::Permit2(message) => message.answers(option),
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_are_those_of_the_protocol() {
    for (address, text) in [
        (PERMIT2, "0x000000000022D473030F116dDEE9F6B43aC78BA3"),
        (EXACT_PERMIT2_PROXY, "0x402085c248EeA27D92E8b30b2C58ed07f9E20001"),
        (UPTO_PERMIT2_PROXY, "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002"),
    ] {
        assert_eq!(address.to_string(), text);
    }
}

#[test]
fn a_payload_becomes_an_authorization() {
    for option in [exact(), upto()] {
        let authorization = read(&payload(&option), &option).unwrap();
        assert_eq!((authorization.payer.as_str(), authorization.recipient.as_str()), (PAYER, PAYEE));
        assert_eq!(authorization.amount, option.amount);
        assert_eq!(authorization.valid_after, UnixSeconds::new(0));
        assert_eq!(authorization.valid_before, UnixSeconds::new(1_900_000_001), "the deadline is still good");
        assert_eq!(authorization.nonce, U256::from(123_456_789).to_be_bytes());
        assert!(!format!("{authorization:?}").contains("0102"), "no signature in debug output");
        assert_eq!(verdict(&payload(&option), &option), Ok(()));
    }
}

#[test]
fn one_nonce_is_one_payment_over_all_schemes_and_tokens() {
    let exact_key = read(&payload(&exact()), &exact()).unwrap().key;
    assert_eq!(read(&payload(&upto()), &upto()).unwrap().key, exact_key);
    let mut other = payload(&exact());
    other["permit2Authorization"]["permitted"]["token"] = OTHER.into();
    other["permit2Authorization"]["nonce"] = "0x75bcd15".into();
    assert_eq!(read(&other, &exact()).unwrap().key, exact_key, "hexadecimal is the same nonce");
    other["permit2Authorization"]["nonce"] = "123456790".into();
    assert_ne!(read(&other, &exact()).unwrap().key, exact_key);
}

#[test]
fn every_signed_value_takes_part_in_the_digest() {
    let digest = |change: fn(&mut Value)| {
        let mut payload = payload(&upto());
        change(&mut payload);
        read(&payload, &upto()).unwrap().digest
    };
    let changes: [fn(&mut Value); 10] = [
        |_| {},
        |p| p["signature"] = "0x0103".into(),
        |p| p["permit2Authorization"]["from"] = OTHER.into(),
        |p| p["permit2Authorization"]["permitted"]["token"] = OTHER.into(),
        |p| p["permit2Authorization"]["permitted"]["amount"] = "10001".into(),
        |p| p["permit2Authorization"]["spender"] = OTHER.into(),
        |p| p["permit2Authorization"]["nonce"] = "1".into(),
        |p| p["permit2Authorization"]["deadline"] = "1".into(),
        |p| p["permit2Authorization"]["witness"]["to"] = OTHER.into(),
        |p| p["permit2Authorization"]["witness"]["facilitator"] = OTHER.into(),
    ];
    let mut digests: Vec<_> = changes.into_iter().map(digest).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 10);
    assert_eq!(digest(|p| p["permit2Authorization"]["nonce"] = "0x75bcd15".into()), digest(|_| {}));
}

#[test]
fn what_differs_from_our_terms_is_refused() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 5] = [
        (|p| p["permit2Authorization"]["spender"] = OTHER.into(), "invalid_permit2_spender"),
        (|p| p["permit2Authorization"]["witness"]["to"] = OTHER.into(), "invalid_permit2_recipient_mismatch"),
        (|p| p["permit2Authorization"]["permitted"]["amount"] = "9999".into(), "permit2_amount_mismatch"),
        (|p| p["permit2Authorization"]["permitted"]["amount"] = "10001".into(), "permit2_amount_mismatch"),
        (|p| p["permit2Authorization"]["permitted"]["token"] = OTHER.into(), "permit2_token_mismatch"),
    ];
    for option in [exact(), upto()] {
        for (change, code) in cases {
            let mut payload = payload(&option);
            change(&mut payload);
            assert_eq!(verdict(&payload, &option).unwrap_err().permit2_code(), code);
        }
    }
    let mut other = payload(&upto());
    other["permit2Authorization"]["witness"]["facilitator"] = OTHER.into();
    assert_eq!(verdict(&other, &upto()).unwrap_err().code(), "upto_facilitator_mismatch");
    let mut nobody = upto();
    std::sync::Arc::make_mut(&mut nobody.extra).remove("facilitatorAddress");
    assert_eq!(verdict(&payload(&upto()), &nobody).unwrap_err().code(), "upto_facilitator_mismatch");
}

#[test]
fn proxies_are_not_mixed_up() {
    for (option, other) in [(exact(), UPTO_PERMIT2_PROXY), (upto(), EXACT_PERMIT2_PROXY)] {
        let mut payload = payload(&option);
        payload["permit2Authorization"]["spender"] = other.to_string().into();
        assert_eq!(verdict(&payload, &option).unwrap_err().code(), "invalid_permit2_spender");
    }
}

#[test]
fn payloads_of_another_method_are_refused() {
    let eip3009 = json!({
        "signature": "0x01",
        "authorization": {
            "from": PAYER, "to": PAYEE, "value": "10000", "validAfter": "0", "validBefore": "1900000000",
            "nonce": format!("0x{}", "0".repeat(64)),
        },
    });
    let mut both = payload(&exact());
    both["authorization"] = eip3009["authorization"].clone();
    let is_refused = |payload: &Value, option: &PriceOption| {
        matches!(read(payload, option), Err(RejectReason::InvalidPayload(_)))
    };
    assert!(ExactEvmStructure.read(&eip3009, &option()).is_ok());
    assert!(is_refused(&payload(&exact()), &option()), "permit2 where EIP-3009 is asked for");
    for option in [exact(), upto()] {
        assert!(is_refused(&eip3009, &option), "EIP-3009 where permit2 is asked for");
        assert!(is_refused(&both, &option), "both");
    }
    assert!(is_refused(&both, &option()), "both");
    assert!(is_refused(&payload(&upto()), &exact()), "a facilitator in exact");
    assert!(is_refused(&payload(&exact()), &upto()), "no facilitator in upto");
}

#[test]
fn malformed_members_are_named() {
    for pointer in [
        "/permit2Authorization",
        "/permit2Authorization/from",
        "/permit2Authorization/permitted",
        "/permit2Authorization/permitted/token",
        "/permit2Authorization/permitted/amount",
        "/permit2Authorization/spender",
        "/permit2Authorization/nonce",
        "/permit2Authorization/deadline",
        "/permit2Authorization/witness",
        "/permit2Authorization/witness/to",
        "/permit2Authorization/witness/facilitator",
        "/permit2Authorization/witness/validAfter",
        "/signature",
    ] {
        for bad in [json!("x"), json!(7), json!("0x"), Value::Null, json!([])] {
            if pointer == "/signature" && bad == "0x" {
                continue;
            }
            let mut payload = payload(&upto());
            *payload.pointer_mut(pointer).unwrap() = bad.clone();
            assert!(
                matches!(read(&payload, &upto()), Err(RejectReason::InvalidPayload(_))),
                "{pointer} {bad}"
            );
        }
    }
}
