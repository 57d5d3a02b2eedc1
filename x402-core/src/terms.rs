//! Which of our terms does a payment answer, and does it answer them? Pure, for both dialects.
//!
//! What the client echoes only selects; everything else is compared with terms of our own, or with terms we
//! sealed into a quote.

use std::time::Duration;

use crate::{
    error::RejectReason,
    price::{AtomicAmount, PriceOption},
    quote::{BindingLevel, QuoteCheck, binding_level},
    scheme::{Authorization, Scheme, SignedMessage},
    time::UnixSeconds,
    wire::{PaymentPayload, extension::approval_deadline},
};

/// A payment held against our terms, before its signature is looked at.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The terms it answers, or claims to.
    pub(crate) option: PriceOption,
    /// What was signed.
    pub(crate) authorization: Authorization,
    /// How tightly it is tied to its request.
    pub(crate) binding: BindingLevel,
    /// Whether it answers them.
    pub(crate) verdict: Result<(), RejectReason>,
}

/// Selects the terms that `payment` answers and compares it with them.
///
/// # Errors
/// [`RejectReason`] when there is not even an authorization to identify a payment by.
pub(crate) fn compare<'s>(
    payment: &PaymentPayload,
    quote: &QuoteCheck,
    own: &[PriceOption],
    minimum: BindingLevel,
    scheme_named: impl Fn(&str) -> Option<&'s dyn Scheme>,
) -> Result<Comparison, RejectReason> {
    let (option, selected) = select(payment, quote, own)?;
    let scheme = scheme_named(&option.scheme).ok_or(RejectReason::UnsupportedScheme)?;
    let authorization = scheme.read(payment.scheme_payload(), &option)?;
    let binding = match (payment, quote) {
        (PaymentPayload::V2(payment), QuoteCheck::Valid(quote)) => {
            binding_level(payment, Some(quote), &authorization.nonce)
        }
        _ => BindingLevel::Terms,
    };
    let verdict = selected
        .and_then(|()| answers(&authorization, &option))
        .and_then(|()| approved_as_long(payment, &authorization))
        .and_then(|()| if binding >= minimum { Ok(()) } else { Err(RejectReason::BindingTooWeak) });
    Ok(Comparison { option, authorization, binding, verdict })
}

/// The terms a payment claims to answer; the inner result tells whether they are ours.
fn select(
    payment: &PaymentPayload,
    quote: &QuoteCheck,
    own: &[PriceOption],
) -> Result<(PriceOption, Result<(), RejectReason>), RejectReason> {
    match payment {
        // Version 1 echoes scheme and network only, and its body offers one option per network: the first that old
        // clients can read.
        PaymentPayload::V1(payment) => {
            let named = |option: &&PriceOption| {
                *option.scheme == *payment.scheme
                    && option.is_for_v1()
                    && option.network.v1_name() == Some(payment.network.as_str())
            };
            let mut named = own.iter().filter(named);
            let first = named.clone().next();
            let offered = named.find(|option| option.legacy_name().is_some());
            let option = offered.or(first).ok_or(RejectReason::NoMatchingTerms)?;
            Ok((option.clone(), Ok(())))
        }
        PaymentPayload::V2(payment) => {
            let ours = || own.iter().find(|option| option.same_terms(&payment.accepted)).cloned();
            let claimed =
                || PriceOption::from_v2(&payment.accepted).map_err(|_| RejectReason::NoMatchingTerms);
            match quote {
                QuoteCheck::Valid(_) => Ok((claimed()?, Ok(()))),
                QuoteCheck::Absent => match ours() {
                    Some(option) => Ok((option, Ok(()))),
                    None => Ok((claimed()?, Err(RejectReason::NoMatchingTerms))),
                },
                QuoteCheck::Expired(_) => Ok((claimed()?, Err(RejectReason::QuoteExpired))),
                QuoteCheck::ResourceMismatch(_) => Ok((claimed()?, Err(RejectReason::ResourceMismatch))),
                QuoteCheck::Invalid => Ok((claimed()?, Err(RejectReason::QuoteInvalid))),
            }
        }
    }
}

/// Compares what was signed with terms: recipient, then amount; through Permit2, all else that is signed, too.
pub(crate) fn answers(authorization: &Authorization, option: &PriceOption) -> Result<(), RejectReason> {
    if let SignedMessage::Permit2(message) = &authorization.message {
        return message.answers(option);
    }
    if !same_account(&authorization.recipient, &option.pay_to) {
        return Err(RejectReason::WrongRecipient);
    }
    if authorization.amount != option.amount {
        return Err(RejectReason::WrongAmount { wanted: option.amount, offered: authorization.amount });
    }
    Ok(())
}

/// A signed approval of Permit2 is good for as long as what it is signed for. One that ends before would be verified with the
/// payment, and lapse while a stream or a deferred settlement goes on.
fn approved_as_long(payment: &PaymentPayload, authorization: &Authorization) -> Result<(), RejectReason> {
    let (PaymentPayload::V2(payment), SignedMessage::Permit2(message)) = (payment, &authorization.message)
    else {
        return Ok(());
    };
    let Some(deadline) = approval_deadline(payment.extensions.as_ref()) else { return Ok(()) };
    match deadline.as_str().map(str::parse::<AtomicAmount>) {
        Some(Ok(deadline)) if deadline.get() >= message.deadline => Ok(()),
        Some(Ok(_)) => Err(RejectReason::Other("eip2612_deadline_expired".into())),
        _ => Err(RejectReason::Other("invalid_eip2612_extension_format".into())),
    }
}

/// The window of a new payment: long enough to settle in, and no longer than it is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Seconds that must be left.
    pub(crate) least: Duration,
    /// Seconds that may be left.
    pub(crate) most: Duration,
    /// How far the payer's clock may be ahead.
    pub(crate) skew: Duration,
}

impl Window {
    /// Checks a new payment's window.
    ///
    /// # Errors
    /// [`RejectReason`] naming the end of the window that is wrong.
    pub(crate) fn check(self, authorization: &Authorization, now: UnixSeconds) -> Result<(), RejectReason> {
        let Authorization { valid_after, valid_before, .. } = *authorization;
        if valid_after > now {
            return Err(RejectReason::NotYetValid { valid_after, now });
        }
        if valid_before < now.after(self.least) {
            return Err(RejectReason::Expired { valid_before, now });
        }
        let latest = now.after(self.most).after(self.skew);
        if valid_before > latest {
            return Err(RejectReason::ExpiresTooLate { valid_before, latest });
        }
        Ok(())
    }
}

/// EVM addresses are compared without regard to case, all else byte for byte.
fn same_account(a: &str, b: &str) -> bool {
    if a.starts_with("0x") { a.eq_ignore_ascii_case(b) } else { a == b }
}
