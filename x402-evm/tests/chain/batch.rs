//! Many authorizations in one transaction.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use devchain::{MULTICALL, TOKEN, accounts};
use serde_json::json;
use tokio::task::JoinHandle;
use x402_core::{
    error::RejectReason,
    facilitator::{Evidence, Facilitator, Payment, SettleError, Settlement, Transfer},
};
use x402_evm::{Batching, EvmFacilitator};

use crate::{
    evidence::{cancel_call, transfer_call},
    race::Race,
    world::{GAS, PAY_TO, PAYER, World, gas_key, option, option_of, settle, until},
};

pub(crate) type Settling = JoinHandle<Result<Settlement, SettleError>>;

/// A window so long that only a full batch leaves: it leaves with exactly so many.
pub(crate) fn full_at(most: usize) -> Batching {
    Batching { window: Duration::from_secs(10), most }
}

pub(crate) fn settling(facilitator: &EvmFacilitator, payment: &Payment) -> Settling {
    let (facilitator, payment) = (facilitator.clone(), payment.clone());
    tokio::spawn(async move { facilitator.settle(&payment).await })
}

pub(crate) fn all_settling(facilitator: &EvmFacilitator, payments: &[Payment]) -> Vec<Settling> {
    payments.iter().map(|payment| settling(facilitator, payment)).collect()
}

