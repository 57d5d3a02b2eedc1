//! `upto`: of a ceiling, what was used is moved.

use std::time::Duration;

use devchain::accounts;
use x402_core::{
    error::RejectReason,
    facilitator::{Evidence, Facilitator, Payment, Transfer, VerifyError},
    price::{AtomicAmount, PriceOption},
};
use x402_evm::{EvmFacilitator, EvmWitness};

use crate::{
    permit2::burn,
    world::{GAS, PAY_TO, World, gas_key, settle, settle_refusal, verify_refusal},
};

fn option(ceiling: u64) -> PriceOption {
    crate::world::option(ceiling).upto(accounts()[GAS].address)
}

fn payment(world: &World, ceiling: u64) -> Payment {
    world.payment_in(&option(ceiling), world.window(300))
}

fn charging(payment: &Payment, amount: u64) -> Payment {
    payment.clone().charging(AtomicAmount::from(amount))
}

async fn evidence(world: &World, payment: &Payment) -> Result<Evidence, VerifyError> {
    let witness = world.facilitator().witness().unwrap();
    let transfer = Transfer::from(payment);
    witness.evidence(&transfer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_is_moved_once() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let mut received = 0;
    for (charge, moves) in [(None, 10_000), (Some(10_000), 10_000), (Some(1234), 1234), (Some(1), 1)] {
        let payment = payment(&world, 10_000);
        facilitator.verify(&payment).await.unwrap();
        let payment = match charge {
            Some(amount) => charging(&payment, amount),
            None => payment,
        };
        let settlement = settle(&facilitator, &payment).await;
        received += u128::from(moves);
        assert_eq!((settlement.amount, world.received()), (AtomicAmount::from(moves), received));
        assert_eq!(settle(&facilitator, &payment).await, settlement);
        assert_eq!(settle(&world.facilitator(), &payment).await, settlement);
        let found = evidence(&world, &payment).await.unwrap();
        assert!(matches!(&found, Evidence::Settled(same) if *same == settlement), "{found:?}");
    }
    assert_eq!((world.chain.transfers_to(PAY_TO).unwrap(), world.gas_account_nonce()), (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_used_is_settled_without_a_transaction() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let payment = payment(&world, 10_000);
    facilitator.verify(&payment).await.unwrap();
    let settlement = settle(&facilitator, &charging(&payment, 0)).await;
    assert_eq!((settlement.transaction.as_str(), settlement.amount), ("", AtomicAmount::ZERO));
    assert_eq!((world.received(), world.gas_account_nonce()), (0, 0));
    let found = evidence(&world, &payment).await.unwrap();
    assert!(
        matches!(found, Evidence::StillPossible),
        "the chain has not used it: whoever settles must remember it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_ceiling_is_never_moved() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let payment = payment(&world, 10_000);
    let (reason, sent) = settle_refusal(&facilitator, &charging(&payment, 10_001)).await;
    assert_eq!((reason.code(), sent), ("invalid_upto_evm_payload_settlement_exceeds_amount", false));
    let exact = world.payment_in(&crate::permit2::option(10_000), world.window(300));
    for amount in [9_999, 10_001] {
        let refused = settle_refusal(&facilitator, &charging(&exact, amount)).await;
        assert!(matches!(refused, (RejectReason::WrongAmount { .. }, false)), "{refused:?}");
    }
    assert_eq!(world.gas_account_nonce(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_named_facilitator_settles() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = payment(&world, 10_000);
    let stranger = EvmFacilitator::new(world.chain.url(), gas_key(6)).unwrap();
    assert_eq!(verify_refusal(&stranger, &payment).await.code(), "upto_facilitator_mismatch");
    let (reason, sent) = settle_refusal(&stranger, &payment).await;
    assert_eq!((reason.code(), sent), ("upto_facilitator_mismatch", false));
    settle(&world.facilitator(), &payment).await;
    assert_eq!(world.received(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_authorization_is_charged_once_whatever_is_asked_for_later() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let payment = payment(&world, 10_000);
    settle(&facilitator, &charging(&payment, 300)).await;
    for facilitator in [&facilitator, &world.facilitator()] {
        let (reason, _) = settle_refusal(facilitator, &charging(&payment, 400)).await;
        assert_eq!(reason, RejectReason::NonceAlreadyUsed);
    }
    // Neither paid as asked nor unpaid: nobody is told to sign again.
    assert!(evidence(&world, &charging(&payment, 400)).await.is_err());
    assert_eq!((world.received(), world.chain.transfers_to(PAY_TO).unwrap()), (300, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_charges_at_once_one_is_made() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let payment = payment(&world, 10_000);
    let (one, two) = (charging(&payment, 100), charging(&payment, 200));
    let (one, two) = tokio::join!(facilitator.settle(&one), facilitator.settle(&two));
    let settled = match (&one, &two) {
        (Ok(settlement), Err(_)) | (Err(_), Ok(settlement)) => settlement,
        other => panic!("{other:?}"),
    };
    assert_eq!(AtomicAmount::from(u64::try_from(world.received()).unwrap()), settled.amount);
    assert_eq!(world.chain.transfers_to(PAY_TO).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ceiling_must_be_there_to_verify_and_what_was_used_to_settle() {
    let world = World::start();
    world.approve(5_000);
    let facilitator = world.facilitator();
    let payment = payment(&world, 10_000);
    assert_eq!(verify_refusal(&facilitator, &payment).await.code(), "permit2_allowance_required");
    settle(&facilitator, &charging(&payment, 5_000)).await;
    assert_eq!(world.received(), 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_ceiling_dies_with_its_deadline_and_a_burnt_one_at_once() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = world.payment_in(&option(10_000), world.window(100));
    let burnt = world.payment_in(&option(10_000), world.window(300));
    assert!(matches!(evidence(&world, &payment).await.unwrap(), Evidence::StillPossible));
    burn(&world, &burnt);
    let unsure = evidence(&world, &burnt).await.unwrap();
    assert!(
        matches!(unsure, Evidence::StillPossible),
        "a node may not have indexed the transfer: {unsure:?}"
    );
    world.chain.advance_time(40).unwrap();
    world.chain.mine(1).unwrap();
    let dead = evidence(&world, &burnt).await.unwrap();
    assert!(matches!(dead, Evidence::Dead(RejectReason::NonceAlreadyUsed)), "{dead:?}");
    world.chain.advance_time(100).unwrap();
    let dead = evidence(&world, &payment).await.unwrap();
    assert!(matches!(dead, Evidence::Dead(RejectReason::Expired { .. })), "{dead:?}");
    let careful =
        EvmWitness::new(world.chain.url()).unwrap().confirmations(5).lookback(Duration::from_secs(3600));
    let evidence = x402_core::facilitator::Witness::evidence(&careful, &Transfer::from(&payment)).await;
    assert!(matches!(evidence.unwrap(), Evidence::StillPossible));
}
