//! What the worker does for one order.

use std::time::Duration;

use serde_json::value::RawValue;

use super::{
    Engine,
    hold::{Hold, IfDropped},
    settle::Unsettled,
};
use crate::{
    error::{BoxError, Unavailable},
    facilitator::{Payment, Transfer},
    order::{Attention, Event, KeptPayment, Order, PaymentState, StoreError},
    telemetry,
    wire::{PaymentPayload, Presented},
};

/// What came of an order that the worker looked after.
#[derive(Clone, Copy, Debug)]
enum Recovered {
    Expired,
    Settled,
    Failed,
    /// Nobody can tell yet.
    Unresolved,
    /// An operator was told.
    Noticed,
    /// There was nothing to do after all.
    Nothing,
    /// Somebody else has it, or it could not be recorded.
    Unrecorded,
}

impl Engine {
    /// Finishes what can be finished of an order without its payer.
    pub(super) async fn recover(&self, order: &Order, mut hold: Hold) {
        hold.if_dropped(IfDropped::Release);
        let recovered = if self.shared.work.is_draining() {
            Recovered::Nothing
        } else {
            match order.state.payment {
                PaymentState::Verifying | PaymentState::Verified => self.expire(order, &mut hold).await,
                PaymentState::Settling | PaymentState::Unresolved => self.find_out(order, &mut hold).await,
                PaymentState::Settled => self.notice(order, Attention::PaidUndelivered, &mut hold).await,
                _ => Recovered::Nothing,
            }
        };
        metrics::counter!(telemetry::RECOVERED, "outcome" => recovered.as_str()).increment(1);
        tracing::debug!(outcome = recovered.as_str(), "order looked after");
        hold.let_go().await;
    }

    async fn expire(&self, order: &Order, hold: &mut Hold) -> Recovered {
        if self.shared.clock.now() < order.valid_before {
            return Recovered::Nothing;
        }
        recorded(hold.advance(Event::Expired).await, Recovered::Expired)
    }

    async fn find_out(&self, order: &Order, hold: &mut Hold) -> Recovered {
        let settled = match self.look(&Transfer::from(order), hold).await {
            Ok(None) if order.owes_settlement() => self.settle_kept(order, hold).await,
            looked => looked,
        };
        match settled {
            Ok(Some(_)) => Recovered::Settled,
            Err(Unsettled::Failed(_)) => Recovered::Failed,
            Ok(None) | Err(Unsettled::Unknown(Unavailable::SettlementUnresolved)) => {
                if order.needs(Attention::Stuck, self.shared.clock.now()) && !order.noticed {
                    self.notice(order, Attention::Stuck, hold).await
                } else {
                    Recovered::Unresolved
                }
            }
            Err(Unsettled::Unknown(_)) => Recovered::Unrecorded,
        }
    }

    /// Settles an order whose response went out before, with what was kept for that.
    async fn settle_kept(&self, order: &Order, hold: &mut Hold) -> Result<Option<Order>, Unsettled> {
        let kept = match self.shared.store.payment(&order.key).await {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                tracing::error!("payment of an unsettled order is gone; only the chain can settle it now");
                return Ok(None);
            }
            Err(error) => return Err(Unsettled::Unknown(super::claim::store_failed_as(&error))),
        };
        match self.payment_of(order, &kept) {
            Ok(payment) => self.settle_again(&payment, hold, Duration::ZERO).await.map(Some),
            Err(error) => {
                tracing::error!(%error, "kept payment cannot be read; only the chain can settle its order now");
                Ok(None)
            }
        }
    }

    /// A kept payment as it was when it was verified.
    fn payment_of(&self, order: &Order, kept: &KeptPayment) -> Result<Payment, BoxError> {
        let option = &order.terms.option;
        let json = RawValue::from_string(kept.json.to_string())?;
        let payment = PaymentPayload::from_json(&json)?;
        let scheme = self.scheme(&option.scheme).ok_or("its scheme is not one this engine knows")?;
        let authorization = scheme.read(payment.scheme_payload(), option)?;
        if authorization.key != order.key || authorization.mark() != order.digest {
            return Err("it is not the payment of its order".into());
        }
        let presented = Presented { payment, json };
        let payment = Payment::new(presented, option.clone(), kept.resource.clone(), authorization);
        Ok(Payment { charge: order.charge, ..payment })
    }

    /// Tells the operator of an order, once it is recorded that they were told.
    async fn notice(&self, order: &Order, attention: Attention, hold: &mut Hold) -> Recovered {
        let recovered = recorded(hold.advance(Event::Noticed).await, Recovered::Noticed);
        if let Recovered::Noticed = recovered {
            let flag = attention.as_str();
            metrics::counter!(telemetry::ATTENTION, "attention" => flag).increment(1);
            tracing::error!(order = %order.id, attention = flag, "order needs attention");
        }
        recovered
    }
}

impl Recovered {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Settled => "settled",
            Self::Failed => "failed",
            Self::Unresolved => "unresolved",
            Self::Noticed => "noticed",
            Self::Nothing => "nothing",
            Self::Unrecorded => "unrecorded",
        }
    }
}

fn recorded(advanced: Result<Order, StoreError>, as_what: Recovered) -> Recovered {
    match advanced {
        Ok(_) => as_what,
        Err(error) => {
            tracing::warn!(%error, "recovery of an order not recorded");
            Recovered::Unrecorded
        }
    }
}
