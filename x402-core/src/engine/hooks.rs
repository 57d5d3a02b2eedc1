//! What an application may say about a payment, and when it is asked.

use std::{fmt, sync::Arc};

use crate::{
    Attempt,
    error::{BoxError, RejectReason},
    facilitator::{BoxFuture, Payment, Settlement},
    order::{Order, OrderId},
    price::{AtomicAmount, NetworkId},
    scheme::PaymentKey,
};

/// What an application has to say about payments, and wants to hear of them; registered with
/// [`EngineBuilder::hooks`](crate::EngineBuilder::hooks).
///
/// Every method does nothing by default. Several hooks are asked in the order of their registration, and the first one
/// that says no is the last one asked.
///
/// | method | asked | may say no |
/// |---|---|---|
/// | [`on_challenge`](Self::on_challenge) | before each 402 that asks for payment | 403 in place of it |
/// | [`before_verify`](Self::before_verify) | before the facilitator is asked whether the payment is good | 403 |
/// | [`after_verify`](Self::after_verify) | once it is, before anything else happens | 403 |
/// | [`before_settle`](Self::before_settle) | before money can move: ahead of the handler or behind it, and where settlement is deferred before the response leaves; not for a handler that failed | 403, the handler's response is dropped |
/// | [`on_settled`](Self::on_settled) | once it is recorded that the money moved | no |
/// | [`on_failed`](Self::on_failed) | once it is recorded that a settlement failed | no |
///
/// Who says no returns a [`Veto`]: its code is the answer, nothing is charged, and the same payment may be presented again.
/// A hook that fails in any other way (another error, a panic, no answer within
/// [`hook_deadline`](crate::EngineBuilder::hook_deadline)) is answered with 503 and `Retry-After`, and told in the log: no
/// payment passes a hook that could not look at it. Once a settlement was begun nobody is asked any more, since the money
/// may have moved: a payment whose outcome is found out later passes no further hook before it is delivered.
///
/// [`on_settled`](Self::on_settled) and [`on_failed`](Self::on_failed) run beside the response, and change nothing. They are
/// called at most once for an order, by the instance that recorded it: one that crashes at that moment calls nobody. What
/// must not be missed is read from the store.
///
/// ```
/// use x402_core::{Hooks, HookResult, PaymentFacts, Veto, facilitator::BoxFuture};
///
/// struct Blocklist(Vec<String>);
///
/// impl Hooks for Blocklist {
///     fn after_verify<'a>(&'a self, payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
///         Box::pin(async move {
///             if self.0.iter().any(|blocked| **blocked == *payment.payer) {
///                 return Err(Veto::new("payer_blocked").into());
///             }
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Hooks: Send + Sync {
    /// A request is about to be asked for payment, or for another one. Called on the hot path, so it must not block.
    ///
    /// # Errors
    /// [`Veto`] answers 403, any other error 503, in place of the 402.
    fn on_challenge(&self, challenge: &ChallengeFacts<'_>) -> HookResult {
        let _ = challenge;
        Ok(())
    }

    /// A payment that answers our terms is about to be verified. Its payer is proved where signatures are checked here, and
    /// claimed where only the facilitator can check them.
    ///
    /// # Errors
    /// [`Veto`] refuses the payment with 403, any other error with 503.
    fn before_verify<'a>(&'a self, payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        let _ = payment;
        Box::pin(async { Ok(()) })
    }

    /// A payment is good. The place for what depends on who pays, such as a limit on a payer's requests.
    ///
    /// # Errors
    /// [`Veto`] refuses the payment with 403, any other error with 503.
    fn after_verify<'a>(&'a self, payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        let _ = payment;
        Box::pin(async { Ok(()) })
    }

    /// A payment is about to be settled.
    ///
    /// # Errors
    /// [`Veto`] answers 403, any other error 503; the response of a handler that ran before is dropped.
    fn before_settle<'a>(&'a self, payment: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        let _ = payment;
        Box::pin(async { Ok(()) })
    }

    /// The money of an order moved. Its response may be on its way already.
    fn on_settled<'a>(&'a self, payment: &'a PaymentFacts, settlement: &'a Settlement) -> BoxFuture<'a, ()> {
        let _ = (payment, settlement);
        Box::pin(async {})
    }

    /// The money of an order did not move, and its settlement will not move it. The reason is a code of the protocol, by
    /// the name it has for EIP-3009 whatever was to move the money, or a text of the facilitator's own.
    fn on_failed<'a>(&'a self, payment: &'a PaymentFacts, reason: &'a str) -> BoxFuture<'a, ()> {
        let _ = (payment, reason);
        Box::pin(async {})
    }
}

/// What a hook says: nothing, a [`Veto`], or that it could not tell.
pub type HookResult = Result<(), BoxError>;

/// No, for a reason that the client is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Veto {
    code: &'static str,
}

impl Veto {
    /// A veto with the code that the client reads, such as `payer_blocked`.
    #[must_use]
    pub const fn new(code: &'static str) -> Self {
        Self { code }
    }

    /// What the client reads.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vetoed: {}", self.code)
    }
}

impl std::error::Error for Veto {}

/// What hooks are told of a request that is asked for payment. Never its query, its headers or its body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ChallengeFacts<'a> {
    /// The pattern of its route.
    pub route: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Why the payment that it brought is refused, if it brought one.
    pub refused: Option<&'a RejectReason>,
}

impl<'a> ChallengeFacts<'a> {
    pub(super) const fn new(
        route: &'a str,
        method: &'a str,
        path: &'a str,
        refused: Option<&'a RejectReason>,
    ) -> Self {
        Self { route, method, path, refused }
    }
}

/// What hooks are told of a payment. Never its signature, nor the request's query, headers or body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PaymentFacts {
    /// The pattern of its route.
    pub route: Arc<str>,
    /// The request's method; `None` where an order is settled without its payer and its store does not keep it.
    pub method: Option<Arc<str>>,
    /// The request's path, as the method.
    pub path: Option<Arc<str>>,
    /// Who pays, in the network's canonical text form.
    pub payer: Arc<str>,
    /// Where.
    pub network: NetworkId,
    /// In which token.
    pub asset: Arc<str>,
    /// How much was asked for, in atomic units.
    pub amount: AtomicAmount,
    /// The payment's identity, equal for every presentation of it.
    pub payment_key: PaymentKey,
    /// The order's public name, once there is one: a facilitator that must check signatures is asked before.
    pub order_id: Option<OrderId>,
}

impl PaymentFacts {
    pub(super) fn presented(attempt: &Attempt, payment: &Payment, order_id: Option<OrderId>) -> Arc<Self> {
        let option = &payment.option;
        Arc::new(Self {
            route: Arc::clone(&attempt.rule.pattern),
            method: Some(Arc::from(attempt.method.as_str())),
            path: Some(Arc::from(attempt.path.as_str())),
            payer: Arc::from(payment.authorization.payer.as_str()),
            network: option.network.clone(),
            asset: Arc::clone(&option.asset),
            amount: option.amount,
            payment_key: payment.authorization.key,
            order_id,
        })
    }

    pub(super) fn recorded(order: &Order) -> Self {
        let (option, origin) = (&order.terms.option, order.provenance.as_deref());
        Self {
            route: Arc::clone(&order.terms.route),
            method: origin.map(|origin| Arc::clone(&origin.method)),
            path: origin.map(|origin| Arc::clone(&origin.path)),
            payer: Arc::clone(&order.payer),
            network: option.network.clone(),
            asset: Arc::clone(&option.asset),
            amount: option.amount,
            payment_key: order.key,
            order_id: Some(order.id),
        }
    }
}
