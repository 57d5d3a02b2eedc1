//! The official servers settle through our facilitator, and so do our own for the official clients.

use std::{fs, net::SocketAddr};

use devchain::DevChain;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};
use x402_server::facilitator::FacilitatorConfig;
use x402_tests::{FUNDS, Framework, GAS, MERCHANT, PAYER, Payer, Request, Script, Server, Shop, paid_runs};

use crate::run_with;

/// Our facilitator, from a file as `x402 facilitator` reads it, on a chain of its own.
pub(crate) struct Ours {
    pub(crate) chain: DevChain,
    address: SocketAddr,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Ours {
    pub(crate) fn start() -> Self {
        let chain = DevChain::start().unwrap();
        chain.mint(PAYER.address, FUNDS).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = (folder.path().join("facilitator.toml"), folder.path().join("key"));
        fs::write(&key, GAS.key).unwrap();
        let text = format!(
            "listen = \"127.0.0.1:0\"\n[[network]]\nid = \"eip155:84532\"\nrpc_url = \"{}\"\ngas_key_file = {key:?}\n",
            chain.url()
        );
        fs::write(&file, text).unwrap();
        let runtime = Runtime::new().unwrap();
        let address = runtime.block_on(async {
            let opened = FacilitatorConfig::load(&file).unwrap().open().await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let router = opened.service().router();
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
            address
        });
        Self { chain, address, _runtime: runtime, _folder: folder }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn transfers(&self) -> usize {
        self.chain.transfers_to(MERCHANT.address).unwrap()
    }
}

/// Either official server, with the client of its dialect.
const OFFICIAL: [(&str, &str, &str); 2] =
    [("server-v2.mjs", "pay-v2.mjs", "eip155:84532"), ("server-v1.mjs", "pay-v1.mjs", "base-sepolia")];

#[test]
fn the_official_servers_settle_through_our_facilitator() {
    let ours = Ours::start();
    for (sold, (server, client, network)) in OFFICIAL.into_iter().enumerate() {
        let official =
            Script::start(server, &[("FACILITATOR_URL", &ours.url()), ("PAY_TO", MERCHANT.address)]);
        let runs = || official.send(&Request::get("/runs")).json()["runs"].as_u64().unwrap();
        assert_eq!(official.send(&Request::get("/paid")).status, 402, "{server}");

        let paid = run_with(client, &official.url("/paid"), PAYER.key);
        assert_eq!((&paid["status"], &paid["signed"]), (&200.into(), &1.into()), "{server}: {paid}");
        let receipt = &paid["settlement"];
        assert_eq!((&receipt["success"], &receipt["network"]), (&true.into(), &network.into()), "{paid}");
        let income = ours.chain.income(MERCHANT.address).unwrap();
        assert_eq!((income.len(), income[sold].amount), (sold + 1, 1000), "{server}");
        assert_eq!(receipt["transaction"], income[sold].transaction.as_str(), "{server}");
        assert_eq!(runs(), 1, "{server}");

        // Somebody who has no money.
        let refused = run_with(client, &official.url("/paid"), devchain::accounts()[2].key);
        assert_eq!(
            (&refused["status"], &refused["settlement"]),
            (&402.into(), &Value::Null),
            "{server}: {refused}"
        );
        assert_eq!((ours.transfers(), runs()), (sold + 1, 1), "{server}");
    }
}

#[test]
fn the_official_clients_pay_us_through_our_facilitator() {
    let ours = Ours::start();
    for (sold, framework) in [Framework::Axum, Framework::Actix].into_iter().enumerate() {
        let server = Server::start(
            framework,
            Shop::environment().set("FACILITATOR_URL", ours.url()).set("WITNESS_URL", ours.chain.url()),
        );
        for (_, client, network) in OFFICIAL {
            let paid = run_with(client, &server.url("/exact"), PAYER.key);
            assert_eq!((&paid["status"], &paid["signed"]), (&200.into(), &1.into()), "{client}: {paid}");
            assert_eq!(paid["settlement"]["success"], true, "{client}: {paid}");
            assert_eq!(paid["settlement"]["network"], network, "{client}: {paid}");
            let refused = run_with(client, &server.url("/exact"), devchain::accounts()[2].key);
            assert_eq!(refused["status"], 402, "{client}: {refused}");
        }
        assert_eq!(paid_runs(&server).into_values().sum::<u64>(), 2, "{framework}");
        assert_eq!(ours.transfers(), 2 * (sold + 1), "{framework}");
        let payer = Payer::of(PAYER);
        assert_eq!(ours.chain.transfer_count(payer.address(), MERCHANT.address).unwrap(), ours.transfers());
    }
}
