//! What each fault is to come to: pure.

use std::{fmt, time::Duration};

use x402_tests::Fault;

use super::stage::Witness;

/// When payments are settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Timing {
    After,
    Before,
    Deferred,
}

impl Timing {
    pub(super) const ALL: [Self; 3] = [Self::After, Self::Before, Self::Deferred];
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::After => "after",
            Self::Before => "before",
            Self::Deferred => "deferred",
        })
    }
}

/// What can be seen of a sale.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Outcome {
    /// The status of the first answer.
    pub(super) told: u16,
    /// That of the last one to the same payment.
    pub(super) again: u16,
    /// Transfers from the payer to the merchant.
    pub(super) charges: usize,
    /// Of the handler.
    pub(super) runs: usize,
    /// Of the order, in the end.
    pub(super) payment: &'static str,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { told, again, charges, runs, payment } = self;
        write!(f, "{told} | {again} | {charges} | {runs} | {payment}")
    }
}

/// What a fault is to come to; `None` where it is left out: without a witness a lie cannot be told from the truth, and of two
/// settlements in flight nobody can tell which came first.
pub(super) fn wanted(fault: Option<Fault>, timing: Timing, witness: Witness) -> Option<Outcome> {
    let fault = fault.unwrap_or(TRUTH);
    let refused = fault.kind == "refuse";
    let by_verify = fault.endpoint == "verify";
    // What the facilitator says in the end is true, and is not contradicted by the payment's own terms.
    let credible = fault.endpoint.is_empty() || fault.late == SHORT;
    let credible_lie = matches!(fault.kind, "lie_settled" | "lie_transaction");
    let believed = match witness {
        Witness::Sees => fault.moved && (fault.kind != "pending" || fault.late == SHORT),
        Witness::Blind => false,
        Witness::None => credible || (credible_lie && fault.moved),
    };
    // The official facilitator refuses to settle what it settled before, unless it knows that it was pending.
    let lost_for_ever = witness == Witness::None && fault.moved && !believed && fault.kind != "pending";
    let races = fault.kind == "delay" && !fault.moved;
    if witness == Witness::None && (fault.kind == "lie_settled" || races) {
        return None;
    }
    let (told, again) = match (by_verify, refused) {
        (true, true) => (402, 200),
        (true, false) => (503, 200),
        (false, true) => (402, 402),
        (false, false) => (if believed { 200 } else { 503 }, if lost_for_ever { 503 } else { 200 }),
    };
    let payment = match (again, lost_for_ever) {
        (_, true) => "Unresolved",
        (402, _) => "Failed",
        _ => "Settled",
    };
    let sold = again == 200;
    let outcome = Outcome {
        told,
        again,
        charges: usize::from(sold || lost_for_ever),
        runs: usize::from(sold || timing != Timing::Before),
        payment,
    };
    Some(match timing {
        // The response does not wait for the settlement; that it failed is told to whoever asks again, and to the operator.
        Timing::Deferred if !by_verify => {
            Outcome { told: 200, again: if refused { 402 } else { 200 }, ..outcome }
        }
        _ => outcome,
    })
}

/// A facilitator that does what it is asked for, and every fault of one that does not. Slow ones first: the chain stands still
/// meanwhile.
pub(super) const FAULTS: [Option<Fault>; 24] = [
    None,
    late("pending", true, SHORT),
    late("pending", true, Duration::from_millis(3500)),
    late("delay", true, SHORT),
    late("delay", true, LONG),
    late("delay", false, LONG),
    settle("500", true),
    settle("500", false),
    settle("truncated", true),
    settle("truncated", false),
    settle("hangup", true),
    settle("hangup", false),
    settle("lie_settled", false),
    settle("lie_transaction", true),
    settle("lie_amount", true),
    settle("lie_amount", false),
    settle("lie_payer", true),
    settle("lie_payer", false),
    settle("lie_network", true),
    settle("lie_network", false),
    settle("refuse", false),
    verify("500"),
    verify("truncated"),
    verify("refuse"),
];

const fn settle(kind: &'static str, moved: bool) -> Option<Fault> {
    Some(Fault { endpoint: "settle", kind, moved, late: Duration::ZERO })
}

const fn late(kind: &'static str, moved: bool, late: Duration) -> Option<Fault> {
    Some(Fault { endpoint: "settle", kind, moved, late })
}

const fn verify(kind: &'static str) -> Option<Fault> {
    Some(Fault { endpoint: "verify", kind, moved: false, late: Duration::ZERO })
}

const TRUTH: Fault = Fault { endpoint: "", kind: "", moved: true, late: Duration::ZERO };
/// How long a settlement may take, in whole seconds.
pub(super) const PATIENCE: u64 = 4;
/// Within that.
const SHORT: Duration = Duration::from_millis(300);
/// Beyond it.
const LONG: Duration = Duration::from_secs(PATIENCE + 2);
