//! Approvals that the payer signs and the facilitator brings along.

use devchain::accounts;
use ruint::aliases::U256;
use serde_json::{Value, json};
use x402_core::{
    error::RejectReason,
    facilitator::{Facilitator, Payment, VerifyError},
    price::PriceOption,
    time::UnixSeconds,
};
use x402_evm::random_nonce;

use crate::{
    permit2::option,
    world::{GAS, World, payment_extended, settle, settle_refusal, verify_refusal},
};

fn info(world: &World, option: &PriceOption, nonce: u64) -> Value {
    let deadline = UnixSeconds::new(world.chain.now().unwrap() + 300);
    world.payer.approve_permit2(option, U256::from(nonce), deadline).unwrap()
}

fn payment(world: &World, option: &PriceOption, info: &Value) -> Payment {
    let payload = world.payer.authorize(option, world.window(300), random_nonce()).unwrap();
    let extensions = json!({ "eip2612GasSponsoring": { "info": info, "schema": {} } });
    payment_extended(option, payload, Some(extensions))
}

fn upto(amount: u64) -> PriceOption {
    crate::world::option(amount).upto(accounts()[GAS].address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_who_never_sent_a_transaction_pays() {
    let world = World::start();
    let facilitator = world.facilitator();
    for (nonce, option, received) in [(0, option(1000), 1000), (1, upto(500), 1500)] {
        let payment = payment(&world, &option, &info(&world, &option, nonce));
        facilitator.verify(&payment).await.unwrap();
        settle(&facilitator, &payment).await;
        assert_eq!(world.received(), received);
        assert_eq!(world.chain.transfers_to(crate::world::PAY_TO).unwrap(), nonce as usize + 1);
    }
    assert_eq!(world.gas_account_nonce(), 2, "one transaction each");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_for_one_payment_at_a_time() {
    let world = World::start();
    for (committed, covered) in [(0_u64, true), (1, false)] {
        let mut payment = payment(&world, &option(1000), &info(&world, &option(1000), 0));
        payment.committed = committed.into();
        let verified = world.facilitator().verify(&payment).await;
        assert_eq!(verified.is_ok(), covered, "{committed}");
        assert!(matches!(verified, Ok(()) | Err(VerifyError::Overcommitted)), "{verified:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_was_used_does_not_stand_in_the_way() {
    let world = World::start();
    world.approve(1_000_000);
    let stale = payment(&world, &option(1000), &info(&world, &option(1000), 7));
    let facilitator = world.facilitator();
    facilitator.verify(&stale).await.unwrap();
    settle(&facilitator, &stale).await;
    assert_eq!(world.received(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_is_worth_nothing_leaves_the_allowance_missing() {
    let world = World::start();
    let facilitator = world.facilitator();
    let renamed = crate::world::option_of(devchain::TOKEN, "USD Coin", "2", 1000).permit2();
    for worthless in [info(&world, &option(1000), 7), info(&world, &renamed, 0)] {
        let payment = payment(&world, &option(1000), &worthless);
        assert_eq!(verify_refusal(&facilitator, &payment).await.code(), "permit2_allowance_required");
        let (reason, sent) = settle_refusal(&facilitator, &payment).await;
        assert_eq!((reason.code(), sent), ("permit2_allowance_required", false));
    }
    let poor = option(2_000_000_000);
    let payment = payment(&world, &poor, &info(&world, &poor, 0));
    assert_eq!(verify_refusal(&facilitator, &payment).await, RejectReason::InsufficientFunds);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_is_checked() {
    let world = World::start();
    let facilitator = world.facilitator().clock(world.clock());
    let now = world.chain.now().unwrap();
    let other = accounts()[8].address;
    for (member, value, code) in [
        ("from", json!("0x12"), "invalid_eip2612_extension_format"),
        ("amount", json!("ten"), "invalid_eip2612_extension_format"),
        ("nonce", json!("-1"), "invalid_eip2612_extension_format"),
        ("version", json!("one"), "invalid_eip2612_extension_format"),
        ("signature", json!("0x1234"), "invalid_eip2612_extension_format"),
        ("signature", json!(format!("0x{}", "00".repeat(65))), "invalid_eip2612_extension_format"),
        ("deadline", json!(7), "invalid_eip2612_extension_format"),
        ("from", json!(other), "eip2612_from_mismatch"),
        ("asset", json!(other), "eip2612_asset_mismatch"),
        ("spender", json!(other), "eip2612_spender_not_permit2"),
        ("amount", json!("999"), "permit2_2612_amount_mismatch"),
        ("deadline", json!((now + 5).to_string()), "eip2612_deadline_expired"),
    ] {
        let mut info = info(&world, &option(1000), 0);
        info[member] = value;
        let payment = payment(&world, &option(1000), &info);
        assert_eq!(verify_refusal(&facilitator, &payment).await.code(), code, "{member}");
    }
    assert_eq!(world.gas_account_nonce(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_sent_back_is_no_approval() {
    let world = World::start();
    let facilitator = world.facilitator();
    let mut partial = info(&world, &option(1000), 0);
    partial.as_object_mut().unwrap().remove("signature");
    for info in [json!({ "description": "approvals are paid for", "version": "1" }), partial, json!(null)] {
        let payment = payment(&world, &option(1000), &info);
        assert_eq!(verify_refusal(&facilitator, &payment).await.code(), "permit2_allowance_required");
        world.approve(1000);
        settle(&facilitator, &payment).await;
    }
}
