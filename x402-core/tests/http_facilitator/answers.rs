//! What answers mean.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use x402_core::{
    error::RejectReason,
    facilitator::{Facilitator, SettleError, Settlement, VerifyError},
};

use super::{
    fixture::{TRANSACTION, failed, good, good_v1, payment, settled},
    server::{Act, Server},
};

async fn verify(status: u16, answer: Value) -> Result<(), VerifyError> {
    Server::start([Act::Json(status, answer)]).await.facilitator().verify(&good()).await
}

async fn settle(acts: impl IntoIterator<Item = Act>) -> Result<Settlement, SettleError> {
    Server::start(acts).await.facilitator().settle(&good()).await
}

fn with(mut answer: Value, member: &str, value: Value) -> Value {
    answer[member] = value;
    answer
}

#[tokio::test]
async fn a_refusal_counts_whatever_its_status() {
    let refusal = json!({ "isValid": false, "invalidReason": "invalid_exact_evm_insufficient_balance" });
    for status in [200, 400, 402, 412, 500] {
        let error = verify(status, refusal.clone()).await.unwrap_err();
        assert!(
            matches!(error, VerifyError::Rejected(RejectReason::InsufficientFunds)),
            "{status}: {error:?}"
        );
    }
}

#[tokio::test]
async fn refusals_are_told_from_trouble() {
    for (reason, rejected) in [
        (json!("kyt_risk_detected"), true),
        (json!("a reason of tomorrow"), true),
        (json!(null), true),
        (json!("unexpected_verify_error"), false),
        (json!("invalid_exact_evm_failed_to_get_balance"), false),
        (json!("rpc_read_failed: down"), false),
        (json!("invalid_exact_evm_token_version_mismatch"), false),
    ] {
        let answer = json!({ "isValid": false, "invalidReason": reason, "payer": null });
        let error = verify(200, answer).await.unwrap_err();
        assert_eq!(matches!(error, VerifyError::Rejected(_)), rejected, "{reason}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_about_another_payer_is_not_believed() {
    let signed = good().authorization.payer;
    let other = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
    for (payer, ours) in [
        (json!(signed), true),
        (json!(signed.to_lowercase()), true),
        (json!(""), true),
        (json!(null), true),
        (json!(other), false),
        (json!("x"), false),
    ] {
        let yes = verify(200, json!({ "isValid": true, "payer": payer })).await;
        assert_eq!(yes.is_ok(), ours, "{payer}: {yes:?}");
        let no = verify(200, json!({ "isValid": false, "invalidReason": "x", "payer": payer })).await;
        assert_eq!(matches!(no.unwrap_err(), VerifyError::Rejected(_)), ours, "{payer}");
        let paid = settle([Act::Json(200, with(settled(), "payer", payer.clone()))]).await;
        assert_eq!(paid.is_ok(), ours, "{payer}: {paid:?}");
    }
}

#[tokio::test]
async fn a_settlement_is_ours_or_unresolved() {
    let plain = settle([Act::Json(200, settled())]).await.unwrap();
    assert_eq!(plain.transaction, TRANSACTION);
    assert_eq!(plain.payer, good().authorization.payer);
    assert_eq!((plain.network, plain.amount), (good().option.network, good().option.amount));

    for (member, value) in
        [("network", json!("")), ("amount", json!("1000")), ("amount", json!("")), ("amount", json!(null))]
    {
        let answer = with(settled(), member, value);
        settle([Act::Json(200, answer.clone())]).await.unwrap_or_else(|error| panic!("{answer}: {error:?}"));
    }
    for (member, value) in [
        ("transaction", json!("")),
        ("transaction", json!(" ")),
        ("transaction", json!("0x12\r\nx: y")),
        ("transaction", json!("0x12")),
        ("transaction", json!(&TRANSACTION[2..])),
        ("transaction", json!(format!("{TRANSACTION}00"))),
        ("transaction", json!(TRANSACTION.replace('7', "g"))),
        ("transaction", json!("f".repeat(10_000))),
        ("network", json!("eip155:8453")),
        ("network", json!("base-sepolia")),
        ("amount", json!("999")),
        ("amount", json!("1000.0")),
        ("amount", json!("0x3e8")),
        ("payer", json!("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")),
    ] {
        let answer = with(settled(), member, value);
        let error = settle([Act::Json(200, answer.clone())]).await.unwrap_err();
        assert!(matches!(error, SettleError::Unresolved { transaction: None, .. }), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn each_version_names_the_network_its_own_way() {
    for (network, ours) in [("base-sepolia", true), ("", true), ("eip155:84532", false), ("base", false)] {
        let answer = with(settled(), "network", json!(network));
        let server = Server::start([Act::Json(200, answer)]).await;
        let settled = server.facilitator().settle(&good_v1()).await;
        assert_eq!(settled.is_ok(), ours, "{network}: {settled:?}");
    }
}

#[tokio::test]
async fn failures_are_told_from_unknown_outcomes() {
    for (reason, transaction, rejected) in [
        ("invalid_exact_evm_signature", "", true),
        ("invalid_exact_evm_transaction_failed", TRANSACTION, true),
        ("asset_not_deployed_contract", "", true),
        ("invalid_exact_evm_nonce_already_used", "", true),
        ("duplicate_settlement", "", true),
        ("", "", false),
        ("settlement_pending", "", false),
        ("unexpected_settle_error", "", false),
        ("settle_exact_evm_transaction_confirmation_timed_out", TRANSACTION, false),
        ("invalid_exact_evm_failed_to_execute_transfer", "", false),
        ("settle_exact_node_failure", "", false),
        ("invalid_exact_evm_insufficient_balance", "", true),
        ("invalid_exact_evm_transaction_failed", "", false),
        ("invalid_upto_evm_transaction_failed: nonce too low", "", false),
        ("HTTP request failed.", "", false),
        ("The request took too long to respond.", "", false),
        ("The request took too long to respond.", TRANSACTION, false),
    ] {
        for status in [200, 400, 500] {
            let error = settle([Act::Json(status, failed(reason, transaction))]).await.unwrap_err();
            let known = (!transaction.is_empty()).then(|| transaction.to_owned());
            match error {
                SettleError::Rejected { transaction, .. } if rejected => assert_eq!(transaction, known),
                SettleError::Unresolved { transaction, .. } if !rejected => assert_eq!(transaction, known),
                error => panic!("{reason} with {status}: {error:?}"),
            }
        }
    }
    for used in ["invalid_exact_evm_nonce_already_used", "duplicate_settlement"] {
        let error = settle([Act::Json(200, failed(used, ""))]).await.unwrap_err();
        assert!(
            matches!(error, SettleError::Rejected { reason: RejectReason::NonceAlreadyUsed, .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_failure_told_in_a_way_that_leaves_it_open_is_none() {
    for (status, reason, transaction, message, rejected) in [
        (200, "invalid_exact_evm_transaction_failed", TRANSACTION, "settlement_pending: not stored", false),
        (200, "invalid_exact_evm_signature", "", "settlement_pending could not be stored", false),
        (200, "invalid_exact_evm_transaction_failed", TRANSACTION, "reverted", true),
        (200, "invalid_exact_evm_transaction_failed", "0x12", "reverted", false),
        (200, "a_reason_of_tomorrow", "", "", true),
        (502, "a_reason_of_tomorrow", "", "", false),
        (502, "invalid_exact_evm_payload_authorization_valid_before", "", "", true),
        (502, "insufficient_funds", "", "", true),
    ] {
        let answer = with(failed(reason, transaction), "errorMessage", json!(message));
        let error = settle([Act::Json(status, answer.clone())]).await.unwrap_err();
        let known = (transaction == TRANSACTION).then(|| TRANSACTION.to_owned());
        match error {
            SettleError::Rejected { transaction, .. } if rejected => assert_eq!(transaction, known),
            SettleError::Unresolved { transaction, .. } if !rejected => assert_eq!(transaction, known),
            error => panic!("{answer} with {status}: {error:?}"),
        }
    }
    let unexplained = json!({ "success": false, "transaction": "", "network": "eip155:84532" });
    let error = settle([Act::Json(200, unexplained)]).await.unwrap_err();
    assert!(matches!(error, SettleError::Unresolved { transaction: None, .. }), "{error:?}");
}

#[tokio::test]
async fn a_pending_settlement_is_asked_for_once_more_in_the_same_words() {
    for status in [200, 500] {
        let pending =
            with(failed("settlement_pending", TRANSACTION), "errorMessage", json!("settlement_pending"));
        let server = Server::start([Act::Json(status, pending), Act::Json(200, settled())]).await;
        let begun = Instant::now();
        let settlement = server.facilitator().settle(&good()).await.unwrap();
        assert_eq!(settlement.transaction, TRANSACTION);
        assert!(begun.elapsed() > Duration::from_millis(500));
        let asked = server.asked();
        assert_eq!((asked.len(), &asked[0].body), (2, &asked[1].body));
    }
}

#[tokio::test]
async fn after_pending_only_the_transactions_own_failure_is_one() {
    let other = "0x1e4a9e1bef7303086b7ef2f94975756821b7537d4283b2c3affa741de3d429d8";
    let reverted = "invalid_exact_evm_transaction_failed";
    let mut stories = JoinSet::new();
    for (again, rejected) in [
        (Act::Json(200, failed("settlement_pending", TRANSACTION)), false),
        (Act::Json(200, failed(reverted, other)), false),
        (Act::Json(200, failed(reverted, "")), false),
        (Act::Json(200, failed("unexpected_settle_error", "")), false),
        (Act::Hang, false),
        (Act::Reset, false),
        (Act::Json(200, failed(reverted, TRANSACTION)), true),
        (Act::Json(200, failed("invalid_exact_evm_nonce_already_used", "")), true),
    ] {
        stories.spawn(async move {
            let pending = Act::Json(200, failed("settlement_pending", TRANSACTION));
            let server = Server::start([pending, again.clone()]).await;
            let facilitator = server.facilitator().settle_timeout(Duration::from_secs(3));
            let transaction = match facilitator.settle(&good()).await.unwrap_err() {
                SettleError::Rejected { transaction, .. } if rejected => transaction,
                SettleError::Unresolved { transaction, .. } if !rejected => transaction,
                error => panic!("{again:?}: {error:?}"),
            };
            assert_eq!(transaction.as_deref(), Some(TRANSACTION), "{again:?}");
            assert_eq!(server.asked().len(), 2, "{again:?}");
        });
    }
    stories.join_all().await;
}

#[tokio::test]
async fn a_payment_that_has_no_words_in_its_version_is_not_sent() {
    let mut request = super::fixture::cases("facilitator-v1.json")[0]["request"].clone();
    request["paymentRequirements"]["maxAmountRequired"] = json!("1000000000000000000");
    let payment = payment(&request).unwrap();
    let server = Server::start([]).await;
    let facilitator = server.facilitator();
    assert!(matches!(facilitator.verify(&payment).await, Err(VerifyError::Rejected(_))));
    let error = facilitator.settle(&payment).await.unwrap_err();
    assert!(matches!(error, SettleError::Rejected { transaction: None, .. }), "{error:?}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn requests_carry_what_facilitators_want_to_see() {
    let server = Server::start([Act::Json(200, json!({ "isValid": true }))]).await;
    server.facilitator().verify(&good()).await.unwrap();
    let head = &server.asked()[0].head;
    assert!(head.starts_with("POST /verify HTTP/1.1\r\n"), "{head}");
    for line in ["content-type: application/json", "accept: application/json", "user-agent: x402-core/"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(!head.contains("cookie") && !head.contains("accept-encoding"), "{head}");
}
