//! The official facilitator's answers, compared with ours on a chain of the same state.

use devchain::accounts;
use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};
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

const NOW: u64 = 1_800_000_200;
const QUIRK_TOKEN: &str = "0x4020000000000000000000000000000000003009";
const FACTORY: &str = "0x4020000000000000000000000000000000006492";
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

fn hash(text: &str) -> String {
    Keccak256::digest(text.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn prepare(world: &World) {
    world.chain.rpc("evm_setNextBlockTimestamp", json!([NOW])).unwrap();
    world.chain.mine(1).unwrap();
    world.chain.place("X402TestToken", QUIRK_TOKEN).unwrap();
    world.chain.place("X402TestWalletFactory", FACTORY).unwrap();
    let operator = accounts()[9].address;
    let text = |text: &str| {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{:064x}{hex:0<64}", text.len())
    };
    let configure = format!(
        "0x{}{:064x}{:064x}{:064x}{}{}",
        hash("configure(string,string,uint8)"),
        96,
        160,
        6,
        text("Quirk Dollar"),
        text("1")
    );
    world.transact(operator, QUIRK_TOKEN, &configure);
    let mint = format!(
        "0x{}{:0>64}{:064x}",
        hash("mint(address,uint256)"),
        &accounts()[1].address[2..],
        1_000_000_000
    );
    world.transact(operator, QUIRK_TOKEN, &mint);
    world.approve(u128::MAX);
    world.chain.mint(accounts()[8].address, 1_000_000).unwrap();
    // The wallets of the vectors: one exists, two do not.
    let create =
        format!("0x{}{:0>64}{:064x}", hash("createWallet(address,uint256)"), &accounts()[3].address[2..], 1);
    world.transact(operator, FACTORY, &create);
    for wallet in ["0x8aC87AAf711645FDD859Fa60FCD04A894de0f223", "0x3b7dae266045F9a2b9f589a19C6Fede124E83326"]
    {
        world.chain.mint(wallet, 1_000_000).unwrap();
    }
}

/// Puts the tokens into the state a case's name speaks of.
fn arrange(world: &World, name: &str) {
    let quirks = match name {
        _ if name.contains("token-silent-on-used-nonce") => 1,
        _ if name.contains("token-moves-nothing") => 2,
        _ if name.contains("token-without-bytes-overload") => 16,
        _ if name.contains("token-reverts-on-chain-only") => 64,
        _ => 0,
    };
    let data = format!("0x{}{quirks:064x}", hash("setQuirks(uint256)"));
    world.transact(accounts()[9].address, QUIRK_TOKEN, &data);
    world.chain.set_quirks(if name.contains("token-paused") { 8 } else { 0 }).unwrap();
    world.chain.set_blacklisted(accounts()[1].address, name == "payer-blacklisted").unwrap();
}

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
    prepare(&world);
    let path = format!("{}/../tests/data/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let content: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let accounts = ContractAccounts::deployed().factories([FACTORY.parse().unwrap()]);
    // The account that payers of `upto` signed for.
    let facilitator = EvmFacilitator::new(world.chain.url(), gas_key(0)).unwrap();
    let facilitator =
        facilitator.clock(StoppedClock(UnixSeconds::new(NOW))).contract_accounts(accounts.clone());
    let mut consumed = 0;
    for case in content["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if OF_THE_ENGINE.contains(&name) {
            continue;
        }
        arrange(&world, name);
        if ["same-authorization-again-verify", "token-silent-on-used-nonce-verify"].contains(&name) {
            let stranger = EvmFacilitator::new(world.chain.url(), gas_key(6)).unwrap();
            let stranger = stranger.clock(StoppedClock(UnixSeconds::new(NOW)));
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
