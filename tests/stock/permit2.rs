//! The stock client of version 2 pays through Permit2: ceilings and fixed prices, approved before or in the same go.

use serde_json::Value;
use x402_tests::{Books, Framework, GAS, MERCHANT, PAYER, Script, Server, Shop, paid_runs};

use crate::{ours::Ours, printed};

/// The client with a node of its own, at which it looks for its approval.
#[track_caller]
fn buy(server: &Server, path: &str, node: &str) -> Value {
    printed("pay-v2.mjs", &["GET", &server.url(path)], &[("PAYER_KEY", PAYER.key), ("RPC_URL", node)])
}

#[track_caller]
fn assert_paid(paid: &Value, signed: u64, what: &str) {
    assert_eq!((&paid["status"], &paid["signed"]), (&200.into(), &signed.into()), "{what}: {paid}");
    assert_eq!(paid["settlement"]["success"], true, "{what}: {paid}");
}

/// By each adapter, both schemes; who approved is not asked to sign an approval.
#[test]
fn the_version_2_client_pays_through_permit2() {
    for framework in [Framework::Axum, Framework::Tower, Framework::Actix] {
        let shop = Shop::open_with(framework, |_, environment| {
            environment.set("UPTO_SETTLER", GAS.address).set("ASK_AT_START", "yes")
        });
        // A ceiling last: what was not used of it stays approved.
        let sales = [("/permit2", 2, 1000), ("/used?use=1234", 2, 2234), ("/used?use=1234", 1, 3468)];
        for (path, signed, income) in sales {
            if signed == 1 {
                shop.chain.approve_permit2(PAYER.address, 1_000_000).unwrap();
            }
            let paid = buy(&shop.server, path, shop.chain.url());
            assert_paid(&paid, signed, &format!("{framework}, {path}"));
            assert_eq!(shop.books().income, income, "{framework}, {path}");
        }
        assert_eq!(shop.books(), Books::of(&[("GET /used", 2), ("GET /permit2", 1)], 3, 3468), "{framework}");
    }
}

/// Where nobody was asked, nobody is told that approvals are brought along: the client's payment lacks its approval.
#[test]
fn without_an_offer_the_version_2_client_needs_an_allowance() {
    let shop = Shop::open(Framework::Axum);
    let refused = buy(&shop.server, "/permit2", shop.chain.url());
    assert_eq!((&refused["status"], &refused["signed"]), (&412.into(), &1.into()), "{refused}");
    assert_eq!(shop.books(), Books::empty());
}

/// The official server charges what was used, through our facilitator, which brings the client's approval along.
#[test]
fn the_official_server_charges_what_was_used_through_our_facilitator() {
    let ours = Ours::start();
    let official =
        Script::start("server-v2.mjs", &[("FACILITATOR_URL", &ours.url()), ("PAY_TO", MERCHANT.address)]);
    for (sold, signed) in [2, 1].into_iter().enumerate() {
        let environment = [("PAYER_KEY", PAYER.key), ("RPC_URL", ours.chain.url())];
        let paid = printed("pay-v2.mjs", &["GET", &official.url("/used")], &environment);
        assert_paid(&paid, signed, "the official server");
        assert_eq!(paid["settlement"]["amount"], "1234", "{paid}");
        let income = ours.chain.income(MERCHANT.address).unwrap();
        assert_eq!((income.len(), income[sold].amount), (sold + 1, 1234));
        assert_eq!(paid["settlement"]["transaction"], income[sold].transaction.as_str());
        ours.chain.approve_permit2(PAYER.address, 1_000_000).unwrap();
    }
}

#[test]
fn the_version_2_client_pays_through_permit2_and_our_facilitator() {
    let ours = Ours::start();
    let environment = Shop::environment()
        .set("FACILITATOR_URL", ours.url())
        .set("WITNESS_URL", ours.chain.url())
        .set("ASK_AT_START", "yes")
        .set("UPTO_SETTLER", GAS.address);
    let server = Server::start(Framework::Tower, environment);
    for (sold, path) in ["/permit2", "/used?use=1234"].into_iter().enumerate() {
        let paid = buy(&server, path, ours.chain.url());
        assert_paid(&paid, 2, path);
        assert_eq!(ours.transfers(), sold + 1, "{path}");
    }
    assert_eq!(paid_runs(&server).into_values().sum::<u64>(), 2);
    assert_eq!(ours.chain.balance(MERCHANT.address).unwrap(), 2234);
}
