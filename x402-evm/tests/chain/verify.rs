//! What is refused before anything is sent.

use std::time::Duration;

use devchain::{TOKEN, accounts};
use x402_core::{
    error::RejectReason,
    facilitator::{Facilitator, VerifyError},
    price::PriceOption,
    time::UnixSeconds,
    wire::X402Version,
};
use x402_evm::{AuthorizationWindow, ChainError, EvmSigner};

use crate::world::{
    World, facilitator_at, option, option_of, payment_with, settle, settle_refusal, verify_refusal,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_payment_verifies_and_nothing_is_sent() {
    let world = World::start();
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    for _ in 0..2 {
        facilitator.verify(&payment).await.unwrap();
    }
    assert_eq!((world.received(), world.gas_account_nonce()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_needs_six_seconds_to_verify_and_three_to_settle() {
    let world = World::start();
    let facilitator = world.facilitator().clock(world.clock());
    let now = world.chain.now().unwrap();
    for (valid_after, valid_before, verifies, settles) in [
        (0, now - 1, false, false),
        (0, now + 2, false, false),
        (0, now + 5, false, true),
        (0, now + 6, true, true),
        (now + 1, now + 300, false, false),
        (now - 1, now + 300, true, true),
    ] {
        let [valid_after, valid_before] = [valid_after, valid_before].map(UnixSeconds::new);
        let payment = world.payment_in(&option(1), AuthorizationWindow { valid_after, valid_before });
        let expected = if valid_after > UnixSeconds::new(now) {
            RejectReason::NotYetValid { valid_after, now: UnixSeconds::new(now) }
        } else {
            RejectReason::Expired { valid_before, now: UnixSeconds::new(now) }
        };
        match facilitator.verify(&payment).await {
            Ok(()) => assert!(verifies, "{valid_before}"),
            Err(VerifyError::Rejected(reason)) => assert_eq!((reason, verifies), (expected.clone(), false)),
            other => panic!("{other:?}"),
        }
        if settles {
            settle(&facilitator, &payment).await;
        } else {
            let (reason, sent) = settle_refusal(&facilitator, &payment).await;
            assert_eq!((reason.code(), sent), (expected.code(), false));
            assert!(!reason.is_dead(), "the chain is not past it beyond doubt");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_is_compared_again() {
    let world = World::start();
    let facilitator = world.facilitator();
    let payment = world.payment(1000);
    let mut other_amount = payment.clone();
    other_amount.option = option(999);
    assert!(matches!(verify_refusal(&facilitator, &other_amount).await, RejectReason::WrongAmount { .. }));
    let mut other_payee = payment.clone();
    other_payee.option.pay_to = accounts()[8].address.into();
    assert_eq!(verify_refusal(&facilitator, &other_payee).await, RejectReason::WrongRecipient);
    assert_eq!(settle_refusal(&facilitator, &other_payee).await, (RejectReason::WrongRecipient, false));
    let mut other_scheme = payment;
    other_scheme.option.scheme = "upto".into();
    assert_eq!(verify_refusal(&facilitator, &other_scheme).await, RejectReason::UnsupportedScheme);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_and_another_chains_domain_are_refused() {
    let world = World::start();
    let facilitator = world.facilitator();
    let mut foreign = PriceOption::from_v2(&option(1000).to_v2()).unwrap();
    foreign.network = x402_core::price::NetworkId::new("eip155:8453").unwrap();
    let payload = world.payer.authorize(&foreign, world.window(300), [1; 32]).unwrap();
    let payment = payment_with(&option(1000), payload.clone());
    assert_eq!(verify_refusal(&facilitator, &payment).await, RejectReason::WrongSignature);
    // Self-consistent, for a chain that the node is not on.
    let elsewhere = payment_with(&foreign, payload);
    let error = facilitator.verify(&elsewhere).await.unwrap_err();
    assert!(matches!(&error, VerifyError::Unavailable(_)), "{error:?}");
    let mut stolen = EvmSigner::from_hex(accounts()[7].key)
        .unwrap()
        .authorize(&option(1000), world.window(300), [2; 32])
        .unwrap();
    stolen["authorization"]["from"] = world.payer.address().to_string().into();
    let stolen = payment_with(&option(1000), stolen);
    assert_eq!(verify_refusal(&facilitator, &stolen).await, RejectReason::WrongSignature);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_is_asked_for_nonce_balance_and_a_simulation() {
    let world = World::start();
    let facilitator = world.facilitator();
    let paid = world.payment(1000);
    settle(&facilitator, &paid).await;
    assert_eq!(verify_refusal(&facilitator, &paid).await, RejectReason::NonceAlreadyUsed);
    let dear = world.payment(2_000_000_000);
    assert_eq!(verify_refusal(&facilitator, &dear).await, RejectReason::InsufficientFunds);
    assert_eq!(settle_refusal(&facilitator, &dear).await, (RejectReason::InsufficientFunds, false));
    let sent = world.gas_account_nonce();
    let blocked = world.payment(1000);
    world.chain.set_blacklisted(&world.payer.address().to_string(), true).unwrap();
    assert_eq!(verify_refusal(&facilitator, &blocked).await, RejectReason::SimulationFailed);
    assert_eq!(settle_refusal(&facilitator, &blocked).await, (RejectReason::SimulationFailed, false));
    assert_eq!(world.gas_account_nonce(), sent, "a refusal must not cost gas");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_does_not_fit_is_our_fault_and_has_its_code() {
    let world = World::start();
    for (option, code) in [
        (
            option_of("0x1111111111111111111111111111111111111111", "USDC", "2", 1),
            "asset_not_deployed_contract",
        ),
        (option_of(TOKEN, "USD Coin", "2", 1), "invalid_exact_evm_token_name_mismatch"),
        (option_of(TOKEN, "USDC", "1", 1), "invalid_exact_evm_token_version_mismatch"),
        (option_of(devchain::MULTICALL, "USDC", "2", 1), "invalid_exact_evm_eip3009_not_supported"),
    ] {
        let payment = world.payment_in(&option, world.window(300));
        let facilitator = world.facilitator();
        let Err(VerifyError::Unavailable(error)) = facilitator.verify(&payment).await else {
            panic!("{code}")
        };
        assert!(
            matches!(error.downcast_ref(), Some(ChainError::Misconfigured { code: found, .. }) if *found == code),
            "{code}: {error}"
        );
        assert!(facilitator.settle(&payment).await.is_err());
    }
    assert_eq!(world.gas_account_nonce(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_down_says_nothing_about_the_payment() {
    let world = World::start();
    let payment = world.payment(1000);
    let facilitator = facilitator_at("http://127.0.0.1:9/secret").receipt_timeout(Duration::from_secs(1));
    let Err(VerifyError::Unavailable(error)) = facilitator.verify(&payment).await else { panic!() };
    assert_eq!(error.to_string(), "node cannot be reached");
    let settled = facilitator.settle(&payment).await.unwrap_err();
    assert!(matches!(settled, x402_core::facilitator::SettleError::Unavailable(_)), "{settled:?}");
    assert!(!format!("{facilitator:?} {settled:?}").contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_dialects_are_supported_on_the_nodes_chain() {
    let world = World::start();
    let supported = world.facilitator().supported().await.unwrap();
    let kinds: Vec<_> =
        supported.kinds.iter().map(|kind| (kind.x402_version, &*kind.scheme, &*kind.network)).collect();
    assert_eq!(
        kinds,
        [
            (X402Version::V2, "exact", "eip155:84532"),
            (X402Version::V2, "upto", "eip155:84532"),
            (X402Version::V1, "exact", "base-sepolia")
        ]
    );
}
