//! Gas that runs out, and is filled up again.

use std::time::Duration;

use axum::Router;
use devchain::{DevChain, accounts};
use serde_json::{Value, json};
use x402_core::price::AtomicAmount;
use x402_server::facilitator::{FacilitatorService, Gas, GasGauge, GasWatch, ServedNetwork};

use super::world::{GAS, World, get, network, post, until};

fn fill(chain: &DevChain, wei: u128) {
    chain.rpc("anvil_setBalance", json!([accounts()[GAS].address, format!("{wei:#x}")])).unwrap();
}

async fn gas_told(router: &Router) -> (u16, Value) {
    let ready = get(router, "/ready").await;
    (ready.status, ready.body["networks"][0]["gas"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn low_gas_is_told_and_without_gas_the_network_is_not_served() {
    const COIN: u128 = 1_000_000_000_000_000_000;
    let world = World::start();
    let facilitator = world.facilitator();
    let gauge = GasGauge::default();
    let served = ServedNetwork::new(network(), facilitator.clone()).gauge(gauge.clone());
    let router = FacilitatorService::builder().network(served).build().unwrap().router();
    let watch = GasWatch {
        network: network(),
        facilitator,
        low: AtomicAmount::from_decimal("0.5", 18).unwrap(),
        every: Duration::from_millis(20),
    };
    tokio::spawn(watch.run(gauge.clone()));
    let request = world.request(1_000);

    assert_eq!(gas_told(&router).await, (200, "enough".into()));
    fill(&world.chain, COIN / 4);
    until(|| gauge.gas() == Gas::Low).await;
    assert_eq!(gas_told(&router).await, (200, "low".into()));
    assert_eq!(post(&router, "/verify", &request).await.body["isValid"], true);

    fill(&world.chain, 1_000);
    until(|| gauge.gas() == Gas::Empty).await;
    assert_eq!(gas_told(&router).await, (503, "empty".into()));
    assert_eq!(get(&router, "/supported").await.body["kinds"], json!([]));
    let refused = post(&router, "/verify", &request).await;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
    assert!(refused.body.get("isValid").is_none(), "{refused:?}");
    let unsettled = post(&router, "/settle", &request).await;
    assert_eq!((unsettled.status, unsettled.body.get("success")), (503, None), "{unsettled:?}");

    fill(&world.chain, COIN);
    until(|| gauge.gas() == Gas::Enough).await;
    assert_eq!(get(&router, "/supported").await.body["kinds"].as_array().unwrap().len(), 3);
    assert_eq!(post(&router, "/settle", &request).await.body["success"], true);
    assert_eq!(world.transfers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_is_told_and_is_not_taken_for_missing_gas() {
    let world = World::start();
    let facilitator = world.facilitator();
    let gauge = GasGauge::default();
    let served = ServedNetwork::new(network(), facilitator.clone()).gauge(gauge.clone());
    let router = FacilitatorService::builder().network(served).build().unwrap().router();
    let every = Duration::from_millis(20);
    tokio::spawn(GasWatch { network: network(), facilitator, low: 1.into(), every }.run(gauge.clone()));
    assert_eq!(get(&router, "/ready").await.status, 200);
    drop(world);
    until(|| !gauge.node_answers()).await;
    let ready = get(&router, "/ready").await;
    let told = json!([{ "network": "eip155:84532", "gas": "enough", "nodeAnswers": false }]);
    assert_eq!((ready.status, &ready.body["networks"]), (503, &told));
}
