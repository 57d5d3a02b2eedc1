//! Whether a payment could be settled now.

use alloy_primitives::U256;
use x402_core::{error::RejectReason, facilitator::Payment};

use super::{Inner, prepare::VERIFY_MARGIN};
use crate::{error::Refusal, revert};

impl Inner {
    /// All reads of one payment go out together: one round trip once the token is known.
    /// Returns what the payer holds.
    pub(super) async fn verify(&self, payment: &Payment) -> Result<U256, Refusal> {
        let prepared = self.prepare(payment)?;
        let now = self.options.clock.now();
        prepared.in_time(now, VERIFY_MARGIN)?;
        let (message, token) = (prepared.message, prepared.domain.token);
        let accounts = &self.options.contract_accounts;
        let simulation = async {
            let signed = (message, &prepared.digest);
            let sender = self.sender.key().address();
            let call =
                accounts.settlement_call(&self.rpc, token, signed, prepared.proof, sender, true).await?;
            // A failure is weighed after the reasons that explain it.
            Ok::<_, Refusal>(self.rpc.call(&call, None).await)
        };
        let (facts, used, balance, simulated) = tokio::join!(
            self.check_facts(&prepared.domain),
            self.rpc.authorization_used(token, message, None),
            self.rpc.token_balance(token, message.from),
            simulation,
        );
        // In this order, since each explains whatever fails after it.
        facts?;
        let used = used?;
        let simulated = simulated?;
        if used {
            return Err(RejectReason::NonceAlreadyUsed.into());
        }
        let balance = balance?;
        if balance < message.value {
            return Err(RejectReason::InsufficientFunds.into());
        }
        simulated.map_err(|error| revert::refusal(error, message, now))?;
        Ok(balance)
    }
}
