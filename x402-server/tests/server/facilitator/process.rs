//! The command: from a file, until it is told to end.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use devchain::{accounts, tethered};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use super::world::{GAS, World, until};

/// The process, on a port of its own.
struct Process {
    child: Child,
    url: String,
    metrics: Option<String>,
    log: thread::JoinHandle<String>,
    _folder: TempDir,
}

/// A file with one network, its key beside it, and these lines more.
fn file(url: &str, top: &str, network: &str, key: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (path, key_file) = (folder.path().join("f.toml"), folder.path().join("key"));
    fs::write(&key_file, key).unwrap();
    let id = if network.contains("id = ") { "" } else { "id = \"eip155:84532\"\n" };
    let text = format!(
        "listen = \"127.0.0.1:0\"\n{top}\n[[network]]\n{id}rpc_url = \"{url}\"\ngas_key_file = {key_file:?}\n{network}\n"
    );
    fs::write(&path, text).unwrap();
    (folder, path)
}

impl Process {
    fn start(chain: &str, top: &str, network: &str) -> Self {
        let (folder, path) = file(chain, top, network, accounts()[GAS].key);
        let mut child = tethered(env!("CARGO_BIN_EXE_x402").as_ref())
            .args(["facilitator", "--log-format", "json", "--config"])
            .arg(path)
            .env("RUST_LOG", "trace")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended: {said}");
            said.push_str(&line);
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["fields"]["message"] == "facilitator listens" {
                break line["fields"]["address"].as_str().unwrap().to_owned();
            }
        };
        let metrics = top.split('"').nth(1).map(|address| format!("http://{address}/metrics"));
        let log = thread::spawn(move || {
            lines.read_to_string(&mut said).unwrap();
            said
        });
        Self { child, url: format!("http://{address}"), metrics, log, _folder: folder }
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// How it ended, and all that it said.
    fn ended(mut self) -> (ExitStatus, String) {
        let limit = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.log.join().unwrap());
            }
            assert!(Instant::now() < limit, "it does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn agent() -> Agent {
    Agent::config_builder().proxy(None).http_status_as_error(false).build().into()
}

fn post(url: &str, body: &Value) -> (u16, Value) {
    let mut response = agent().post(url).send_json(body).unwrap();
    (response.status().as_u16(), response.body_mut().read_json().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_settles_and_ends_after_what_is_under_way() {
    let world = World::start();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let process = Process::start(world.chain.url(), &format!("metrics = \"{free}\""), "low_gas = \"0.1\"");
    let verified = post(&format!("{}/verify", process.url), &world.request(1_000));
    assert_eq!((verified.0, &verified.1["isValid"]), (200, &json!(true)));

    world.chain.set_automine(false).unwrap();
    let (url, request, another) = (process.url.clone(), world.request(2_000), world.request(3_000));
    let settling = thread::spawn(move || post(&format!("{url}/settle"), &request));
    world.sent().await;
    process.terminate();
    until(|| agent().get(format!("{}/ready", process.url)).call().unwrap().status() == 503).await;
    assert_eq!(post(&format!("{}/settle", process.url), &another).0, 503, "nothing new is begun");
    let metrics =
        agent().get(process.metrics.clone().unwrap()).call().unwrap().body_mut().read_to_string().unwrap();
    for line in [
        r#"x402_facilitator_requests_total{endpoint="verify",network="eip155:84532",outcome="valid"} 1"#,
        r#"x402_facilitator_gas_balance_coins{network="eip155:84532"}"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    world.chain.set_automine(true).unwrap();
    world.chain.mine(1).unwrap();
    let settled = settling.join().unwrap();
    assert_eq!((settled.0, &settled.1["success"]), (200, &json!(true)), "{settled:?}");
    let (status, said) = process.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("payment settled") && said.contains("all settlements are done"), "{said}");
    let secrets = [accounts()[GAS].key, another["paymentPayload"]["payload"]["signature"].as_str().unwrap()];
    assert!(secrets.iter().all(|secret| !said.contains(&secret[2..])), "{said}");
    assert_eq!(world.transfers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_does_not_fit_its_chain_is_told_with_line_and_key() {
    let world = World::start();
    let chain = world.chain.url();
    let (rich, poor) = (accounts()[GAS].key, format!("0x{}", "11".repeat(32)));
    for (url, network, key, parts) in [
        (chain, "", rich, &[][..]),
        ("http://127.0.0.1:1", "", rich, &["line 5, rpc_url", "cannot be reached"]),
        ("http://node.example/hidden", "", rich, &["line 5, rpc_url", "use https"]),
        (
            chain,
            "id = \"eip155:8453\"",
            rich,
            &["line 4, rpc_url", "is on eip155:84532;", "one that is on eip155:8453"],
        ),
        (chain, "", &poor, &["line 6, gas_key_file", "holds no coins", "send it some", "eip155:84532"]),
        (chain, "journal = \"/no/such/folder/journal\"", rich, &["line 7, journal"]),
    ] {
        let (_folder, path) = file(url, "", network, key);
        let mut command = Command::new(env!("CARGO_BIN_EXE_x402"));
        let ran = command.args(["facilitator", "--check", "--config"]).arg(path).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(if parts.is_empty() { 0 } else { 2 }), "{said}");
        for part in parts {
            assert_eq!(said.matches(part).count(), 1, "{part} in {said}");
        }
        assert!(!said.contains("hidden") && !said.contains(&key[2..]), "{said}");
    }
    let check = |network: &str| {
        let (_folder, path) = file(chain, "", network, rich);
        let mut command = Command::new(env!("CARGO_BIN_EXE_x402"));
        let ran = command.args(["facilitator", "--check", "--config"]).arg(path).output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    let (code, said) = check("batch = { window_ms = 50 }");
    assert!(code == Some(0) && said.contains("50 within 50ms"), "{said}");
    world.chain.rpc("anvil_setCode", json!([devchain::MULTICALL, "0x"])).unwrap();
    let (code, said) = check("batch = {}");
    assert!(code == Some(2) && said.contains("line 7, batch: needs Multicall3"), "{said}");
    assert_eq!(check("").0, Some(0));
    let absent =
        Command::new(env!("CARGO_BIN_EXE_x402")).args(["facilitator", "--config", "/no/f.toml"]).output();
    let said = String::from_utf8(absent.unwrap().stderr).unwrap();
    assert!(said.contains("/no/f.toml: cannot be read"), "{said}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_everybody_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::start();
    for (mode, told) in [(0o600, false), (0o644, true)] {
        let (folder, path) = file(world.chain.url(), "", "", accounts()[GAS].key);
        fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(mode)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_x402"));
        let ran = command.args(["facilitator", "--check", "--config"]).arg(path).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(
            ran.status.success() && said.contains("can be read by every user") == told,
            "{mode:o} {said}"
        );
    }
}
