//! The stock clients of both protocol versions pay each adapter over loopback; and our facilitator serves the stock servers.

mod ours;
mod permit2;

use std::process::Command;

use serde_json::Value;
use x402_tests::{Books, Framework, PAYER, Request, Shop};

const ADAPTERS: [Framework; 3] = [Framework::Axum, Framework::Tower, Framework::Actix];

/// Runs a script of `tests/interop`: one JSON line.
#[track_caller]
fn run(script: &str, arguments: &[&str]) -> Value {
    run_as(script, arguments, None)
}

/// The same, with a `GET` and another payer's key.
#[track_caller]
fn run_with(script: &str, url: &str, key: &str) -> Value {
    printed(script, &["GET", url], &[("PAYER_KEY", key)])
}

/// The same with a name for the payment.
#[track_caller]
fn run_as(script: &str, arguments: &[&str], id: Option<&str>) -> Value {
    let id = id.map(|id| ("PAYMENT_ID", id));
    printed(
        script,
        arguments,
        &[Some(("PAYER_KEY", PAYER.key)), id].into_iter().flatten().collect::<Vec<_>>(),
    )
}

#[track_caller]
fn printed(script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let output = Command::new("node")
        .arg(script)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(devchain::interop_dir().expect("the stock clients are installed"))
        .output()
        .expect("the tests need Node.js 20 or later on the PATH");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{script}: {error}: {stdout}{stderr}"))
}

#[track_caller]
fn assert_pays(script: &str, network: &str) {
    for framework in ADAPTERS {
        let shop = Shop::open(framework);
        let paid = run(script, &["GET", &shop.server.url("/exact")]);
        assert_eq!((&paid["status"], &paid["signed"]), (&200.into(), &1.into()), "{framework}: {paid}");
        let receipt = &paid["settlement"];
        assert_eq!(receipt["success"], true, "{framework}: {paid}");
        assert_eq!(receipt["network"], network, "{framework}: {paid}");
        assert!(
            receipt["payer"].as_str().unwrap().eq_ignore_ascii_case(PAYER.address),
            "{framework}: {paid}"
        );
        assert_eq!(paid["headers"]["delivery-token"], shop.server.deliveries()[0].token.as_str());
        assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000), "{framework}");

        let posted = run(script, &["POST", &shop.server.url("/echo"), "what was sent"]);
        assert_eq!(
            (&posted["status"], &posted["body"]),
            (&200.into(), &"what was sent".into()),
            "{framework}: {posted}"
        );
        let item = run(script, &["GET", &shop.server.url("/items/7?color=red")]);
        assert_eq!(item["status"], 200, "{framework}: {item}");
        let free = run(script, &["GET", &shop.server.url("/free")]);
        assert_eq!((&free["status"], &free["signed"]), (&200.into(), &0.into()), "{framework}: {free}");
        let runs = [("GET /exact", 1), ("POST /echo", 1), ("GET /items/{id}", 1)];
        assert_eq!(shop.books(), Books::of(&runs, 3, 3000), "{framework}");
    }
}

#[test]
fn the_version_2_client_pays() {
    assert_pays("pay-v2.mjs", "eip155:84532");
}

#[test]
fn the_version_1_client_pays() {
    assert_pays("pay-v1.mjs", "base-sepolia");
}

/// What a stock client signed, sent fifty times at once by whoever.
#[test]
fn fifty_copies_of_a_stock_payment_are_one_sale() {
    for framework in ADAPTERS {
        for script in ["sign-v2.mjs", "sign-v1.mjs"] {
            let shop = Shop::open(framework);
            let signed = run(script, &["GET", &shop.server.url("/exact")]);
            let (header, value) = (signed["header"].as_str().unwrap(), signed["value"].as_str().unwrap());
            let requests = vec![Request::get("/exact").header(header, value); 50];
            let responses: Vec<_> = shop.send_at_once(&requests).into_iter().map(Result::unwrap).collect();
            let served: Vec<_> = responses.iter().filter(|response| response.status == 200).collect();
            assert!(
                !served.is_empty() && responses.iter().all(|response| matches!(response.status, 200 | 409))
            );
            for response in &served {
                assert_eq!(
                    response.header("delivery-token"),
                    Some(shop.server.deliveries()[0].token.as_str())
                );
            }
            println!(
                "{framework}, {script}: {} sent, {} served, handler runs {}, transfers {}",
                responses.len(),
                served.len(),
                shop.server.runs("GET /exact"),
                shop.transfers()
            );
            assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000), "{framework}, {script}");
        }
    }
}

/// The stock client reads our declaration and names its payments; the name is for one of them.
#[test]
fn the_version_2_client_names_its_payment() {
    for framework in ADAPTERS {
        let shop = Shop::open(framework);
        let buy = |path: &str, id| run_as("pay-v2.mjs", &["GET", &shop.server.url(path)], id);
        let nameless = buy("/named/always", None);
        assert_eq!(nameless["status"], 400, "{framework}: {nameless}");
        let paid = buy("/named/always", Some("order-of-breakfast"));
        assert_eq!((&paid["status"], &paid["signed"]), (&200.into(), &1.into()), "{framework}: {paid}");
        assert_eq!(paid["settlement"]["success"], true, "{framework}: {paid}");
        // It signs anew each time it is told to pay: the name keeps it from paying twice.
        for path in ["/named/always", "/named"] {
            let again = buy(path, Some("order-of-breakfast"));
            assert_eq!(
                (&again["status"], &again["settlement"]),
                (&409.into(), &Value::Null),
                "{framework}: {again}"
            );
        }
        for id in [Some("order-of-lunch-no-2"), None] {
            assert_eq!(buy("/named", id)["status"], 200, "{framework}");
        }
        assert_eq!(buy("/exact", Some("order-of-breakfast"))["status"], 200, "{framework}: not offered");
        let runs = [("GET /named/always", 1), ("GET /named", 2), ("GET /exact", 1)];
        assert_eq!(shop.books(), Books::of(&runs, 4, 4000), "{framework}");
    }
}

/// The client gives up where its own rules say so, and says why; nothing is charged.
#[test]
fn a_stock_client_that_is_too_poor_is_told() {
    let shop = Shop::open(Framework::Axum);
    shop.chain.rpc("anvil_setBalance", serde_json::json!([PAYER.address, "0x0"])).unwrap();
    shop.chain.set_blacklisted(PAYER.address, true).unwrap();
    let refused = run("pay-v2.mjs", &["GET", &shop.server.url("/exact")]);
    assert_eq!(refused["status"], 402, "{refused}");
    assert_eq!(shop.books(), Books::empty());
}
