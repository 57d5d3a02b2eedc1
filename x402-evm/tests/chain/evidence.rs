//! What became of an authorization.

use std::time::Duration;

use devchain::{MULTICALL, TOKEN, accounts};
use serde_json::json;
use sha3::{Digest, Keccak256};
use x402_core::{
    error::RejectReason,
    facilitator::{Evidence, Facilitator, Payment, Transfer, Witness},
    scheme::SignedMessage,
};
use x402_evm::{Domain, EvmFacilitator, EvmWitness, signing_digest};

use crate::world::{PAYER, World, option, settle};

fn witness(world: &World) -> EvmWitness {
    EvmWitness::new(world.chain.url()).unwrap()
}

fn message(payment: &Payment) -> &x402_core::scheme::Eip3009 {
    match &payment.authorization.message {
        SignedMessage::Eip3009(message) => message,
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn selector(signature: &str) -> String {
    hex(&Keccak256::digest(signature.as_bytes())[..4])
}

/// The payer takes the authorization back.
pub(crate) fn cancel(world: &World, payment: &Payment) {
    world.transact(accounts()[9].address, TOKEN, &cancel_call(payment));
}

/// The call that takes back an authorization of [`PAYER`].
pub(crate) fn cancel_call(payment: &Payment) -> String {
    let message = message(payment);
    let mut hash = Keccak256::new();
    hash.update(Keccak256::digest(b"CancelAuthorization(address authorizer,bytes32 nonce)"));
    hash.update([0; 12]);
    hash.update(message.from.as_bytes());
    hash.update(message.nonce);
    let digest = signing_digest(&Domain::of(&payment.option).unwrap().separator(), &hash.finalize().into());
    let digits = &accounts()[PAYER].key[2..];
    let key = std::array::from_fn(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap());
    let key = secp256k1::SecretKey::from_secret_bytes(key).unwrap();
    let (id, rs) = secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(
        secp256k1::Message::from_digest(digest),
        &key,
    )
    .serialize_compact();
    format!(
        "0x{}{:0>64}{}{:064x}{}",
        selector("cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)"),
        hex(message.from.as_bytes()),
        hex(&message.nonce),
        27 + id.to_u8(),
        hex(&rs),
    )
}

/// The call that settles it, without `0x`.
pub(crate) fn transfer_call(payment: &Payment) -> String {
    let m = message(payment);
    let words: String =
        [m.value, m.valid_after, m.valid_before].iter().map(|n| format!("{n:064x}")).collect();
    format!(
        "{}{:0>64}{:0>64}{words}{}{:064x}{}",
        selector(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
        ),
        hex(m.from.as_bytes()),
        hex(m.to.as_bytes()),
        hex(&m.nonce),
        m.signature[64],
        hex(&m.signature[..64]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_authorization_is_open_until_the_chain_is_past_its_end() {
    let world = World::start();
    let payment = world.payment_in(&option(1000), world.window(100));
    let witness = witness(&world);
    assert!(matches!(witness.evidence(&Transfer::from(&payment)).await.unwrap(), Evidence::StillPossible));
    world.chain.advance_time(110).unwrap();
    assert!(
        matches!(witness.evidence(&Transfer::from(&payment)).await.unwrap(), Evidence::StillPossible),
        "a reorganisation may come"
    );
    world.chain.advance_time(30).unwrap();
    let evidence = witness.evidence(&Transfer::from(&payment)).await.unwrap();
    assert!(matches!(&evidence, Evidence::Dead(reason) if reason.is_dead()), "{evidence:?}");
    // With confirmations it is the confirmed block's time that counts.
    let careful = EvmWitness::new(world.chain.url()).unwrap().confirmations(3);
    assert!(matches!(careful.evidence(&Transfer::from(&payment)).await.unwrap(), Evidence::StillPossible));
    world.chain.mine(2).unwrap();
    assert!(matches!(
        careful.evidence(&Transfer::from(&payment)).await.unwrap(),
        Evidence::Dead(RejectReason::Expired { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_is_found_long_after_and_far_back() {
    let world = World::start();
    let payment = world.payment(1000);
    let settlement = settle(&world.facilitator(), &payment).await;
    let found = |evidence| matches!(evidence, Evidence::Settled(same) if same == settlement);
    assert!(found(witness(&world).evidence(&Transfer::from(&payment)).await.unwrap()));
    let mine = || (0..10).for_each(|_| world.chain.mine(250).unwrap());
    mine();
    assert!(found(witness(&world).evidence(&Transfer::from(&payment)).await.unwrap()), "2 500 blocks back");
    world.chain.advance_time(90 * 24 * 3600).unwrap();
    mine();
    assert!(found(witness(&world).evidence(&Transfer::from(&payment)).await.unwrap()), "90 days later");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_payments_in_one_transaction_are_told_apart() {
    let world = World::start();
    let (one, two) = (world.payment(1000), world.payment(1000));
    let calls = [&one, &two].map(transfer_call);
    let encoded: Vec<String> = calls
        .iter()
        .map(|call| {
            let length = call.len().next_multiple_of(64);
            format!("{:0>64}{:064x}{:064x}{:064x}{call:0<length$}", &TOKEN[2..], 0, 96, call.len() / 2)
        })
        .collect();
    let data = format!(
        "0x{}{:064x}{:064x}{:064x}{:064x}{}",
        selector("aggregate3((address,bool,bytes)[])"),
        32,
        2,
        64,
        64 + encoded[0].len() / 2,
        encoded.concat()
    );
    let hash = world.transact(accounts()[6].address, MULTICALL, &data);
    for payment in [&one, &two] {
        let evidence = witness(&world).evidence(&Transfer::from(payment)).await.unwrap();
        assert!(matches!(&evidence, Evidence::Settled(found) if found.transaction == hash), "{evidence:?}");
    }
    assert_eq!(world.received(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_that_paid_somebody_else_is_dead_for_us() {
    let world = World::start();
    let payment = world.payment(1000);
    settle(&world.facilitator(), &payment).await;
    // The same authorization under terms it does not answer: another recipient, another amount.
    let mut ours = payment.clone();
    ours.option.pay_to = accounts()[8].address.into();
    let evidence = witness(&world).evidence(&Transfer::from(&ours)).await.unwrap();
    assert!(matches!(evidence, Evidence::Dead(RejectReason::NonceAlreadyUsed)), "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_does_not_answer_is_no_evidence() {
    let world = World::start();
    let payment = world.payment(1000);
    assert!(
        EvmWitness::new("http://127.0.0.1:9").unwrap().evidence(&Transfer::from(&payment)).await.is_err()
    );
    world.chain.rpc("anvil_setChainId", json!([1])).unwrap();
    assert!(witness(&world).evidence(&Transfer::from(&payment)).await.is_err(), "another chain");
}

#[tokio::test(flavor = "multi_thread")]
async fn authorizations_for_a_day_are_found_where_the_lookback_is_as_long() {
    let world = World::start();
    let payment = world.payment_in(&option(1000), world.window(24 * 3600));
    let settlement = settle(&world.facilitator(), &payment).await;
    (0..10).for_each(|_| world.chain.mine(250).unwrap());
    let evidence = |facilitator: EvmFacilitator| {
        let payment = payment.clone();
        async move { facilitator.witness().unwrap().evidence(&Transfer::from(&payment)).await }
    };
    assert!(evidence(world.facilitator()).await.is_err(), "not found, which proves nothing");
    let patient = world.facilitator().lookback(Duration::from_secs(25 * 3600));
    assert!(matches!(evidence(patient).await, Ok(Evidence::Settled(same)) if same == settlement));
}
