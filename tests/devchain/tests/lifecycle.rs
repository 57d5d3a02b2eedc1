//! The chain does what tests ask of it, and goes away with whoever started it.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use devchain::{DevChain, MULTICALL, TOKEN, accounts};
use serde_json::json;

#[test]
fn minted_tokens_are_there_and_transfers_are_counted() {
    let chain = DevChain::start().unwrap();
    let [payer, payee] = [accounts()[1].address, accounts()[2].address];
    chain.mint(payer, 5_000_000).unwrap();
    assert_eq!(chain.balance(payer).unwrap(), 5_000_000);
    assert_eq!(chain.transfers_to(payer).unwrap(), 0, "a mint is no payment");

    let transfer = format!("0xa9059cbb{:0>64}{:064x}", &payee[2..], 1000);
    let sent = chain.rpc("eth_sendTransaction", json!([{ "from": payer, "to": TOKEN, "data": transfer }]));
    assert!(sent.is_ok(), "{sent:?}");
    chain.mine(1).unwrap();
    assert_eq!(chain.balance(payee).unwrap(), 1000);
    assert_eq!(chain.transfers_to(payee).unwrap(), 1);
    assert_eq!(chain.transfer_count(payer, payee).unwrap(), 1);
    assert_eq!(chain.transfer_count(payee, payer).unwrap(), 0);
}

#[test]
fn quirks_and_blacklist_reach_the_token() {
    let chain = DevChain::start().unwrap();
    let account = accounts()[1].address;
    chain.set_blacklisted(account, true).unwrap();
    assert!(chain.mint(account, 1).is_ok(), "the blacklist stops transfers, not mints");
    let transfer = json!([{ "from": account, "to": TOKEN, "data": format!("0xa9059cbb{:0>64}{:064x}", 1, 1) }, "latest"]);
    assert!(chain.rpc("eth_call", transfer.clone()).unwrap_err().to_string().contains("blacklisted"));
    chain.set_blacklisted(account, false).unwrap();
    assert!(chain.rpc("eth_call", transfer.clone()).is_ok());
    chain.set_quirks(8).unwrap();
    assert!(chain.rpc("eth_call", transfer).unwrap_err().to_string().contains("paused"));
}

#[test]
fn blocks_and_time_move_on_demand() {
    let chain = DevChain::start().unwrap();
    let snapshot = chain.snapshot().unwrap();
    let start = chain.now().unwrap();
    chain.advance_time(3600).unwrap();
    assert!(chain.now().unwrap() >= start + 3600);
    chain.revert(&snapshot).unwrap();
    assert!(chain.now().unwrap() < start + 3600);
    assert!(chain.revert(&snapshot).is_err(), "a snapshot serves once");

    chain.set_automine(false).unwrap();
    let [from, to] = [accounts()[0].address, accounts()[1].address];
    let hash = chain.rpc("eth_sendTransaction", json!([{ "from": from, "to": to, "value": "0x1" }])).unwrap();
    assert!(chain.rpc("eth_getTransactionReceipt", json!([hash])).unwrap().is_null());
    chain.mine(1).unwrap();
    assert!(chain.rpc("eth_getTransactionReceipt", json!([hash])).unwrap().is_object());
    chain.set_automine(true).unwrap();
    chain.set_interval_mining(1).unwrap();
}

#[test]
fn contracts_are_placed_and_deployed() {
    let chain = DevChain::start().unwrap();
    let factory = chain.deploy("X402TestWalletFactory").unwrap();
    for address in [TOKEN, MULTICALL, &factory] {
        let code = chain.rpc("eth_getCode", json!([address, "latest"])).unwrap();
        assert!(code.as_str().unwrap().len() > 100, "{address}");
    }
    assert!(chain.deploy("NoSuchContract").is_err());
}

#[test]
fn dropping_the_chain_ends_it() {
    let chain = DevChain::start().unwrap();
    let port = port(chain.url());
    assert!(listens(port));
    drop(chain);
    assert!(!listens(port));
}

/// Run by the test below in a process of its own, which is then killed; alone it does nothing.
#[test]
fn child_of_a_killed_process() {
    if std::env::var_os(CHILD).is_some() {
        let chain = DevChain::start().unwrap();
        println!("\nchain {}", chain.url());
        std::thread::park();
    }
}

#[cfg(unix)]
#[test]
fn chain_of_a_killed_process_ends_too() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_of_a_killed_process", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("chain ").map(str::to_owned));
    let port = port(&url.unwrap());
    assert!(listens(port));
    child.kill().unwrap(); // SIGKILL: nothing is dropped
    child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while listens(port) {
        assert!(Instant::now() < until, "anvil outlived its process");
        std::thread::yield_now();
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

const CHILD: &str = "DEVCHAIN_TEST_CHILD";
