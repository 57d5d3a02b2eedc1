//! Payment schemes: how a payload is read, and how its signature is checked, without any I/O.
//!
//! [`ExactEvmStructure`] reads `exact` payments on EVM chains, [`UptoEvmStructure`] those of `upto`; both leave the
//! signature to the facilitator. `x402-evm` has the ones that recover the signer themselves.

mod authorization;
mod eip3009;
mod evm_address;
mod exact_evm;
mod members;
mod payment_key;
mod permit2;
mod upto_evm;

use std::fmt;

use serde_json::Value;

pub use self::{
    authorization::{Authorization, SignedMessage},
    eip3009::Eip3009,
    evm_address::{EvmAddress, ParseAddressError},
    exact_evm::ExactEvmStructure,
    payment_key::PaymentKey,
    permit2::{EXACT_PERMIT2_PROXY, PERMIT2, Permit2, Permit2Witness, UPTO_PERMIT2_PROXY},
    upto_evm::UptoEvmStructure,
};
use crate::{error::RejectReason, price::PriceOption};

/// Reads and checks the payloads of one scheme. Pure: no I/O and no clock.
///
/// The engine calls [`read`](Self::read), compares what it read with its own terms, and only then pays for
/// [`prove`](Self::prove): a wrong amount or recipient never costs a signature recovery.
pub trait Scheme: Send + Sync {
    /// The scheme's name on the wire, such as `exact`.
    fn name(&self) -> &'static str;

    /// Reads the authorization out of a payload made for `option`'s network and asset. Compares nothing.
    ///
    /// # Errors
    /// [`RejectReason::InvalidPayload`] when the payload does not have the scheme's shape.
    fn read(&self, payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason>;

    /// Checks the signature over what was read, in the signing domain of `option`'s asset.
    ///
    /// # Errors
    /// [`RejectReason::MalformedSignature`] or [`RejectReason::WrongSignature`] when nobody could make it valid.
    fn prove(&self, authorization: &Authorization, option: &PriceOption) -> Result<Proof, RejectReason>;
}

/// What is known of a signature that was not refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// It is the payer's.
    Signed,
    /// It cannot be told here, and the facilitator is asked. Such a payment is verified before anything is stored.
    Unknown,
    /// It is not the payer's own, and may be that of a contract account, which the facilitator asks. Besides, such a
    /// payment is settled before the handler runs: a contract may say yes now and no later.
    Contract,
}

impl fmt::Debug for dyn Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scheme").field(&self.name()).finish()
    }
}
