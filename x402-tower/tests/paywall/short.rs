#![cfg(feature = "http-facilitator")]
//! The short form, as it is without `X402_FACILITATOR_URL`.

use std::panic::catch_unwind;

use x402_tower::{Paywall, Prices};

use crate::support::PAY_TO;

fn prices(network: &str) -> Prices {
    Prices::new("https://api.example.com")
        .pay_to(network, PAY_TO)
        .charge("GET /paid", "$0.01")
        .build()
        .unwrap()
}

#[test]
fn the_public_facilitator_serves_test_networks_by_name() {
    let paywall = Paywall::new(prices("eip155:84532"));
    assert_eq!(paywall.engine().prices().rules().count(), 1);
}

#[test]
fn real_money_without_a_facilitator_fails_at_start_and_says_what_to_do() {
    let panic = catch_unwind(|| Paywall::new(prices("eip155:8453"))).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("paywall cannot be built: "), "{text}");
    assert!(text.contains("eip155:8453") && text.contains("X402_FACILITATOR_URL"), "{text}");
}
