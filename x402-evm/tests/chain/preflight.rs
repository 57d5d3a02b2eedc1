//! Mistakes found at start.

use devchain::{TOKEN, accounts};
use serde_json::json;
use x402_core::{facilitator::Facilitator, price::NetworkId};

use crate::world::{GAS, World, option, option_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_fits_the_chain_passes() {
    let world = World::start();
    world.facilitator().preflight(&[option(1000), option(5)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_named_with_what_to_do() {
    let world = World::start();
    let mut elsewhere = option(1);
    elsewhere.network = NetworkId::new("eip155:8453").unwrap();
    let mut solana = option(1);
    solana.network = NetworkId::new("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp").unwrap();
    let mut unnamed = option(1);
    unnamed.extra = Default::default();
    let nobody = "0x1111111111111111111111111111111111111111";
    for (wrong, at, says) in [
        (elsewhere, "eip155:8453", "the node is on chain 84532"),
        (solana, "solana", "not on an EVM chain"),
        (unnamed, TOKEN, "has no signing domain"),
        (option_of(nobody, "USDC", "2", 1), nobody, "has no code"),
        (option_of(TOKEN, "USD Coin", "2", 1), TOKEN, "is \"USDC\", the price says \"USD Coin\""),
        (option_of(TOKEN, "USDC", "1", 1), TOKEN, "version"),
    ] {
        let error = world.facilitator().preflight(&[option(1000), wrong]).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(at) && text.contains(says), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decimals_must_be_those_of_the_price_table() {
    let world = World::start();
    // configure("", "", 18): the names fall back to the usual ones.
    let configure = format!("0x{}{:064x}{:064x}{:064x}{:064x}{:064x}", "70b67e72", 96, 128, 18, 0, 0);
    let selector = {
        use sha3::{Digest, Keccak256};
        let hash = Keccak256::digest(b"configure(string,string,uint8)");
        format!("{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
    };
    world.transact(accounts()[9].address, TOKEN, &configure.replace("70b67e72", &selector));
    let error = world.facilitator().preflight(&[option(1000)]).await.unwrap_err().to_string();
    assert!(error.contains("18 decimals") && error.contains("says 6"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gas_account_without_coins_is_found() {
    let world = World::start();
    world.chain.rpc("anvil_setBalance", json!([accounts()[GAS].address, "0x0"])).unwrap();
    let error = world.facilitator().preflight(&[option(1000)]).await.unwrap_err().to_string();
    assert!(error.contains(accounts()[GAS].address) && error.contains("no coins"), "{error}");
}
