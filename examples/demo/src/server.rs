//! The example server, as a process beside this one.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::BoxError;

/// A running `axum-quickstart`. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts the binary that stands beside this one.
    pub(crate) fn start(rpc_url: &str, gas_key: &str, pay_to: &str) -> Result<Self, BoxError> {
        let binary =
            env::current_exe()?.with_file_name(format!("axum-quickstart{}", env::consts::EXE_SUFFIX));
        let mut child = Command::new(&binary)
            .env("PORT", "0")
            .env("RPC_URL", rpc_url)
            .env("SIGNER_KEY", gas_key)
            .env("PAY_TO", pay_to)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!("{} did not start: {error}; use `cargo xtask demo`", binary.display())
            })?;
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let url =
            lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned()));
        let mut server = Self { child, url: String::new() };
        server.url = url.ok_or("the server ended before it was listening")?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either call fails only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
