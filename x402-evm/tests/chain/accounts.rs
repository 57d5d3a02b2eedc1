//! Contract accounts that pay.

use devchain::accounts;
use serde_json::json;
use x402_core::{
    error::RejectReason,
    facilitator::{Facilitator, Payment},
    price::PriceOption,
    scheme::EvmAddress,
};
use x402_evm::{ContractAccounts, Domain, EcdsaSignature, EvmFacilitator, signing_digest, transfer_hash};

use crate::world::{PAYER, World, option, payment_with, settle, settle_refusal, verify_refusal};

const RUDE: &str = "0x00000000000000000000000000000000000000aa";
const WALLETS: &str = "0x00000000000000000000000000000000000000bb";

fn open(world: &World) -> EvmFacilitator {
    world.facilitator().contract_accounts(ContractAccounts::deployed())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn from(world: &World, payer: &str, option: &PriceOption, signature: &str) -> Payment {
    let window = world.window(300);
    let authorization = json!({
        "from": payer,
        "to": &*option.pay_to,
        "value": option.amount.to_string(),
        "validAfter": "0",
        "validBefore": window.valid_before.to_string(),
        "nonce": hex(&x402_evm::random_nonce()),
    });
    payment_with(option, json!({ "signature": signature, "authorization": authorization }))
}

/// A payment of `wallet`, signed by `key`.
fn signed(world: &World, wallet: &str, option: &PriceOption, key: &str) -> Payment {
    let unsigned = from(world, wallet, option, "0x");
    let message = match &unsigned.authorization.message {
        x402_core::scheme::SignedMessage::Eip3009(message) => message.clone(),
        other => panic!("{other:?}"),
    };
    let digest = signing_digest(&Domain::of(option).unwrap().separator(), &transfer_hash(&message));
    let key = secp256k1::SecretKey::from_secret_bytes(bytes(key)).unwrap();
    let signature = secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(
        secp256k1::Message::from_digest(digest),
        &key,
    );
    let (id, rs) = signature.serialize_compact();
    let signature = [&rs[..], &[27 + id.to_u8()]].concat();
    assert!(EcdsaSignature::read(&signature).is_ok());
    let mut payload = unsigned.presented.payment.scheme_payload().clone();
    payload["signature"] = hex(&signature).into();
    payment_with(option, payload)
}

fn bytes(key: &str) -> [u8; 32] {
    let digits = key.trim_start_matches("0x");
    std::array::from_fn(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
}

/// Makes a wallet of the payer's key and gives it money.
pub(crate) fn wallet(world: &World, salt: u64, deploy: bool) -> String {
    world.chain.place("X402TestWalletFactory", WALLETS).unwrap();
    let owner = format!("{:0>64}{salt:064x}", &accounts()[PAYER].address[2..]);
    let call = json!([{ "to": WALLETS, "data": format!("0x{}{owner}", selector("walletAddress(address,uint256)")) }, "latest"]);
    let answer = world.chain.rpc("eth_call", call).unwrap();
    let address = format!("0x{}", &answer.as_str().unwrap()[26..]);
    if deploy {
        world.transact(accounts()[9].address, WALLETS, &create(salt));
    }
    world.chain.mint(&address, 1_000_000).unwrap();
    address
}

fn create(salt: u64) -> String {
    format!(
        "0x{}{:0>64}{salt:064x}",
        selector("createWallet(address,uint256)"),
        &accounts()[PAYER].address[2..]
    )
}

fn selector(signature: &str) -> String {
    use sha3::{Digest, Keccak256};
    hex(&Keccak256::digest(signature.as_bytes())[..4])[2..].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_pays_only_where_contract_accounts_are_allowed() {
    let world = World::start();
    let option = option(1000);
    let wallet = wallet(&world, 1, true);
    let payment = signed(&world, &wallet, &option, accounts()[PAYER].key);
    assert_eq!(verify_refusal(&world.facilitator(), &payment).await, RejectReason::WrongSignature);
    let open = open(&world);
    open.verify(&payment).await.unwrap();
    settle(&open, &payment).await;
    assert_eq!(world.received(), 1000);
    let foreign = signed(&world, &wallet, &option, accounts()[PAYER + 1].key);
    assert_eq!(verify_refusal(&open, &foreign).await, RejectReason::WrongSignature);
    assert_eq!(settle_refusal(&open, &foreign).await, (RejectReason::WrongSignature, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn rude_wallets_are_refused_and_yes_men_without_money_too() {
    let world = World::start();
    world.chain.place("X402RudeWallet", RUDE).unwrap();
    world.chain.mint(RUDE, 1000).unwrap();
    let open = open(&world);
    for (mode, signature) in [(0, "0x01"), (1, "0x01"), (2, "0x01"), (3, "0x01"), (4, "0x01"), (2, "0x")] {
        world.transact(
            accounts()[9].address,
            RUDE,
            &format!("0x{}{mode:064x}", selector("setMode(uint256)")),
        );
        let payment = from(&world, RUDE, &option(1000), signature);
        assert_eq!(verify_refusal(&open, &payment).await, RejectReason::WrongSignature, "{mode}");
        assert!(!settle_refusal(&open, &payment).await.1, "{mode}");
    }
    world.transact(accounts()[9].address, RUDE, &format!("0x{}{:064x}", selector("setMode(uint256)"), 5));
    let too_much = from(&world, RUDE, &option(1001), "0x01");
    assert_eq!(verify_refusal(&open, &too_much).await, RejectReason::InsufficientFunds);
    let good = from(&world, RUDE, &option(1000), "0x01");
    open.verify(&good).await.unwrap();
    settle(&open, &good).await;
    assert_eq!(world.received(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegated_account_is_asked_and_its_plain_signature_does_not_count() {
    let world = World::start();
    let payment = world.payment(1000);
    let open = open(&world);
    open.verify(&payment).await.unwrap();
    // EIP-7702: the payer's account now runs a wallet that says no.
    world.chain.place("X402RudeWallet", RUDE).unwrap();
    let delegation = format!("0xef0100{}", &RUDE[2..]);
    let payer = world.payer.address().to_string();
    world.chain.rpc("anvil_setCode", json!([payer, delegation])).unwrap();
    assert_eq!(verify_refusal(&open, &payment).await, RejectReason::WrongSignature);
    let closed = world.facilitator();
    assert_eq!(verify_refusal(&closed, &payment).await, RejectReason::WrongSignature, "the simulation tells");
    assert_eq!(settle_refusal(&closed, &payment).await, (RejectReason::WrongSignature, false));
}

/// An ERC-6492 signature: the factory, the call to it, the signature.
fn wrapped(factory: &str, call: &str, signature: &str) -> String {
    let (call, signature) = (call.trim_start_matches("0x"), signature.trim_start_matches("0x"));
    let padded = |hex: &str| {
        let length = hex.len().next_multiple_of(64);
        format!("{:064x}{hex:0<length$}", hex.len() / 2)
    };
    let (call, signature) = (padded(call), padded(signature));
    let after = 96 + call.len() / 2;
    let suffix = "6492".repeat(16);
    format!("0x{:0>64}{:064x}{after:064x}{call}{signature}{suffix}", &factory[2..], 96)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_does_not_exist_yet_needs_an_allowed_factory() {
    let world = World::start();
    let option = option(1000);
    let wallet = wallet(&world, 7, false);
    let plain = signed(&world, &wallet, &option, accounts()[PAYER].key);
    let mut payload = plain.presented.payment.scheme_payload().clone();
    let inner = payload["signature"].as_str().unwrap().to_owned();
    payload["signature"] = wrapped(WALLETS, &create(7), &inner).into();
    let payment = payment_with(&option, payload.clone());

    assert_eq!(verify_refusal(&open(&world), &plain).await, RejectReason::WrongSignature);
    let not_allowed = RejectReason::Other("eip6492_factory_not_allowed".into());
    assert_eq!(verify_refusal(&open(&world), &payment).await, not_allowed);
    assert_eq!(settle_refusal(&open(&world), &payment).await, (not_allowed, false));

    let factory: EvmAddress = WALLETS.parse().unwrap();
    let allowed = world.facilitator().contract_accounts(ContractAccounts::deployed().factories([factory]));
    payload["signature"] = wrapped(WALLETS, &create(7), &format!("0x{}", "11".repeat(65))).into();
    let junk = payment_with(&option, payload);
    assert_eq!(verify_refusal(&allowed, &junk).await, RejectReason::SimulationFailed);
    allowed.verify(&payment).await.unwrap();
    settle(&allowed, &payment).await;
    assert_eq!(world.received(), 1000);
    // Now it exists: the wrapper is taken off.
    let mut payload =
        signed(&world, &wallet, &option, accounts()[PAYER].key).presented.payment.scheme_payload().clone();
    let inner = payload["signature"].as_str().unwrap().to_owned();
    payload["signature"] = wrapped(WALLETS, &create(7), &inner).into();
    let again = payment_with(&option, payload);
    open(&world).verify(&again).await.unwrap();
    settle(&open(&world), &again).await;
    assert_eq!(world.received(), 2000);
}
