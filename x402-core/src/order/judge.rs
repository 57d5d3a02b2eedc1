//! What an order that a presentation may not take means for it: pure, one table.

use super::{DeliveryState, Order, PaymentState, RequestFingerprint};
use crate::{
    error::{Conflict, RejectReason},
    scheme::PaymentKey,
    time::UnixSeconds,
};

/// What of a presentation matters to an order that already exists.
#[derive(Clone, Copy, Debug)]
pub struct Presentation {
    /// The payment.
    pub key: PaymentKey,
    /// The request.
    pub fingerprint: RequestFingerprint,
    /// Whether a kept response may answer it: it has no body, or a bound one.
    pub replayable: bool,
    /// The present second.
    pub now: UnixSeconds,
}

/// What a presentation of a payment whose order it cannot take gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The order is being worked on: ask again shortly.
    Wait,
    /// The kept response, if it is still there; else 409, as delivered or as still on its way.
    Replay,
    /// 409.
    Conflict(Conflict),
    /// The settlement failed: 402, with a challenge only if the authorization is dead.
    Failed,
    /// The authorization ran out unused: 402 with a fresh challenge.
    Expired,
}

/// Decides what a presentation gets when [`opening`](super::opening) said `Held`.
#[must_use]
pub fn judge(order: &Order, presented: &Presentation) -> Verdict {
    let same_request = order.fingerprint == presented.fingerprint;
    // With another key only the identifier met: the order, and what was kept for it, is another payment's.
    if order.key != presented.key {
        return Verdict::Conflict(Conflict::IdentifierReused);
    }
    if !same_request {
        return Verdict::Conflict(Conflict::OtherRequest);
    }
    let may_replay = order.response_kept && presented.replayable;
    let left = if order.is_leased(presented.now) { order.state } else { order.state.abandoned() };
    match left.payment {
        PaymentState::Settled if may_replay => Verdict::Replay,
        PaymentState::Settled if order.state.delivery == DeliveryState::Delivered => {
            Verdict::Conflict(Conflict::AlreadyDelivered)
        }
        // Its response went out before its money moves, and its receipt is still to come.
        PaymentState::Settling | PaymentState::Unresolved
            if left.deferred && left.delivery == DeliveryState::Delivered =>
        {
            if may_replay {
                Verdict::Replay
            } else {
                Verdict::Conflict(Conflict::AlreadyDelivered)
            }
        }
        PaymentState::Failed if order.was_used_before() => Verdict::Conflict(Conflict::AlreadyUsed),
        PaymentState::Failed if order.has_no_attempts_left() => Verdict::Conflict(Conflict::NoAttemptsLeft),
        PaymentState::Failed => Verdict::Failed,
        PaymentState::Expired => Verdict::Expired,
        _ => Verdict::Wait,
    }
}

impl Order {
    /// Whether it failed without a settlement: its runs are used up, as recorded or as a vanished holder left it.
    pub(super) fn has_no_attempts_left(&self) -> bool {
        self.state.abandoned().payment == PaymentState::Failed
            && (self.reason.as_deref() == Some(HANDLER_ERROR) || self.state.payment != PaymentState::Failed)
    }

    /// Whether its authorization was found used before anything was sent for it, and may have paid for another order, which
    /// is forgotten. Its payer is told neither that it failed nor to sign again.
    pub(crate) fn was_used_before(&self) -> bool {
        self.state.payment == PaymentState::Failed
            && !self.dead
            && self.reason.as_deref() == Some(RejectReason::NonceAlreadyUsed.code())
    }
}

/// The reason of an order whose handler failed as often as it may run unpaid.
pub(super) const HANDLER_ERROR: &str = "handler_error";

#[cfg(all(test, feature = "memory"))]
mod tests {
    use std::sync::Arc;

    use super::{
        Conflict::*, DeliveryState as D, PaymentState as P, Verdict::Conflict as Refuse, Verdict::*, *,
    };
    use crate::{
        order::{OrderState, StoredResponse},
        testing::store_contract::Payments,
    };

    struct Row {
        payment: P,
        delivery: D,
        leased: bool,
        /// When a response is kept and may be replayed; else.
        verdicts: [Verdict; 2],
    }

    const fn row(payment: P, delivery: D, leased: bool, kept: Verdict, else_: Verdict) -> Row {
        Row { payment, delivery, leased, verdicts: [kept, else_] }
    }

    #[rustfmt::skip]
    const ROWS: &[Row] = &[
        row(P::Verifying,  D::Withheld,  true,  Wait, Wait),
        row(P::Verified,   D::Executing, true,  Wait, Wait),
        row(P::Settling,   D::Ready,     true,  Wait, Wait),
        row(P::Unresolved, D::Ready,     true,  Wait, Wait),
        row(P::Settled,    D::Executing, true,  Replay, Wait),
        row(P::Settled,    D::Ready,     true,  Replay, Wait),
        row(P::Settled,    D::Delivered, true,  Replay, Refuse(AlreadyDelivered)),
        row(P::Settled,    D::Delivered, false, Replay, Refuse(AlreadyDelivered)),
        row(P::Failed,     D::Ready,     false, Failed, Failed),
        // Settled after the handler ran, whose response was too long to keep: the run is lost, the settlement failed.
        row(P::Failed,     D::Executing, false, Failed, Failed),
        row(P::Expired,    D::Withheld,  false, Expired, Expired),
    ];