pub(crate) fn target(world: &World, transaction: &str) -> String {
    let transaction = world.chain.rpc("eth_getTransactionByHash", json!([transaction])).unwrap();
    transaction["to"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_come_together_share_a_transaction() {
    let world = World::start();
    let facilitator = world.facilitator().batch(full_at(20));
    let payments: Vec<_> = (1..=20).map(|amount| world.payment(amount)).collect();
    let start = Instant::now();
    let mut found = HashSet::new();
    for (settling, payment) in all_settling(&facilitator, &payments).into_iter().zip(&payments) {
        let settlement = settling.await.unwrap().unwrap();
        assert_eq!(settlement.amount, payment.amount());
        found.insert((settlement.transaction.clone(), settlement.log_index));
        let evidence = facilitator.witness().unwrap().evidence(&Transfer::from(payment)).await.unwrap();
        assert!(matches!(evidence, Evidence::Settled(same) if same == settlement));
        assert_eq!(settle(&facilitator, payment).await, settlement, "asked again");
    }
    assert!(start.elapsed() < Duration::from_secs(9), "a full one waits for nobody");
    assert_eq!(found.len(), 20, "each has a log of its own");
    let transactions: HashSet<_> = found.iter().map(|(transaction, _)| transaction).collect();
    assert_eq!((transactions.len(), world.gas_account_nonce(), world.received()), (1, 1, 210));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_joins_goes_as_it_always_did() {
    let world = World::start();
    let window = Duration::from_millis(300);
    let facilitator = world.facilitator().batch(Batching { window, most: 50 });
    let start = Instant::now();
    let settlement = settle(&facilitator, &world.payment(1000)).await;
    assert!(start.elapsed() >= window);
    assert_eq!(target(&world, &settlement.transaction), TOKEN.to_lowercase());
    assert_eq!((world.received(), world.gas_account_nonce()), (1000, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_settlements_of_one_payment_are_one_in_the_batch() {
    let world = World::start();
    let facilitator = world.facilitator().batch(full_at(2));
    let payments = [world.payment(10), world.payment(20)];
    let copies = (0..50).map(|_| settling(&facilitator, &payments[0])).collect::<Vec<_>>();
    settling(&facilitator, &payments[1]).await.unwrap().unwrap();
    for copy in copies {
        copy.await.unwrap().unwrap();
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (30, 1));
}

/// Everything that can happen between an estimate and its block happens to one of them.
#[tokio::test(flavor = "multi_thread")]
async fn each_in_a_batch_has_an_outcome_of_its_own() {
    const LISTED: usize = 3;
    const POOR: usize = 4;
    let world = World::start();
    world.chain.mint(accounts()[LISTED].address, 1000).unwrap();
    world.chain.mint(accounts()[POOR].address, 1000).unwrap();
    let facilitator = world.facilitator().batch(full_at(7));
    let good = world.payment(1);
    let front_run = world.payment(20);
    let cancelled = world.payment(300);
    let expired = world.payment_of(PAYER, 4000, 30);
    let listed = world.payment_of(LISTED, 600, 300);
    // Each of the two can be paid, both cannot.
    let (once, twice) = (world.payment_of(POOR, 601, 300), world.payment_of(POOR, 602, 300));
    world.chain.set_automine(false).unwrap();
    let all = [&good, &front_run, &cancelled, &expired, &listed, &once, &twice];
    let all: Vec<_> = all.into_iter().map(|payment| settling(&facilitator, payment)).collect();
    until(|| world.waiting() == 1).await;
    let others = accounts()[6].address;
    world.overtake(others, TOKEN, &format!("0x{}", transfer_call(&front_run)));
    world.overtake(others, TOKEN, &cancel_call(&cancelled));
    let list = format!("0xd01dd6d2{:0>64}{:064x}", &accounts()[LISTED].address[2..], 1);
    world.overtake(others, TOKEN, &list);
    world.chain.rpc("evm_increaseTime", json!([90])).unwrap();
    world.chain.mine(1).unwrap();

    let mut outcomes = Vec::new();
    for settling in all {
        outcomes.push(settling.await.unwrap());
    }
    let settled = |at: usize| outcomes[at].as_ref().unwrap().transaction.clone();
    let reason = |at: usize| match &outcomes[at] {
        Err(SettleError::Rejected { reason, transaction }) => {
            assert_eq!(transaction.as_ref(), Some(&settled(0)), "what was sent for it");
            reason.clone()
        }
        other => panic!("{at}: {other:?}"),
    };
    assert_eq!(target(&world, &settled(0)), MULTICALL.to_lowercase());
    assert_ne!(settled(1), settled(0), "paid by whoever was first");
    assert_eq!(reason(2), RejectReason::NonceAlreadyUsed);
    assert!(matches!(reason(3), RejectReason::Expired { .. }));
    assert_eq!(reason(4), RejectReason::SimulationFailed);
    let (paid, unpaid) = if outcomes[5].is_ok() { (5, 6) } else { (6, 5) };
    assert_eq!((settled(paid), reason(unpaid)), (settled(0), RejectReason::InsufficientFunds));
    assert_eq!(world.received(), 1 + 20 + 600 + paid as u128 - 4);
    assert_eq!(world.gas_account_nonce(), 1, "nothing else was sent");

    // What failed and is not dead can be settled later: what the journal knows of it is in the way of nothing.
    world.chain.set_automine(true).unwrap();
    world.chain.set_blacklisted(accounts()[LISTED].address, false).unwrap();
    settle(&world.facilitator().batch(full_at(7)), &good).await;
    let before = world.received();
    let alone = facilitator.batch(Batching { window: Duration::from_millis(1), most: 2 });
    settle(&alone, &listed).await;
    assert_eq!(world.received(), before + 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_authorizations_with_one_nonce_one_goes_alone_and_one_pays() {
    let world = World::start();
    let facilitator = world.facilitator().batch(full_at(2));
    let mut elsewhere = option(1000);
    elsewhere.pay_to = accounts()[8].address.into();
    let nonce = x402_evm::random_nonce();
    let signed = |option| {
        let payload = world.payer.authorize(option, world.window(300), nonce).unwrap();
        crate::world::payment_with(option, payload)
    };
    let (theirs, ours) = (signed(&elsewhere), signed(&option(1000)));
    world.chain.set_automine(false).unwrap();
    let both = all_settling(&facilitator, &[theirs, ours]);
    until(|| world.waiting() == 1).await;
    let third = settling(&facilitator, &world.payment(20));
    until(|| world.waiting() == 2).await;
    world.chain.mine(1).unwrap();
    let mut outcomes = Vec::new();
    for settling in both {
        outcomes.push(settling.await.unwrap());
    }
    third.await.unwrap().unwrap();
    let (paid, unpaid): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.is_ok());
    assert_eq!((paid.len(), world.gas_account_nonce()), (1, 2));
    let told = matches!(
        unpaid[0],
        Err(SettleError::Rejected { reason: RejectReason::NonceAlreadyUsed, transaction: Some(_) })
    );
    assert!(told, "{unpaid:?}");
    assert_eq!(world.received(), if outcomes[1].is_ok() { 1020 } else { 20 });
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_would_expire_while_it_waits_goes_alone() {
    let world = World::start();
    let facilitator = world.facilitator().batch(full_at(2));
    let settlement = settle(&facilitator, &world.payment_of(PAYER, 1000, 11)).await;
    assert_eq!(target(&world, &settlement.transaction), TOKEN.to_lowercase());
}

/// A stranger's token could log its transfers in any order.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_nobody_knows_go_alone() {
    let world = World::start();
    let token = world.chain.deploy("X402TestToken").unwrap();
    let mint = format!("0x40c10f19{:0>64}{:064x}", &world.payer.address().to_string()[2..], 1000);
    world.transact(accounts()[9].address, &token, &mint);
    let facilitator = world.facilitator().batch(full_at(2));
    let option = option_of(&token, "USDC", "2", 10);
    let payments = [0, 1].map(|_| world.payment_in(&option, world.window(300)));
    for settling in all_settling(&facilitator, &payments) {
        let settlement = settling.await.unwrap().unwrap();
        assert_eq!(target(&world, &settlement.transaction), token.to_lowercase());
    }
    assert_eq!(world.gas_account_nonce(), 2);
}

/// Its code would be asked for the signature, with the gas of all.
#[tokio::test(flavor = "multi_thread")]
async fn payers_with_code_go_alone() {
    let world = World::start();
    world.chain.place("X402RudeWallet", accounts()[PAYER].address).unwrap();
    let set_mode = format!("0x{}{:064x}", crate::evidence::selector("setMode(uint256)"), 5);
    world.transact(accounts()[9].address, accounts()[PAYER].address, &set_mode);
    let facilitator = world.facilitator().batch(full_at(2));
    let payments = [world.payment(1), world.payment(2)];
    for settling in all_settling(&facilitator, &payments) {
        let settlement = settling.await.unwrap().unwrap();
        assert_eq!(target(&world, &settlement.transaction), TOKEN.to_lowercase());
    }
    assert_eq!(world.gas_account_nonce(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_multicall_is_found_at_start() {
    let world = World::start();
    let batched = || world.facilitator().batch(Batching::default());
    batched().preflight(&[option(1000)]).await.unwrap();
    world.chain.rpc("anvil_setCode", json!([MULTICALL, "0x"])).unwrap();
    let error = batched().preflight(&[option(1000)]).await.unwrap_err();
    assert_eq!(error.at(), "batch");
    assert!(error.to_string().contains("Multicall3") && error.to_string().contains("one by one"), "{error}");
    world.facilitator().preflight(&[option(1000)]).await.unwrap();
    let error = world.facilitator().batch(full_at(1)).preflight(&[]).await.unwrap_err();
    assert!(error.to_string().contains("2 to 200"), "{error}");

    // Not looked at before, it costs nobody anything.
    let payments = [world.payment(1), world.payment(2)];
    for settling in all_settling(&batched(), &payments) {
        settling.await.unwrap().unwrap();
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_one_by_one_and_together() {
    let world = World::start();
    let alone = Race::run(&world, &world.facilitator(), 200).await;
    // Longer than by default, for machines that are busy with other tests.
    let batching = Batching { window: Duration::from_millis(300), ..Batching::default() };
    let batched = EvmFacilitator::new(world.chain.url(), gas_key(GAS + 1)).unwrap().batch(batching);
    let together = Race::run(&world, &batched, 200).await;
    println!("{}", Race::table(&[("one by one", &alone), ("together", &together)]));
    assert_eq!((alone.transactions, alone.payments), (200, 200), "all mined, no nonce left out");
    assert!(together.payments == 200 && together.transactions <= 80, "{together:?}");
    assert!(together.gas_per_payment() < alone.gas_per_payment(), "{together:?} {alone:?}");
    assert_eq!(world.chain.transfers_to(PAY_TO).unwrap(), 400);
}
