//! What an answer means for the payment it was asked about. Pure.

use super::{
    exchange::Answer,
    fault::Fault,
    reason::{Blame, SETTLEMENT_PENDING, blame, is_pending, leaves_open, reason, rejection},
};
use crate::{
    error::RejectReason,
    facilitator::{Payment, Settlement},
    wire::{facilitator::VerifyResponse, v2::SettlementResponse},
};

/// Why a verify answer does not let a payment through.
#[derive(Debug)]
pub(super) enum NotVerified {
    Rejected(RejectReason),
    Fault(Fault),
}

/// What a settle answer says of the money.
#[derive(Debug)]
pub(super) enum Settled {
    /// It moved.
    Moved(Settlement),
    /// A transaction is on its way.
    Pending { transaction: String },
    /// It did not move. Where the terms of this server are blamed, `fault` says so.
    Rejected { reason: RejectReason, transaction: Option<String>, fault: Option<Fault> },
    /// It may have moved.
    Unclear { transaction: Option<String>, fault: Fault },
}

impl Settled {
    /// Its transaction is not ours either.
    const fn about_another(member: &'static str) -> Self {
        Self::Unclear { transaction: None, fault: Fault::OtherPayment(member) }
    }
}

pub(super) fn verified(answer: &Answer, payment: &Payment) -> Result<(), NotVerified> {
    let response: VerifyResponse = answer.result().map_err(NotVerified::Fault)?;
    if names_another(response.payer.as_deref(), payment) {
        return Err(NotVerified::Fault(Fault::OtherPayment("payer")));
    }
    if response.is_valid {
        return Ok(());
    }
    let code = reason(response.invalid_reason.as_deref(), "invalid_payment");
    Err(match blame(&code) {
        Blame::Payment | Blame::Used => NotVerified::Rejected(rejection(&code)),
        Blame::Merchant => NotVerified::Fault(Fault::Misconfigured(code)),
        Blame::Facilitator => NotVerified::Fault(Fault::Trouble(code)),
    })
}

/// `network` is the payment's in the dialect it was asked in.
pub(super) fn settled(answer: &Answer, payment: &Payment, network: &str) -> Settled {
    let response: SettlementResponse = match answer.result() {
        Ok(response) => response,
        Err(fault) => return Settled::Unclear { transaction: None, fault },
    };
    if names_another(response.payer.as_deref(), payment) {
        Settled::about_another("payer")
    } else if response.success {
        moved(&response, payment, network)
    } else {
        failed(&response, payment, answer.is_server_error())
    }
}

fn moved(response: &SettlementResponse, payment: &Payment, network: &str) -> Settled {
    let option = &payment.option;
    let amount = response.amount.as_deref().filter(|amount| !amount.is_empty());
    if !response.network.is_empty() && response.network != network {
        return Settled::about_another("network");
    }
    if amount.is_some_and(|amount| amount.parse() != Ok(payment.amount())) {
        return Settled::about_another("amount");
    }
    // A charge of nothing needs no transaction.
    let nothing = (payment.amount().is_zero() && response.transaction.is_empty()).then(String::new);
    let Some(transaction) = nothing.or_else(|| plausible(&response.transaction, payment)) else {
        return Settled::Unclear { transaction: None, fault: Fault::NoTransaction };
    };
    let payer = payment.authorization.payer.clone();
    Settled::Moved(Settlement::new(transaction, option.network.clone(), payer, payment.amount()))
}

fn failed(response: &SettlementResponse, payment: &Payment, is_server_error: bool) -> Settled {
    let transaction = plausible(&response.transaction, payment);
    // Who gives no reason does not know one.
    let code = reason(response.error_reason.as_deref(), "unexpected_settle_error");
    // A pending one that the facilitator could not keep track of is told as failed, with the old name in the message.
    let message = response.error_message.as_deref().unwrap_or_default();
    let is_open = message.trim_start().starts_with(SETTLEMENT_PENDING)
        || leaves_open(&code, transaction.is_some(), is_server_error);
    match (blame(&code), transaction) {
        (Blame::Facilitator, Some(transaction)) if is_pending(&code) => Settled::Pending { transaction },
        (blame, transaction) if is_open || blame == Blame::Facilitator => {
            Settled::Unclear { transaction, fault: Fault::Trouble(code) }
        }
        (Blame::Merchant, transaction) => {
            let reason = rejection(&code);
            Settled::Rejected { reason, transaction, fault: Some(Fault::Misconfigured(code)) }
        }
        (_, transaction) => Settled::Rejected { reason: rejection(&code), transaction, fault: None },
    }
}

/// Whether a payer is named and is not the one who signed. Only EVM addresses have no case.
fn names_another(payer: Option<&str>, payment: &Payment) -> bool {
    let signed = payment.authorization.payer.as_str();
    payer.is_some_and(|payer| {
        let same = if is_evm(payment) { payer.eq_ignore_ascii_case(signed) } else { payer == signed };
        !payer.is_empty() && !same
    })
}

/// A transaction's id goes into headers and records, and is looked for on the chain: it must look like one of the
/// payment's network.
fn plausible(transaction: &str, payment: &Payment) -> Option<String> {
    let is_one = if is_evm(payment) {
        transaction.strip_prefix("0x").is_some_and(|digits| {
            digits.len() == EVM_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    } else {
        (1..=MAX_TRANSACTION).contains(&transaction.len())
            && transaction.bytes().all(|byte| byte.is_ascii_graphic())
    };
    is_one.then(|| transaction.to_owned())
}

fn is_evm(payment: &Payment) -> bool {
    payment.option.network.as_str().starts_with("eip155:")
}

const EVM_DIGITS: usize = 64;

const MAX_TRANSACTION: usize = 128;