    fn payments() -> Payments {
        Payments::new(Arc::new(crate::order::MemoryStore::new()))
    }

    #[test]
    fn a_deferred_response_is_replayed_before_it_is_settled_once_it_was_delivered() {
        let payments = payments();
        for (payment, delivery, kept, else_) in [
            (P::Settling, D::Executing, Wait, Wait),
            (P::Settling, D::Ready, Wait, Wait),
            (P::Settling, D::Delivered, Replay, Refuse(AlreadyDelivered)),
            (P::Unresolved, D::Ready, Wait, Wait),
            (P::Unresolved, D::Delivered, Replay, Refuse(AlreadyDelivered)),
            (P::Settled, D::Ready, Replay, Wait),
            (P::Settled, D::Delivered, Replay, Refuse(AlreadyDelivered)),
            (P::Failed, D::Delivered, Failed, Failed),
        ] {
            for leased in [true, false] {
                for response_kept in [true, false] {
                    let mut order = order(&payments, &row(payment, delivery, leased, kept, else_));
                    order.state.deferred = true;
                    order.response_kept = response_kept;
                    let wanted = if response_kept { kept } else { else_ };
                    let told = judge(&order, &presented(&order, payments.now));
                    assert_eq!(told, wanted, "{payment:?}/{delivery:?} {leased}");
                }
            }
        }
    }

    #[test]
    fn an_authorization_that_was_used_before_is_a_conflict_and_not_a_failure() {
        let payments = payments();
        let used = |dead| Order {
            dead,
            reason: Some(RejectReason::NonceAlreadyUsed.code().into()),
            ..order(&payments, &row(P::Failed, D::Ready, false, Failed, Failed))
        };
        assert_eq!(judge(&used(false), &presented(&used(false), payments.now)), Refuse(AlreadyUsed));
        assert_eq!(judge(&used(true), &presented(&used(true), payments.now)), Failed, "spent elsewhere");
    }

    fn order(payments: &Payments, row: &Row) -> Order {
        let leased_until = row.leased.then(|| payments.lapsed());
        let state =
            OrderState { payment: row.payment, delivery: row.delivery, attempts: 1, ..OrderState::default() };
        Order { state, leased_until, ..Order::opened(&payments.request(0), 1, payments.now) }
    }

    fn presented(order: &Order, now: UnixSeconds) -> Presentation {
        Presentation { key: order.key, fingerprint: order.fingerprint, replayable: true, now }
    }

    #[test]
    fn each_state_has_its_verdict() {
        let payments = payments();
        for row in ROWS {
            for (response_kept, replayable) in [(true, true), (true, false), (false, true), (false, false)] {
                let order = Order { response_kept, ..order(&payments, row) };
                let presented = Presentation { replayable, ..presented(&order, payments.now) };
                let wanted = row.verdicts[usize::from(!(response_kept && replayable))];
                assert_eq!(judge(&order, &presented), wanted, "{:?}/{:?}", row.payment, row.delivery);
            }
        }
    }

    #[test]
    fn another_request_or_another_payment_learns_nothing_of_an_order() {
        let payments = payments();
        for row in ROWS {
            let order = Order { response_kept: true, ..order(&payments, row) };
            let own = presented(&order, payments.now);
            let elsewhere = payments.elsewhere(&payments.request(0)).fingerprint;
            assert_eq!(judge(&order, &Presentation { fingerprint: elsewhere, ..own }), Refuse(OtherRequest));
            // Its identifier met ours, request and all: still it is not the payment that bought the response.
            let namesake = Presentation { key: payments.request(1).key, ..own };
            assert_eq!(judge(&order, &namesake), Refuse(IdentifierReused));
        }
    }

    #[test]
    fn a_handler_that_failed_too_often_is_not_a_settlement_that_failed() {
        let payments = payments();
        let running = Row { leased: false, ..row(P::Verified, D::Executing, false, Wait, Wait) };
        let last = OrderState { attempts: crate::order::MAX_ATTEMPTS, ..order(&payments, &running).state };
        let mut failed = Order { state: last, ..order(&payments, &running) };
        let vanished = failed.clone();
        failed.apply(&crate::order::Event::HandlerFailed, payments.now).unwrap();
        for order in [failed, vanished] {
            assert_eq!(judge(&order, &presented(&order, payments.now)), Refuse(NoAttemptsLeft));
        }
    }

    #[test]
    fn a_response_kept_before_an_unclear_settlement_is_replayed_after_it() {
        let payments = payments();
        let mut order = Order::opened(&payments.request(0), 1, payments.now);
        let response = Some(Arc::new(StoredResponse::new(200, Vec::new(), "sunny".into())));
        for event in [
            crate::order::Event::VerifyOk,
            crate::order::Event::HandlerStarted,
            crate::order::Event::SettleStarted { response },
            crate::order::Event::SettleUnclear { transaction: Some("0x1".into()) },
            crate::order::Event::SettleStarted { response: None },
            payments.settled(&payments.request(0)),
            crate::order::Event::Delivered,
        ] {
            order.apply(&event, payments.now).unwrap();
        }
        assert_eq!(judge(&order, &presented(&order, payments.now)), Replay);
    }
}
