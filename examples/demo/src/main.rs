//! The main job, for real, on one terminal: a chain, a paid route, a payer.
//!
//! Run with `cargo xtask demo`, or `cargo xtask demo --serve` to leave it running.

mod client;
mod paint;
mod server;
mod story;

use std::{error::Error, process::ExitCode, thread};

use devchain::{DevChain, accounts};
use x402_evm::EvmSigner;

use crate::{paint::Paint, server::Server, story::Story};

type BoxError = Box<dyn Error>;

fn main() -> ExitCode {
    match run(std::env::args().any(|argument| argument == "--serve")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(serve: bool) -> Result<(), BoxError> {
    let paint = Paint::for_stdout();
    let [gas, payer, seller] = [&accounts()[0], &accounts()[1], &accounts()[2]];

    paint.title("A chain and a paid API");
    let chain = DevChain::start()?;
    chain.mint(payer.address, TEN_USDC)?;
    paint.field("chain", &format!("{} (eip155:{})", chain.url(), devchain::CHAIN_ID));
    paint.field("token", &format!("{} (a test USDC)", devchain::TOKEN));
    let server = Server::start(chain.url(), gas.key, seller.address)?;
    paint.field("server", &format!("{} (the example axum-quickstart)", server.url()));
    paint.field("route", "GET /weather/{city}, 0.01 USDC");
    paint.field("payer", payer.address);
    paint.field("seller", seller.address);

    Story {
        paint: &paint,
        chain: &chain,
        url: server.url(),
        signer: EvmSigner::from_hex(payer.key)?,
        payer: payer.address,
        seller: seller.address,
    }
    .tell()?;

    if serve {
        leave_running(&paint, server.url(), payer.key);
    }
    Ok(())
}

fn leave_running(paint: &Paint, url: &str, key: &str) {
    paint.title("Still running: try it yourself");
    paint.line("The 402, as any client sees it:");
    paint.code(&format!("curl -i {url}/weather/oslo"));
    paint.line("Pay with the stock version 2 client, then with the version 1 client:");
    paint.code(&format!("PAYER_KEY={key} node tests/interop/pay-v2.mjs GET {url}/weather/oslo"));
    paint.code(&format!("PAYER_KEY={key} node tests/interop/pay-v1.mjs GET {url}/weather/oslo"));
    paint.line("Ctrl-C ends it.");
    loop {
        thread::park();
    }
}

const TEN_USDC: u128 = 10_000_000;
