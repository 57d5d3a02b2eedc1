//! Moving the money of an order we hold, and finding out whether it moved.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{Engine, claim::store_failed_as, hold::Hold};
use crate::{
    error::{RejectReason, Unavailable},
    facilitator::{Evidence, Payment, SettleError, Settlement, Transfer, VerifyError},
    order::{Event, Order},
    telemetry,
};

/// Whether an authorization was sent before.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    /// It was not: a refusal means that nothing moved.
    First,
    /// It was, with an unknown outcome: only the chain can say that nothing moved.
    Again,
}

/// Why the money of an order is not known to have moved.
pub(super) enum Unsettled {
    /// It did not move. The order says why.
    Failed(Box<Order>),
    /// Nobody knows, or it could not be recorded: the same payment may be presented again.
    Unknown(Unavailable),
}

impl Engine {
    /// Settles an order whose first settlement is recorded as begun, and waits for evidence where the answer is unclear.
    pub(super) async fn settle(&self, payment: &Payment, hold: &mut Hold) -> Result<Order, Unsettled> {
        self.attempt(payment, hold, Attempt::First).await
    }

    async fn attempt(
        &self,
        payment: &Payment,
        hold: &mut Hold,
        attempt: Attempt,
    ) -> Result<Order, Unsettled> {
        let network = || payment.option.network.to_string();
        let begun = Instant::now();
        let settled = self.shared.facilitator.settle(payment).await;
        metrics::histogram!(telemetry::SETTLE_SECONDS, "network" => network()).record(begun.elapsed());
        let transaction = match settled {
            Ok(settlement) => match implausible(&settlement, payment) {
                None => return self.record_settled(settlement, hold).await,
                Some(what) => {
                    tracing::error!(what, "facilitator reports a settlement that is not this payment's");
                    None
                }
            },
            // It may be refused because an earlier attempt, or a stranger, has moved the money already.
            Err(SettleError::Rejected { reason, transaction }) => {
                match (attempt, self.evidence(payment).await) {
                    (_, Some(Evidence::Settled(settlement))) => {
                        return self.record_settled(settlement, hold).await;
                    }
                    (_, Some(Evidence::Dead(reason))) => {
                        return Err(self.record_failed(&reason, true, transaction, hold).await);
                    }
                    (Attempt::First, _) if reason != RejectReason::NonceAlreadyUsed => {
                        let dead = reason.is_dead();
                        return Err(self.record_failed(&reason, dead, transaction, hold).await);
                    }
                    _ => transaction,
                }
            }
            Err(SettleError::Unresolved { transaction, source }) => {
                tracing::warn!(error = %source, "settlement sent, answer lost");
                transaction
            }
            Err(SettleError::Unavailable(source)) => {
                tracing::warn!(error = %source, "settlement could not be sent");
                None
            }
        };
        let unclear = Event::SettleUnclear { transaction: transaction.map(Arc::from) };
        hold.advance(unclear).await.map_err(|error| Unsettled::Unknown(store_failed_as(&error)))?;
        // The facilitator's own patience counts: the client has waited that long.
        self.await_evidence(payment, hold, begun + self.shared.settings.resolve_within).await
    }

    /// Finishes an order whose settlement was begun by somebody before us: asks the chain, and where the
    /// authorization may still be used, sends it again. Its nonce sees to it that money moves once.
    pub(super) async fn resolve(&self, payment: &Payment, hold: &mut Hold) -> Result<Order, Unsettled> {
        match self.evidence(payment).await {
            Some(Evidence::Settled(settlement)) => self.record_settled(settlement, hold).await,
            Some(Evidence::Dead(reason)) => Err(self.record_failed(&reason, true, None, hold).await),
            Some(Evidence::StillPossible) | None => {
                let again = Event::SettleStarted { response: None };
                hold.advance(again).await.map_err(|error| Unsettled::Unknown(store_failed_as(&error)))?;
                self.attempt(payment, hold, Attempt::Again).await
            }
        }
    }

    async fn await_evidence(
        &self,
        payment: &Payment,
        hold: &mut Hold,
        deadline: Instant,
    ) -> Result<Order, Unsettled> {
        let mut pause = FIRST_LOOK;
        while self.shared.witness.is_some() {
            match self.evidence(payment).await {
                Some(Evidence::Settled(settlement)) => return self.record_settled(settlement, hold).await,
                Some(Evidence::Dead(reason)) => {
                    return Err(self.record_failed(&reason, true, None, hold).await);
                }
                Some(Evidence::StillPossible) | None => {}
            }
            if Instant::now() + pause >= deadline {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        let network = payment.option.network.to_string();
        metrics::counter!(telemetry::UNRESOLVED, "network" => network).increment(1);
        tracing::warn!("outcome of a settlement is unknown");
        hold.advance(Event::Released).await.map_err(|error| Unsettled::Unknown(store_failed_as(&error)))?;
        Err(Unsettled::Unknown(Unavailable::SettlementUnresolved))
    }

    /// What the chain says; `None` where nobody can be asked, or nobody answers in time.
    async fn evidence(&self, payment: &Payment) -> Option<Evidence> {
        let within = self.shared.settings.resolve_within.max(LEAST_TO_ANSWER);
        let transfer = Transfer::from(payment);
        let asked = timeout(within, self.shared.witness.as_ref()?.evidence(&transfer)).await;
        let silent = |_| Err(VerifyError::Unavailable("no answer in time".into()));
        match asked.unwrap_or_else(silent) {
            Ok(evidence) => Some(evidence),
            Err(VerifyError::Rejected(reason)) => {
                tracing::error!(%reason, "witness judged a payment instead of looking for it");
                None
            }
            Err(VerifyError::Unavailable(error)) => {
                tracing::warn!(%error, "witness did not answer");
                None
            }
        }
    }

    async fn record_settled(&self, settlement: Settlement, hold: &mut Hold) -> Result<Order, Unsettled> {
        tracing::info!(transaction = %settlement.transaction, "payment settled");
        let settlement = Arc::new(settlement);
        let order = hold.advance(Event::SettleOk { settlement }).await;
        // Money that moved and could not be recorded is not delivered now: the next presentation finds the evidence.
        order.map_err(|error| Unsettled::Unknown(store_failed_as(&error)))
    }

    async fn record_failed(
        &self,
        reason: &RejectReason,
        dead: bool,
        transaction: Option<String>,
        hold: &mut Hold,
    ) -> Unsettled {
        tracing::warn!(%reason, transaction, "settlement failed");
        let failed = Event::SettleFailed {
            reason: reason.code().into(),
            dead,
            transaction: transaction.map(Arc::from),
        };
        match hold.advance(failed).await {
            Ok(order) => Unsettled::Failed(Box::new(order)),
            Err(error) => Unsettled::Unknown(store_failed_as(&error)),
        }
    }
}

/// What in a reported settlement is not what this payment could have led to.
fn implausible(settlement: &Settlement, payment: &Payment) -> Option<&'static str> {
    let option = &payment.option;
    if settlement.transaction.is_empty() {
        Some("transaction")
    } else if settlement.network != option.network {
        Some("network")
    } else if settlement.amount != option.amount {
        Some("amount")
    } else if !settlement.payer.eq_ignore_ascii_case(&payment.authorization.payer) {
        Some("payer")
    } else {
        None
    }
}

/// For a witness, however short the wait of a client is to be.
const LEAST_TO_ANSWER: Duration = Duration::from_secs(5);
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LONGEST_LOOK: Duration = Duration::from_secs(2);
