//! Who signed what: the hash of each kind of message in its domain, and the recovery of its signer.

use std::sync::Arc;

use x402_core::{
    error::RejectReason,
    price::PriceOption,
    scheme::{Authorization, Proof, SignedMessage},
};

use crate::{
    network::{Domain, Separators},
    permit2::{permit2_domain_separator, permit2_hash},
    recover::EcdsaSignature,
    typed_data::{Hash, signing_digest, transfer_hash},
};

/// Proves signatures, of all schemes alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prover {
    pub(crate) contract_accounts: bool,
    separators: Arc<Separators>,
}

impl Prover {
    /// What the payer signed, as one hash: in the domain of the option's token, or of Permit2 on its chain.
    pub(crate) fn digest(&self, message: &SignedMessage, option: &PriceOption) -> Result<Hash, RejectReason> {
        match message {
            SignedMessage::Eip3009(message) => {
                let separator = self.separators.get(&Domain::of(option)?);
                Ok(signing_digest(&separator, &transfer_hash(message)))
            }
            SignedMessage::Permit2(message) => {
                let chain_id = option.network.chain_id().ok_or(RejectReason::UnsupportedScheme)?;
                Ok(signing_digest(&permit2_domain_separator(chain_id), &permit2_hash(message)))
            }
            _ => Err(RejectReason::UnsupportedScheme),
        }
    }

    /// Checks that the payer's own key signed, as far as that can be told without a chain.
    pub(crate) fn prove(
        &self,
        authorization: &Authorization,
        option: &PriceOption,
    ) -> Result<Proof, RejectReason> {
        match self.own_signature(&authorization.message, option) {
            Ok(()) => Ok(Proof::Signed),
            Err(RejectReason::MalformedSignature | RejectReason::WrongSignature)
                if self.contract_accounts =>
            {
                Ok(Proof::Contract)
            }
            Err(reason) => Err(reason),
        }
    }

    /// The hash is made only for a signature worth recovering.
    fn own_signature(&self, message: &SignedMessage, option: &PriceOption) -> Result<(), RejectReason> {
        let (payer, signature) = match message {
            SignedMessage::Eip3009(message) => (message.from, &message.signature),
            SignedMessage::Permit2(message) => (message.owner, &message.signature),
            _ => return Err(RejectReason::UnsupportedScheme),
        };
        let signature = EcdsaSignature::read(signature).map_err(|_| RejectReason::MalformedSignature)?;
        if signature.signer(&self.digest(message, option)?) == Some(payer) {
            Ok(())
        } else {
            Err(RejectReason::WrongSignature)
        }
    }
}
