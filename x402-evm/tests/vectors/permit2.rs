//! Permit2 messages, exact and up to a ceiling, and the approvals signed with them.

use ruint::aliases::U256;
use serde_json::Value;
use x402_core::{
    error::RejectReason,
    price::PriceOption,
    scheme::{Permit2, Proof, Scheme, SignedMessage},
    time::UnixSeconds,
    wire::v2,
};
use x402_evm::{
    AuthorizationWindow, EvmSigner, ExactEvm, UptoEvm, permit2_domain_separator, permit2_hash, signing_digest,
};

use super::{Case, hex, read, text};

fn cases() -> Vec<Case> {
    ["v2-exact-permit2", "v2-upto"].iter().flat_map(|file| read(file)).collect()
}

fn scheme(option: &PriceOption) -> Box<dyn Scheme> {
    if option.is_upto() { Box::new(UptoEvm::new()) } else { Box::new(ExactEvm::new()) }
}

fn lenient(option: &PriceOption) -> Box<dyn Scheme> {
    if option.is_upto() {
        Box::new(UptoEvm::new().contract_accounts(true))
    } else {
        Box::new(ExactEvm::new().contract_accounts(true))
    }
}

fn message(case: &Case) -> Permit2 {
    Permit2::read(&case.payload).unwrap()
}

