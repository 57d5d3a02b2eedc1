//! Evidence from a chain.

use std::sync::Arc;

use super::{BoxFuture, Payment, Settlement, VerifyError};
use crate::{
    error::RejectReason,
    order::Order,
    price::{AtomicAmount, PriceOption},
    scheme::PaymentKey,
    time::UnixSeconds,
};

/// Reads from a chain what became of an authorization. Sends nothing.
pub trait Witness: Send + Sync {
    /// Looks for the transfer, and whether its authorization can still be used.
    ///
    /// # Errors
    /// [`VerifyError::Unavailable`] when the chain does not answer. Never an answer about the payment.
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>>;
}

/// A transfer that was authorized: what it takes to look for it, without the signature.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transfer {
    /// The payment's identity.
    pub key: PaymentKey,
    /// Network, token and recipient, and the most that may move.
    pub option: PriceOption,
    /// What was to move.
    pub amount: AtomicAmount,
    /// Who pays, in the network's canonical text form.
    pub payer: Arc<str>,
    /// The authorization's nonce.
    pub nonce: [u8; 32],
    /// The second from which on the authorization cannot be settled.
    pub valid_before: UnixSeconds,
}

impl Transfer {
    /// What in a settlement, as a facilitator or a witness reports it, is not what this transfer could have led to: the
    /// name of the first such part, or `None` where the settlement may be this transfer's.
    ///
    /// A report is taken at its word about everything else, such as the transaction's own content: who reports is trusted
    /// to look, and not to mix up payments.
    #[must_use]
    pub fn contradiction(&self, settlement: &Settlement) -> Option<&'static str> {
        if settlement.transaction.is_empty() && !self.amount.is_zero() {
            Some("transaction")
        } else if settlement.network != self.option.network {
            Some("network")
        } else if settlement.amount != self.amount {
            Some("amount")
        } else if !settlement.payer.eq_ignore_ascii_case(&self.payer) {
            Some("payer")
        } else {
            None
        }
    }
}

impl From<&Payment> for Transfer {
    fn from(payment: &Payment) -> Self {
        let authorization = &payment.authorization;
        Self {
            key: authorization.key,
            option: payment.option.clone(),
            amount: payment.amount(),
            payer: authorization.payer.as_str().into(),
            nonce: authorization.nonce,
            valid_before: authorization.valid_before,
        }
    }
}

impl From<&Order> for Transfer {
    fn from(order: &Order) -> Self {
        Self {
            key: order.key,
            option: order.terms.option.clone(),
            amount: order.amount(),
            payer: Arc::clone(&order.payer),
            nonce: order.nonce,
            valid_before: order.valid_before,
        }
    }
}

/// What a chain tells of an authorization.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// It paid us: this transfer, to the configured confirmation.
    Settled(Settlement),
    /// It can never pay us any more: expired, cancelled, or spent elsewhere, beyond doubt.
    Dead(RejectReason),
    /// It has not paid us yet and still may.
    StillPossible,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::{AtomicAmount, NetworkId};

    #[test]
    fn a_settlement_that_is_not_the_transfers_is_told_by_its_first_wrong_part() {
        let network = |name| NetworkId::new(name).unwrap();
        let amount = |amount: u64| AtomicAmount::from(amount);
        let transfer = Transfer {
            key: PaymentKey::from_bytes([1; 32]),
            option: PriceOption::new(network("eip155:84532"), "0xA", amount(50), "0xB"),
            amount: amount(10),
            payer: "0xAbC".into(),
            nonce: [2; 32],
            valid_before: UnixSeconds::new(100),
        };
        for (transaction, on, payer, paid, wanted) in [
            ("0x1", "eip155:84532", "0xAbC", 10, None),
            ("0x1", "eip155:84532", "0xaBc", 10, None),
            ("", "eip155:84532", "0xAbC", 10, Some("transaction")),
            ("0x1", "eip155:8453", "0xAbC", 9, Some("network")),
            ("0x1", "eip155:84532", "0xAbC", 9, Some("amount")),
            ("0x1", "eip155:84532", "0xAbC", 11, Some("amount")),
            ("0x1", "eip155:84532", "0xAbC", 50, Some("amount")),
            ("0x1", "eip155:84532", "0xAbD", 10, Some("payer")),
        ] {
            let settlement = Settlement::new(transaction.into(), network(on), payer.into(), amount(paid));
            assert_eq!(transfer.contradiction(&settlement), wanted, "{settlement:?}");
        }
    }
}
