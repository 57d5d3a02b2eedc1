//! Batches that go wrong as a whole.

use std::{sync::Arc, time::Duration};

use devchain::{MULTICALL, TOKEN, accounts};
use serde_json::json;
use tracing::{Event, Metadata, Subscriber, span};
use x402_core::{error::RejectReason, facilitator::SettleError};
use x402_evm::FileJournal;

use crate::{
    batch::{all_settling, full_at, settling, target},
    evidence::selector,
    proxy::{Fault, Proxy},
    world::{PAYER, World, facilitator_at, settle, settle_refusal, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_reverts_is_sent_again_one_by_one() {
    let world = World::start();
    let facilitator = world.facilitator().batch(full_at(3));
    world.chain.set_automine(false).unwrap();
    let payments = [world.payment(1), world.payment(20), world.payment(300)];
    let all = all_settling(&facilitator, &payments);
    until(|| world.waiting() == 1).await;
    // Now a contract that knows no such call.
    world.chain.place("X402TestToken", MULTICALL).unwrap();
    world.chain.mine(1).unwrap();
    world.chain.set_automine(true).unwrap();
    for settling in all {
        let settlement = settling.await.unwrap().unwrap();
        assert_eq!(target(&world, &settlement.transaction), TOKEN.to_lowercase());
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (321, 4));
}

/// The payer's account gets code after it was looked at, and burns all gas that it is given.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_burns_the_gas_of_all_costs_the_others_nothing_but_time() {
    const GREEDY: usize = 3;
    let world = World::start();
    let greedy = accounts()[GREEDY].address;
    world.chain.mint(greedy, 1000).unwrap();
    let facilitator = world.facilitator().batch(full_at(3));
    world.chain.set_automine(false).unwrap();
    let first = settling(&facilitator, &world.payment_of(GREEDY, 1000, 300));
    let payments = [world.payment(1), world.payment(20)];
    // So that it stands before the others.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let all = all_settling(&facilitator, &payments);
    until(|| world.waiting() == 1).await;
    world.chain.place("X402RudeWallet", greedy).unwrap();
    let set_mode = format!("0x{}{:064x}", selector("setMode(uint256)"), 2);
    world.overtake(accounts()[6].address, greedy, &set_mode);
    world.chain.mine(1).unwrap();
    world.chain.set_automine(true).unwrap();
    let refused = first.await.unwrap();
    let is_refused = matches!(
        &refused,
        Err(SettleError::Rejected {
            reason: RejectReason::SimulationFailed | RejectReason::WrongSignature,
            ..
        })
    );
    assert!(is_refused, "{refused:?}");
    for settling in all {
        settling.await.unwrap().unwrap();
    }
    assert_eq!(world.received(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_leaves_each_unresolved_with_the_transaction() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    let batched = || facilitator_at(proxy.url()).receipt_timeout(Duration::from_secs(2)).batch(full_at(3));
    let facilitator = batched();
    let payments = [world.payment(1), world.payment(20), world.payment(300)];
    proxy.inject(|method| (method == "eth_sendRawTransaction").then_some(Fault::DieAfterForwarding));
    let mut hashes = Vec::new();
    for settling in all_settling(&facilitator, &payments) {
        match settling.await.unwrap() {
            Err(SettleError::Unresolved { transaction: Some(hash), .. }) => hashes.push(hash),
            other => panic!("{other:?}"),
        }
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
    proxy.heal();
    // By the one that sent it, and by one that knows nothing of it.
    for facilitator in [facilitator, batched()] {
        for settling in all_settling(&facilitator, &payments) {
            assert_eq!(settling.await.unwrap().unwrap().transaction, hashes[0]);
        }
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (321, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_gas_account_leaves_each_unsent() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    let facilitator = facilitator_at(proxy.url()).batch(full_at(2));
    let payments = [world.payment(1), world.payment(20)];
    proxy.inject(|method| {
        let refused = r#"{"code":-32000,"message":"insufficient funds for gas * price + value"}"#;
        (method == "eth_sendRawTransaction").then_some(Fault::Error(refused))
    });
    for settling in all_settling(&facilitator, &payments) {
        let unsent = settling.await.unwrap();
        assert!(matches!(unsent, Err(SettleError::Unavailable(_))), "{unsent:?}");
    }
    proxy.heal();
    for settling in all_settling(&facilitator, &payments) {
        settling.await.unwrap().unwrap();
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (21, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_big_together_goes_one_by_one() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    let facilitator = facilitator_at(proxy.url()).batch(full_at(2));
    for (refused, sent) in [
        (r#"{"code":-32000,"message":"exceeds block gas limit"}"#, 2),
        (r#"{"code":-32000,"message":"tx fee (1.02 ether) exceeds the configured cap (1.00 ether)"}"#, 4),
        (r#"{"code":-32000,"message":"insufficient funds for gas * price + value"}"#, 6),
    ] {
        let mut left = 1;
        proxy.inject(move |method| {
            let hit = method == "eth_sendRawTransaction" && left > 0;
            left -= i32::from(hit);
            hit.then_some(Fault::Error(refused))
        });
        for settling in all_settling(&facilitator, &[world.payment(1), world.payment(20)]) {
            let settlement = settling.await.unwrap().unwrap();
            assert_eq!(target(&world, &settlement.transaction), TOKEN.to_lowercase());
        }
        assert_eq!(world.gas_account_nonce(), sent, "{refused}");
    }
    assert_eq!(world.received(), 63);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_waits_for_a_batch_in_the_journal() {
    let world = World::start();
    let path = std::env::temp_dir().join(format!("x402-batch-{}", std::process::id()));
    let facilitator = || world.facilitator().journal(FileJournal::open(&path).unwrap()).batch(full_at(2));
    world.chain.set_automine(false).unwrap();
    let payments = [world.payment(1), world.payment(20)];
    let before = facilitator().receipt_timeout(Duration::from_millis(800));
    let mut hashes = Vec::new();
    for settling in all_settling(&before, &payments) {
        match settling.await.unwrap() {
            Err(SettleError::Unresolved { transaction: Some(hash), .. }) => hashes.push(hash),
            other => panic!("{other:?}"),
        }
    }
    let after = facilitator();
    let all = all_settling(&after, &payments);
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.chain.mine(1).unwrap();
    for (settling, hash) in all.into_iter().zip(hashes) {
        assert_eq!(settling.await.unwrap().unwrap().transaction, hash);
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (21, 1), "nothing was sent again");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_hears_of_a_replacement() {
    let world = World::start();
    world.chain.set_automine(false).unwrap();
    let facilitator = world
        .facilitator()
        .stuck_after(Duration::from_millis(300))
        .receipt_timeout(Duration::from_secs(2))
        .batch(full_at(2));
    let payments = [world.payment(1), world.payment(20)];
    let all = all_settling(&facilitator, &payments);
    until(|| world.waiting() == 1).await;
    let waiting = || {
        let pool = world.chain.rpc("txpool_content", json!([])).unwrap();
        pool["pending"].as_object().unwrap().values().next().unwrap()["0"]["hash"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = waiting();
    until(|| waiting() != first).await;
    for settling in all {
        match settling.await.unwrap() {
            Err(SettleError::Unresolved { transaction: Some(last), .. }) => assert_ne!(last, first),
            other => panic!("{other:?}"),
        }
    }
    world.chain.mine(1).unwrap();
    for settling in all_settling(&facilitator, &payments) {
        assert_ne!(settling.await.unwrap().unwrap().transaction, first);
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (21, 1));
}

/// A token that fails on the chain only: each is tried alone after the batch, and tells so.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_together_and_alone_is_a_failure() {
    let world = World::start();
    world.chain.set_quirks(64).unwrap();
    let facilitator = world.facilitator().batch(full_at(2));
    let payments = [world.payment(1), world.payment(20)];
    let (one, two) =
        tokio::join!(settle_refusal(&facilitator, &payments[0]), settle_refusal(&facilitator, &payments[1]));
    assert_eq!((one, two), ((RejectReason::TransferFailed, true), (RejectReason::TransferFailed, true)));
    assert_eq!((world.received(), world.gas_account_nonce()), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_used_its_nonce_in_a_batch_and_moved_nothing_is_no_payment() {
    let world = World::start();
    world.chain.set_quirks(2).unwrap();
    let facilitator = world.facilitator().batch(full_at(2));
    let payments = [world.payment(1), world.payment(20)];
    let (one, two) =
        tokio::join!(settle_refusal(&facilitator, &payments[0]), settle_refusal(&facilitator, &payments[1]));
    assert_eq!((one, two), ((RejectReason::TransferMissing, true), (RejectReason::TransferMissing, true)));
    assert_eq!(world.gas_account_nonce(), 1);
}

/// Panics in whoever carries a batch, once it was sent.
struct Trap;

impl Subscriber for Trap {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        assert!(event.fields().all(|field| field.name() != "settlements"), "trapped");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// On one thread, which is the one that is listened to.
#[tokio::test]
async fn a_batch_that_is_given_up_leaves_each_unresolved() {
    let world = World::start();
    let facilitator = world.facilitator().batch(full_at(2));
    let payments = [world.payment(1), world.payment(20)];
    // With one listener alone, other threads could decide that nobody listens.
    let second = tracing::Dispatch::new(Trap);
    let trap = tracing::subscriber::set_default(Arc::new(Trap));
    for settling in all_settling(&facilitator, &payments) {
        let unresolved = settling.await.unwrap();
        assert!(matches!(unresolved, Err(SettleError::Unresolved { .. })), "{unresolved:?}");
    }
    drop((trap, second));
    for payment in &payments {
        settle(&facilitator, payment).await;
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (21, 1));
    assert_eq!(world.chain.transfer_count(accounts()[PAYER].address, crate::world::PAY_TO).unwrap(), 2);
}