/// The vector of the protocol's own text, where nonce and times are not random.
fn of_the_protocol() -> (PriceOption, Value) {
    let option = PriceOption::new(
        "eip155:84532".parse().unwrap(),
        "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        5_000_000,
        "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    )
    .upto("0x857b06519E91e3A54538791bDbb0E22373e36b66");
    let signer = EvmSigner::from_bytes(U256::ONE.to_be_bytes()).unwrap();
    let window = AuthorizationWindow {
        valid_after: UnixSeconds::new(0),
        valid_before: UnixSeconds::new(1_900_000_000),
    };
    let payload = signer.authorize(&option, window, U256::from(123_456_789).to_be_bytes()).unwrap();
    (option, payload)
}

#[test]
fn there_are_as_many_cases_as_the_files_say() {
    assert_eq!(cases().len(), 4 + 4);
}

#[test]
fn hashes_are_those_of_the_official_sdk() {
    for case in cases() {
        let message = message(&case);
        let separator = permit2_domain_separator(case.option.network.chain_id().unwrap());
        assert_eq!(hex(&separator), text(&case.eip712["domainSeparator"]), "{}", case.name);
        assert_eq!(hex(&permit2_hash(&message)), text(&case.eip712["structHash"]), "{}", case.name);
        let digest = signing_digest(&separator, &permit2_hash(&message));
        assert_eq!(hex(&digest), text(&case.eip712["digest"]), "{}", case.name);
    }
}

#[test]
fn hashes_and_signatures_are_those_of_the_protocol() {
    let (_, payload) = of_the_protocol();
    let message = Permit2::read(&payload).unwrap();
    assert_eq!(
        hex(&permit2_hash(&message)),
        "0x21d4f1dcc391b241a4081c0634a32d5fd78643452d55288a07b392de95f84bb3"
    );
    assert_eq!(
        payload["signature"],
        "0xae489845402503833946ff2d9c658d6212dcbd1771b561f1de39f0efa32b1bf93f3f2f4626c5d4c79908860fee5c2f744e7998\
         b8c5ae0aacec3006f2539dacce1c"
    );
}

#[test]
fn every_payment_is_proven_and_answers_its_terms() {
    for case in cases() {
        let scheme = scheme(&case.option);
        let authorization = scheme.read(&case.payload, &case.option).unwrap();
        assert_eq!(authorization.payer, text(&case.eip712["recovered"]), "{}", case.name);
        assert_eq!(scheme.prove(&authorization, &case.option), Ok(Proof::Signed), "{}", case.name);
        assert_eq!(authorization.amount, case.option.amount, "{}", case.name);
        assert_eq!(message(&case).answers(&case.option), Ok(()), "{}", case.name);
        let now = UnixSeconds::new(case.now);
        assert!(authorization.valid_after <= now && now < authorization.valid_before, "{}", case.name);
    }
}

#[test]
fn signing_again_gives_the_same_signature() {
    for case in cases() {
        let message = message(&case);
        let window = AuthorizationWindow {
            valid_after: UnixSeconds::new(message.witness.valid_after.to()),
            valid_before: UnixSeconds::new(message.deadline.to()),
        };
        assert_eq!(window, AuthorizationWindow { valid_after: window.valid_after, ..from_now(&case) });
        let signer = EvmSigner::from_hex(&case.payer_key).unwrap();
        let payload = signer.authorize(&case.option, window, message.nonce.to_be_bytes()).unwrap();
        assert_eq!(payload, case.payload, "{}", case.name);
        assert_eq!(payload["signature"], case.eip712["signature"], "{}", case.name);
    }
}

fn from_now(case: &Case) -> AuthorizationWindow {
    AuthorizationWindow::from_now(UnixSeconds::new(case.now), &case.option)
}

#[test]
fn approvals_are_signed_as_the_official_client_does() {
    let path = format!("{}/../tests/data/vectors/v2-exact-permit2.json", env!("CARGO_MANIFEST_DIR"));
    let content: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let sponsored = content["cases"].as_array().unwrap().iter().find_map(|case| {
        let extensions = &case["paymentSignature"]["decoded"]["extensions"];
        Some((text(&case["name"]).to_owned(), extensions.get("eip2612GasSponsoring")?["info"].clone()))
    });
    let (name, wanted) = sponsored.unwrap();
    let case = cases().into_iter().find(|case| case.name == name).unwrap();
    let signer = EvmSigner::from_hex(&case.payer_key).unwrap();
    let deadline = UnixSeconds::new(text(&wanted["deadline"]).parse().unwrap());
    let info = signer.approve_permit2(&case.option, U256::ZERO, deadline).unwrap();
    for (member, value) in info.as_object().unwrap() {
        assert_eq!(*value, wanted[member], "{member}");
    }
    assert!(signer.approve_permit2(&super::cases()[0].option, U256::ZERO, deadline).is_err());
}

#[test]
fn every_change_to_what_was_signed_is_refused() {
    for case in cases() {
        let good = scheme(&case.option).read(&case.payload, &case.option).unwrap();
        let other = x402_core::scheme::EvmAddress::new([7; 20]);
        let changes: [&dyn Fn(&mut Permit2); 11] = [
            &|m| m.owner = other,
            &|m| m.token = other,
            &|m| m.amount += U256::ONE,
            &|m| m.spender = other,
            &|m| m.nonce ^= U256::ONE,
            &|m| m.deadline += U256::ONE,
            &|m| m.witness.to = other,
            &|m| m.witness.facilitator = m.witness.facilitator.is_none().then_some(other),
            &|m| m.witness.valid_after += U256::ONE,
            &|m| m.signature[31] ^= 1,
            &|m| m.signature[64] ^= 7,
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut changed = good.clone();
            match &mut changed.message {
                SignedMessage::Permit2(message) => change(message),
                other => panic!("{other:?}"),
            }
            let proof = scheme(&case.option).prove(&changed, &case.option);
            assert_eq!(proof, Err(RejectReason::WrongSignature), "{} change {i}", case.name);
            let proof = lenient(&case.option).prove(&changed, &case.option);
            assert_eq!(proof, Ok(Proof::Contract), "{} change {i}", case.name);
        }
        let mut elsewhere = case.option.clone();
        elsewhere.network = "eip155:1".parse().unwrap();
        let proof = scheme(&case.option).prove(&good, &elsewhere);
        assert_eq!(proof, Err(RejectReason::WrongSignature), "{} chain", case.name);
    }
}

#[test]
fn what_cannot_be_signed_is_said() {
    let (option, _) = of_the_protocol();
    let signer = EvmSigner::from_bytes([1; 32]).unwrap();
    let window = AuthorizationWindow::from_now(UnixSeconds::new(0), &option);
    let sign = |change: &dyn Fn(&mut v2::PaymentRequirements)| {
        let mut terms = option.to_v2();
        change(&mut terms);
        signer.authorize(&PriceOption::from_v2(&terms).unwrap(), window, [0; 32])
    };
    let extra = |terms: &mut v2::PaymentRequirements, name: &str, value: Value| {
        drop(terms.extra.as_mut().unwrap().insert(name.to_owned(), value));
    };
    assert!(sign(&|_| {}).is_ok());
    assert!(sign(&|terms| terms.scheme = "auth-capture".to_owned()).is_err());
    assert!(sign(&|terms| drop(terms.extra.take())).is_err());
    assert!(sign(&|terms| extra(terms, "facilitatorAddress", "nobody".into())).is_err());
    assert!(sign(&|terms| extra(terms, "facilitatorAddress", Value::Null)).is_err());
    assert!(sign(&|terms| extra(terms, "assetTransferMethod", "eip3009".into())).is_err());
    assert!(sign(&|terms| terms.pay_to = "nobody".to_owned()).is_err());
}
