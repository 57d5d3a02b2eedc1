//! The same settlement again, whatever became of the first.

use std::time::Duration;

use devchain::accounts;
use serde_json::json;
use tokio::task::JoinSet;
use x402_evm::random_nonce;

use super::world::{World, option, post, service};

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_asked_for_again_gets_the_same_answer_and_no_second_transaction() {
    let world = World::start();
    let router = world.service();
    let request = world.request(1_000);
    let first = post(&router, "/settle", &request).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.body["success"], true, "{first:?}");
    assert_eq!((&first.body["network"], &first.body["amount"]), (&json!("eip155:84532"), &json!("1000")));
    assert_eq!(first.headers["cache-control"], "no-store");
    let again = post(&router, "/settle", &request).await;
    assert_eq!(again.body, first.body);
    let restarted = post(&world.service(), "/settle", &request).await;
    assert_eq!(restarted.body, first.body, "who starts again finds it on the chain");
    let verified = post(&router, "/verify", &request).await;
    assert_eq!(verified.body["invalidReason"], "invalid_exact_evm_nonce_already_used");
    assert_eq!(world.transfers(), 1);
    let sent = world.chain.rpc("eth_getTransactionCount", json!([accounts()[0].address, "latest"])).unwrap();
    assert_eq!(sent, "0x1");
}

#[tokio::test(flavor = "multi_thread")]
async fn settlements_asked_for_at_once_are_one() {
    let world = World::start();
    let router = world.service();
    let request = world.request(1_000);
    let mut all = JoinSet::new();
    for _ in 0..20 {
        let (router, request) = (router.clone(), request.clone());
        all.spawn(async move { post(&router, "/settle", &request).await.body });
    }
    let answers = all.join_all().await;
    assert_eq!(answers[0]["success"], true, "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(world.transfers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_changes_nothing() {
    let world = World::start();
    let router = world.service();
    let request = world.request(1_000);
    world.chain.set_automine(false).unwrap();
    let caller = {
        let (router, request) = (router.clone(), request.clone());
        tokio::spawn(async move { post(&router, "/settle", &request).await })
    };
    world.sent().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    world.chain.set_automine(true).unwrap();
    world.chain.mine(1).unwrap();
    let again = post(&router, "/settle", &request).await;
    assert_eq!(again.body["success"], true, "{again:?}");
    assert_eq!(world.transfers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_mined_in_time_is_pending_and_the_same_request_waits_for_it() {
    let world = World::start();
    let router = service(world.facilitator().receipt_timeout(Duration::from_secs(1))).router();
    let request = world.request(1_000);
    world.chain.set_automine(false).unwrap();
    let pending = post(&router, "/settle", &request).await;
    assert_eq!(pending.status, 200);
    let transaction = pending.body["transaction"].as_str().unwrap().to_owned();
    let payer = accounts()[1].address;
    let wanted = json!({
        "success": false, "errorReason": "settlement_pending", "payer": payer, "transaction": transaction,
        "network": "eip155:84532",
    });
    assert_eq!(pending.body, wanted);
    let still = post(&router, "/settle", &request).await;
    assert_eq!(still.body, wanted, "it is waited for, not sent again");
    world.chain.set_automine(true).unwrap();
    world.chain.mine(1).unwrap();
    let settled = post(&router, "/settle", &request).await;
    assert_eq!((&settled.body["success"], &settled.body["transaction"]), (&json!(true), &json!(transaction)));
    assert_eq!(world.transfers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_settlement_of_a_nonce_is_refused_as_used() {
    let world = World::start();
    let router = world.service();
    let nonce = random_nonce();
    let first = post(&router, "/settle", &world.request_with(&option(1_000), nonce)).await;
    assert_eq!(first.body["success"], true, "{first:?}");
    let another = post(&router, "/settle", &world.request_with(&option(2_000), nonce)).await;
    assert_eq!(another.body["success"], false);
    assert_eq!(another.body["errorReason"], "invalid_exact_evm_nonce_already_used");
    assert_eq!(world.transfers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_settlement_is_told_to_nobody_with_other_terms() {
    let world = World::start();
    let router = world.service();
    let request = world.request(1_000);
    let settled = post(&router, "/settle", &request).await;
    assert_eq!(settled.body["success"], true, "{settled:?}");
    for (member, value, reason) in [
        ("amount", "999", "invalid_exact_evm_payload_authorization_value_mismatch"),
        ("payTo", accounts()[7].address, "invalid_exact_evm_recipient_mismatch"),
        ("asset", accounts()[7].address, "invalid_exact_evm_signature"),
    ] {
        let mut other = request.clone();
        other["paymentRequirements"][member] = value.into();
        let refused = post(&router, "/settle", &other).await;
        assert_eq!(refused.body["errorReason"], reason, "{member}");
    }
    let mut lower = request.clone();
    let pay_to = request["paymentRequirements"]["payTo"].as_str().unwrap().to_lowercase();
    lower["paymentRequirements"]["payTo"] = pay_to.into();
    assert_eq!(
        post(&router, "/settle", &lower).await.body,
        settled.body,
        "the case of an address is no term"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_cost_gas_is_not_repeated_at_once() {
    let world = World::start();
    let router = world.service();
    let request = world.request(1_000);
    // Reverts once it is mined, and in no simulation.
    world.chain.set_quirks(64).unwrap();
    let failed = post(&router, "/settle", &request).await;
    assert_eq!(failed.body["errorReason"], "invalid_exact_evm_transaction_failed", "{failed:?}");
    let again = post(&router, "/settle", &request).await;
    assert_eq!(again.body, failed.body);
    let sent = world.chain.rpc("eth_getTransactionCount", json!([accounts()[0].address, "latest"])).unwrap();
    assert_eq!(sent, "0x1");
    assert_eq!(world.transfers(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_is_no_verdict() {
    let world = World::start();
    let router = world.service();
    let request = world.request(1_000);
    drop(world);
    for path in ["/verify", "/settle"] {
        let answer = post(&router, path, &request).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.headers.contains_key("retry-after"));
        let members: Vec<_> = answer.body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["error"], "neither isValid nor success");
    }
}
