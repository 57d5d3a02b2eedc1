//! A hook that says no, for tests of what a client sees then.

use x402_core::{ChallengeFacts, HookResult, Hooks, PaymentFacts, Veto, facilitator::BoxFuture};

/// Vetoes whatever comes to one step of a payment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum VetoAt {
    Challenge,
    BeforeVerify,
    AfterVerify,
    BeforeSettle,
}

impl VetoAt {
    pub(crate) fn named(step: &str) -> Option<Self> {
        Some(match step {
            "challenge" => Self::Challenge,
            "before_verify" => Self::BeforeVerify,
            "after_verify" => Self::AfterVerify,
            "before_settle" => Self::BeforeSettle,
            _ => return None,
        })
    }

    fn says(self, at: Self) -> HookResult {
        if self == at { Err(Veto::new("vetoed_by_operator").into()) } else { Ok(()) }
    }
}

impl Hooks for VetoAt {
    fn on_challenge(&self, _challenge: &ChallengeFacts<'_>) -> HookResult {
        self.says(Self::Challenge)
    }

    fn before_verify<'a>(&'a self, _payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        Box::pin(async { self.says(Self::BeforeVerify) })
    }

    fn after_verify<'a>(&'a self, _payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        Box::pin(async { self.says(Self::AfterVerify) })
    }

    fn before_settle<'a>(&'a self, _payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        Box::pin(async { self.says(Self::BeforeSettle) })
    }
}
