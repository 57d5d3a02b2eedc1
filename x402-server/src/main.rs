//! The command `x402`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    x402_server::cli::run(std::env::args_os()).await
}
