//! A development chain for tests: anvil with the test token in the place of Base Sepolia's USDC.
//!
//! [`DevChain::start`] finds the anvil binary of `tests/interop` (running `npm ci` there when it is missing),
//! starts it on a free port and places the contracts. The chain ends with its value, with its process and with
//! Ctrl-C. Every call blocks; a start takes about 100 ms.
//!
//! ```no_run
//! use devchain::{DevChain, accounts};
//!
//! # fn main() -> Result<(), devchain::DevChainError> {
//! let chain = DevChain::start()?;
//! let payer = accounts()[1].address;
//! chain.mint(payer, 5_000_000)?;
//! assert_eq!(chain.balance(payer)?, 5_000_000);
//! # Ok(())
//! # }
//! ```

mod accounts;
mod chain;
mod contracts;
mod error;
mod interop;
mod mining;
mod process;
mod recorded;
mod rpc;
mod token;

pub use self::{
    accounts::{Account, accounts},
    chain::{CHAIN_ID, DevChain, EXACT_PERMIT2_PROXY, MULTICALL, PERMIT2, TOKEN, UPTO_PERMIT2_PROXY},
    error::DevChainError,
    interop::interop_dir,
    process::tethered,
    recorded::{FACTORY, RECORDED_AT},
    token::Income,
};
