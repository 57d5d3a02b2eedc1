//! `exact` through Permit2: verified and settled.

use std::time::Duration;

use devchain::{EXACT_PERMIT2_PROXY, PERMIT2, TOKEN, accounts};
use serde_json::{Value, json};
use sha3::{Digest as _, Keccak256};
use x402_core::{
    error::RejectReason,
    facilitator::{Evidence, Facilitator, Payment, SettleError, Transfer, VerifyError},
    price::PriceOption,
    time::UnixSeconds,
    wire::X402Version,
};
use x402_evm::{AuthorizationWindow, ChainError, ContractAccounts, random_nonce};

use crate::{
    proxy::{Fault, Proxy},
    world::{
        GAS, PAY_TO, PAYER, World, facilitator_at, payment_with, settle, settle_refusal, verify_refusal,
    },
};

pub(crate) fn option(amount: u64) -> PriceOption {
    crate::world::option(amount).permit2()
}

pub(crate) fn payment(world: &World, amount: u64) -> Payment {
    world.payment_in(&option(amount), world.window(300))
}

pub(crate) fn selector(signature: &str) -> String {
    Keccak256::digest(signature.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The payer gives the nonce up.
pub(crate) fn burn(world: &World, payment: &Payment) {
    let nonce = payment.authorization.nonce;
    let word: String = nonce[..31].iter().map(|byte| format!("{byte:02x}")).collect();
    let bit = usize::from(nonce[31]);
    let mut mask = [0_u8; 32];
    mask[31 - bit / 8] = 1 << (bit % 8);
    let mask: String = mask.iter().map(|byte| format!("{byte:02x}")).collect();
    let data = format!("0x{}00{word}{mask}", selector("invalidateUnorderedNonces(uint256,uint256)"));
    world.transact(accounts()[PAYER].address, PERMIT2, &data);
}

fn transfers(world: &World) -> usize {
    world.chain.transfers_to(PAY_TO).unwrap()
}

fn code_of(payment: &Payment, reason: &RejectReason) -> String {
    payment.code(reason).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_settled_and_settling_again_tells_the_same() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let payment = payment(&world, 1000);
    facilitator.verify(&payment).await.unwrap();
    assert_eq!(world.gas_account_nonce(), 0);
    let first = settle(&facilitator, &payment).await;
    assert_eq!(first.payer, world.payer.address().to_string());
    assert_eq!(first.amount.to_string(), "1000");
    assert_eq!(settle(&facilitator, &payment).await, first, "from the journal");
    let stranger = world.facilitator();
    assert_eq!(settle(&stranger, &payment).await, first, "from the chain, by one who does not know");
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1000, 1, 1));
    assert_eq!(verify_refusal(&facilitator, &payment).await, RejectReason::NonceAlreadyUsed);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_settlements_of_one_payment_move_money_once() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let payment = payment(&world, 1000);
    let settlements: Vec<_> = (0..20)
        .map(|_| {
            let (facilitator, payment) = (facilitator.clone(), payment.clone());
            tokio::spawn(async move { settle(&facilitator, &payment).await.transaction })
        })
        .collect();
    let mut hashes = Vec::new();
    for settlement in settlements {
        hashes.push(settlement.await.unwrap());
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1000, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_allowance_is_named_and_nothing_is_sent() {
    let world = World::start();
    let facilitator = world.facilitator();
    for allowed in [0, 999] {
        world.approve(allowed);
        let payment = payment(&world, 1000);
        assert_eq!(verify_refusal(&facilitator, &payment).await.code(), "permit2_allowance_required");
        let (reason, sent) = settle_refusal(&facilitator, &payment).await;
        assert_eq!((reason.code(), sent), ("permit2_allowance_required", false));
    }
    world.approve(1000);
    settle(&facilitator, &payment(&world, 1000)).await;
    assert_eq!(world.gas_account_nonce(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_is_there_for_all_payments_together() {
    let world = World::start();
    world.approve(1500);
    for (committed, covered) in [(0_u64, true), (500, true), (501, false)] {
        let mut payment = payment(&world, 1000);
        payment.committed = committed.into();
        let verified = world.facilitator().verify(&payment).await;
        assert_eq!(verified.is_ok(), covered, "{committed}");
        assert!(matches!(verified, Ok(()) | Err(VerifyError::Overcommitted)), "{verified:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_pay_is_told_so() {
    let world = World::start();
    world.approve(u128::MAX);
    let facilitator = world.facilitator();
    let poor = payment(&world, 2_000_000_000);
    assert_eq!(verify_refusal(&facilitator, &poor).await, RejectReason::InsufficientFunds);
    assert_eq!(settle_refusal(&facilitator, &poor).await, (RejectReason::InsufficientFunds, false));
    world.chain.set_quirks(8).unwrap();
    let paused = payment(&world, 1000);
    let reason = verify_refusal(&facilitator, &paused).await;
    assert_eq!(code_of(&paused, &reason), "permit2_simulation_failed");
    world.chain.set_quirks(0).unwrap();
    world.chain.set_blacklisted(accounts()[PAYER].address, true).unwrap();
    assert_eq!(settle_refusal(&facilitator, &paused).await, (RejectReason::SimulationFailed, false));
    assert_eq!(world.gas_account_nonce(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_is_still_good_and_needs_six_seconds_to_verify() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator().clock(world.clock());
    let now = world.chain.now().unwrap();
    for (valid_after, deadline, code) in [
        (0, now - 1, "permit2_deadline_expired"),
        (0, now + 5, "permit2_deadline_expired"),
        (0, now + 6, ""),
        (now + 1, now + 300, "permit2_not_yet_valid"),
        (now, now + 300, ""),
    ] {
        let [valid_after, valid_before] = [valid_after, deadline].map(UnixSeconds::new);
        let payment = world.payment_in(&option(1), AuthorizationWindow { valid_after, valid_before });
        let found = match facilitator.verify(&payment).await {
            Ok(()) => String::new(),
            Err(VerifyError::Rejected(reason)) => code_of(&payment, &reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, code, "{valid_after} {deadline}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_signed_is_compared_and_proven() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let other = accounts()[8].address;
    let good = world.payer.authorize(&option(1000), world.window(300), random_nonce()).unwrap();
    for (pointer, value, code) in [
        ("/spender", json!(other), "invalid_permit2_spender"),
        ("/witness/to", json!(other), "invalid_permit2_recipient_mismatch"),
        ("/permitted/amount", json!("999"), "permit2_amount_mismatch"),
        ("/permitted/token", json!(other), "permit2_token_mismatch"),
        ("/from", json!(other), "invalid_permit2_signature"),
        ("/nonce", json!("1"), "invalid_permit2_signature"),
        ("/deadline", json!("1999999999"), "invalid_permit2_signature"),
        ("/witness/validAfter", json!("1"), "invalid_permit2_signature"),
    ] {
        let mut payload = good.clone();
        *payload["permit2Authorization"].pointer_mut(pointer).unwrap() = value;
        let payment = payment_with(&option(1000), payload);
        let reason = verify_refusal(&facilitator, &payment).await;
        assert_eq!(code_of(&payment, &reason), code, "{pointer}");
        let (reason, sent) = settle_refusal(&facilitator, &payment).await;
        assert_eq!((code_of(&payment, &reason).as_str(), sent), (code, false), "{pointer}");
    }
    facilitator.verify(&payment_with(&option(1000), good)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_was_given_up_is_refused() {
    let world = World::start();
    world.approve(1_000_000);
    let facilitator = world.facilitator();
    let payment = payment(&world, 1000);
    burn(&world, &payment);
    assert_eq!(verify_refusal(&facilitator, &payment).await, RejectReason::NonceAlreadyUsed);
    world.chain.advance_time(60).unwrap();
    assert_eq!(settle_refusal(&facilitator, &payment).await, (RejectReason::NonceAlreadyUsed, false));
    assert_eq!((world.received(), world.gas_account_nonce()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_that_are_not_there_are_the_operators_trouble() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = payment(&world, 1000);
    for (contract, code) in [
        (EXACT_PERMIT2_PROXY, "permit2_proxy_not_deployed"),
        (PERMIT2, "permit2_proxy_not_deployed"),
        (TOKEN, "asset_not_deployed_contract"),
    ] {
        let there = world.chain.rpc("eth_getCode", json!([contract, "latest"])).unwrap();
        world.chain.rpc("anvil_setCode", json!([contract, "0x"])).unwrap();
        let facilitator = world.facilitator();
        let Err(VerifyError::Unavailable(error)) = facilitator.verify(&payment).await else {
            panic!("{code}")
        };
        let found = error.downcast_ref().map(|error| match error {
            ChainError::Misconfigured { code, .. } => *code,
            other => panic!("{other:?}"),
        });
        assert_eq!(found, Some(code), "{contract}");
        assert!(matches!(facilitator.settle(&payment).await, Err(SettleError::Unavailable(_))));
        world.chain.rpc("anvil_setCode", json!([contract, there])).unwrap();
    }
    settle(&world.facilitator(), &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_submitting_first_still_pays_us() {
    let world = World::start();
    world.approve(1_000_000);
    let payment = payment(&world, 1000);
    let stranger = x402_evm::EvmFacilitator::new(world.chain.url(), crate::world::gas_key(6)).unwrap();
    let theirs = settle(&stranger, &payment).await;
    let ours = settle(&world.facilitator(), &payment).await;
    assert_eq!(ours, theirs);
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1000, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_again_and_money_moves_once() {
    let world = World::start();
    world.approve(1_000_000);
    let proxy = Proxy::start(world.chain.url()).await;
    let facilitator = facilitator_at(proxy.url()).receipt_timeout(Duration::from_millis(500));
    let payment = payment(&world, 1000);
    proxy.inject(|method| (method == "eth_sendRawTransaction").then_some(Fault::DieAfterForwarding));
    let lost = facilitator.settle(&payment).await.unwrap_err();
    assert!(matches!(lost, SettleError::Unresolved { .. }), "{lost:?}");
    crate::world::until(|| world.received() == 1000).await;
    let witness = world.facilitator().witness().unwrap();
    let evidence = witness.evidence(&Transfer::from(&payment)).await.unwrap();
    let Evidence::Settled(found) = evidence else { panic!("{evidence:?}") };
    proxy.heal();
    assert_eq!(settle(&facilitator, &payment).await.transaction, found.transaction);
    assert_eq!((world.received(), transfers(&world), world.gas_account_nonce()), (1000, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_takes_a_fee_is_found_out() {
    let world = World::start();
    world.approve(1_000_000);
    world.chain.set_quirks(4).unwrap();
    let payment = payment(&world, 1000);
    let (reason, sent) = settle_refusal(&world.facilitator(), &payment).await;
    assert_eq!((reason, sent), (RejectReason::TransferMissing, true));
    assert_eq!((world.received(), world.gas_account_nonce()), (990, 1));
    let witness = world.facilitator().witness().unwrap();
    let found = witness.evidence(&Transfer::from(&payment)).await.unwrap();
    assert!(matches!(found, Evidence::Dead(RejectReason::NonceAlreadyUsed)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_pay_where_they_are_allowed_and_have_approved() {
    let world = World::start();
    let wallet = crate::accounts::wallet(&world, 1, true);
    let open = world.facilitator().contract_accounts(ContractAccounts::deployed());
    let mut payload = world.payer.authorize(&option(1000), world.window(300), random_nonce()).unwrap();
    payload["permit2Authorization"]["from"] = wallet.clone().into();
    let payment = payment_with(&option(1000), payload);
    assert_eq!(verify_refusal(&world.facilitator(), &payment).await, RejectReason::WrongSignature);
    assert_eq!(verify_refusal(&open, &payment).await.code(), "permit2_allowance_required");
    let approve = format!("{}{:0>64}{:064x}", selector("approve(address,uint256)"), &PERMIT2[2..], 1_000_000);
    let length = approve.len().next_multiple_of(64);
    let data = format!(
        "0x{}{:0>64}{:064x}{:064x}{:064x}{approve:0<length$}",
        selector("execute(address,uint256,bytes)"),
        &TOKEN[2..],
        0,
        96,
        approve.len() / 2
    );
    world.transact(accounts()[PAYER].address, &wallet, &data);
    open.verify(&payment).await.unwrap();
    settle(&open, &payment).await;
    assert_eq!(world.received(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_chain_lacks_is_not_supported_and_found_at_start() {
    let world = World::start();
    let facilitator = world.facilitator();
    let supported = serde_json::to_value(facilitator.supported().await.unwrap()).unwrap();
    let path = format!("{}/../tests/data/vectors/facilitator-supported.json", env!("CARGO_MANIFEST_DIR"));
    let official: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let official = &official["cases"][0]["response"];
    let mut wanted = official["kinds"].clone();
    wanted[1]["extra"]["facilitatorAddress"] = accounts()[GAS].address.into();
    assert_eq!(supported["kinds"], wanted);
    assert_eq!(supported["extensions"], official["extensions"]);

    let upto = || crate::world::option(1000).upto(accounts()[GAS].address);
    facilitator.preflight(&[option(1000), upto()]).await.unwrap();
    let other = crate::world::option(1000).upto(accounts()[8].address);
    let mut nobody = upto();
    std::sync::Arc::make_mut(&mut nobody.extra).remove("facilitatorAddress");
    let unknown = PriceOption::new("eip155:84532".parse().unwrap(), PAY_TO, 1, TOKEN).permit2();
    let renamed = crate::world::option_of(TOKEN, "USD Coin", "2", 1).permit2();
    for (wrong, says) in [
        (other, "names the facilitator"),
        (nobody, "names no facilitator"),
        (unknown, "has no code"),
        (renamed, "the price says \"USD Coin\""),
    ] {
        let text = facilitator.preflight(&[wrong]).await.unwrap_err().to_string();
        assert!(text.contains(says), "{text}");
    }
    let nameless = PriceOption::new("eip155:84532".parse().unwrap(), TOKEN, 1, PAY_TO).permit2();
    facilitator.preflight(&[nameless]).await.unwrap();

    world.chain.rpc("anvil_setCode", json!([PERMIT2, "0x"])).unwrap();
    let bare = world.facilitator();
    let supported = bare.supported().await.unwrap();
    assert!(supported.extensions.is_empty());
    let kinds = supported.kinds;
    assert!(kinds.iter().all(|kind| kind.scheme == "exact"));
    assert_eq!(kinds.iter().filter(|kind| kind.x402_version == X402Version::V1).count(), 1);
    let text = bare.preflight(&[option(1000)]).await.unwrap_err().to_string();
    assert!(text.contains("has no code on chain 84532"), "{text}");
}
