//! `upto`: the structural check plus the recovery of the signer.

use serde_json::Value;
use x402_core::{
    error::RejectReason,
    price::PriceOption,
    scheme::{Authorization, Proof, Scheme, UptoEvmStructure},
};

use crate::prover::Prover;

/// `upto` on EVM chains, through Permit2, with the signature checked here: no I/O, one recovery.
///
/// ```
/// use x402_core::scheme::Scheme;
/// use x402_evm::UptoEvm;
///
/// assert_eq!(UptoEvm::new().name(), "upto");
/// ```
#[derive(Clone, Debug, Default)]
pub struct UptoEvm(Prover);

impl UptoEvm {
    /// The scheme for payers with plain accounts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a signature that is not the payer's own may still be that of a contract account, as in
    /// [`ExactEvm::contract_accounts`](crate::ExactEvm::contract_accounts).
    #[must_use]
    pub fn contract_accounts(mut self, allowed: bool) -> Self {
        self.0.contract_accounts = allowed;
        self
    }
}

impl From<Prover> for UptoEvm {
    fn from(prover: Prover) -> Self {
        Self(prover)
    }
}

impl Scheme for UptoEvm {
    fn name(&self) -> &'static str {
        "upto"
    }

    fn read(&self, payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        UptoEvmStructure::authorization(payload, option)
    }

    fn prove(&self, authorization: &Authorization, option: &PriceOption) -> Result<Proof, RejectReason> {
        self.0.prove(authorization, option)
    }
}
