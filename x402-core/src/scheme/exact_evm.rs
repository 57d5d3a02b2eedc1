//! `exact` on EVM chains: the shape of its payloads, without cryptography.

use serde_json::Value;

use super::{Authorization, Eip3009, Permit2, Proof, Scheme, members::invalid};
use crate::{
    error::RejectReason,
    price::{PriceOption, TransferMethod},
};

/// `exact` on EVM without a look at the signature, for servers that leave verification to a facilitator.
///
/// Reads what the option's [transfer method](PriceOption::transfer_method) asks for, and nothing else: a payload made for
/// another one is refused, whatever it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExactEvmStructure;

impl ExactEvmStructure {
    /// Reads a payload made for `option`; what [`Scheme::read`] does, for schemes built on this one.
    ///
    /// # Errors
    /// [`RejectReason::InvalidPayload`], also for a payload of the other transfer method.
    pub fn authorization(payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        match option.transfer_method() {
            TransferMethod::Eip3009 => Eip3009::read(payload)?.authorization(option),
            TransferMethod::Permit2 => {
                let message = Permit2::read(payload)?;
                if message.witness.facilitator.is_some() {
                    return Err(invalid("witness names a facilitator, which exact does not"));
                }
                message.authorization(option)
            }
            TransferMethod::Native => Err(RejectReason::UnsupportedScheme),
        }
    }
}

impl Scheme for ExactEvmStructure {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn read(&self, payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        Self::authorization(payload, option)
    }

    fn prove(&self, _: &Authorization, _: &PriceOption) -> Result<Proof, RejectReason> {
        Ok(Proof::Unknown)
    }
}
