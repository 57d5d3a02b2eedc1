//! Whether a payment could be settled now.

use alloy_primitives::U256;
use x402_core::{error::RejectReason, facilitator::Payment};

use super::{
    Inner,
    prepare::{Prepared, Signed, VERIFY_MARGIN},
};
use crate::{
    error::{ChainError, Refusal},
    revert,
    rpc::Call,
};

impl Inner {
    /// All reads of one payment go out together: one round trip once the token is known.
    /// Returns what can be moved of what the payer holds, for this payment and others together.
    pub(super) async fn verify(&self, payment: &Payment) -> Result<U256, Refusal> {
        let prepared = self.prepare(payment)?;
        let now = self.options.clock.now();
        prepared.in_time(now, VERIFY_MARGIN)?;
        if prepared.approval().is_some_and(|approval| !approval.lasts_until(now.after(VERIFY_MARGIN))) {
            return Err(RejectReason::Other("eip2612_deadline_expired".into()).into());
        }
        let simulation = async {
            let call = self.settlement_call(&prepared, true).await?;
            // A failure is weighed after the reasons that explain it.
            Ok::<_, Refusal>(self.rpc.call(&call, None).await)
        };
        let (facts, used, funds, simulated) = tokio::join!(
            self.check_facts(&prepared),
            self.is_used(&prepared),
            self.check_funds(&prepared),
            simulation,
        );
        // In this order, since each explains whatever fails after it. Used comes before poor: who has paid us is not to be
        // asked to fund their account and sign again.
        facts?;
        let used = used?;
        let simulated = simulated?;
        if used {
            return Err(RejectReason::NonceAlreadyUsed.into());
        }
        let funds = funds?;
        match simulated.map_err(|error| revert::refusal(error, &prepared.signed, now)) {
            // With an approval brought along the allowance may still come.
            _ if matches!(funds.short_of, Some(Short::OfFunds)) => {
                Err(RejectReason::InsufficientFunds.into())
            }
            _ if matches!(funds.short_of, Some(Short::OfAllowance)) && prepared.approval().is_none() => {
                Err(allowance_required().into())
            }
            Err(Refusal::Rejected(RejectReason::SimulationFailed)) if funds.short_of.is_some() => {
                Err(allowance_required().into())
            }
            simulated => simulated.map(|_| funds.at_hand(&prepared)),
        }
    }

    /// Whether the authorization was used or taken back, as of the latest block.
    pub(super) async fn is_used(&self, prepared: &Prepared<'_>) -> Result<bool, ChainError> {
        match prepared.signed {
            Signed::Eip3009 { message, .. } => {
                self.rpc.authorization_used(prepared.token, message.from, &message.nonce, None).await
            }
            Signed::Permit2 { message, .. } => {
                self.rpc.permit2_nonce_used(message.owner, message.nonce, None).await
            }
        }
    }

    /// What the payer holds, and what it lacks to have all moved that was signed.
    pub(super) async fn check_funds(&self, prepared: &Prepared<'_>) -> Result<Funds, ChainError> {
        let (token, payer) = (prepared.token, prepared.payer());
        let allowance = async {
            match prepared.signed {
                // The token itself moves it.
                Signed::Eip3009 { .. } => Ok(U256::MAX),
                Signed::Permit2 { .. } => self.rpc.permit2_allowance(token, payer).await,
            }
        };
        let (balance, allowance) = tokio::try_join!(self.rpc.token_balance(token, payer), allowance)?;
        let wanted = match prepared.signed {
            Signed::Eip3009 { message, .. } => message.value,
            Signed::Permit2 { message, .. } => message.amount,
        };
        let short_of = if balance < wanted {
            Some(Short::OfFunds)
        } else {
            (allowance < wanted).then_some(Short::OfAllowance)
        };
        Ok(Funds { balance, allowance, short_of })
    }

    /// The call that settles, after asking whoever must be asked for the signature.
    pub(super) async fn settlement_call(&self, prepared: &Prepared<'_>, ask: bool) -> Result<Call, Refusal> {
        let sender = self.sender.key().address();
        let accounts = &self.options.contract_accounts;
        let encode = |signature: &[u8]| prepared.encode(signature);
        let unsent = prepared.unsent(&encode);
        accounts.settlement_call(&self.rpc, &unsent, prepared.proof, sender, ask).await
    }
}

/// How a payer stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Funds {
    balance: U256,
    /// How much of it may be moved.
    allowance: U256,
    /// What it has too little of for this payment.
    pub(super) short_of: Option<Short>,
}

impl Funds {
    /// What can be moved at most. An approval that was brought along takes the place of the allowance, and is good for one
    /// payment: each uses up a nonce of the token's.
    fn at_hand(&self, prepared: &Prepared<'_>) -> U256 {
        self.balance.min(prepared.approval().map_or(self.allowance, |approval| approval.value))
    }
}

/// What a payer has too little of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Short {
    OfFunds,
    OfAllowance,
}

/// The one reason that is answered with 412: the payer has to approve Permit2 first.
pub(super) fn allowance_required() -> RejectReason {
    RejectReason::from_code("permit2_allowance_required")
}
