//! What became of Permit2 authorizations that somebody else settled.

use devchain::{EXACT_PERMIT2_PROXY, MULTICALL, TOKEN, accounts};
use serde_json::json;
use x402_core::{
    error::RejectReason,
    facilitator::{Evidence, Facilitator, Payment, Transfer, VerifyError},
    scheme::{EvmAddress, Permit2, SignedMessage},
};

use crate::{
    permit2::{burn, option, payment, selector},
    world::{PAY_TO, PAYER, World, settle, until},
};

async fn evidence(world: &World, payment: &Payment) -> Result<Evidence, VerifyError> {
    let witness = world.facilitator().witness().unwrap();
    witness.evidence(&Transfer::from(payment)).await
}

fn message(payment: &Payment) -> &Permit2 {
    match &payment.authorization.message {
        SignedMessage::Permit2(message) => message,
        other => panic!("{other:?}"),
    }
}

fn word(address: EvmAddress) -> String {
    format!("{:0>64}", address.to_string()[2..].to_lowercase())
}

/// The call of the proxy that settles a payment.
fn settle_call(payment: &Payment) -> String {
    let m = message(payment);
    let signature: String = m.signature.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}{}{:064x}{:064x}{:064x}{}{}{:064x}{:064x}{:064x}{signature:0<192}",
        selector("settle(((address,uint256),uint256,uint256),address,(address,uint256),bytes)"),
        word(m.token),
        m.amount,
        m.nonce,
        m.deadline,
        word(m.owner),
        word(m.witness.to),
        m.witness.valid_after,
        32 * 8,
        m.signature.len(),
    )
}

/// Calls, each allowed to fail, in one transaction of a stranger; returns its hash.
fn together(world: &World, calls: &[(&str, String)]) -> String {
    let encoded: Vec<String> = calls
        .iter()
        .map(|(to, call)| {
            let length = call.len().next_multiple_of(64);
            format!("{:0>64}{:064x}{:064x}{:064x}{call:0<length$}", &to[2..], 1, 96, call.len() / 2)
        })
        .collect();
    let mut at = 32 * calls.len();
    let mut offsets = String::new();
    for call in &encoded {
        offsets += &format!("{at:064x}");
        at += call.len() / 2;
    }
    let data = format!(
        "0x{}{:064x}{:064x}{offsets}{}",
        selector("aggregate3((address,bool,bytes)[])"),
        32,
        calls.len(),
        encoded.concat()
    );
    world.transact(accounts()[6].address, MULTICALL, &data)
}

