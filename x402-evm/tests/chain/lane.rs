//! One gas account and many settlements.

use std::time::Duration;

use devchain::accounts;
use serde_json::json;
use x402_core::facilitator::{Facilitator, SettleError};

use crate::{
    proxy::{Fault, Proxy},
    world::{GAS, PAY_TO, World, facilitator_at, settle, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_are_all_mined_without_a_gap() {
    let world = World::start();
    let facilitator = world.facilitator();
    let settlements: Vec<_> = (0..64)
        .map(|_| {
            let (facilitator, payment) = (facilitator.clone(), world.payment(10));
            tokio::spawn(async move { settle(&facilitator, &payment).await.transaction })
        })
        .collect();
    let mut hashes = std::collections::HashSet::new();
    for settlement in settlements {
        hashes.insert(settlement.await.unwrap());
    }
    assert_eq!(hashes.len(), 64);
    assert_eq!((world.received(), world.gas_account_nonce()), (640, 64));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_survive_a_block_every_second() {
    let world = World::start();
    world.chain.set_automine(false).unwrap();
    world.chain.set_interval_mining(1).unwrap();
    let facilitator = world.facilitator();
    let settlements: Vec<_> = (0..64)
        .map(|_| {
            let (facilitator, payment) = (facilitator.clone(), world.payment(10));
            tokio::spawn(async move { settle(&facilitator, &payment).await })
        })
        .collect();
    for settlement in settlements {
        settlement.await.unwrap();
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (640, 64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_settlement_is_waited_for_and_replaced_at_a_higher_fee() {
    let world = World::start();
    world.chain.set_automine(false).unwrap();
    let facilitator =
        world.facilitator().receipt_timeout(Duration::from_millis(500)).stuck_after(Duration::from_secs(3));
    let payment = world.payment(1000);
    let Err(SettleError::Unresolved { transaction: Some(first), .. }) = facilitator.settle(&payment).await
    else {
        panic!("not unresolved")
    };
    let Err(SettleError::Unresolved { transaction: Some(same), .. }) = facilitator.settle(&payment).await
    else {
        panic!("not unresolved")
    };
    assert_eq!(first, same, "the same settlement is waited for");
    loop {
        match facilitator.settle(&payment).await {
            Err(SettleError::Unresolved { transaction: Some(raised), .. }) if raised != first => break,
            Err(SettleError::Unresolved { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    world.chain.mine(1).unwrap();
    let patient = facilitator.clone().receipt_timeout(Duration::from_secs(30));
    assert_ne!(settle(&patient, &payment).await.transaction, first);
    assert_eq!((world.received(), world.gas_account_nonce()), (1000, 1));
    assert_eq!(world.chain.transfers_to(PAY_TO).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_the_pool_forgot_is_sent_again() {
    let world = World::start();
    world.chain.set_automine(false).unwrap();
    let facilitator = world.facilitator().stuck_after(Duration::from_millis(500));
    let payment = world.payment(1000);
    let settling = tokio::spawn({
        let (facilitator, payment) = (facilitator.clone(), payment.clone());
        async move { settle(&facilitator, &payment).await }
    });
    until(|| world.waiting() == 1).await;
    world.chain.rpc("anvil_dropAllTransactions", json!([])).unwrap();
    world.chain.set_automine(true).unwrap();
    settling.await.unwrap();
    assert_eq!((world.received(), world.gas_account_nonce()), (1000, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_transaction_leaves_no_hole() {
    let world = World::start();
    let facilitator = world.facilitator();
    settle(&facilitator, &world.payment(1)).await;
    let gas = accounts()[GAS].address;
    let balance = world.chain.rpc("eth_getBalance", json!([gas, "latest"])).unwrap();
    world.chain.rpc("anvil_setBalance", json!([gas, "0x1"])).unwrap();
    let payment = world.payment(1);
    for _ in 0..2 {
        let refused = facilitator.settle(&payment).await.unwrap_err();
        assert!(matches!(&refused, SettleError::Unavailable(_)), "{refused:?}");
    }
    world.chain.rpc("anvil_setBalance", json!([gas, balance])).unwrap();
    settle(&facilitator, &payment).await;
    assert_eq!(world.gas_account_nonce(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_transactions_the_pool_forgot_are_sent_again_in_order() {
    let world = World::start();
    world.chain.set_automine(false).unwrap();
    let facilitator = world.facilitator().stuck_after(Duration::from_millis(500));
    // Two wait, and the pool loses both.
    let first = tokio::spawn({
        let (facilitator, payment) = (facilitator.clone(), world.payment(1));
        async move { settle(&facilitator, &payment).await }
    });
    until(|| world.waiting() == 1).await;
    let second = tokio::spawn({
        let (facilitator, payment) = (facilitator.clone(), world.payment(2));
        async move { settle(&facilitator, &payment).await }
    });
    until(|| world.waiting() == 2).await;
    world.chain.rpc("anvil_dropAllTransactions", json!([])).unwrap();
    world.chain.set_automine(true).unwrap();
    let _ = tokio::join!(first, second);
    assert_eq!((world.received(), world.gas_account_nonce()), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_transaction_of_an_earlier_process_is_cleared_out_of_the_way() {
    let world = World::start();
    let gas = accounts()[GAS].address;
    world.chain.set_automine(false).unwrap();
    // Far too cheap for any block to come; and after it a nonce is left out.
    let stuck = |nonce: &str| {
        let transaction = json!([{
            "from": gas, "to": gas, "nonce": nonce, "gas": "0x5208", "maxFeePerGas": "0x77359400",
            "maxPriorityFeePerGas": "0x0",
        }]);
        world.chain.rpc("eth_sendTransaction", transaction).unwrap();
    };
    stuck("0x0");
    let facilitator = world.facilitator().stuck_after(Duration::from_millis(500));
    let settling = tokio::spawn({
        let (facilitator, payment) = (facilitator.clone(), world.payment(1));
        async move { settle(&facilitator, &payment).await }
    });
    until(|| {
        let pool = world.chain.rpc("txpool_content", json!([])).unwrap();
        let waiting = &pool["pending"].as_object().unwrap().values().next().unwrap();
        waiting["0"]["maxPriorityFeePerGas"] != "0x0" && waiting.get("1").is_some()
    })
    .await;
    world.chain.mine(1).unwrap();
    settling.await.unwrap();
    assert_eq!((world.received(), world.gas_account_nonce()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sender_of_the_same_account_is_gone_around() {
    let world = World::start();
    let facilitator = world.facilitator();
    settle(&facilitator, &world.payment(1)).await;
    let gas = accounts()[GAS].address;
    for _ in 0..3 {
        world.transact(gas, gas, "0x");
    }
    settle(&facilitator, &world.payment(1)).await;
    assert_eq!((world.received(), world.gas_account_nonce()), (2, 5));

    // A node that lags: it still tells the old number.
    let proxy = Proxy::start(world.chain.url()).await;
    let lagging = facilitator_at(proxy.url());
    settle(&lagging, &world.payment(1)).await;
    proxy.inject(|method| (method == "eth_getTransactionCount").then_some(Fault::Answer("\"0x0\"")));
    settle(&lagging, &world.payment(1)).await;
    assert_eq!((world.received(), world.gas_account_nonce()), (4, 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_above_the_fee_limit() {
    let world = World::start();
    let payment = world.payment(1);
    let refused = world.facilitator().max_fee_per_gas(1).settle(&payment).await.unwrap_err();
    assert!(
        matches!(&refused, SettleError::Unavailable(error) if error.to_string().contains("max_fee_per_gas"))
    );
    settle(&world.facilitator().max_fee_per_gas(100_000_000_000), &payment).await;
}

/// What waits for a block with the gas account's nonce `0`.
fn first_waiting(world: &World) -> Option<serde_json::Value> {
    let pool = world.chain.rpc("txpool_content", json!([])).unwrap();
    Some(pool["pending"].as_object()?.values().next()?["0"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_a_nonce_costs_no_more_than_the_fee_limit() {
    const LIMIT: u128 = 2_500_000_000;
    let world = World::start();
    let gas = accounts()[GAS].address;
    world.chain.set_automine(false).unwrap();
    let stuck = json!([{
        "from": gas, "to": gas, "nonce": "0x0", "gas": "0x5208", "maxFeePerGas": "0x77359400",
        "maxPriorityFeePerGas": "0x0",
    }]);
    world.chain.rpc("eth_sendTransaction", stuck).unwrap();
    let facilitator = world.facilitator().stuck_after(Duration::from_millis(100)).max_fee_per_gas(LIMIT);
    let settling = tokio::spawn({
        let (facilitator, payment) = (facilitator.clone(), world.payment(1));
        async move { settle(&facilitator, &payment).await }
    });
    until(|| first_waiting(&world).is_some_and(|waiting| waiting["maxPriorityFeePerGas"] != "0x0")).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let offered = first_waiting(&world).unwrap()["maxFeePerGas"].as_str().unwrap().to_owned();
    assert!(u128::from_str_radix(&offered[2..], 16).unwrap() <= LIMIT, "{offered}");
    world.chain.mine(1).unwrap();
    settling.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_transaction_whose_answer_was_lost_is_replaced_too() {
    let world = World::start();
    world.chain.set_automine(false).unwrap();
    let proxy = Proxy::start(world.chain.url()).await;
    let mut left = 1;
    proxy.inject(move |method| {
        let hit = method == "eth_sendRawTransaction" && left > 0;
        left -= i32::from(hit);
        hit.then_some(Fault::CutAfterForwarding)
    });
    let facilitator = facilitator_at(proxy.url()).stuck_after(Duration::from_millis(500));
    let payment = world.payment(1);
    let settling = tokio::spawn(async move { settle(&facilitator, &payment).await });
    until(|| world.waiting() == 1).await;
    let first = first_waiting(&world).unwrap()["hash"].clone();
    until(|| first_waiting(&world).unwrap()["hash"] != first).await;
    world.chain.mine(1).unwrap();
    settling.await.unwrap();
    assert_eq!((world.received(), world.gas_account_nonce()), (1, 1));
}
