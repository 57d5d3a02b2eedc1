//! One settlement at a time per payment, each in a task of its own.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy_primitives::B256;
use tokio::{sync::watch, time::timeout};
use x402_core::{
    error::RejectReason,
    facilitator::{SettleError, Settlement},
    price::AtomicAmount,
    scheme::PaymentKey,
};

use crate::error::{ChainError, Refusal};

/// The settlements under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Presented, watch::Receiver<Stage>>>);

/// A payment, the digest of what was signed for it, and what is to move: with one nonce a payer can sign more than one
/// transfer, and of a ceiling more than one part can be asked for; the success of one says nothing of the others.
pub(super) type Presented = (PaymentKey, [u8; 32], AtomicAmount);

/// How far a settlement is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Nothing was sent.
    Preparing,
    /// This transaction was sent, or may have been.
    Sent(B256),
    /// It is over.
    Over(Outcome),
}

/// What is known at the end of a settlement.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Settled(Settlement),
    Rejected { reason: RejectReason, transaction: Option<B256> },
    Unresolved { transaction: Option<B256>, why: &'static str },
    Unavailable(ChainError),
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected(reason) => Self::Rejected { reason, transaction: None },
            Refusal::Chain(error) => Self::Unavailable(error),
        }
    }
}

/// A settlement under way, as somebody who waits for it sees it.
#[derive(Debug)]
pub(super) struct Flight(watch::Receiver<Stage>);

impl Flights {
    /// How many are under way.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Joins the settlement of `payment` that is under way, or starts one. Above a bound none is started.
    pub(super) fn join<F>(
        self: &Arc<Self>,
        payment: Presented,
        settle: impl FnOnce(Arc<watch::Sender<Stage>>) -> F,
    ) -> Flight
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = all.get(&payment) {
            return Flight(flight.clone());
        }
        let (stage, flight) = watch::channel(Stage::Preparing);
        if all.len() >= LIMIT {
            let full = ChainError::Local("too many settlements are under way");
            stage.send_replace(Stage::Over(Outcome::Unavailable(full)));
            return Flight(flight);
        }
        all.insert(payment, flight.clone());
        let stage = Arc::new(stage);
        let landing = Landing { flights: Arc::clone(self), payment };
        let settling = settle(Arc::clone(&stage));
        tokio::spawn(async move {
            let outcome = settling.await;
            // Out of the list before anybody hears of it: who settles again then looks at the chain.
            drop(landing);
            stage.send_replace(Stage::Over(outcome));
        });
        Flight(flight)
    }
}

impl Flight {
    /// Waits for the end, at most `after_sending` once something was sent.
    pub(super) async fn outcome(mut self, after_sending: Duration) -> Result<Settlement, SettleError> {
        // However these end, the last stage tells what is known.
        let begun = self.0.wait_for(|stage| !matches!(stage, Stage::Preparing));
        if matches!(timeout(PREPARE_WITHIN, begun).await.map(|begun| begun.map(drop)), Ok(Ok(()))) {
            let over = self.0.wait_for(|stage| matches!(stage, Stage::Over(_)));
            let _ = timeout(after_sending, over).await.map(|over| over.map(drop));
        }
        let stage = self.0.borrow().clone();
        match stage {
            Stage::Over(outcome) => outcome.into(),
            Stage::Sent(hash) => unresolved(Some(hash), "no receipt in time"),
            Stage::Preparing => unresolved(None, "the settlement could not be begun in time"),
        }
    }
}

impl From<Outcome> for Result<Settlement, SettleError> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Settled(settlement) => Ok(settlement),
            Outcome::Rejected { reason, transaction } => {
                Err(SettleError::Rejected { reason, transaction: transaction.map(text) })
            }
            Outcome::Unresolved { transaction, why } => unresolved(transaction, why),
            Outcome::Unavailable(error) => Err(SettleError::Unavailable(error.into())),
        }
    }
}

fn unresolved(transaction: Option<B256>, why: &'static str) -> Result<Settlement, SettleError> {
    Err(SettleError::Unresolved { transaction: transaction.map(text), source: ChainError::Lost(why).into() })
}

fn text(hash: B256) -> String {
    crate::hex::prefixed(hash.as_slice())
}

/// Takes a settlement off the list, also when it panics.
struct Landing {
    flights: Arc<Flights>,
    payment: Presented,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.payment);
    }
}

/// Each request before sending has a deadline of its own; only a long queue for the gas account takes this long.
const PREPARE_WITHIN: Duration = Duration::from_secs(45);
/// More transactions of one account than a node keeps waiting.
const LIMIT: usize = 4_096;