fn is_paid_by(evidence: &Evidence, transaction: &str) -> bool {
    matches!(evidence, Evidence::Settled(found) if found.transaction == transaction)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_by_a_stranger_is_found_near_and_far_back() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = payment(&world, 1000);
    let hash =
        world.transact(accounts()[6].address, EXACT_PERMIT2_PROXY, &format!("0x{}", settle_call(&payment)));
    assert!(is_paid_by(&evidence(&world, &payment).await.unwrap(), &hash));
    (0..10).for_each(|_| world.chain.mine(250).unwrap());
    assert!(is_paid_by(&evidence(&world, &payment).await.unwrap(), &hash), "2 500 blocks back");
    world.chain.advance_time(90 * 24 * 3600).unwrap();
    (0..10).for_each(|_| world.chain.mine(250).unwrap());
    assert!(is_paid_by(&evidence(&world, &payment).await.unwrap(), &hash), "90 days later");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_payments_of_one_payer_are_told_apart() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let (one, two, three) = (payment(&world, 1000), payment(&world, 1000), payment(&world, 1000));
    let first = settle(&facilitator, &one).await;
    let second = settle(&facilitator, &two).await;
    assert_ne!(first.transaction, second.transaction);
    for (payment, settlement) in [(&one, first), (&two, second)] {
        let found = evidence(&world, payment).await.unwrap();
        assert!(matches!(&found, Evidence::Settled(same) if *same == settlement), "{found:?}");
    }
    assert!(matches!(evidence(&world, &three).await.unwrap(), Evidence::StillPossible));
    // The payer takes the third back: the transfers of the others do not pay for it.
    burn(&world, &three);
    world.chain.advance_time(60).unwrap();
    world.chain.mine(1).unwrap();
    let found = evidence(&world, &three).await.unwrap();
    assert!(matches!(found, Evidence::Dead(RejectReason::NonceAlreadyUsed)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_payments_in_one_transaction_are_told_apart() {
    let world = World::start();
    world.approve(1_000_000);
    let (one, two) = (payment(&world, 1000), payment(&world, 1000));
    let calls = [&one, &two].map(|payment| (EXACT_PERMIT2_PROXY, settle_call(payment)));
    let hash = together(&world, &calls);
    let mut logs = Vec::new();
    for payment in [&one, &two] {
        match evidence(&world, payment).await.unwrap() {
            Evidence::Settled(found) if found.transaction == hash => logs.push(found.log_index),
            other => panic!("{other:?}"),
        }
    }
    assert_ne!(logs[0], logs[1], "each has a transfer of its own");
    assert_eq!((world.received(), world.chain.transfers_to(PAY_TO).unwrap()), (2000, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_transfer_never_pays_two_authorizations() {
    let world = World::start();
    world.approve(1_000_000);
    let (one, two) = (payment(&world, 1000), payment(&world, 1000));
    // The second was given up; its call stands beside the first's, and fails.
    burn(&world, &two);
    together(&world, &[&one, &two].map(|payment| (EXACT_PERMIT2_PROXY, settle_call(payment))));
    assert_eq!(world.received(), 1000);
    world.chain.advance_time(60).unwrap();
    world.chain.mine(1).unwrap();
    for payment in [&one, &two] {
        let unclear = evidence(&world, payment).await;
        assert!(unclear.is_err(), "two calls and one settlement prove nothing: {unclear:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_transfer_in_the_same_transaction_is_no_payment() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = payment(&world, 1000);
    burn(&world, &payment);
    let transfer = format!("0x{}{:0>64}{:064x}", selector("transfer(address,uint256)"), &PAY_TO[2..], 1000);
    world.transact(accounts()[PAYER].address, TOKEN, &transfer);
    world.chain.advance_time(60).unwrap();
    world.chain.mine(1).unwrap();
    let found = evidence(&world, &payment).await.unwrap();
    assert!(matches!(found, Evidence::Dead(RejectReason::NonceAlreadyUsed)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_that_paid_somebody_else_is_dead_for_us() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = world.payment_in(&option(1000), world.window(300));
    settle(&world.facilitator(), &payment).await;
    let mut ours = payment.clone();
    ours.option.pay_to = accounts()[8].address.into();
    assert!(matches!(evidence(&world, &ours).await.unwrap(), Evidence::StillPossible));
    world.chain.advance_time(60).unwrap();
    world.chain.mine(1).unwrap();
    let found = evidence(&world, &ours).await.unwrap();
    assert!(matches!(found, Evidence::Dead(RejectReason::NonceAlreadyUsed)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_overtaken_while_waiting_for_a_block_is_paid_all_the_same() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = payment(&world, 1000);
    world.chain.set_automine(false).unwrap();
    let facilitator = world.facilitator();
    let ours = tokio::spawn({
        let payment = payment.clone();
        async move { facilitator.settle(&payment).await }
    });
    until(|| world.waiting() == 1).await;
    let theirs = json!([{
        "from": accounts()[6].address,
        "to": EXACT_PERMIT2_PROXY,
        "data": format!("0x{}", settle_call(&payment)),
        "gas": "0x4c4b40",
        "maxFeePerGas": "0x174876e800",
        "maxPriorityFeePerGas": "0x174876e800",
    }]);
    let theirs = world.chain.rpc("eth_sendTransaction", theirs).unwrap();
    world.chain.mine(1).unwrap();
    let settlement = ours.await.unwrap().unwrap();
    assert_eq!(settlement.transaction, theirs.as_str().unwrap());
    assert_eq!((world.received(), world.chain.transfers_to(PAY_TO).unwrap()), (1000, 1));
    assert_eq!(world.gas_account_nonce(), 1, "ours was mined, and reverted");
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_are_waited_for() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = payment(&world, 1000);
    let careful = world.facilitator().confirmations(3);
    settle(&world.facilitator(), &payment).await;
    let witness = careful.witness().unwrap();
    let look = || async { witness.evidence(&Transfer::from(&payment)).await.unwrap() };
    assert!(matches!(look().await, Evidence::StillPossible));
    world.chain.mine(2).unwrap();
    assert!(matches!(look().await, Evidence::Settled(_)));
}
