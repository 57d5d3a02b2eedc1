//! What can be refused without asking anybody.

use std::time::Duration;

use x402_core::{
    error::RejectReason,
    facilitator::Payment,
    price::AtomicAmount,
    scheme::{Eip3009, Proof, Scheme},
    time::UnixSeconds,
};

use super::Inner;
use crate::{exact::eip3009, network::Domain, typed_data::Hash};

/// A payment that was compared with its terms, and whose signature was checked as far as that goes without a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared<'a> {
    pub(super) message: &'a Eip3009,
    pub(super) domain: Domain<'a>,
    pub(super) digest: Hash,
    pub(super) proof: Proof,
}

impl Inner {
    /// Compares everything but the time: what was signed must be what the option asks for.
    pub(super) fn prepare<'a>(&self, payment: &'a Payment) -> Result<Prepared<'a>, RejectReason> {
        if *payment.option.scheme != *self.scheme.name() {
            return Err(RejectReason::UnsupportedScheme);
        }
        let message = eip3009(&payment.authorization)?;
        let domain = Domain::of(&payment.option)?;
        if payment.option.pay_to.parse() != Ok(message.to) {
            return Err(RejectReason::WrongRecipient);
        }
        if message.value != payment.option.amount.get() {
            let offered = AtomicAmount::new(message.value);
            return Err(RejectReason::WrongAmount { wanted: payment.option.amount, offered });
        }
        let proof = self.scheme.prove(&payment.authorization, &payment.option)?;
        let digest = self.scheme.digest(message, &payment.option)?;
        Ok(Prepared { message, domain, digest, proof })
    }
}

impl Prepared<'_> {
    /// Checks that the authorization can be settled for `margin` from now on.
    pub(super) fn in_time(&self, now: UnixSeconds, margin: Duration) -> Result<(), RejectReason> {
        let seconds = |value| u64::try_from(value).map_or(UnixSeconds::MAX, UnixSeconds::new);
        let (valid_after, valid_before) =
            (seconds(self.message.valid_after), seconds(self.message.valid_before));
        if valid_before < now.after(margin) {
            return Err(RejectReason::Expired { valid_before, now });
        }
        if valid_after > now {
            return Err(RejectReason::NotYetValid { valid_after, now });
        }
        Ok(())
    }
}

/// Left for the handler to run and the transaction to be mined.
pub(super) const VERIFY_MARGIN: Duration = Duration::from_secs(6);
/// Left for the transaction to be mined.
pub(super) const SETTLE_MARGIN: Duration = Duration::from_secs(3);
