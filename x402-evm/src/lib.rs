//! EVM for the x402 paywall: EIP-3009 verification, settlement and evidence.

mod curve;
mod exact;
mod hex;
#[cfg(feature = "signer")]
mod key;
mod network;
mod recover;
#[cfg(feature = "signer")]
mod signer;
mod typed_data;

pub use self::{
    exact::ExactEvm,
    network::Domain,
    recover::{EcdsaSignature, MalformedSignature},
    typed_data::{domain_separator, signing_digest, transfer_hash},
};
#[cfg(feature = "signer")]
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
pub use self::{
    contract_wallet::ContractAccounts,
    error::ChainError,
    facilitator::EvmFacilitator,
    gas_key::GasKey,
    submit::{FileJournal, Journal, JournalEntry, MemoryJournal},
    witness::EvmWitness,
};
