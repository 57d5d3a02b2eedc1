//! Charging for what was used, where a payment authorizes a maximum: the scheme `upto`.
//!
//! The payer signs a ceiling, the handler says how much of it was used, and that much is settled, once. The handler finds
//! its [`Charge`] in the request's extensions, beside [`PaidContext`](crate::PaidContext), or gets it with the payment where that comes
//! [after its input](crate::price::PriceRule::after_input):
//!
//! ```
//! use x402_core::charge::{Charge, ChargeError, Used};
//!
//! fn bill(charge: &Charge, tokens: u64) -> Result<(), ChargeError> {
//!     charge.set(tokens * 25)?;                 // atomic units of the token
//!     charge.set(Used::usd("0.0123"))?;         // dollars, exactly; in place of what was said before
//!     charge.set(Used::percent("42.5"))         // a part of the ceiling
//! }
//! ```
//!
//! | what the handler said | what is charged |
//! |---|---|
//! | an amount | that; the last one, if it said several |
//! | nothing | the whole ceiling |
//! | zero | nothing moves, and the payment is used up all the same |
//! | more than the ceiling | [`ChargeError::AboveCeiling`], at once; what was said before stands |
//! | an amount, and then it failed (status 400 or above, a panic) | nothing; the payment may be presented again |
//!
//! The charge is recorded before it is settled, and no later attempt to settle it changes it.
//!
//! # Streams
//!
//! A response of known length within the engine's limit is settled before it leaves, and brings its receipt. (One of known length
//! beyond the limit is over with its last byte: what is said after that comes too late.) Any other is
//! not held back: it leaves unsettled, the handler goes on saying what is used while it streams, and when the stream has
//! ended that is settled. Such a response has no receipt. How many may be out is bounded as where settlement is
//! [deferred](crate::SettleTiming::Deferred), by [`DeferredLimits`](crate::DeferredLimits), and like there somebody has to
//! finish what a crash leaves behind: over a bound, or without a live [worker](crate::Engine::worker), it is
//! refused with 503 and nobody is charged. A stream that its store [forgets](crate::order::OrderStore::may_forget) is served
//! unpaid.
//!
//! **Say what is used as it is used.** What is charged for a stream that did not end is what was said until then, and
//! nothing if nothing was, however it broke off:
//!
//! | the stream | what is charged |
//! |---|---|
//! | ends | what the handler said, or else the ceiling |
//! | breaks, ends with an error in its trailers, loses its client, or is not sent at all (`HEAD`) | what the handler said until then, or else nothing |
//! | outlives its authorization | what the handler had said shortly before it ran out, or else nothing; later calls of [`set`](Charge::set) fail, so that the handler can stop |
//! | is lost with this process | what the handler had said when the response's head left, or else nothing |
//!
//! So that payers do not choose the end of a stream, an authorization must last for half of the route's
//! [`max_timeout`](crate::price::PriceRule::max_timeout) when it comes; make that longer than twice the longest stream.
//!
//! A stream that was cut is charged for what was used of it, and so it is not owed: its payer does not get another run. The
//! same is true of other responses that can be neither [kept](crate::order::StoredResponse) nor recognised as the same
//! request ([`bind_body`](crate::price::PriceRule::bind_body) makes both possible), once they were on their way: a second
//! run might use more than was charged.

mod error;
mod used;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::{error::ChargeError, used::Used};
use crate::price::{AtomicAmount, PriceOption};

/// Says how much of what a payer authorized is charged. Clones say it for the same payment, from any thread; the last word
/// counts.
///
/// See the [module docs](self) for an example. It is there for every payment; where the price is fixed (the scheme `exact`)
/// there is nothing to say, and [`set`](Self::set) fails.
#[derive(Clone)]
pub struct Charge(Arc<Shared>);

