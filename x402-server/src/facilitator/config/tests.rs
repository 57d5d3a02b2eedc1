use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;

const KEY: &str = "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba";
const GOOD: &str = r#"listen = "127.0.0.1:4020"

[[network]]
id = "eip155:84532"
rpc_url = "https://node.example/hidden"
gas_key_file = "KEY"
"#;

/// `printf %s "$TOKEN" | sha256sum` without a `TOKEN`.
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A file that names a key that is there.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, format!("{KEY}\n")).unwrap();
    (folder, key)
}

fn parse(text: &str) -> Result<FacilitatorConfig, ConfigError> {
    let (_folder, key) = folder();
    FacilitatorConfig::parse("f.toml", &text.replace("KEY", key.to_str().unwrap()))
}

#[test]
fn mistakes_are_told_with_line_and_key() {
    let network = |line: &str| format!("{GOOD}{line}\n");
    let with = |from: &str, to: &str| GOOD.replace(from, to);
    let first = |line: &str| format!("{line}\n{GOOD}");
    let cases: &[(String, &[&str])] = &[
        (String::new(), &["f.toml", "missing field `listen`"]),
        ("listen = \"127.0.0.1:1\"".to_owned(), &["f.toml", "[[network]]"]),
        ("listen = ".to_owned(), &["f.toml line 1"]),
        (with("127.0.0.1:4020", "localhost"), &["f.toml line 1, listen", "127.0.0.1:4020"]),
        (with("127.0.0.1:4020", "0.0.0.0:4020"), &["f.toml line 1, listen", "open = true", "[[caller]]"]),
        (first("max_in_flight = 0"), &["f.toml line 1, max_in_flight"]),
        (first("gas_check_seconds = 0"), &["f.toml line 1, gas_check_seconds"]),
        (first("metrics = \"nowhere\""), &["f.toml line 1, metrics"]),
        (first("port = 1"), &["f.toml line 1", "unknown field `port`"]),
        (network("[[caller]]\ntoken_sha256 = \"hidden\""), &["f.toml line 8, token_sha256", "sha256sum"]),
        (
            network(&format!("[[caller]]\ntoken_sha256 = \"{OF_NOTHING}\"")),
            &["f.toml line 8, token_sha256", "is the digest of nothing; was TOKEN set?"],
        ),
        (
            network(&format!("[[caller]]\ntoken_sha256 = \"{}\"", OF_NOTHING.to_uppercase())),
            &["is the digest of nothing"],
        ),
        (
            network("[[caller]]\ntoken_env = \"X402_NOT_SET\""),
            &["f.toml line 8, token_env", "X402_NOT_SET is not set"],
        ),
        (network("[[caller]]"), &["caller", "token_sha256"]),
        (network("[[caller]]\ntoken = \"hidden\""), &["f.toml line 8", "not written into this file"]),
        (with("id = \"eip155:84532\"\n", ""), &["f.toml line 3", "missing field `id`"]),
        (with("eip155:84532", "base-sepolia"), &["f.toml line 4, id", "eip155:84532"]),
        (with("eip155:84532", "eip155:99999999"), &["f.toml line 4, id", "unlisted = true"]),
        (with("eip155:84532", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"), &["f.toml line 4, id", "EVM"]),
        (with("rpc_url = \"https://node.example/hidden\"\n", ""), &["f.toml line 4, id", "rpc_url"]),
        (network("rpc_url_env = \"PATH\""), &["f.toml line 5, rpc_url", "keep one"]),
        (
            with("rpc_url = \"https://node.example/hidden\"", "rpc_url_env = \"X402_NOT_SET\""),
            &["line 5, rpc_url_env"],
        ),
        (with("gas_key_file = \"KEY\"\n", ""), &["f.toml line 4, id", "gas_key_file"]),
        (with("KEY", "/no/such/file"), &["f.toml line 6, gas_key_file", "cannot be read"]),
        (
            with("gas_key_file = \"KEY\"", "gas_key_env = \"X402_NOT_SET\""),
            &["line 6, gas_key_env", "X402_NOT_SET"],
        ),
        (
            with("gas_key_file = \"KEY\"", "gas_key_env = \"PATH\""),
            &["line 6, gas_key_env", "not a private key"],
        ),
        (network("gas_key_env = \"PATH\""), &["f.toml line 6, gas_key_file", "keep one"]),
        (network("gas_key = \"hidden\""), &["f.toml line 7", "not written into this file"]),
        (network("confirmations = 0"), &["f.toml line 7, confirmations"]),
        (network("max_fee_gwei = 5"), &["f.toml line 7", "string"]),
        (network("max_fee_gwei = \"0\""), &["f.toml line 7, max_fee_gwei"]),
        (network("max_fee_gwei = \"0.0000000001\""), &["f.toml line 7, max_fee_gwei", "gwei"]),
        (network("low_gas = \"-1\""), &["f.toml line 7, low_gas", "0.01"]),
        (network("answer_seconds = 0"), &["f.toml line 7, answer_seconds"]),
        (
            network("factories = [\"0x4020000000000000000000000000000000006492\"]"),
            &["line 7, factories", "contract_acc"],
        ),
        (network("contract_accounts = true\nfactories = [\"0x40\"]"), &["f.toml line 8, factories"]),
        (network("batch = { window_ms = 0 }"), &["f.toml line 7, batch", "more than 0"]),
        (network("batch = { window_ms = 60000 }"), &["f.toml line 7, batch", "up to 10s"]),
        (network("batch = { most = 1 }"), &["f.toml line 7, batch", "2 to 200"]),
        (network("batch = { size = 2 }"), &["f.toml line 7", "unknown field `size`"]),
        (network("batch = true"), &["f.toml line 7"]),
        (format!("{GOOD}{}", GOOD.split_once("\n\n").unwrap().1), &["f.toml line 8, id", "twice"]),
    ];
    for (text, parts) in cases {
        let refused = parse(text).expect_err(text).to_string();
        for part in *parts {
            assert!(refused.contains(part), "{part} in {refused}");
        }
        assert!(!refused.contains("hidden") && !refused.contains('\n'), "{refused}");
    }
}

#[test]
fn who_may_ask_is_said_before_the_network_may() {
    let digest = "00".repeat(32);
    for (listen, rest, accepted) in [
        ("127.0.0.1:1", "", true),
        ("[::1]:1", "", true),
        ("0.0.0.0:1", "", false),
        ("[::]:1", "open = false", false),
        ("0.0.0.0:1", "open = true", true),
    ] {
        let text = format!("{rest}\n{}", GOOD.replace("127.0.0.1:4020", listen));
        assert_eq!(parse(&text).is_ok(), accepted, "{listen} {rest}");
        let with_caller = format!("{text}[[caller]]\ntoken_sha256 = \"{digest}\"\n");
        assert!(parse(&with_caller).is_ok(), "{listen}");
    }
    let (refused, _) = (parse(&GOOD.replace("127.0.0.1:4020", "10.0.0.1:1")).unwrap_err(), ());
    assert!(refused.at().contains("listen"));
}

#[test]
fn the_example_is_one() {
    let (_folder, key) = folder();
    let example = include_str!("../../../examples/facilitator.toml");
    let key = format!("gas_key_file = {:?}", key.to_str().unwrap());
    let used = example.replace("gas_key_env = \"GAS_KEY\"", &key);
    let config = FacilitatorConfig::parse("facilitator.toml", &used).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:4020");
    assert!(config.is_open());
    let shown = format!("{config:?}");
    assert!(!shown.contains("base.org") && !shown.contains(&KEY[4..]), "{shown}");

    let all = used.replace("# [[", "[[").replace("0x…", "0x4020000000000000000000000000000000006492");
    let all = all.replace("token_env = \"SHOP_TOKEN\"", "token_env = \"PATH\"");
    let keys =
        ["max_", "gas_check", "token_", "answer", "journal", "contract", "factories", "unlisted", "batch"];
    let all = keys.iter().fold(all, |text, key| text.replace(&format!("# {key}"), key));
    let all = FacilitatorConfig::parse("facilitator.toml", &all);
    assert!(!all.unwrap().is_open(), "every line of it is understood");
}
