//! Every message that the official SDKs made: hashed, proven and signed again. Here EIP-3009, in a module Permit2.

#![cfg(feature = "signer")]

mod permit2;

use serde_json::Value;
use x402_core::{
    error::RejectReason,
    price::{NetworkId, PriceOption},
    scheme::{Eip3009, EvmAddress, Proof, Scheme, SignedMessage},
    time::UnixSeconds,
    wire::v2,
};
use x402_evm::{
    AuthorizationWindow, Domain, EvmSigner, ExactEvm, domain_separator, signing_digest, transfer_hash,
};

struct Case {
    name: String,
    now: u64,
    payer_key: String,
    payload: Value,
    option: PriceOption,
    eip712: Value,
}

/// The cases of the three files that hold EIP-3009 payments, version 1 terms rewritten as version 2.
fn cases() -> Vec<Case> {
    ["v1-exact-evm", "v2-exact-eip3009", "payment-identifier"].iter().flat_map(|file| read(file)).collect()
}

fn read(file: &str) -> Vec<Case> {
    let path = format!("{}/../tests/data/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let content: Value = serde_json::from_str(&text).unwrap();
    content["cases"].as_array().unwrap().iter().map(case).collect()
}

fn case(case: &Value) -> Case {
    let (payload, accepted) = match case.get("xPayment") {
        Some(payment) => {
            let terms = case["unpaid"]["body"]["accepts"].as_array().unwrap();
            let network = &payment["decoded"]["network"];
            let terms = terms.iter().find(|terms| terms["network"] == *network).unwrap();
            (payment["decoded"]["payload"].clone(), from_v1(terms))
        }
        None => {
            let decoded = &case["paymentSignature"]["decoded"];
            (decoded["payload"].clone(), serde_json::from_value(decoded["accepted"].clone()).unwrap())
        }
    };
    Case {
        name: text(&case["name"]).to_owned(),
        now: case["now"].as_u64().unwrap(),
        payer_key: text(&case["payerKey"]).to_owned(),
        payload,
        option: PriceOption::from_v2(&accepted).unwrap(),
        eip712: case["eip712"].clone(),
    }
}

fn from_v1(terms: &Value) -> v2::PaymentRequirements {
    let mut terms = terms.clone();
    let network = NetworkId::from_v1_name(text(&terms["network"])).unwrap();
    terms["network"] = network.as_str().into();
    terms["amount"] = terms["maxAmountRequired"].clone();
    serde_json::from_value(terms).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn message(case: &Case) -> Eip3009 {
    Eip3009::read(&case.payload).unwrap()
}

#[test]
fn there_are_as_many_cases_as_the_files_say() {
    assert_eq!(cases().len(), 8 + 12 + 4);
}

#[test]
fn hashes_are_those_of_the_official_sdk() {
    for case in cases() {
        let domain = Domain::of(&case.option).unwrap();
        let message = message(&case);
        let separator = domain_separator(domain.name, domain.version, domain.chain_id, domain.token);
        assert_eq!(hex(&separator), text(&case.eip712["domainSeparator"]), "{}", case.name);
        assert_eq!(hex(&transfer_hash(&message)), text(&case.eip712["structHash"]), "{}", case.name);
        let digest = signing_digest(&separator, &transfer_hash(&message));
        assert_eq!(hex(&digest), text(&case.eip712["digest"]), "{}", case.name);
    }
}

#[test]
fn every_payment_is_proven() {
    let scheme = ExactEvm::new();
    for case in cases() {
        let authorization = scheme.read(&case.payload, &case.option).unwrap();
        assert_eq!(authorization.payer, text(&case.eip712["recovered"]), "{}", case.name);
        assert_eq!(scheme.prove(&authorization, &case.option), Ok(Proof::Signed), "{}", case.name);
        assert_eq!(authorization.amount, case.option.amount, "{}", case.name);
        assert!(authorization.recipient.eq_ignore_ascii_case(&case.option.pay_to), "{}", case.name);
        let now = UnixSeconds::new(case.now);
        assert!(authorization.valid_after <= now && now < authorization.valid_before, "{}", case.name);
    }
}

#[test]
fn signing_again_gives_the_same_signature() {
    for case in cases() {
        let message = message(&case);
        let window = AuthorizationWindow {
            valid_after: UnixSeconds::new(message.valid_after.to()),
            valid_before: UnixSeconds::new(message.valid_before.to()),
        };
        let signer = EvmSigner::from_hex(&case.payer_key).unwrap();
        let payload = signer.authorize(&case.option, window, message.nonce).unwrap();
        assert_eq!(payload, case.payload, "{}", case.name);
        assert_eq!(payload["signature"], case.eip712["signature"], "{}", case.name);
    }
}

#[test]
fn every_change_to_what_was_signed_is_refused() {
    let scheme = ExactEvm::new();
    let lenient = ExactEvm::new().contract_accounts(true);
    for case in cases() {
        let good = scheme.read(&case.payload, &case.option).unwrap();
        let changes: [fn(&mut Eip3009); 8] = [
            |m| m.from = EvmAddress::new([7; 20]),
            |m| m.to = EvmAddress::new([7; 20]),
            |m| m.value += ruint::aliases::U256::ONE,
            |m| m.valid_after += ruint::aliases::U256::ONE,
            |m| m.valid_before += ruint::aliases::U256::ONE,
            |m| m.nonce[31] ^= 1,
            |m| m.signature[31] ^= 1,
            |m| m.signature[64] ^= 7,
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut changed = good.clone();
            match &mut changed.message {
                SignedMessage::Eip3009(message) => change(message),
                other => panic!("{other:?}"),
            }
            let proof = scheme.prove(&changed, &case.option);
            assert_eq!(proof, Err(RejectReason::WrongSignature), "{} change {i}", case.name);
            assert_eq!(
                lenient.prove(&changed, &case.option),
                Ok(Proof::Contract),
                "{} change {i}",
                case.name
            );
        }
    }
}

#[test]
fn every_change_to_the_own_domain_is_refused() {
    let scheme = ExactEvm::new();
    for case in cases() {
        let good = scheme.read(&case.payload, &case.option).unwrap();
        let mut terms = case.option.to_v2();
        for (member, value) in [("name", "Other"), ("version", "9")] {
            let mut terms = terms.clone();
            terms.extra.get_or_insert_default().insert(member.to_owned(), value.into());
            let option = PriceOption::from_v2(&terms).unwrap();
            assert_eq!(
                scheme.prove(&good, &option),
                Err(RejectReason::WrongSignature),
                "{} {member}",
                case.name
            );
            let mut none = option.to_v2();
            none.extra.get_or_insert_default().remove(member);
            let missing = RejectReason::Other("invalid_exact_evm_missing_eip712_domain".into());
            assert_eq!(scheme.prove(&good, &PriceOption::from_v2(&none).unwrap()), Err(missing));
        }
        terms.network = "eip155:1".to_owned();
        let option = PriceOption::from_v2(&terms).unwrap();
        assert_eq!(scheme.prove(&good, &option), Err(RejectReason::WrongSignature), "{} chain", case.name);
        terms.network = case.option.network.to_string();
        terms.asset = "0x0000000000000000000000000000000000000001".to_owned();
        let option = PriceOption::from_v2(&terms).unwrap();
        assert_eq!(scheme.prove(&good, &option), Err(RejectReason::WrongSignature), "{} token", case.name);
    }
}

#[test]
fn signatures_of_another_length_are_malformed_unless_contract_accounts_are_allowed() {
    for case in cases() {
        for length in [0, 1, 64, 66, 1000] {
            let mut payload = case.payload.clone();
            payload["signature"] = hex(&vec![1; length]).into();
            let read = ExactEvm::new().read(&payload, &case.option).unwrap();
            assert_eq!(ExactEvm::new().prove(&read, &case.option), Err(RejectReason::MalformedSignature));
            let lenient = ExactEvm::new().contract_accounts(true);
            assert_eq!(lenient.prove(&read, &case.option), Ok(Proof::Contract));
        }
    }
}
