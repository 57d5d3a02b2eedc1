//! A payment on its way to be verified and settled.

use crate::{
    error::{ReasonNames, RejectReason},
    price::{AtomicAmount, PriceOption},
    scheme::Authorization,
    wire::{PaymentRequirements, Presented, X402Version, v2::ResourceInfo},
};

/// A payment whose terms the engine compared, with everything a facilitator needs of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Payment {
    /// The message as it was presented.
    pub presented: Presented,
    /// The server's own terms, which the payment answers.
    pub option: PriceOption,
    /// What is sold.
    pub resource: ResourceInfo,
    /// What the payer signed.
    pub authorization: Authorization,
    /// What is to be charged where that is less than was authorized: known when the handler has said so.
    pub charge: Option<AtomicAmount>,
    /// What the payer's other payments in this token come to that are under way, verified and not settled. Whoever reads a
    /// balance to verify this one holds it against both.
    pub committed: AtomicAmount,
}

impl Payment {
    /// A payment.
    #[must_use]
    pub const fn new(
        presented: Presented,
        option: PriceOption,
        resource: ResourceInfo,
        authorization: Authorization,
    ) -> Self {
        Self { presented, option, resource, authorization, charge: None, committed: AtomicAmount::ZERO }
    }

    /// The same payment, to move this much of what was authorized.
    #[must_use]
    pub const fn charging(mut self, amount: AtomicAmount) -> Self {
        self.charge = Some(amount);
        self
    }

    /// What is to move: the charge, or else all that the option asks for.
    #[must_use]
    pub fn amount(&self) -> AtomicAmount {
        self.charge.unwrap_or(self.option.amount)
    }

    /// The dialect of the payment.
    #[must_use]
    pub const fn version(&self) -> X402Version {
        self.presented.payment.version()
    }

    /// The code that `reason` has for this payment: in its dialect, and for how it moves the money.
    #[must_use]
    pub fn code<'a>(&self, reason: &'a RejectReason) -> &'a str {
        match self.version() {
            X402Version::V1 => reason.code_v1(),
            X402Version::V2 => ReasonNames::of(&self.authorization, &self.option).code(reason),
        }
    }

    /// The server's own terms in the dialect of the payment, as facilitators want them, with the amount that is to move.
    ///
    /// `None` for a version 1 payment on a network that version 1 has no name for.
    #[must_use]
    pub fn requirements(&self) -> Option<PaymentRequirements> {
        match self.version() {
            X402Version::V1 => self.option.to_v1(&self.resource).map(PaymentRequirements::V1),
            X402Version::V2 => {
                let option = PriceOption { amount: self.amount(), ..self.option.clone() };
                Some(PaymentRequirements::V2(option.to_v2()))
            }
        }
    }
}
