//! `cargo xtask chain`.

use std::{
    io::{self, Write},
    thread,
};

use devchain::{CHAIN_ID, DevChain, TOKEN, accounts};

use crate::BoxError;

/// Starts a chain with ten funded accounts and leaves it running: Ctrl-C ends this process, and that the chain.
pub(crate) fn run() -> Result<(), BoxError> {
    let chain = DevChain::start()?;
    let mut out = io::stdout();
    writeln!(out, "url      {}", chain.url())?;
    writeln!(out, "network  eip155:{CHAIN_ID}")?;
    writeln!(out, "token    {TOKEN} (USDC, 6 decimals)")?;
    writeln!(out, "\naccounts, each with 1000 USDC and gas; their keys are public, for this chain only:")?;
    for account in accounts() {
        chain.mint(account.address, THOUSAND_USDC)?;
        writeln!(out, "  {} {}", account.address, account.key)?;
    }
    writeln!(out, "\nCtrl-C ends it")?;
    loop {
        thread::park();
    }
}

const THOUSAND_USDC: u128 = 1_000_000_000;
