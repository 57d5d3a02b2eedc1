//! Moving the money of an order we hold, and finding out whether it moved.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Engine,
    claim::store_failed_as,
    hold::Hold,
    refused::{Attempt, Refused, refused},
};
use crate::{
    error::{RejectReason, Unavailable},
    facilitator::{Evidence, Payment, SettleError, Settlement, Transfer, VerifyError},
    order::{Attention, Event, Order, StoreError},
    telemetry,
};

/// Why the money of an order is not known to have moved.
pub(super) enum Unsettled {
    /// It did not move. The order says why.
    Failed(Box<Order>),
    /// Nobody knows, or it could not be recorded: the same payment may be presented again.
    Unknown(Unavailable),
}

/// What a facilitator's report that the money moved is worth.
enum Report {
    /// It moved, by this transfer.
    True(Settlement),
    /// It did not, and never will: the chain says so.
    False(RejectReason),
    /// The chain does not show it yet, or does not answer.
    Unproven,
    /// It is not a report of this payment.
    Implausible,
}

impl Engine {
    /// Settles an order whose first settlement is recorded as begun, and waits for evidence where the answer is unclear.
    pub(super) async fn settle(&self, payment: &Payment, hold: &mut Hold) -> Result<Order, Unsettled> {
        self.attempt(payment, hold, Attempt::First, self.shared.settings.resolve_within).await
    }

    /// Finishes an order whose settlement was begun by somebody before us: asks the chain, and where the
    /// authorization may still be used, sends it again.
    pub(super) async fn resolve(&self, payment: &Payment, hold: &mut Hold) -> Result<Order, Unsettled> {
        match self.look(&Transfer::from(payment), hold).await? {
            Some(order) => Ok(order),
            None => self.settle_again(payment, hold, self.shared.settings.resolve_within).await,
        }
    }

    /// Sends an authorization that may have been sent before. Its nonce sees to it that money moves once.
    pub(super) async fn settle_again(
        &self,
        payment: &Payment,
        hold: &mut Hold,
        patience: Duration,
    ) -> Result<Order, Unsettled> {
        let again = Event::SettleStarted { response: None };
        // Refused where the end of the attempt before was not recorded: it may be recorded yet, by a store that is late.
        hold.advance(again).await.map_err(|error| Unsettled::Unknown(store_failed_as(&error)))?;
        self.attempt(payment, hold, Attempt::Again, patience).await
    }

