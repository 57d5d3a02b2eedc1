//! `exact`: the structural check plus the recovery of the signer.

use serde_json::Value;
use x402_core::{
    error::RejectReason,
    price::PriceOption,
    scheme::{Authorization, ExactEvmStructure, Proof, Scheme},
};

use crate::prover::Prover;

/// `exact` on EVM chains, by EIP-3009 or through Permit2, with the signature checked here: no I/O, one recovery.
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
pub struct ExactEvm(Prover);

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
        self.0.contract_accounts = allowed;
        self
    }
}

impl From<Prover> for ExactEvm {
    fn from(prover: Prover) -> Self {
        Self(prover)
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
        self.0.prove(authorization, option)
    }
}
