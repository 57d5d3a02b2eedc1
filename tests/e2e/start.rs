//! A server that cannot do its work says so in one line and does not start.

use devchain::{DevChain, accounts};
use serde_json::json;
use x402_tests::{Connection, Environment, Framework, GAS, Request, Server, Shop, eventually};

fn on(chain: &DevChain) -> Environment {
    Shop::environment().set("RPC_URL", chain.url()).set("SIGNER_KEY", GAS.key)
}

#[track_caller]
fn refuses(environment: Environment, variable: &str) -> String {
    let started = Server::try_start(Framework::Axum, environment);
    let told = started.expect_err("it must not start");
    let line = told.lines().last().unwrap_or_default().to_owned();
    assert!(line.contains(variable), "wanted {variable} in {told:?}");
    assert!(!told.contains("panicked"), "{told}");
    assert!(!told.contains(&GAS.key[2..]), "a key in {told}");
    assert!(!told.contains("pass-phrase"), "a password in {told}");
    line
}

#[test]
fn every_mistake_in_the_environment_is_named() {
    let chain = DevChain::start().unwrap();
    let good = || on(&chain);
    let remote = || Shop::environment().set("FACILITATOR_URL", "http://127.0.0.1:9");
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("orders.db").display());
    for (variable, environment) in [
        ("PAY_TO", good().unset("PAY_TO")),
        ("PAY_TO", good().set("PAY_TO", "0x1234")),
        ("PAY_TO", good().set("PAY_TO", accounts()[7].address.replace("dC79", "dc79"))),
        ("PAY_TO", good().set("PAY_TO", format!("0x{}", "0".repeat(40)))),
        ("SIGNER_KEY", good().unset("SIGNER_KEY")),
        ("SIGNER_KEY", good().set("SIGNER_KEY", "0x12")),
        ("RPC_URL", good().unset("RPC_URL")),
        ("RPC_URL", good().set("RPC_URL", "nonsense")),
        ("RPC_URL", good().set("RPC_URL", "http://node.example")),
        ("FACILITATOR_URL", good().set("FACILITATOR_URL", "http://127.0.0.1:9")),
        ("FACILITATOR_URL", Shop::environment().set("FACILITATOR_URL", "http://facilitator.example")),
        ("SETTLE_WITHIN", remote().set("SETTLE_WITHIN", "soon")),
        ("SIGNATURES", remote().set("SIGNATURES", "nobody")),
        ("WITNESS_URL", remote().set("WITNESS_URL", "http://node.example")),
        ("RESOLVE_WITHIN", good().set("RESOLVE_WITHIN", "-1")),
        ("SETTLE", good().set("SETTLE", "never")),
        ("SETTLE", good().set("SETTLE", "deferred")),
        ("DEFER_OVER_FORGETFUL_STORE", good().set("DEFER_OVER_FORGETFUL_STORE", "perhaps")),
        ("QUOTE_KEY", good().set("QUOTE_KEY", "0x12")),
        ("QUOTE_KEY", good().set("STORE_URL", &*file).unset("QUOTE_KEY")),
        ("STORE_URL", good().set("STORE_URL", "mysql://127.0.0.1/orders")),
        ("STORE_URL", good().set("STORE_URL", "sqlite:/nowhere/orders.db")),
        ("STORE_URL", good().set("STORE_URL", "redis://shop:pass-phrase@127.0.0.1:9")),
        ("STORE_URL", good().set("STORE_URL", "postgres://shop:pass-phrase@127.0.0.1:9/orders")),
        ("ORIGIN", good().set("ORIGIN", "http://shop.example")),
        ("ORIGIN", good().set("ORIGIN", "https://shop.example/path")),
    ] {
        refuses(environment, variable);
    }
}

#[test]
fn a_chain_that_does_not_fit_is_named() {
    let nobody = refuses(
        Shop::environment().set("RPC_URL", "http://127.0.0.1:9").set("SIGNER_KEY", GAS.key),
        "RPC_URL",
    );
    assert!(!nobody.is_empty());

    let chain = DevChain::start().unwrap();
    chain.rpc("anvil_setCode", json!([devchain::TOKEN, "0x"])).unwrap();
    let told = refuses(on(&chain), "RPC_URL");
    assert!(told.contains(devchain::TOKEN), "which token has no code: {told}");

    let chain = DevChain::start().unwrap();
    chain.configure("Another Coin", "2", 6).unwrap();
    refuses(on(&chain), "RPC_URL");

    let chain = DevChain::start().unwrap();
    chain.configure("USDC", "2", 18).unwrap();
    refuses(on(&chain), "RPC_URL");

    let chain = DevChain::start().unwrap();
    chain.rpc("anvil_setChainId", json!([8453])).unwrap();
    let told = refuses(on(&chain), "RPC_URL");
    assert!(told.contains("8453") || told.contains("84532"), "which chain: {told}");
}

#[test]
fn readiness_is_told_outside_of_the_paywall() {
    for framework in [Framework::Axum, Framework::Tower, Framework::Actix] {
        let mut shop = Shop::open(framework);
        let ready = |shop: &Shop| shop.send(&Request::get("/ready"));
        assert_eq!((ready(&shop).status, ready(&shop).text().as_str()), (200, "ready"), "{framework}");

        // While it ends it says so, and new payments are sent elsewhere.
        let slow = Request::get("/slow?ms=1500").paying(&shop.payment_for("/slow?ms=1500"));
        let payment = Request::get("/exact").paying(&shop.payment_for("/exact"));
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(&slow.bytes()).unwrap();
        eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
        shop.server.ask_to_end();
        eventually("it says that it ends", || ready(&shop).status == 503);
        let refused = shop.send(&payment);
        assert_eq!((refused.status, refused.header("payment-required")), (503, None), "{framework}");
        assert!(refused.header("retry-after").is_some(), "{framework}");
        assert_eq!(connection.response(false).unwrap().status, 200, "{framework}");
        assert!(shop.server.ended().success(), "{framework}");
        assert_eq!(shop.transfers(), 1, "{framework}");
    }
}
