//! Payment that is asked for once a handler has looked at its input.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tracing::Span;

use super::{
    Admission, Attempt, Engine, Outcome, PaidContext, Release, Ticket, replies,
    success::{Success, Undecided},
};
use crate::{Reply, adapter::handler_failed, charge::Charge, error::Unavailable, telemetry};

impl Engine {
    /// Splits an attempt on a route that is paid [after its input](crate::price::PriceRule::after_input): the handler
    /// finds the [`Demand`] in its request's extensions, and the adapter closes the [`Till`] when it has answered.
    pub fn demand(&self, mut attempt: Attempt) -> (Demand, Till) {
        let route = Arc::clone(&attempt.rule.pattern);
        let span = telemetry::payment_span(&route);
        attempt.span = Some(span.clone());
        let open = State::Open(Box::new((self.clone(), attempt)));
        let slot = Arc::new(Slot(Mutex::new(open)));
        let success = self.shared.success.clone();
        (Demand { slot: Arc::downgrade(&slot) }, Till { slot, route, span, success })
    }
}

/// What a request costs, left with it for whoever reads its input.
///
/// The extractors `Paid<E>` of `x402-axum` and `x402-actix` take it when `E` was extracted. Anything else that looks at a
/// request before money is asked for does it by hand:
///
/// ```
/// use x402_core::{Demand, NotPaid};
///
/// async fn order(demand: Demand, eggs: u32) -> Result<String, (u16, &'static str)> {
///     if eggs > 12 {
///         return Err((400, "we have a dozen"));           // and nobody pays for that
///     }
///     let bill = demand.take().ok_or((500, "paid for already"))?;
///     let (paid, _) = bill.pay().await.map_err(|NotPaid { .. }| (402, "never seen"))?;
///     Ok(format!("{eggs} eggs for {}", paid.payer))
/// }
/// ```
#[derive(Clone)]
pub struct Demand {
    slot: Weak<Slot>,
}

impl Demand {
    /// Takes the bill. There is one: later calls, and calls after the request has ended, get none.
    #[must_use = "a bill that is dropped is not paid"]
    pub fn take(&self) -> Option<Bill> {
        match self.slot.upgrade()?.replace_if(State::Taken, State::is_open)? {
            State::Open(open) => Some(Bill { open, slot: Weak::clone(&self.slot) }),
            _ => None,
        }
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demand").finish_non_exhaustive()
    }
}

/// The right to have a request paid for, once.
#[must_use = "a bill that is dropped is not paid"]
pub struct Bill {
    open: Box<(Engine, Attempt)>,
    slot: Weak<Slot>,
}

impl Bill {
    /// Looks at the request's payment, as [`Engine::admit`] does: demands it, verifies it, and settles it where that comes
    /// before the handler. What was used is said by the [`Charge`], where the price is a ceiling.
    ///
    /// # Errors
    /// [`NotPaid`] where the engine answers the request itself: with the terms, with what is wrong with the payment, or
    /// with the response that was kept for it. The paywall sends that answer in place of whatever the handler returns.
    ///
    /// # Cancellation
    /// As that of [`Engine::admit`].
    pub async fn pay(self) -> Result<(PaidContext, Charge), NotPaid> {
        let Self { open, slot } = self;
        let (engine, attempt) = *open;
        let (state, paid) = match engine.admit(attempt).await {
            Admission::Enter(ticket) => {
                let paid = (ticket.context().clone(), ticket.charge().clone());
                (State::Entered(Box::new(ticket)), Ok(paid))
            }
            Admission::Reply(reply) => {
                let not_paid = NotPaid { status: reply.status };
                (State::Answered(reply), Err(not_paid))
            }
        };
        // The request may have been answered meanwhile, unpaid: then the ticket is dropped, which charges nobody.
        let kept = slot.upgrade().and_then(|slot| slot.replace_if(state, State::is_taken));
        if kept.is_none() {
            return Err(NotPaid { status: 503 });
        }
        paid
    }
}

impl fmt::Debug for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bill").field("attempt", &self.open.1).finish_non_exhaustive()
    }
}

/// The engine answers the request itself; what the handler returns instead is not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotPaid {
    /// The status of that answer: 402 and the like, or that of a response that was kept.
    pub status: u16,
}

impl fmt::Display for NotPaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "payment not taken, answered with {}", self.status)
    }
}

impl std::error::Error for NotPaid {}

/// The adapter's end of a [`Demand`]: tells what became of it when the handler has answered.
///
/// Dropped, it takes back what is in it, as a dropped [`Ticket`] does.
#[derive(Debug)]
#[must_use = "a till that is dropped gives back what was paid into it"]
pub struct Till {
    slot: Arc<Slot>,
    route: Arc<str>,
    span: Span,
    success: Success,
}

impl Till {
    /// The span to run the handler in: that of its payment, once it is paid.
    #[must_use]
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Whether [`close`](Self::close) wants to know a response's headers.
    #[must_use]
    pub const fn reads_headers(&self) -> bool {
        self.success.reads_headers()
    }

    /// Decides about a handler's response, by its status and headers; [`Outcome::failed`] stands for one that broke.
    pub fn close(self, outcome: &Outcome) -> Closed {
        match self.slot.take() {
            State::Entered(ticket) => Closed::Enter(*ticket),
            State::Answered(reply) => Closed::Reply(reply),
            State::Open(_) | State::Taken | State::Closed => self.unpaid(outcome),
        }
    }

    /// What would be paid for does not leave unpaid; all else is free.
    fn unpaid(&self, outcome: &Outcome) -> Closed {
        match self.success.is_success(outcome) {
            Ok(false) => Closed::Pass(Release::unpaid()),
            Ok(true) => {
                tracing::error!(
                    route = %self.route,
                    status = outcome.status,
                    "a response that counts as a success is withheld, since nobody was asked to pay for it: on a route \
                     marked `after_input` the handler must take `Paid<..>`, or the request's `Demand`; and what refuses \
                     an input must be no success by `EngineBuilder::success`"
                );
                Closed::Reply(handler_failed())
            }
            Err(Undecided) => {
                tracing::error!(route = %self.route, "nobody knows whether this response may leave unpaid");
                Closed::Reply(replies::unavailable(Unavailable::Hook))
            }
        }
    }
}

impl Drop for Till {
    fn drop(&mut self) {
        // Handlers keep no more than a weak end, but one may be about to put a ticket in.
        drop(self.slot.take());
    }
}

/// What becomes of the response of a handler that had a [`Demand`].
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, and a box would cost an allocation")]
pub enum Closed {
    /// It was paid for: end the ticket with what the handler did.
    Enter(Ticket),
    /// This is sent in its place.
    Reply(Reply),
    /// It is nothing that [counts as a success](super::EngineBuilder::success), and nobody paid for it: it leaves as it is, with
    /// these headers.
    Pass(Release),
}

/// What is between a handler and its paywall.
struct Slot(Mutex<State>);

enum State {
    Open(Box<(Engine, Attempt)>),
    Taken,
    Answered(Reply),
    Entered(Box<Ticket>),
    Closed,
}

impl Slot {
    fn take(&self) -> State {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Closed)
    }

    /// Puts `next` in the place of what is there, and gives that back, if it is so.
    fn replace_if(&self, next: State, is_so: fn(&State) -> bool) -> Option<State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_so(&state).then(|| std::mem::replace(&mut *state, next))
    }
}

impl State {
    const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    const fn is_taken(&self) -> bool {
        matches!(self, Self::Taken)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
