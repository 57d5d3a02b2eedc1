//! The conformance server's executable, built once per test process.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use serde_json::Value;

/// The path of the executable.
///
/// # Panics
/// When it cannot be built.
pub(crate) fn conformance_server() -> &'static Path {
    &SERVER
}

static SERVER: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells tests about their package would be told to build scripts too, and what they build be built anew.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| OF_OUR_PACKAGE.iter().any(|of_ours| name.starts_with(of_ours))) {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .args(["build", "--package", PACKAGE, "--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{PACKAGE} does not build");
    let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == PACKAGE)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo tells where the executable is")
});

const OF_OUR_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];
const PACKAGE: &str = "conformance-server";
