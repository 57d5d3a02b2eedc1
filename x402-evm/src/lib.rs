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
