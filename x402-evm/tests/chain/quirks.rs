//! Tokens that misbehave: the status of a transaction proves nothing.

use devchain::accounts;
use x402_core::{error::RejectReason, facilitator::Facilitator};
use x402_evm::EvmFacilitator;

use crate::world::{World, gas_key, settle, settle_refusal, verify_refusal};

const SILENT_ON_USED_NONCE: u64 = 1;
const MOVES_NOTHING: u64 = 2;
const FEE: u64 = 4;
const PAUSED: u64 = 8;
const NO_BYTES_OVERLOAD: u64 = 16;
const NO_VRS_OVERLOAD: u64 = 32;
const REVERTS_ON_CHAIN_ONLY: u64 = 64;

fn world_with(quirks: u64) -> World {
    let world = World::start();
    world.chain.set_quirks(quirks).unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn success_without_a_transfer_is_no_payment() {
    let world = world_with(MOVES_NOTHING);
    let payment = world.payment(1000);
    world.facilitator().verify(&payment).await.unwrap();
    assert_eq!(settle_refusal(&world.facilitator(), &payment).await, (RejectReason::TransferMissing, true));
    // Asked again, by one who does not know of the first time.
    assert_eq!(settle_refusal(&world.facilitator(), &payment).await, (RejectReason::NonceAlreadyUsed, false));
    assert_eq!(world.received(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_taken_from_the_transfer_is_not_the_price() {
    let world = world_with(FEE);
    let payment = world.payment(1000);
    assert_eq!(settle_refusal(&world.facilitator(), &payment).await, (RejectReason::TransferMissing, true));
    assert_eq!(world.received(), 990);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_silent_on_used_nonces_pays_once() {
    let world = world_with(SILENT_ON_USED_NONCE);
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    let first = settle(&facilitator, &payment).await;
    assert_eq!(verify_refusal(&facilitator, &payment).await, RejectReason::NonceAlreadyUsed);
    let stranger = EvmFacilitator::new(world.chain.url(), gas_key(6)).unwrap();
    assert_eq!(settle(&stranger, &payment).await, first, "the same transfer, found on the chain");
    assert_eq!(world.received(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_token_costs_no_gas() {
    let world = world_with(PAUSED);
    let payment = world.payment(1000);
    assert_eq!(verify_refusal(&world.facilitator(), &payment).await, RejectReason::SimulationFailed);
    assert_eq!(settle_refusal(&world.facilitator(), &payment).await, (RejectReason::SimulationFailed, false));
    assert_eq!(world.gas_account_nonce(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_between_verify_and_settle_is_refused_and_can_be_tried_again() {
    let world = World::start();
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    facilitator.verify(&payment).await.unwrap();
    world.chain.set_quirks(PAUSED).unwrap();
    assert_eq!(settle_refusal(&facilitator, &payment).await, (RejectReason::SimulationFailed, false));
    world.chain.set_quirks(0).unwrap();
    settle(&facilitator, &payment).await;
    assert_eq!(world.received(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_only_on_the_chain_is_told_with_its_transaction_and_can_be_tried_again() {
    let world = world_with(REVERTS_ON_CHAIN_ONLY);
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    facilitator.verify(&payment).await.unwrap();
    assert_eq!(settle_refusal(&facilitator, &payment).await, (RejectReason::TransferFailed, true));
    world.chain.set_quirks(0).unwrap();
    settle(&facilitator, &payment).await;
    assert_eq!((world.received(), world.gas_account_nonce()), (1000, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_accounts_need_only_the_old_overload() {
    let world = world_with(NO_BYTES_OVERLOAD);
    settle(&world.facilitator(), &world.payment(1000)).await;
    assert_eq!(world.received(), 1000);
    world.chain.set_quirks(NO_VRS_OVERLOAD).unwrap();
    let payment = world.payment(1000);
    assert_eq!(verify_refusal(&world.facilitator(), &payment).await, RejectReason::SimulationFailed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blacklisted_payee_is_refused_before_sending() {
    let world = World::start();
    world.chain.set_blacklisted(accounts()[2].address, true).unwrap();
    let payment = world.payment(1000);
    assert_eq!(verify_refusal(&world.facilitator(), &payment).await, RejectReason::SimulationFailed);
}
