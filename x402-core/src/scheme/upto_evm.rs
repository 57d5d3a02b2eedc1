//! `upto` on EVM chains: a ceiling through Permit2, of which a facilitator takes what was used.

use serde_json::Value;

use super::{Authorization, Permit2, Proof, Scheme, members::invalid};
use crate::{
    error::RejectReason,
    price::{PriceOption, TransferMethod},
};

/// `upto` on EVM without a look at the signature, for servers that leave verification to a facilitator.
#[derive(Clone, Copy, Debug, Default)]
pub struct UptoEvmStructure;

impl UptoEvmStructure {
    /// Reads a payload made for `option`; what [`Scheme::read`] does, for schemes built on this one.
    ///
    /// # Errors
    /// [`RejectReason::InvalidPayload`].
    pub fn authorization(payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        if option.transfer_method() != TransferMethod::Permit2 {
            return Err(RejectReason::UnsupportedScheme);
        }
        let message = Permit2::read(payload)?;
        if message.witness.facilitator.is_none() {
            return Err(invalid("witness names no facilitator"));
        }
        message.authorization(option)
    }
}

impl Scheme for UptoEvmStructure {
    fn name(&self) -> &'static str {
        "upto"
    }

    fn read(&self, payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        Self::authorization(payload, option)
    }

    fn prove(&self, _: &Authorization, _: &PriceOption) -> Result<Proof, RejectReason> {
        Ok(Proof::Unknown)
    }
}
