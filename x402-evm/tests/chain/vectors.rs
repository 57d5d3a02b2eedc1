//! The official facilitator's answers, compared with ours on a chain of the same state.

use devchain::{FACTORY, RECORDED_AT};
use serde_json::Value;
use x402_core::{
    error::RejectReason,
    facilitator::{Facilitator, Payment, SettleError, VerifyError},
    price::{NetworkId, PriceOption},
    scheme::{Scheme, SignedMessage},
    time::UnixSeconds,
    wire::{
        header::{decode_payment, encode},
        v2,
    },
};
use x402_evm::{ChainError, ContractAccounts, EvmFacilitator, ExactEvm, UptoEvm};

use crate::world::{StoppedClock, World, gas_key};

/// The engine's checks, which come before a facilitator of ours is asked.
const OF_THE_ENGINE: [&str; 3] = ["network-unsupported", "scheme-unsupported", "accepted-network-differs"];

/// Where we answer otherwise on purpose: the case's name, and our code (empty: it is good).
const OURS: [(&str, &str); 8] = [
    // Settling again reports what happened instead of failing.
    ("same-authorization-again-settle", ""),
    // Found by the estimate, before a transaction is wasted.
    ("insufficient-balance-settle", "invalid_exact_evm_insufficient_balance"),
    ("token-paused-settle", "invalid_exact_evm_transaction_simulation_failed"),
    // A token without code is an operator's mistake in either dialect.
    ("asset-has-no-code-verify", "asset_not_deployed_contract"),
    ("asset-has-no-code-settle", "asset_not_deployed_contract"),
    // 130 bytes are no signature of a plain account.
    ("undeployed-wallet-without-factory", "invalid_exact_evm_failed_to_parse_signature"),
    // The nonce is read, and the transfer that used it is found.
    ("token-silent-on-used-nonce-verify", "invalid_exact_evm_nonce_already_used"),
    ("token-silent-on-used-nonce-settle", ""),
];

fn option(terms: &Value) -> PriceOption {
    let mut terms = terms.clone();
    if let Some(amount) = terms.get("maxAmountRequired").cloned() {
        terms["amount"] = amount;
        terms["network"] =
            NetworkId::from_v1_name(terms["network"].as_str().unwrap()).unwrap().as_str().into();
    }
    PriceOption::from_v2(&serde_json::from_value(terms).unwrap()).unwrap()
}

fn payment(case: &Value) -> Payment {
    let request = &case["request"];
    let option = option(&request["paymentRequirements"]);
    let presented = decode_payment(&encode(&request["paymentPayload"])).unwrap();
    let scheme: &dyn Scheme = if option.is_upto() { &UptoEvm::new() } else { &ExactEvm::new() };
    let authorization = scheme.read(presented.payment.scheme_payload(), &option).unwrap();
    Payment::new(presented, option, v2::ResourceInfo::default(), authorization)
}

async fn answer(facilitator: &EvmFacilitator, case: &Value) -> String {
    let payment = payment(case);
    // The recorded facilitator writes v2 names in either dialect.
    let code = |reason: &RejectReason| match payment.authorization.message {
        SignedMessage::Permit2(_) => reason.permit2_code().to_owned(),
        _ => reason.code().to_owned(),
    };
    let misfit = |error: x402_core::error::BoxError| match error.downcast_ref() {
        Some(ChainError::Misconfigured { code, .. }) => (*code).to_owned(),
        _ => panic!("{}: {error}", case["name"]),
    };
    match case["op"].as_str().unwrap() {
        "verify" => match facilitator.verify(&payment).await {
            Ok(()) => String::new(),
            Err(VerifyError::Rejected(reason)) => code(&reason),
            Err(VerifyError::Unavailable(error)) => misfit(error),
            Err(other) => panic!("{other:?}"),
        },
        _ => match facilitator.settle(&payment).await {
            Ok(_) => String::new(),
            Err(SettleError::Rejected { reason, .. }) => code(&reason),
            Err(SettleError::Unavailable(error)) => misfit(error),
            Err(other) => panic!("{other:?}"),
        },
    }
}

fn expected(case: &Value) -> String {
    let name = case["name"].as_str().unwrap();
    if let Some((_, ours)) = OURS.iter().find(|(ours, _)| *ours == name) {
        return (*ours).to_owned();
    }
    let response = &case["response"];
    let reason = response["invalidReason"].as_str().or(response["errorReason"].as_str()).unwrap_or_default();
    match reason {
        // The v2 SDK's own name for the v1 dialect.
        "invalid_exact_evm_authorization_value" => {
            "invalid_exact_evm_payload_authorization_value_mismatch".to_owned()
        }
        reason => reason.to_owned(),
    }
}

async fn replay(file: &str, wanted: usize) {
    let world = World::start();
    world.chain.as_recorded().unwrap();
    let path = format!("{}/../tests/data/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let content: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let accounts = ContractAccounts::deployed().factories([FACTORY.parse().unwrap()]);
    // The account that payers of `upto` signed for.
    let facilitator = EvmFacilitator::new(world.chain.url(), gas_key(0)).unwrap();
    let facilitator =
        facilitator.clock(StoppedClock(UnixSeconds::new(RECORDED_AT))).contract_accounts(accounts.clone());
    let mut consumed = 0;
    for case in content["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if OF_THE_ENGINE.contains(&name) {
            continue;
        }
        world.chain.arrange(name).unwrap();
        if ["same-authorization-again-verify", "token-silent-on-used-nonce-verify"].contains(&name) {
            let stranger = EvmFacilitator::new(world.chain.url(), gas_key(6)).unwrap();
            let stranger = stranger.clock(StoppedClock(UnixSeconds::new(RECORDED_AT)));
            stranger.settle(&payment(case)).await.unwrap();
        }
        assert_eq!(answer(&facilitator, case).await, expected(case), "{file} {name}");
        consumed += 1;
    }
    assert_eq!(consumed, wanted, "{file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn version_1_answers_are_those_of_the_official_facilitator() {
    replay("facilitator-v1", 32).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn version_2_answers_are_those_of_the_official_facilitator() {
    replay("facilitator-v2", 56).await;
}