struct Shared {
    ceiling: AtomicAmount,
    /// The places of the token, where an amount in dollars is one of it.
    decimals: Option<u8>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The scheme moves all that was authorized.
    Fixed,
    /// What was said so far, and whether the response is complete.
    Open { said: Option<AtomicAmount>, complete: bool },
    /// An earlier run was charged, and the handler runs again for its response.
    Repeated(AtomicAmount),
    /// What is being settled, or is settled.
    Closed(AtomicAmount),
}

impl Charge {
    /// For a payment of this option. Amounts in dollars need the number of its token's places.
    pub(crate) fn new(option: &PriceOption, decimals: Option<u8>) -> Self {
        let state = if option.is_upto() { State::Open { said: None, complete: false } } else { State::Fixed };
        Self::in_state(option, decimals, state)
    }

    /// For a payment of this option that was charged before.
    pub(crate) fn repeated(option: &PriceOption, decimals: Option<u8>, amount: AtomicAmount) -> Self {
        let state = if option.is_upto() { State::Repeated(amount) } else { State::Fixed };
        Self::in_state(option, decimals, state)
    }

    fn in_state(option: &PriceOption, decimals: Option<u8>, state: State) -> Self {
        Self(Arc::new(Shared { ceiling: option.amount, decimals, state: Mutex::new(state) }))
    }

    /// The most that may be charged: what the payer authorized.
    #[must_use]
    pub fn ceiling(&self) -> AtomicAmount {
        self.0.ceiling
    }

    /// What is charged as things stand, should the response be completed.
    #[must_use]
    pub fn amount(&self) -> AtomicAmount {
        match *self.state() {
            State::Fixed | State::Open { said: None, .. } => self.0.ceiling,
            State::Open { said: Some(amount), .. } | State::Repeated(amount) | State::Closed(amount) => {
                amount
            }
        }
    }

    /// Says how much was used, in place of what was said before.
    ///
    /// Where the handler runs again for a payment that was charged by an earlier run, the response of which was lost, the
    /// amount is checked and the earlier charge stays.
    ///
    /// # Errors
    /// [`ChargeError`]: the amount cannot be read, or is above the ceiling; the price is fixed; or it is too late, since the
    /// payment is being settled. What was said before stands.
    pub fn set(&self, used: impl Into<Used>) -> Result<(), ChargeError> {
        let Shared { ceiling, decimals, .. } = *self.0;
        let mut state = self.state();
        if let State::Fixed = *state {
            return Err(ChargeError::FixedPrice);
        }
        let used = used.into().of(ceiling, decimals)?;
        match &mut *state {
            State::Open { said, .. } => *said = Some(used),
            State::Fixed | State::Repeated(_) => {}
            State::Closed(amount) => return Err(ChargeError::TooLate { charged: *amount }),
        }
        Ok(())
    }

    /// Whether the handler decides what is charged.
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open { .. })
    }

    /// What the handler has said so far.
    pub(crate) fn said(&self) -> Option<AtomicAmount> {
        match *self.state() {
            State::Open { said, .. } => said,
            _ => None,
        }
    }

    /// The response is complete: saying nothing means all of it.
    pub(crate) fn complete(&self) {
        if let State::Open { complete, .. } = &mut *self.state() {
            *complete = true;
        }
    }

    /// The final amount; nothing said from now on counts.
    pub(crate) fn close(&self) -> AtomicAmount {
        let mut state = self.state();
        let amount = match *state {
            State::Fixed => return self.0.ceiling,
            State::Repeated(amount) | State::Closed(amount) => return amount,
            State::Open { said: Some(amount), .. } => amount,
            State::Open { said: None, complete: true } => self.0.ceiling,
            State::Open { said: None, complete: false } => AtomicAmount::ZERO,
        };
        *state = State::Closed(amount);
        amount
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment: whoever panicked left it whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = *self.state();
        f.debug_struct("Charge").field("ceiling", &self.0.ceiling).field("state", &state).finish()
    }
}

#[cfg(test)]
mod tests;
