//! Names of metrics and spans: one list, bounded labels, units in the names.
//!
//! Metrics go through the `metrics` facade; an application that installs no recorder pays next to nothing. Each
//! paid request has one span, `x402.payment`, and each order that the worker looks after one, `x402.recovery`, with `route`, `network`, `payer`, `order` and `outcome` filled in as they
//! become known. Signatures, headers, query strings and bodies are in neither.
//!
//! Handlers run in the span of their payment. On a route that is paid [after its input](crate::price::PriceRule::after_input)
//! it begins with the handler, and knows the payer from the payment on: a request that is refused for its input has a span
//! without one.

use metrics::{Key, Level, Metadata};
use tracing::{Span, field::Empty};

/// Counter: 402 answers to requests without a payment.
pub const CHALLENGES: &str = "x402_challenges_total";
/// Counter `{outcome, network}`: presentations of a payment by how they ended.
pub const PAYMENTS: &str = "x402_payments_total";
/// Counter `{reason}`: payments refused, by reason code of ours.
pub const REFUSALS: &str = "x402_refusals_total";
/// Counter `{network}`: presentations answered from a kept response, or told that they were used.
pub const REPLAYS: &str = "x402_replays_total";
/// Gauge: orders held by this process.
pub const IN_FLIGHT: &str = "x402_payments_in_flight";
/// Histogram: seconds the facilitator took to verify.
pub const VERIFY_SECONDS: &str = "x402_verify_seconds";
/// Histogram `{network}`: seconds the facilitator took to settle.
pub const SETTLE_SECONDS: &str = "x402_settle_seconds";
/// Gauge `{facilitator}`: 0 where a remote facilitator is asked, 2 where it is left alone because it did not answer, 1
/// while one call finds out whether it does.
pub const FACILITATOR_BREAKER: &str = "x402_facilitator_breaker";
/// Counter `{call}`: calls that another facilitator was asked for, because one was unavailable.
pub const FAILOVERS: &str = "x402_facilitator_failovers_total";
/// Counter `{network}`: settlements whose outcome was unknown when the client was answered.
pub const UNRESOLVED: &str = "x402_settlements_unresolved_total";
/// Counter `{network}`: responses to settled payments that were lost on their way, and are owed.
pub const OWED: &str = "x402_deliveries_owed_total";
/// Counter `{reason}`: responses of deferred routes that were held until they were settled, and streams that are charged by
/// their use and were refused, by what forbade to let them out unsettled.
pub const UNDEFERRED: &str = "x402_undeferred_total";
/// Counter `{attention}`: orders that an operator should look at, each flag once an order.
pub const ATTENTION: &str = "x402_orders_attention_total";
/// Counter `{outcome}`: orders that the worker looked after, by what came of it.
pub const RECOVERED: &str = "x402_orders_recovered_total";
/// Counter `{bound}`: payments put off because their payer had too many under way, or more than its balance covers.
pub const OVER_EXPOSED: &str = "x402_over_exposed_total";
/// Counter `{hook, code}`: payments and challenges that a hook refused.
pub const VETOES: &str = "x402_vetoes_total";
/// Counter: hooks that failed, panicked or took too long.
pub const HOOK_FAILURES: &str = "x402_hook_failures_total";
/// Gauge: for how many seconds the worker has had more to take up than it could.
pub const WORKER_LAG: &str = "x402_worker_lag_seconds";
/// Gauge: when the worker last looked for orders, in seconds since 1970.
pub const WORKER_LAST_RUN: &str = "x402_worker_last_run_timestamp_seconds";

/// Counts a 402. The one metric of the hot path: its key is made once.
pub(crate) fn challenged() {
    static KEY: Key = Key::from_static_name(CHALLENGES);
    static METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
    metrics::with_recorder(|recorder| recorder.register_counter(&KEY, &METADATA)).increment(1);
}

/// The span of a payment for a route: what else it tells is recorded when it is known.
pub(crate) fn payment_span(route: &str) -> Span {
    tracing::info_span!(
        "x402.payment",
        %route,
        network = Empty,
        amount = Empty,
        payer = Empty,
        order = Empty,
        outcome = Empty,
    )
}

/// A reason code as a label: facilitators' own texts are unbounded and fold into one.
pub(crate) fn reason_label(reason: &crate::error::RejectReason) -> &'static str {
    use crate::error::RejectReason as R;
    match reason {
        R::NoMatchingTerms => "no_matching_terms",
        R::UnsupportedScheme => "unsupported_scheme",
        R::InvalidPayload(_) => "invalid_payload",
        R::WrongRecipient => "wrong_recipient",
        R::WrongAmount { .. } => "wrong_amount",
        R::Expired { .. } => "expired",
        R::ExpiresTooLate { .. } => "expires_too_late",
        R::NotYetValid { .. } => "not_yet_valid",
        R::MalformedSignature => "malformed_signature",
        R::WrongSignature => "wrong_signature",
        R::QuoteExpired => "quote_expired",
        R::QuoteInvalid => "quote_invalid",
        R::ResourceMismatch => "resource_mismatch",
        R::BindingTooWeak => "binding_too_weak",
        R::InsufficientFunds => "insufficient_funds",
        R::NonceAlreadyUsed => "nonce_already_used",
        R::SimulationFailed => "simulation_failed",
        R::TransferFailed => "transfer_failed",
        R::TransferMissing => "transfer_missing",
        R::Other(_) => "other",
    }
}
