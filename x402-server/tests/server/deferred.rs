//! Deferred settlements on a real chain.

use std::time::Duration;

use devchain::{DevChain, accounts};
use serde_json::json;
use tokio::task::JoinSet;
use x402_core::{DeferredLimits, Engine, SettleTiming, price::Prices, quote::QuoteKey, time::UnixSeconds};
use x402_evm::{Batching, EvmFacilitator, EvmSigner, GasKey};

use super::{
    chain::{deliver, pay},
    places::Place,
    support::{NETWORK, PAY_TO},
};

const ORDERS: u64 = 30;

/// The engine settles each order by itself; the facilitator puts together what comes at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn deferred_settlements_share_transactions() {
    let chain = DevChain::start().unwrap();
    let signer = EvmSigner::from_hex(accounts()[1].key).unwrap();
    chain.mint(&signer.address().to_string(), 1_000_000_000).unwrap();
    let gas = GasKey::from_hex(accounts()[5].key).unwrap();
    let batching = Batching { window: Duration::from_millis(500), most: 50 };
    let facilitator = EvmFacilitator::new(chain.url(), gas).unwrap().batch(batching);
    let place = Place::sqlite();
    let store = place.store().await;
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /weather/{city}", "$0.01")
        .build()
        .unwrap();
    let engine = Engine::builder(prices)
        .facilitator(facilitator)
        .store(store)
        .quote_key(QuoteKey::random())
        .settle(SettleTiming::Deferred)
        .deferred(DeferredLimits::default().per_payer(10 * ORDERS))
        .build()
        .unwrap();
    let mut worker = Box::pin(engine.worker());
    // Without a sign of life from it nothing is deferred.
    let _ = tokio::time::timeout(Duration::ZERO, &mut worker).await;
    tokio::spawn(worker);

    // Nothing can be settled before a response leaves.
    chain.set_automine(false).unwrap();
    let valid_before = UnixSeconds::new(chain.now().unwrap() + 300);
    let option = engine.prices().options().next().unwrap().clone();
    let mut delivering = JoinSet::new();
    for _ in 0..ORDERS {
        let (engine, payment) = (engine.clone(), pay(&signer, &option, valid_before));
        delivering.spawn(async move { deliver(&engine, payment).await });
    }
    assert_eq!(delivering.join_all().await, [200; ORDERS as usize]);
    assert_eq!(chain.balance(PAY_TO).unwrap(), 0);
    chain.set_interval_mining(1).unwrap();
    let income = u128::from(ORDERS) * 10_000;
    for _ in 0..300 {
        if chain.balance(PAY_TO).unwrap() == income {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(chain.balance(PAY_TO).unwrap(), income);
    let sent = chain.rpc("eth_getTransactionCount", json!([accounts()[5].address, "latest"])).unwrap();
    let sent = u64::from_str_radix(&sent.as_str().unwrap()[2..], 16).unwrap();
    assert!(sent <= ORDERS / 3, "{sent} transactions for {ORDERS} orders");
    assert!(engine.drain(Duration::from_secs(30)).await, "all of them are recorded");
}
