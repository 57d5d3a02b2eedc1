//! Responses that leave before it is known what they are charged, because their handlers say so while they stream.
//!
//! Money comes last here: the payment is verified and its order held, the response streams, and when it is over, whole or
//! not, the charge is recorded and settled. What a crash leaves behind the worker settles, with the last charge that was
//! recorded.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    Engine,
    claim::{Claim, store_failed},
    deferral::{Place, TO_SETTLE, Undeferred},
    hold::Hold,
    replies,
    ticket::kept_payment,
};
use crate::{
    Reply,
    charge::Charge,
    error::{RejectReason, Unavailable},
    facilitator::Payment,
    order::{Event, Order, StoreError},
    price::AtomicAmount,
    time::UnixSeconds,
};

impl Engine {
    /// A place among the responses that are out unsettled; else nobody is charged, and the payment may come again.
    pub(super) async fn place_for_stream(&self, claim: &Claim, hold: &mut Hold) -> Result<Place, Box<Reply>> {
        let refused = match self.place(&claim.payment).await {
            Ok(place) => return Ok(place),
            Err(refused) => refused,
        };
        self.tell_unplaced(refused, "stream refused: what was used of it could not be settled at its end");
        if let Err(error) = hold.advance(Event::GivenUp).await {
            tracing::warn!(%error, "refusal of a stream not recorded");
        }
        if refused == Undeferred::Expiring {
            let authorization = &claim.payment.authorization;
            let (valid_before, now) = (authorization.valid_before, self.shared.clock.now());
            let reason = RejectReason::Expired { valid_before, now };
            return Err(self.refuse(&claim.attempt, &reason, Some(&authorization.payer)).await);
        }
        Err(Box::new(replies::unavailable(Unavailable::AtCapacity)))
    }

    /// Records that the response leaves, with what was said so far of its charge, and what it takes to settle.
    pub(super) async fn meter(
        &self,
        claim: &Claim,
        order: &Order,
        charge: &Charge,
        hold: &mut Hold,
    ) -> Result<Order, Box<Reply>> {
        let failed = |error: StoreError| store_failed(&error);
        let said = charge.said();
        // What an earlier run said is of another response.
        if said.is_some() || order.charge.is_some() {
            let amount = said.unwrap_or(AtomicAmount::ZERO);
            hold.advance(Event::Charged { amount }).await.map_err(failed)?;
        }
        let metered = Event::Metered { payment: Arc::new(kept_payment(&claim.payment)) };
        let mut left = hold.advance(metered).await;
        if left.is_ok() {
            left = hold.make_sure().await.and(left);
        }
        if left.is_err() {
            // Nothing leaves now. Should it be recorded all the same, nothing is charged for it.
            let _ = hold.advance(Event::Charged { amount: AtomicAmount::ZERO }).await;
        }
        left.map_err(failed)
    }

    /// Settles what was used of a response once it is over, or while its authorization can still be settled.
    pub(super) async fn settle_metered(&self, payment: &Payment, charge: &Charge, mut hold: Hold) {
        let time = time_to_stream(payment.authorization.valid_before, self.shared.clock.now());
        if !hold.is_alone_within(time).await {
            tracing::warn!("stream outlives its authorization: settling what was used until now");
        }
        let amount = charge.close();
        for pause in PAUSES {
            match hold.advance(Event::Charged { amount }).await {
                Ok(_) => {
                    let payment = payment.clone().charging(amount);
                    return self.settle_deferred(&payment, hold).await;
                }
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(%error, "charge of a stream not recorded, trying again");
                    sleep(pause).await;
                }
                Err(error) => {
                    tracing::error!(%error, "charge of a stream not recorded");
                    return;
                }
            }
        }
        // Nothing is sent that was not recorded. The lease lapses, and the worker settles what was.
        tracing::error!(%amount, "charge of a stream could not be recorded: what was recorded before is charged");
    }
}

/// For how long a stream may go on until it has to be settled: a bit less than its authorization can be.
fn time_to_stream(valid_before: UnixSeconds, now: UnixSeconds) -> Duration {
    let left = valid_before.since(now);
    left - TO_SETTLE.min(left / 2)
}

/// Between tries to record a charge.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_leaves_time_to_settle() {
        let at = UnixSeconds::new;
        for (valid_before, now, wanted) in
            [(1_300, 1_000, 280), (1_040, 1_000, 20), (1_010, 1_000, 5), (1_000, 1_000, 0), (900, 1_000, 0)]
        {
            let time = time_to_stream(at(valid_before), at(now));
            assert_eq!(time, Duration::from_secs(wanted), "{valid_before} {now}");
        }
    }
}
