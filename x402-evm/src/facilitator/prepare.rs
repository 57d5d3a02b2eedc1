//! What can be refused without asking anybody.

use std::time::Duration;

use alloy_primitives::U256;
use x402_core::{
    error::RejectReason,
    facilitator::Payment,
    price::AtomicAmount,
    scheme::{Eip3009, EvmAddress, Permit2, Proof, SignedMessage},
    time::UnixSeconds,
};

use super::{Inner, sponsored};
use crate::{
    contract_wallet::Unsent,
    network::Domain,
    rpc::{
        abi,
        permit2::{self, SignedPermit},
    },
    typed_data::Hash,
};

/// A payment that was compared with its terms, and whose signature was checked as far as that goes without a chain.
#[derive(Clone, Debug)]
pub(super) struct Prepared<'a> {
    pub(super) signed: Signed<'a>,
    pub(super) chain_id: u64,
    pub(super) token: EvmAddress,
    /// What is to move.
    pub(super) amount: U256,
    pub(super) digest: Hash,
    pub(super) proof: Proof,
}

/// What the payer signed, and what else it takes to settle it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signed<'a> {
    Eip3009 { message: &'a Eip3009, domain: Domain<'a> },
    Permit2 { message: &'a Permit2, approval: Option<SignedPermit> },
}

impl Inner {
    /// Compares everything but the time: what was signed must be what the option asks for.
    pub(super) fn prepare<'a>(&self, payment: &'a Payment) -> Result<Prepared<'a>, RejectReason> {
        let option = &payment.option;
        if *option.scheme != *"exact" && !option.is_upto() {
            return Err(RejectReason::UnsupportedScheme);
        }
        let chain_id = option.network.chain_id().ok_or(RejectReason::UnsupportedScheme)?;
        let token = option.asset.parse().map_err(|_| RejectReason::UnsupportedScheme)?;
        let signed = match &payment.authorization.message {
            SignedMessage::Eip3009(message) if !option.is_upto() => {
                let domain = Domain::of(option)?;
                if option.pay_to.parse() != Ok(message.to) {
                    return Err(RejectReason::WrongRecipient);
                }
                if message.value != option.amount.get() {
                    let offered = AtomicAmount::new(message.value);
                    return Err(RejectReason::WrongAmount { wanted: option.amount, offered });
                }
                Signed::Eip3009 { message, domain }
            }
            SignedMessage::Permit2(message) => {
                message.answers(option)?;
                self.may_settle(message)?;
                let approval = sponsored::approval(payment, message)?;
                Signed::Permit2 { message, approval }
            }
            _ => return Err(RejectReason::UnsupportedScheme),
        };
        let charge = payment.amount();
        if charge > option.amount || (charge < option.amount && !option.is_upto()) {
            return Err(if option.is_upto() {
                RejectReason::Other("invalid_upto_evm_payload_settlement_exceeds_amount".into())
            } else {
                RejectReason::WrongAmount { wanted: option.amount, offered: charge }
            });
        }
        let proof = self.prover.prove(&payment.authorization, option)?;
        let digest = self.prover.digest(&payment.authorization.message, option)?;
        Ok(Prepared { signed, chain_id, token, amount: charge.get(), digest, proof })
    }

    /// `upto` is settled by the account that the payer signed for, and by nobody else.
    fn may_settle(&self, message: &Permit2) -> Result<(), RejectReason> {
        let account = self.sender.key().address();
        match message.witness.facilitator {
            Some(facilitator) if facilitator != account => {
                tracing::error!(%facilitator, %account, "the price names another facilitator than the gas account");
                Err(RejectReason::Other("upto_facilitator_mismatch".into()))
            }
            _ => Ok(()),
        }
    }
}

impl Signed<'_> {
    /// From when on it can be settled, and the second from which on it cannot.
    pub(crate) fn window(&self) -> (UnixSeconds, UnixSeconds) {
        let seconds = |value| u64::try_from(value).map_or(UnixSeconds::MAX, UnixSeconds::new);
        match self {
            Self::Eip3009 { message, .. } => (seconds(message.valid_after), seconds(message.valid_before)),
            Self::Permit2 { message, .. } => {
                (seconds(message.witness.valid_after), seconds(message.deadline.saturating_add(U256::ONE)))
            }
        }
    }
}

impl Prepared<'_> {
    pub(super) fn payer(&self) -> EvmAddress {
        match self.signed {
            Signed::Eip3009 { message, .. } => message.from,
            Signed::Permit2 { message, .. } => message.owner,
        }
    }

    /// Checks that the authorization can be settled for `margin` from now on.
    pub(super) fn in_time(&self, now: UnixSeconds, margin: Duration) -> Result<(), RejectReason> {
        let (valid_after, valid_before) = self.signed.window();
        // A deadline is itself still good.
        let last = match self.signed {
            Signed::Eip3009 { .. } => valid_before,
            Signed::Permit2 { .. } => valid_before.before(Duration::from_secs(1)),
        };
        if last < now.after(margin) {
            return Err(RejectReason::Expired { valid_before, now });
        }
        if valid_after > now {
            return Err(RejectReason::NotYetValid { valid_after, now });
        }
        Ok(())
    }

    /// The approval that the payer signed, if one was brought along.
    pub(super) const fn approval(&self) -> Option<&SignedPermit> {
        match &self.signed {
            Signed::Eip3009 { .. } => None,
            Signed::Permit2 { approval, .. } => approval.as_ref(),
        }
    }

    /// The data of the call that settles it, with the signature in the form that the contract takes.
    pub(super) fn encode(&self, signature: &[u8]) -> Vec<u8> {
        match &self.signed {
            Signed::Eip3009 { message, .. } => abi::transfer(message, signature),
            Signed::Permit2 { message, approval } => {
                permit2::settle(message, self.amount, signature, approval.as_ref())
            }
        }
    }

    pub(super) fn unsent<'b>(&'b self, encode: &'b (dyn Fn(&[u8]) -> Vec<u8> + Sync)) -> Unsent<'b> {
        let (signature, target, deployable) = match &self.signed {
            Signed::Eip3009 { message, .. } => (&message.signature, self.token, true),
            // An account that does not exist has approved nothing.
            Signed::Permit2 { message, .. } => (&message.signature, message.spender, false),
        };
        Unsent { payer: self.payer(), signature, digest: &self.digest, target, encode, deployable }
    }
}

/// Left for the handler to run and the transaction to be mined.
pub(super) const VERIFY_MARGIN: Duration = Duration::from_secs(6);
/// Left for the transaction to be mined.
pub(super) const SETTLE_MARGIN: Duration = Duration::from_secs(3);
