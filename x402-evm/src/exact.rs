//! `exact` with EIP-3009: the structural check plus the recovery of the signer.

use std::sync::Arc;

use serde_json::Value;
use x402_core::{
    error::RejectReason,
    price::PriceOption,
    scheme::{Authorization, Eip3009, ExactEvmStructure, Proof, Scheme, SignedMessage},
};

use crate::{
    network::{Domain, Separators},
    recover::EcdsaSignature,
    typed_data::{Hash, signing_digest, transfer_hash},
};

/// `exact` on EVM chains, with the signature checked here: no I/O, one recovery.
///
/// The signing domain comes from the server's own option, never from the payment.
///
/// ```
/// use x402_core::scheme::Scheme;
/// use x402_evm::ExactEvm;
///
/// assert_eq!(ExactEvm::new().name(), "exact");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ExactEvm {
    contract_accounts: bool,
    separators: Arc<Separators>,
}

impl ExactEvm {
    /// The scheme for payers with plain accounts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a signature that is not the payer's own may still be that of a contract account.
    ///
    /// Such a payment is then neither proven nor refused here: the facilitator asks the account. Off by default.
    #[must_use]
    pub fn contract_accounts(mut self, allowed: bool) -> Self {
        self.contract_accounts = allowed;
        self
    }

    /// What the payer signed, as one hash in the option's domain.
    pub(crate) fn digest(&self, message: &Eip3009, option: &PriceOption) -> Result<Hash, RejectReason> {
        let separator = self.separators.get(&Domain::of(option)?);
        Ok(signing_digest(&separator, &transfer_hash(message)))
    }
}

impl Scheme for ExactEvm {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn read(&self, payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        ExactEvmStructure::authorization(payload, option)
    }

    fn prove(&self, authorization: &Authorization, option: &PriceOption) -> Result<Proof, RejectReason> {
        let message = eip3009(authorization)?;
        let own = own_signature(message, || self.digest(message, option));
        match own {
            Ok(()) => Ok(Proof::Signed),
            Err(RejectReason::MalformedSignature | RejectReason::WrongSignature)
                if self.contract_accounts =>
            {
                Ok(Proof::Contract)
            }
            Err(reason) => Err(reason),
        }
    }
}

/// The EIP-3009 message in an authorization.
pub(crate) fn eip3009(authorization: &Authorization) -> Result<&Eip3009, RejectReason> {
    match &authorization.message {
        SignedMessage::Eip3009(message) => Ok(message),
        _ => Err(RejectReason::UnsupportedScheme),
    }
}

/// Checks that the payer's own key signed. The hash is made only for a signature worth recovering.
fn own_signature(
    message: &Eip3009,
    digest: impl FnOnce() -> Result<Hash, RejectReason>,
) -> Result<(), RejectReason> {
    let signature = EcdsaSignature::read(&message.signature).map_err(|_| RejectReason::MalformedSignature)?;
    if signature.signer(&digest()?) == Some(message.from) {
        Ok(())
    } else {
        Err(RejectReason::WrongSignature)
    }
}
