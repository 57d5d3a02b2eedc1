//! Every answer of the official facilitator, compared with ours on a chain of the same state.

use axum::Router;
use devchain::{DevChain, FACTORY, RECORDED_AT};
use serde_json::{Value, json};
use x402_core::{
    time::{Clock, UnixSeconds},
    wire::header::decode_payment,
};
use x402_evm::ContractAccounts;

use super::world::{GAS, World, facilitator, get, post, service};

/// Where we answer otherwise on purpose: the case, our reason (empty: it is good), and why.
const OURS: [(&str, &str, &str); 10] = [
    (
        "same-authorization-again-settle",
        "",
        "settled for this caller, who is told so again instead of failing",
    ),
    (
        "insufficient-balance-settle",
        "invalid_exact_evm_insufficient_balance",
        "found by the estimate: no gas is burnt on a transaction that reverts",
    ),
    ("token-paused-settle", "invalid_exact_evm_transaction_simulation_failed", "found by the estimate, too"),
    (
        "asset-has-no-code-verify",
        "asset_not_deployed_contract",
        "of version 1, which the reference does not ask it of",
    ),
    (
        "asset-has-no-code-settle",
        "asset_not_deployed_contract",
        "the same, before a transaction that moves nothing",
    ),
    (
        "undeployed-wallet-without-factory",
        "invalid_exact_evm_failed_to_parse_signature",
        "130 bytes are no signature of a plain account, and there is no other account",
    ),
    (
        "token-silent-on-used-nonce-verify",
        "invalid_exact_evm_nonce_already_used",
        "the nonce is read; the reference believes the token's silence",
    ),
    (
        "token-silent-on-used-nonce-settle",
        "",
        "the transfer that used the nonce is found: it paid this recipient",
    ),
    (
        "network-unsupported",
        "invalid_network",
        "the reference throws; whoever asks learns the protocol's reason",
    ),
    ("scheme-unsupported", "unsupported_scheme", "the same"),
];

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(RECORDED_AT)
    }
}

fn official(chain: &DevChain, gas: usize) -> Router {
    let accounts = ContractAccounts::deployed().factories([FACTORY.parse().unwrap()]);
    service(facilitator(chain, gas).clock(StoppedClock).contract_accounts(accounts)).router()
}

fn file(name: &str) -> Value {
    let path = format!("{}/../tests/data/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The reason in an answer; empty where there is none.
fn reason(answer: &Value) -> &str {
    answer["invalidReason"].as_str().or(answer["errorReason"].as_str()).unwrap_or_default()
}

async fn replay(name: &str, wanted: usize) {
    let chain = DevChain::start().unwrap();
    chain.as_recorded().unwrap();
    let ours = official(&chain, GAS);
    let mut compared = 0;
    for case in file(name)["cases"].as_array().unwrap() {
        let (about, request, theirs) = (case["name"].as_str().unwrap(), &case["request"], &case["response"]);
        chain.arrange(about).unwrap();
        if ["same-authorization-again-verify", "token-silent-on-used-nonce-verify"].contains(&about) {
            let settled = post(&official(&chain, 6), "/settle", request).await;
            assert_eq!(settled.body["success"], true, "{about} {settled:?}");
        }
        let answer = post(&ours, case["path"].as_str().unwrap(), request).await;
        assert_eq!(answer.status, 200, "{name} {about} {answer:?}");
        let settles = case["op"] == "settle";
        let good = answer.body[if settles { "success" } else { "isValid" }].as_bool().unwrap();
        let expected =
            OURS.iter().find(|(name, ..)| *name == about).map_or_else(|| reason(theirs), |(_, ours, _)| ours);
        assert_eq!(reason(&answer.body), expected, "{name} {about}");
        assert_eq!(good, expected.is_empty(), "{name} {about}");
        if let Some(payer) = theirs["payer"].as_str() {
            let told = answer.body["payer"].as_str().unwrap();
            assert!(told.eq_ignore_ascii_case(payer), "{name} {about} {told}");
        }
        if settles {
            assert_eq!(answer.body["network"], theirs["network"], "{name} {about}");
            assert_eq!(
                answer.body["transaction"].as_str().unwrap().len() == 66,
                good || sends(about),
                "{name} {about}"
            );
        }
        compared += 1;
    }
    assert_eq!(compared, wanted, "{name}");
}

/// Whether a settlement that fails is found out only by its transaction.
fn sends(case: &str) -> bool {
    ["token-moves-nothing-settle", "token-reverts-on-chain-only-settle"].contains(&case)
}

#[tokio::test(flavor = "multi_thread")]
async fn version_1_verdicts_and_reasons_are_those_of_the_official_facilitator() {
    replay("facilitator-v1", 33).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn version_2_verdicts_and_reasons_are_those_of_the_official_facilitator() {
    replay("facilitator-v2", 59).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_headers_that_pay_are_valid_in_both_dialects() {
    let chain = DevChain::start().unwrap();
    chain.as_recorded().unwrap();
    let ours = official(&chain, GAS);
    let mut asked = 0;
    for case in file("edge-payments")["cases"].as_array().unwrap() {
        for (version, dialect) in [(1, "v1"), (2, "v2")] {
            let case = &case[dialect];
            let Ok(presented) = decode_payment(case["header"].as_str().unwrap().as_bytes()) else { continue };
            let request = json!({
                "x402Version": version, "paymentPayload": presented.json, "paymentRequirements": case["requirements"],
            });
            let answer = post(&ours, "/verify", &request).await;
            assert_eq!(answer.body["isValid"], true, "{case} {answer:?}");
            asked += 1;
        }
    }
    assert_eq!(asked, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_supported_is_told_as_by_the_official_facilitator() {
    let world = World::start();
    let theirs = file("facilitator-supported")["cases"][0]["response"].clone();
    let ours = get(&world.service(), "/supported").await;
    assert_eq!((ours.status, ours.body), (200, theirs));
}
