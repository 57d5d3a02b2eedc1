//! Money that moves once.

use std::time::{Duration, Instant};

use devchain::accounts;
use serde_json::json;
use x402_core::{
    error::RejectReason,
    facilitator::{Evidence, Facilitator, Payment, SettleError, Transfer},
    price::PriceOption,
};
use x402_evm::{EvmFacilitator, FileJournal, random_nonce};

use crate::{
    proxy::{Fault, Proxy},
    world::{PAY_TO, World, facilitator_at, gas_key, option, payment_with, settle, settle_refusal, until},
};

fn transfers(world: &World) -> usize {
    world.chain.transfers_to(PAY_TO).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_settled_and_settling_again_tells_the_same() {
    let world = World::start();
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    let first = settle(&facilitator, &payment).await;
    assert_eq!(first.payer, world.payer.address().to_string());
    assert_eq!(first.network.as_str(), "eip155:84532");
    assert_eq!(first.amount.to_string(), "1000");
    assert_eq!(settle(&facilitator, &payment).await, first, "from the journal");
    assert_eq!(
        settle(&world.facilitator(), &payment).await,
        first,
        "from the chain, by one who does not know"
    );
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1000, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_settlements_of_one_payment_move_money_once() {
    let world = World::start();
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    let settlements = (0..50).map(|_| {
        let (facilitator, payment) = (facilitator.clone(), payment.clone());
        tokio::spawn(async move { settle(&facilitator, &payment).await })
    });
    let mut hashes: Vec<_> = Vec::new();
    for settlement in settlements.collect::<Vec<_>>() {
        hashes.push(settlement.await.unwrap().transaction);
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1000, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_outlives_the_caller() {
    let world = World::start();
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    let begun = tokio::time::timeout(Duration::from_millis(1), facilitator.settle(&payment)).await;
    assert!(begun.is_err(), "too fast to be given up");
    let settled = settle(&facilitator, &payment).await;
    assert!(settled.transaction.starts_with("0x"));
    assert_eq!((transfers(&world), world.gas_account_nonce()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_are_waited_for() {
    let world = World::start();
    let facilitator = world.facilitator().confirmations(3);
    let payment = world.payment(1000);
    let settling = tokio::spawn({
        let (facilitator, payment) = (facilitator.clone(), payment.clone());
        async move { settle(&facilitator, &payment).await }
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!settling.is_finished());
    let witness = facilitator.witness().unwrap();
    assert!(matches!(witness.evidence(&Transfer::from(&payment)).await.unwrap(), Evidence::StillPossible));
    world.chain.mine(2).unwrap();
    let settlement = settling.await.unwrap();
    assert!(
        matches!(witness.evidence(&Transfer::from(&payment)).await.unwrap(), Evidence::Settled(same) if same == settlement)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_before_the_confirmations_is_noticed_and_made_good() {
    let world = World::start();
    let facilitator = world.facilitator().confirmations(2).stuck_after(Duration::from_millis(300));
    let payment = world.payment(1000);
    let settling = tokio::spawn({
        let (facilitator, payment) = (facilitator.clone(), payment.clone());
        async move { settle(&facilitator, &payment).await }
    });
    until(|| world.received() == 1000).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.chain.rpc("anvil_rollback", json!([1])).unwrap();
    assert_eq!(world.received(), 0, "the block is gone");
    until(|| world.received() == 1000).await;
    assert!(!settling.is_finished());
    world.chain.mine(1).unwrap();
    settling.await.unwrap();
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1000, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_submitting_first_still_pays_us() {
    let world = World::start();
    let facilitator = world.facilitator();
    let front_runner = EvmFacilitator::new(world.chain.url(), gas_key(6)).unwrap();
    let known_before = world.payment(1000);
    let theirs = settle(&front_runner, &known_before).await;
    assert_eq!(settle(&facilitator, &known_before).await, theirs);
    assert_eq!(world.gas_account_nonce(), 0, "nothing had to be sent");

    // Both wait for the same block; the one that pays more is first in it, the other reverts.
    world.chain.set_automine(false).unwrap();
    let payment = world.payment(500);
    let settling = |facilitator: &EvmFacilitator, payment: &Payment| {
        let (facilitator, payment) = (facilitator.clone(), payment.clone());
        tokio::spawn(async move { facilitator.settle(&payment).await })
    };
    let ours = settling(&facilitator, &payment);
    until(|| world.waiting() == 1).await;
    bribe(&world);
    world.chain.mine(1).unwrap();
    let settlement = ours.await.unwrap().unwrap();
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1500, 2, 1));
    let receipt = world.chain.rpc("eth_getTransactionReceipt", json!([settlement.transaction])).unwrap();
    assert_eq!(receipt["from"].as_str().unwrap(), accounts()[6].address.to_lowercase());
}

/// Sends what waits in the pool once more, from another account and for a much higher tip.
fn bribe(world: &World) {
    let pool = world.chain.rpc("txpool_content", json!([])).unwrap();
    let waiting = pool["pending"].as_object().unwrap().values().next().unwrap().as_object().unwrap();
    let data = waiting.values().next().unwrap()["input"].clone();
    world.overtake(accounts()[6].address, devchain::TOKEN, data.as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_unresolved_and_the_witness_knows() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    let facilitator = facilitator_at(proxy.url()).receipt_timeout(Duration::from_secs(2));
    let payment = world.payment(1000);
    // The node gets the transaction; from then on nobody hears from it.
    proxy.inject(|method| (method == "eth_sendRawTransaction").then_some(Fault::DieAfterForwarding));
    let Err(SettleError::Unresolved { transaction: Some(hash), .. }) = facilitator.settle(&payment).await
    else {
        panic!("not unresolved")
    };
    let witness = x402_evm::EvmWitness::new(world.chain.url()).unwrap();
    let evidence =
        x402_core::facilitator::Witness::evidence(&witness, &Transfer::from(&payment)).await.unwrap();
    assert!(matches!(evidence, Evidence::Settled(settlement) if settlement.transaction == hash));
    proxy.heal();
    assert_eq!(settle(&facilitator, &payment).await.transaction, hash);
    assert_eq!((transfers(&world), world.gas_account_nonce()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_while_sending_alone_does_not_even_delay() {
    for fault in [Fault::CutAfterForwarding, Fault::CutBeforeForwarding] {
        let world = World::start();
        let proxy = Proxy::start(world.chain.url()).await;
        let facilitator = facilitator_at(proxy.url());
        let mut left = 1;
        proxy.inject(move |method| {
            let hit = method == "eth_sendRawTransaction" && left > 0;
            left -= i32::from(hit);
            hit.then_some(fault)
        });
        settle(&facilitator, &world.payment(1000)).await;
        assert_eq!((transfers(&world), world.gas_account_nonce()), (1, 1), "{fault:?}");
        settle(&facilitator, &world.payment(1000)).await;
        assert_eq!((transfers(&world), world.gas_account_nonce()), (2, 2), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_now_and_then_never_makes_us_pay_twice_or_lie() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    let facilitator = facilitator_at(proxy.url()).receipt_timeout(Duration::from_secs(5));
    let mut count = 0_u32;
    proxy.inject(move |_| {
        count += 1;
        match count % 13 {
            3 => Some(Fault::CutAfterForwarding),
            8 => Some(Fault::CutBeforeForwarding),
            _ => None,
        }
    });
    let mut settled = 0;
    for _ in 0..20 {
        let payment = world.payment(10);
        loop {
            match facilitator.settle(&payment).await {
                Ok(_) => break settled += 1,
                Err(SettleError::Unavailable(_) | SettleError::Unresolved { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((world.received(), transfers(&world)), (10 * settled as u128, settled));
    }
    assert_eq!(settled, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_authorization_is_refused_and_dead() {
    let world = World::start();
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    facilitator.verify(&payment).await.unwrap();
    crate::evidence::cancel(&world, &payment);
    assert_eq!(settle_refusal(&facilitator, &payment).await, (RejectReason::NonceAlreadyUsed, false));
    let evidence = facilitator.witness().unwrap().evidence(&Transfer::from(&payment)).await.unwrap();
    assert!(matches!(evidence, Evidence::Dead(RejectReason::NonceAlreadyUsed)), "{evidence:?}");
    assert_eq!(world.gas_account_nonce(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_waits_for_what_the_journal_says_was_sent() {
    let world = World::start();
    let path = std::env::temp_dir().join(format!("x402-restart-{}", std::process::id()));
    let facilitator = || world.facilitator().journal(FileJournal::open(&path).unwrap());
    world.chain.set_automine(false).unwrap();
    let payment = world.payment(1000);
    let before = facilitator().receipt_timeout(Duration::from_millis(800));
    let Err(SettleError::Unresolved { transaction: Some(hash), .. }) = before.settle(&payment).await else {
        panic!("not unresolved")
    };
    let after = facilitator();
    let settling = tokio::spawn({
        let payment = payment.clone();
        async move { settle(&after, &payment).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.chain.mine(1).unwrap();
    assert_eq!(settling.await.unwrap().transaction, hash);
    assert_eq!(world.gas_account_nonce(), 1, "nothing was sent again");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_earlier_stays_open_while_the_node_cannot_be_asked_for_it() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    let facilitator = facilitator_at(proxy.url());
    let payment = world.payment(1000);
    let first = settle(&facilitator, &payment).await;
    for fault in [Fault::CutBeforeForwarding, Fault::Error(r#"{"code":-32000,"message":"behind"}"#)] {
        proxy.inject(move |method| (method == "eth_getTransactionByHash").then_some(fault));
        // "Nothing was sent" would have another facilitator asked.
        let again = facilitator.settle(&payment).await;
        let Err(SettleError::Unresolved { transaction: Some(hash), .. }) = again else {
            panic!("{fault:?}: {again:?}")
        };
        assert_eq!(hash, first.transaction, "{fault:?}");
        proxy.heal();
        assert_eq!(settle(&facilitator, &payment).await, first, "{fault:?}");
    }
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1000, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_authorizations_with_one_nonce_do_not_share_a_settlement() {
    let world = World::start();
    let facilitator = world.facilitator();
    let mut elsewhere = option(1000);
    elsewhere.pay_to = accounts()[8].address.into();
    let nonce = random_nonce();
    let signed = |option: &PriceOption| {
        payment_with(option, world.payer.authorize(option, world.window(300), nonce).unwrap())
    };
    let (theirs, ours) = (signed(&elsewhere), signed(&option(1000)));
    let (theirs, ours) = tokio::join!(facilitator.settle(&theirs), facilitator.settle(&ours));
    assert!(theirs.is_ok() ^ ours.is_ok(), "{theirs:?} {ours:?}");
    assert_eq!(ours.is_ok(), world.received() == 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_a_payment_does_not_answer_are_refused_while_it_is_settled_for_others() {
    let world = World::start();
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    let mut other = payment.clone();
    other.option.pay_to = accounts()[8].address.into();
    let (settled, refused) = tokio::join!(facilitator.settle(&payment), facilitator.settle(&other));
    settled.unwrap();
    assert!(
        matches!(&refused, Err(SettleError::Rejected { reason: RejectReason::WrongRecipient, .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_too_slow_to_tell_its_head_within_a_second_still_confirms() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    proxy.inject(|method| {
        (method == "eth_getBlockByNumber").then_some(Fault::Late(Duration::from_millis(1300)))
    });
    let facilitator = facilitator_at(proxy.url()).confirmations(2).receipt_timeout(Duration::from_secs(10));
    let payment = world.payment(1000);
    let settling = tokio::spawn(async move { facilitator.settle(&payment).await });
    until(|| world.received() == 1000).await;
    world.chain.mine(1).unwrap();
    settling.await.unwrap().unwrap();
}

/// The chain's present head, told for a while longer by a node that lags.
fn old_head(world: &World) -> Fault {
    let head = world.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).unwrap();
    Fault::Answer(head.to_string().leak())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_behind_the_block_that_paid_us_does_not_make_it_a_failure() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    let facilitator = facilitator_at(proxy.url());
    world.chain.set_automine(false).unwrap();
    let payment = world.payment(500);
    let ours = tokio::spawn(async move { facilitator.settle(&payment).await });
    until(|| world.waiting() == 1).await;
    bribe(&world);
    let (old, healed) = (old_head(&world), Instant::now() + Duration::from_secs(4));
    proxy.inject(move |method| (method == "eth_getBlockByNumber" && Instant::now() < healed).then_some(old));
    world.chain.mine(1).unwrap();
    ours.await.unwrap().unwrap();
    assert_eq!((world.received(), world.gas_account_nonce()), (500, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_nonce_without_a_receipt_yet_is_no_failure() {
    let world = World::start();
    let proxy = Proxy::start(world.chain.url()).await;
    let facilitator = facilitator_at(proxy.url());
    let payment = world.payment(500);
    let (old, healed) = (old_head(&world), Instant::now() + Duration::from_secs(9));
    proxy.inject(move |method| match method {
        "eth_sendRawTransaction" => Some(Fault::CutAfterForwarding),
        _ if Instant::now() > healed => None,
        "eth_getTransactionReceipt" => Some(Fault::Answer("null")),
        "eth_getBlockByNumber" => Some(old),
        _ => None,
    });
    settle(&facilitator, &payment).await;
    assert_eq!((world.received(), world.gas_account_nonce()), (500, 1));
}