    /// Settles an order whose response is on its way, until the outcome is known or the response is over: from then on
    /// the worker does.
    pub(super) async fn settle_deferred(&self, payment: &Payment, mut hold: Hold) {
        let mut settled = self.settle(payment, &mut hold).await;
        let mut pause = FIRST_PAUSE;
        while matches!(settled, Err(Unsettled::Unknown(_))) && !hold.is_alone_within(pause).await {
            settled = self.resolve(payment, &mut hold).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        hold.let_go().await;
    }

    /// Asks the chain, and records what it says. `None` where it cannot tell yet, or nobody can be asked.
    pub(super) async fn look(
        &self,
        transfer: &Transfer,
        hold: &mut Hold,
    ) -> Result<Option<Order>, Unsettled> {
        match self.evidence(transfer).await {
            Some(Evidence::Settled(settlement)) => self.record_settled(settlement, hold).await,
            Some(Evidence::Dead(reason)) => Err(self.record_failed(&reason, true, None, hold).await),
            Some(Evidence::StillPossible) | None => Ok(None),
        }
    }

    async fn attempt(
        &self,
        payment: &Payment,
        hold: &mut Hold,
        attempt: Attempt,
        mut patience: Duration,
    ) -> Result<Order, Unsettled> {
        let network = || payment.option.network.to_string();
        let transfer = Transfer::from(payment);
        if transfer.amount.is_zero()
            && let Some(order) = self.look(&transfer, hold).await?
        {
            return Ok(order);
        }
        let begun = Instant::now();
        let settled = self.shared.facilitator.settle(payment).await;
        metrics::histogram!(telemetry::SETTLE_SECONDS, "network" => network()).record(begun.elapsed());
        let transaction = match settled {
            Ok(settlement) => {
                let told = settlement.transaction.clone();
                match self.believed(&transfer, settlement).await {
                    Report::True(settlement) => match self.record_settled(settlement, hold).await? {
                        Some(order) => return Ok(order),
                        None => None,
                    },
                    Report::False(reason) => {
                        return Err(self.record_failed(&reason, true, Some(told), hold).await);
                    }
                    Report::Unproven => Some(told),
                    Report::Implausible => None,
                }
            }
            Err(SettleError::Rejected { reason, transaction }) => {
                let evidence = self.evidence(&transfer).await;
                let forgets = self.shared.store.may_forget();
                match refused(attempt, forgets, reason, transaction.as_deref(), evidence) {
                    Refused::Settled(settlement) => match self.record_settled(settlement, hold).await? {
                        Some(order) => return Ok(order),
                        None => transaction,
                    },
                    Refused::Failed { reason, dead } => {
                        return Err(self.record_failed(&reason, dead, transaction, hold).await);
                    }
                    Refused::Unclear => transaction,
                }
            }
            Err(SettleError::Unresolved { transaction, source }) => {
                tracing::warn!(error = %source, "settlement sent, answer lost");
                transaction
            }
            Err(SettleError::Unavailable(source)) => {
                tracing::warn!(error = %source, "settlement could not be sent");
                if attempt == Attempt::First {
                    // Nothing is on its way: there is nothing to wait for.
                    patience = Duration::ZERO;
                }
                None
            }
        };
        let unclear = Event::SettleUnclear { transaction: transaction.map(Arc::from) };
        hold.advance(unclear).await.map_err(|error| Unsettled::Unknown(store_failed_as(&error)))?;
        // The facilitator's own patience counts: the client has waited that long.
        self.await_evidence(&transfer, hold, begun + patience).await
    }

    /// Holds a report that the money moved against the transfer, and against the chain where the engine can ask one that
    /// the facilitator did not read itself.
    async fn believed(&self, transfer: &Transfer, told: Settlement) -> Report {
        if let Some(what) = transfer.contradiction(&told) {
            tracing::error!(what, "facilitator reports a settlement that is not this payment's");
            return Report::Implausible;
        }
        if self.shared.facilitator.proves_settlement() || self.shared.witness.is_none() {
            return Report::True(told);
        }
        let transaction = &told.transaction;
        match self.evidence(transfer).await {
            Some(Evidence::Settled(seen)) => {
                if !seen.transaction.eq_ignore_ascii_case(transaction) {
                    tracing::warn!(told = %transaction, seen = %seen.transaction, "facilitator reports another transaction");
                }
                Report::True(seen)
            }
            Some(Evidence::Dead(reason)) => {
                tracing::error!(%transaction, %reason, "facilitator reports a settlement, and the chain none");
                Report::False(reason)
            }
            Some(Evidence::StillPossible) | None => {
                tracing::warn!(%transaction, "settlement reported, and not seen on the chain yet");
                Report::Unproven
            }
        }
    }

    async fn await_evidence(
        &self,
        transfer: &Transfer,
        hold: &mut Hold,
        deadline: Instant,
    ) -> Result<Order, Unsettled> {
        let mut pause = FIRST_LOOK;
        while self.shared.witness.is_some() {
            if let Some(order) = self.look(transfer, hold).await? {
                return Ok(order);
            }
            if Instant::now() + pause >= deadline {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        tracing::warn!("outcome of a settlement is unknown");
        Err(Unsettled::Unknown(Unavailable::SettlementUnresolved))
    }

    /// What the chain says; `None` where nobody can be asked, or nobody answers in time.
    async fn evidence(&self, transfer: &Transfer) -> Option<Evidence> {
        if transfer.amount.is_zero() {
            // Nothing is to be seen of it: it is spent as soon as that is recorded.
            let (network, payer) = (transfer.option.network.clone(), transfer.payer.to_string());
            return Some(Evidence::Settled(Settlement::of_nothing(network, payer)));
        }
        let within = self.shared.settings.resolve_within.max(LEAST_TO_ANSWER);
        let asked = timeout(within, self.shared.witness.as_ref()?.evidence(transfer)).await;
        let silent = |_| Err(VerifyError::Unavailable("no answer in time".into()));
        match asked.unwrap_or_else(silent) {
            Ok(Evidence::Settled(settlement)) => match transfer.contradiction(&settlement) {
                None => Some(Evidence::Settled(settlement)),
                Some(what) => {
                    tracing::error!(what, "witness reports a settlement that is not this payment's");
                    None
                }
            },
            Ok(evidence) => Some(evidence),
            Err(error @ (VerifyError::Rejected(_) | VerifyError::Overcommitted)) => {
                tracing::error!(%error, "witness judged a payment instead of looking for it");
                None
            }
            Err(VerifyError::Unavailable(error)) => {
                tracing::warn!(%error, "witness did not answer");
                None
            }
        }
    }

    /// Records that the money moved. `None` where the transfer has settled another order: it is not this one's.
    async fn record_settled(
        &self,
        settlement: Settlement,
        hold: &mut Hold,
    ) -> Result<Option<Order>, Unsettled> {
        let settlement = Arc::new(settlement);
        let settled = Event::SettleOk { settlement: Arc::clone(&settlement) };
        let transaction = &settlement.transaction;
        match hold.advance(settled).await {
            Ok(order) => {
                tracing::info!(%transaction, "payment settled");
                self.tell_settled(&order, hold, &settlement);
                Ok(Some(order))
            }
            Err(StoreError::TransferTaken) => {
                tracing::error!(%transaction, "transfer has settled another order, and is no evidence for this one");
                Ok(None)
            }
            // Money that moved and could not be recorded is not delivered now: the next presentation finds the evidence.
            Err(error) => {
                tracing::error!(%transaction, "payment settled, and not recorded");
                Err(Unsettled::Unknown(store_failed_as(&error)))
            }
        }
    }

    async fn record_failed(
        &self,
        reason: &RejectReason,
        dead: bool,
        transaction: Option<String>,
        hold: &mut Hold,
    ) -> Unsettled {
        let failed = Event::SettleFailed {
            reason: reason.code().into(),
            dead,
            transaction: transaction.as_deref().map(Arc::from),
        };
        let order = match hold.advance(failed).await {
            Ok(order) => order,
            Err(error) => return Unsettled::Unknown(store_failed_as(&error)),
        };
        self.tell_failed(&order, hold, reason.code());
        self.shared.deferrals.failed(&order.payer, self.shared.clock.now());
        if order.state.deferred {
            let flag = Attention::DeliveredUnsettled.as_str();
            metrics::counter!(telemetry::ATTENTION, "attention" => flag).increment(1);
            tracing::error!(order = %order.id, %reason, transaction, "response is out, and its settlement failed");
        } else {
            tracing::warn!(%reason, transaction, "settlement failed");
        }
        Unsettled::Failed(Box::new(order))
    }
}

/// For a witness, however short the wait of a client is to be.
const LEAST_TO_ANSWER: Duration = Duration::from_secs(5);
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LONGEST_LOOK: Duration = Duration::from_secs(2);
/// Between settlements of an order whose response is still on its way.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
