//! EVM for the x402 paywall: payments by EIP-3009 and through Permit2 checked, settled and looked up.
//!
//! Three parts, each usable without the others:
//!
//! - [`ExactEvm`] and [`UptoEvm`] check a payment's signature where it arrives: no node, no I/O, one recovery. They are
//!   what a server needs that leaves settlement to a remote facilitator.
//! - `EvmFacilitator` (feature `rpc`) verifies and settles on a node of your own, with an account that pays the gas.
//! - `EvmWitness` (feature `rpc`) tells from the chain what became of a payment whose answer was lost.
//!
//! `EvmSigner` (feature `signer`) is the other side: it signs payments, for clients and tests.
//!
//! # A payment, signed and proven
//! ```
//! # #[cfg(feature = "signer")] {
//! use x402_core::{
//!     error::RejectReason,
//!     price::{NetworkId, PriceOption},
//!     scheme::{Proof, Scheme},
//!     time::UnixSeconds,
//! };
//! use x402_evm::{AuthorizationWindow, EvmSigner, ExactEvm, random_nonce};
//!
//! let network = NetworkId::new("eip155:84532")?;
//! let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
//! let pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
//! let cent = PriceOption::new(network, usdc, 10_000, pay_to).signing_domain("USDC", "2");
//!
//! let payer = EvmSigner::from_hex("0000000000000000000000000000000000000000000000000000000000000001")?;
//! let window = AuthorizationWindow::from_now(UnixSeconds::new(1_800_000_000), &cent);
//! let payload = payer.authorize(&cent, window, random_nonce())?;
//!
//! let scheme = ExactEvm::new();
//! let authorization = scheme.read(&payload, &cent)?;
//! assert_eq!(authorization.payer, payer.address().to_string());
//! assert_eq!(scheme.prove(&authorization, &cent), Ok(Proof::Signed));
//!
//! // Under another name the same token would be another signing domain.
//! let other = cent.signing_domain("USD Coin", "2");
//! assert_eq!(scheme.prove(&authorization, &other), Err(RejectReason::WrongSignature));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # On a node of your own
//! `EvmFacilitator::new(rpc_url, gas_key)` goes into the engine's builder, and brings its scheme and its witness along.
//! What it promises:
//!
//! - Money has moved when the token's own `Transfer` says so, in the transaction that used the authorization; a
//!   transaction's status proves nothing.
//! - A lost answer is neither success nor failure. Settling the same payment again waits for what was sent, or finds
//!   what it led to; money moves once.
//! - One gas account carries any number of settlements at once: no nonce is used twice or left out, and a stuck
//!   transaction is replaced at a higher fee.
//! - With `EvmFacilitator::batch`, settlements that come within a window share one transaction, and keep an outcome each: for
//!   about half the gas, where what was burnt is charged.
//! - Contract accounts (ERC-1271, EIP-7702, ERC-6492) pay only where `ContractAccounts` lets them.
//!
//! Give every process a gas account of its own, holding no more coins than it should be able to lose.
//!
//! # Through Permit2
//! A price says by [`Price::permit2`](x402_core::price::Price::permit2) that a token is moved by Permit2 instead of its own
//! EIP-3009, and by [`Price::up_to`](x402_core::price::Price::up_to) that the payer signs a ceiling, of which what was
//! used is moved. Permit2 and the x402 proxies have the same addresses on every chain, and may be missing on one: the
//! start-up check finds that out.
//!
//! - A payer approves Permit2 once per token, or signs the approval with a payment (EIP-2612); it then comes to the chain
//!   in the settlement itself. An engine that was [started](x402_core::EngineBuilder::start) asks for such approvals by
//!   itself. Without either the payment is refused with `permit2_allowance_required`.
//! - `upto` is settled by one account, which the payer signs for: `EvmFacilitator::gas_account`. A charge of zero is a
//!   settlement without a transaction, and leaves the authorization unused on the chain: whoever settles must remember it.
//! - Permit2 logs no nonces. `EvmWitness` reads them from the calls of the proxies in the transactions that paid the
//!   recipient, and never counts one transfer for two payments.
//!
//! # Features
//! `secp256k1` (default) recovers signers with libsecp256k1, `k256` in pure Rust; one of the two is needed.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod curve;
mod exact;
#[cfg(any(feature = "signer", test))]
mod hex;
mod network;
mod permit2;
mod prover;
mod recover;
mod typed_data;
mod upto;

pub use self::{
    exact::ExactEvm,
    network::Domain,
    permit2::{Eip2612, eip2612_hash, permit2_domain_separator, permit2_hash},
    recover::{EcdsaSignature, MalformedSignature},
    typed_data::{domain_separator, signing_digest, transfer_hash},
    upto::UptoEvm,
};

#[cfg(feature = "signer")]
mod key;
#[cfg(feature = "signer")]
mod signer;

#[cfg(feature = "signer")]
#[cfg_attr(docsrs, doc(cfg(feature = "signer")))]
pub use self::{
    key::InvalidKey,
    signer::{AuthorizationWindow, EvmSigner, Unsignable, random_nonce},
};

#[cfg(feature = "rpc")]
mod contract_wallet;
#[cfg(feature = "rpc")]
mod error;
#[cfg(feature = "rpc")]
mod facilitator;
#[cfg(feature = "rpc")]
mod gas_key;
#[cfg(feature = "rpc")]
mod logs;
#[cfg(feature = "rpc")]
mod revert;
#[cfg(feature = "rpc")]
mod rpc;
#[cfg(feature = "rpc")]
mod submit;
#[cfg(feature = "rpc")]
mod witness;

#[cfg(feature = "rpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "rpc")))]
pub use self::{
    contract_wallet::ContractAccounts,
    error::ChainError,
    facilitator::{EvmFacilitator, GasLevel},
    gas_key::GasKey,
    submit::{Batching, FileJournal, Journal, JournalEntry, MemoryJournal},
    witness::EvmWitness,
};
